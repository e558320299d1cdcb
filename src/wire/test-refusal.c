/* SPDX-License-Identifier: Apache-2.0 */
/* "fact N" is a line of the protocol specification's Appendix A, vectors are from its Appendix B. */
#include "wire/refusal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

#define NUL8 "\0\0\0\0\0\0\0\0"
#define A8   "aaaaaaaa"

static void test_ident_decode(void **state) {
        static const struct {
                const char *name, *field;
                size_t n;
                int expect;
        } cases[] = {
#define CASE(_name, _field, _expect) { _name, _field, sizeof(_field) - 1, _expect }
                CASE("vector SOCKET9", "SOCKET9\0" NUL8 NUL8 NUL8, 0),
                CASE("ours", IDENT_QAIR "\0\0\0" NUL8 NUL8 NUL8, 0),
                CASE("ours, more to come", IDENT_QAIR_MORE "\0\0\0\0\0\0" NUL8 NUL8, 0),
                CASE("all NUL, fact 26", NUL8 NUL8 NUL8 NUL8, 0),
                CASE("space, fact 25", "a b c d\0" NUL8 NUL8 NUL8, 0),
                CASE("31 bytes and a NUL", A8 A8 A8 "aaaaaaa\0", 0),
                CASE("32 bytes without NUL, fact 23", A8 A8 A8 A8, IDENT_E_MALFORMED),
                CASE("a byte after the first NUL, fact 24", "SOCKET9\0" NUL8 NUL8 "\0\0\0\0\0\0\0x", IDENT_E_MALFORMED),
                CASE("a byte right after the first NUL, fact 24", "\0x\0\0\0\0\0\0" NUL8 NUL8 NUL8, IDENT_E_MALFORMED),
                CASE("31 bytes long field", "SOCKET9\0" NUL8 NUL8 "\0\0\0\0\0\0\0", IDENT_E_MALFORMED),
                CASE("33 bytes long field", "SOCKET9\0" NUL8 NUL8 NUL8 "\0", IDENT_E_MALFORMED),
                CASE("no field", "", IDENT_E_MALFORMED),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Ident ident;
                int r;

                memset(&ident, '#', sizeof(ident));
                r = ident_decode((const uint8_t *)cases[i].field, cases[i].n, &ident);
                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r)
                        assert_int_equal(ident.text[0], '#');
                else
                        assert_memory_equal(ident.text, cases[i].field, IDENT_SIZE);
        }
}

static void test_every_byte(void **state) {
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-. ";

        for (int byte = 1; byte < 256; ++byte) {
                uint8_t field[IDENT_SIZE] = { 'a', (uint8_t)byte };
                Ident ident;
                int expect = strchr(allowed, byte) ? 0 : IDENT_E_MALFORMED;

                if (ident_decode(field, sizeof(field), &ident) != expect)
                        fail_msg("byte %#x", (unsigned)byte);
        }
}

/* Exactly the bytes that came go back, valid or not: fact 22. */
static void test_refusal(void **state) {
        static const uint8_t expect[] = "\x03\x02\0\0\x20\0\0\0SOCKET9\0" NUL8 NUL8 NUL8;
        uint8_t data[8 + IDENT_SIZE], invalid[IDENT_SIZE];

        refusal_encode(expect + 8, data);
        assert_memory_equal(data, expect, sizeof(data)); /* the vector SERVICE_REFUSED */

        memset(invalid, 0xff, sizeof(invalid));
        refusal_encode(invalid, data);
        assert_memory_equal(data, expect, 8);
        assert_memory_equal(data + 8, invalid, sizeof(invalid));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ident_decode),
                cmocka_unit_test(test_every_byte),
                cmocka_unit_test(test_refusal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
