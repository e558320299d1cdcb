/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/adminanswer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_decode(void **state) {
        static const struct {
                const char *name, *data;
                size_t n;
                int expect;
                const char *text;
        } cases[] = {
#define CASE(_name, _data, _expect, _text) { _name, _data, sizeof(_data) - 1, _expect, _text }
                CASE("nothing", "", ADMIN_ANSWER_E_MALFORMED, NULL),
                CASE("one byte", "0", ADMIN_ANSWER_E_MALFORMED, NULL),
                CASE("success without data", "0\0", 0, ""),
                CASE("success", "0\0disp7", 0, "disp7"),
                CASE("success without its NUL", "00", ADMIN_ANSWER_E_MALFORMED, NULL),
                CASE("an exception", "2\0QubesVMNotFoundError\0\0no such qube\0", ADMIN_ANSWER_E_EXCEPTION,
                     "QubesVMNotFoundError"),
                CASE("an exception that is cut off", "2\0Qubes", ADMIN_ANSWER_E_EXCEPTION, "Qubes"),
                CASE("an exception without a name", "2\0", ADMIN_ANSWER_E_EXCEPTION, ""),
                CASE("an event", "1\0", ADMIN_ANSWER_E_MALFORMED, NULL),
                CASE("text", "no such thing", ADMIN_ANSWER_E_MALFORMED, NULL),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                AdminAnswer answer = {};
                int r = admin_answer_decode(cases[i].data, cases[i].n, &answer);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (!cases[i].text)
                        continue;
                assert_int_equal(answer.n_text, strlen(cases[i].text));
                assert_memory_equal(answer.untrusted_text, cases[i].text, answer.n_text);
        }
}

static void test_lengths(void **state) {
        static char data[ADMIN_ANSWER_MAX + 1] = "0";
        AdminAnswer answer;

        assert_int_equal(admin_answer_decode(data, ADMIN_ANSWER_MAX, &answer), 0);
        assert_int_equal(answer.n_text, ADMIN_ANSWER_MAX - 2);
        assert_int_equal(admin_answer_decode(data, ADMIN_ANSWER_MAX + 1, &answer), ADMIN_ANSWER_E_MALFORMED);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_lengths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
