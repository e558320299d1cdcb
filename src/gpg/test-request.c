/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_decode(void **state) {
        static const struct {
                const char *name, *bytes;
                size_t n;
                const char *expect; /* the arguments with | behind each; NULL: refused */
        } cases[] = {
#define CASE(_name, _bytes, _expect) { _name, _bytes, sizeof(_bytes) - 1, _expect }
                CASE("the specification's example",
                     "\3\0\0\0"
                     "\0-k\0",
                     "-k|"),
                CASE("no arguments", "\0\0\0\0", ""),
                CASE("one, empty",
                     "\1\0\0\0"
                     "\0\0",
                     "|"),
                CASE("an empty one at the end",
                     "\4\0\0\0"
                     "\0-u\0\0",
                     "-u||"),
                CASE("older clients: their name first",
                     "\x0d\0\0\0"
                     "gpg\0--version\0",
                     "--version|"),
                CASE("a name alone",
                     "\3\0\0\0"
                     "gpg\0",
                     ""),
                CASE("what comes after is ignored",
                     "\3\0\0\0"
                     "\0-k\0--evil\0",
                     "-k|"),
                CASE("ends inside an argument",
                     "\2\0\0\0"
                     "\0-k\0",
                     NULL),
                CASE("no NUL where it says",
                     "\3\0\0\0"
                     "\0-kk\0",
                     NULL),
                CASE("just beyond the end",
                     "\0\4\0\0"
                     "\0-k\0",
                     NULL),
                CASE("far beyond",
                     "\xff\xff\xff\xff"
                     "\0-k\0",
                     NULL),
                CASE("the other byte order",
                     "\0\0\0\3"
                     "\0-k\0",
                     NULL),
#undef CASE
        };
        static uint8_t data[GPG_REQUEST_SIZE];
        static GpgRequest request;

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char joined[256] = "";
                int r;

                memset(data, 0, sizeof(data));
                memcpy(data, cases[i].bytes, cases[i].n);
                r = gpg_request_decode(data, &request);
                if (r != (cases[i].expect ? 0 : GPG_REQUEST_E_MALFORMED))
                        fail_msg("%s: got %d", cases[i].name, r);
                if (r)
                        continue;
                for (size_t k = 0; request.arguments[k]; ++k)
                        strcat(strcat(joined, request.arguments[k]), "|");
                if (strcmp(joined, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].name, joined);
        }
}

/* As many arguments as there are bytes, and one more byte than there is. */
static void test_limits(void **state) {
        static const char *words[GPG_REQUEST_ARGUMENTS_MAX + 1];
        static uint8_t data[GPG_REQUEST_SIZE];
        static GpgRequest request;
        char longest[GPG_REQUEST_COMMAND_SIZE];

        for (size_t i = 0; i < ARRAY_SIZE(words); ++i)
                words[i] = "";
        assert_int_equal(gpg_request_encode(words, GPG_REQUEST_ARGUMENTS_MAX + 1, data), GPG_REQUEST_E_TOO_LONG);
        assert_int_equal(gpg_request_encode(words, GPG_REQUEST_ARGUMENTS_MAX, data), 0);
        assert_int_equal(gpg_request_decode(data, &request), 0);
        assert_int_equal(request.n_arguments, GPG_REQUEST_ARGUMENTS_MAX);
        assert_null(request.arguments[GPG_REQUEST_ARGUMENTS_MAX]);

        memset(longest, 'a', sizeof(longest));
        longest[1019] = '\0';
        words[0] = "-k";
        words[1] = longest;
        assert_int_equal(gpg_request_encode(words, 2, data), 0);
        assert_int_equal(gpg_request_decode(data, &request), 0);
        assert_int_equal(request.n_arguments, 2);
        assert_string_equal(request.arguments[1], longest);
        longest[1019] = 'a';
        longest[1020] = '\0';
        assert_int_equal(gpg_request_encode(words, 2, data), GPG_REQUEST_E_TOO_LONG);
}

static void test_encode(void **state) {
        uint8_t data[GPG_REQUEST_SIZE], expect[GPG_REQUEST_SIZE] = "\3\0\0\0"
                                                                   "\0-k";

        memset(data, 0xaa, sizeof(data));
        assert_int_equal(gpg_request_encode((const char *[]){ "-k" }, 1, data), 0);
        assert_memory_equal(data, expect, sizeof(data));
        memset(data, 0xaa, sizeof(data));
        memset(expect, 0, sizeof(expect));
        assert_int_equal(gpg_request_encode(NULL, 0, data), 0);
        assert_memory_equal(data, expect, sizeof(data));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_encode),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
