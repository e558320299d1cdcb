/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/assuan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

static void test_words(void **state) {
        static const struct {
                const char *line;
                AssuanWord word;
        } cases[] = {
                { "OK", ASSUAN_WORD_OK },
                { "OK closing connection", ASSUAN_WORD_OK },
                { "OKAY", ASSUAN_WORD_OTHER },
                { "ok", ASSUAN_WORD_OTHER },
                { "ERR 1 no", ASSUAN_WORD_ERR },
                { "S PROGRESS", ASSUAN_WORD_S },
                { "D", ASSUAN_WORD_D },
                { "D data", ASSUAN_WORD_D },
                { "# anything", ASSUAN_WORD_COMMENT },
                { "#", ASSUAN_WORD_COMMENT },
                { "INQUIRE CIPHERTEXT", ASSUAN_WORD_INQUIRE },
                { "END", ASSUAN_WORD_END },
                { "", ASSUAN_WORD_OTHER },
                { " OK", ASSUAN_WORD_OTHER },
                { "CAN", ASSUAN_WORD_OTHER },
        };
        size_t i_rest;

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (assuan_word(cases[i].line, strlen(cases[i].line)) != cases[i].word)
                        fail_msg("%s", cases[i].line);
        assert_int_equal(assuan_split("SIGKEY  AB", 10, &i_rest), 6);
        assert_int_equal(i_rest, 8);
        assert_int_equal(assuan_split("RESET", 5, &i_rest), 5);
        assert_int_equal(i_rest, 5);
}

static void test_data_decode(void **state) {
        static const struct {
                const char *name, *text;
                int r;
                const char *data;
        } cases[] = {
                { "plain", "abc", 0, "abc" },
                { "escaped", "%25%0A%0d+", 0, "%\n\r+" },
                { "cut off", "a%2", ASSUAN_E_MALFORMED, "" },
                { "no digits", "%zz", ASSUAN_E_MALFORMED, "" },
                { "as much as there is room for", "12345678", 0, "12345678" },
                { "one more", "123456789", ASSUAN_E_LIMIT, "" },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t data[8];
                size_t n = 0;
                int r = assuan_data_decode(cases[i].text, strlen(cases[i].text), data, sizeof(data), &n);

                if (r != cases[i].r || n != strlen(cases[i].data) || memcmp(data, cases[i].data, n) != 0)
                        fail_msg("%s: got %d and %zu bytes", cases[i].name, r, n);
        }
}

static void test_data_encode(void **state) {
        uint8_t data[ASSUAN_DATA_PER_LINE], again[ASSUAN_DATA_PER_LINE];
        char line[ASSUAN_LINE_MAX + 1];
        size_t n, n_again = 0;

        (void)state;
        for (size_t i = 0; i < sizeof(data); ++i)
                data[i] = (uint8_t)i;
        n = assuan_data_encode(data, sizeof(data), line);
        assert_true(n <= sizeof(line) && line[n - 1] == '\n' && memcmp(line, "D ", 2) == 0);
        assert_null(memchr(line, '\n', n - 1));
        assert_int_equal(assuan_data_decode(line + 2, n - 3, again, sizeof(again), &n_again), 0);
        assert_int_equal(n_again, sizeof(data));
        assert_memory_equal(again, data, sizeof(data));

        memset(data, 0xff, sizeof(data)); /* each takes three */
        assert_true(assuan_data_encode(data, sizeof(data), line) <= sizeof(line));
}

static void test_text_encode(void **state) {
        char text[16];

        (void)state;
        assert_int_equal(assuan_text_encode("a b\n+", text, sizeof(text)), 0);
        assert_string_equal(text, "a+b%0A%2B");
        assert_int_equal(assuan_text_encode("0123456789abc", text, sizeof(text)), 0);
        assert_int_equal(assuan_text_encode("0123456789abcd", text, sizeof(text)), ASSUAN_E_LIMIT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_data_decode),
                cmocka_unit_test(test_data_encode),
                cmocka_unit_test(test_text_encode),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
