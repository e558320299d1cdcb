/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

/* RFC 4648, 10. */
static void test_vectors(void **state) {
        static const struct {
                const char *bytes, *text;
        } cases[] = {
                { "", "" },
                { "f", "Zg==" },
                { "fo", "Zm8=" },
                { "foo", "Zm9v" },
                { "foob", "Zm9vYg==" },
                { "fooba", "Zm9vYmE=" },
                { "foobar", "Zm9vYmFy" },
                { "\xfb\xff\xfe", "+//+" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[BASE64_TEXT_SIZE(8)];
                uint8_t bytes[8];
                size_t n;

                assert_int_equal(base64_encode(cases[i].bytes, strlen(cases[i].bytes), text), strlen(cases[i].text));
                assert_string_equal(text, cases[i].text);
                assert_int_equal(base64_decode(text, strlen(text), bytes, sizeof(bytes), &n), 0);
                assert_int_equal(n, strlen(cases[i].bytes));
                assert_memory_equal(bytes, cases[i].bytes, n);
        }
}

static void test_refused(void **state) {
        static const struct {
                const char *name, *text;
                int expect;
        } cases[] = {
                { "three digits", "Zm9", BASE64_E_MALFORMED },
                { "one digit", "Z===", BASE64_E_MALFORMED },
                { "only padding", "====", BASE64_E_MALFORMED },
                { "padding inside", "Zg==Zm9v", BASE64_E_MALFORMED },
                { "bits that mean nothing, one byte", "Zh==", BASE64_E_MALFORMED },
                { "bits that mean nothing, two bytes", "Zm9=", BASE64_E_MALFORMED },
                { "a blank", "Zm9 ", BASE64_E_MALFORMED },
                { "of the other alphabet", "Zm-_", BASE64_E_MALFORMED },
                { "too much", "Zm9vYmFy", BASE64_E_SIZE },
                { "just enough", "Zm9vYmE=", 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t bytes[5];
                size_t n;
                int r = base64_decode(cases[i].text, strlen(cases[i].text), bytes, sizeof(bytes), &n);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors), cmocka_unit_test(test_refused) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
