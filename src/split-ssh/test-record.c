/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "split-ssh/record.h"

#define V256 V64 V64 V64 V64
#define V64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_parse(void **state) {
        static const struct {
                const char *name, *text;
                size_t n;
                int expect;
        } cases[] = {
#define CASE(_name, _text, _expect) { _name, _text, sizeof(_text) - 1, _expect }
                CASE("smallest", "v=1\nsource=work\n", 0),
                CASE("all kinds of bytes", "v=1\nsource=work\nuser= !\"#$%25&'()~\n", 0),
                CASE("an equals sign in a value", "v=1\nsource=work\ncomment=a=b\n", 0),
                CASE("an empty value", "v=1\nsource=work\nuser=\n", 0),
                CASE("a name of later", "v=1\nsource=work\nweather=rain\n", 0),
                CASE("a long value", "v=1\nsource=work\nuser=" V256 "\n", 0),
                CASE("a longer value", "v=1\nsource=work\nuser=" V256 "x\n", RECORD_E_MALFORMED),
                CASE("numbers", "v=1\nsource=work\ngrant=86400\ntimeout=600\n", 0),
                CASE("no number", "v=1\nsource=work\ngrant=\ntimeout=\n", 0),
                CASE("a grant of more than a day", "v=1\nsource=work\ngrant=86401\n", RECORD_E_MALFORMED),
                CASE("a time of more than ten minutes", "v=1\nsource=work\ntimeout=601\n", RECORD_E_MALFORMED),
                CASE("a grant that is no number", "v=1\nsource=work\ngrant=1s\n", RECORD_E_MALFORMED),
                CASE("two grants", "v=1\nsource=work\ngrant=1\ngrant=2\n", RECORD_E_MALFORMED),
                CASE("nothing", "", RECORD_E_MALFORMED),
                CASE("no source", "v=1\n", RECORD_E_MALFORMED),
                CASE("an empty source", "v=1\nsource=\n", RECORD_E_MALFORMED),
                CASE("no version", "source=work\n", RECORD_E_MALFORMED),
                CASE("the version behind", "source=work\nv=1\n", RECORD_E_MALFORMED),
                CASE("another version", "v=2\nsource=work\n", RECORD_E_MALFORMED),
                CASE("two versions", "v=1\nv=1\nsource=work\n", RECORD_E_MALFORMED),
                CASE("a name twice", "v=1\nsource=work\nsource=home\n", RECORD_E_MALFORMED),
                CASE("no newline at the end", "v=1\nsource=work", RECORD_E_MALFORMED),
                CASE("a line without a name", "v=1\nsource=work\n=x\n", RECORD_E_MALFORMED),
                CASE("a line without a value", "v=1\nsource=work\nuser\nhost=a\n", RECORD_E_MALFORMED),
                CASE("an empty line", "v=1\n\nsource=work\n", RECORD_E_MALFORMED),
                CASE("an escape", "v=1\nsource=work\nuser=\033[31m\n", RECORD_E_MALFORMED),
                CASE("a carriage return", "v=1\nsource=work\nuser=a\r\n", RECORD_E_MALFORMED),
                CASE("UTF-8", "v=1\nsource=work\nuser=\303\244\n", RECORD_E_MALFORMED),
                CASE("DEL", "v=1\nsource=work\nuser=\177\n", RECORD_E_MALFORMED),
                CASE("NUL", "v=1\nsource=work\0\n", RECORD_E_MALFORMED),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Record record = {};
                int r = record_parse(cases[i].text, cases[i].n, &record);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r == 0)
                        assert_string_equal(record.values[RECORD_SOURCE], "work");
                record_deinit(&record);
        }
}

static void test_values(void **state) {
        static const char text[] = "v=1\nsource=work\nkind=auth\nuser=x%1B\ngrant=300\ntimeout=60\nhost=a b\n";
        Record record;

        assert_int_equal(record_parse(text, strlen(text), &record), 0);
        assert_string_equal(record.values[RECORD_KIND], "auth");
        assert_string_equal(record.values[RECORD_USER], "x%1B");
        assert_string_equal(record.values[RECORD_HOST], "a b");
        assert_string_equal(record.values[RECORD_VIA], "");
        assert_int_equal(record.grant_sec, 300);
        assert_int_equal(record.timeout_sec, 60);
        record_deinit(&record);
        record_deinit(&record);
}

static void test_too_long(void **state) {
        char *text = malloc(RECORD_MAX + 2);
        Record record;
        size_t n;

        assert_non_null(text);
        strcpy(text, "v=1\nsource=work\n");
        for (n = strlen(text); n + 8 <= RECORD_MAX; n += 8)
                strcpy(text + n, "more=yy\n");
        assert_int_equal(record_parse(text, n, &record), 0);
        record_deinit(&record);
        memset(text + n, 'x', RECORD_MAX + 1 - n);
        text[RECORD_MAX] = '\n';
        assert_int_equal(record_parse(text, RECORD_MAX + 1, &record), RECORD_E_MALFORMED);
        free(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_too_long),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
