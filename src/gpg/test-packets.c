/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

/* A public key, a user ID, a signature, in the least of bytes; with \xc6\x02pk and its armour. */
#define KEY "\xc6\x02pk"
#define ARMOUR \
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\nVersion: x\n\nxgJwaw==\n=88Ok\n-----END PGP PUBLIC KEY BLOCK-----\n"

static void test_filter(void **state) {
        static const struct {
                const char *name, *input;
                size_t n;
                const char *expect;
                size_t n_expect;
                int r;
        } cases[] = {
#define GOOD(_name, _input, _expect) { _name, _input, sizeof(_input) - 1, _expect, sizeof(_expect) - 1, 0 }
#define BAD(_name, _input, _r) \
        { _name, _input, sizeof(_input) - 1, NULL, 0, GPG_PACKETS_E_##_r }
                GOOD("a key", KEY, KEY),
                GOOD("a key with all that belongs to it",
                     KEY "\xcd\x01u\xc2\x01s\xce\x01k\xd1\x01"
                         "a\xcc\x01t",
                     KEY "\xcd\x01u\xc2\x01s\xce\x01k\xd1\x01"
                         "a\xcc\x01t"),
                GOOD("a signature alone: a revocation", "\xc2\x01s", "\xc2\x01s"),
                GOOD("old format, one byte of length", "\x98\x01k", "\x98\x01k"),
                GOOD("old format, two", "\x99\0\x01k", "\x99\0\x01k"),
                GOOD("old format, four", "\x9a\0\0\0\x01k", "\x9a\0\0\0\x01k"),
                GOOD("new format, five bytes of length", "\xc6\xff\0\0\0\x01k", "\xc6\xff\0\0\0\x01k"),
                GOOD("a marker is dropped", "\xca\x03PGP" KEY, KEY),
                GOOD("text behind it", KEY "\n\nhello", KEY),
                GOOD("armoured", ARMOUR, KEY),
                GOOD("armoured, text around", "mail\n" ARMOUR "-- \nme\n", KEY),
                GOOD("armoured, lines of DOS",
                     "-----BEGIN PGP PUBLIC KEY BLOCK-----\r\n\r\nxgJwaw==\r\n=88Ok\r\n-----END PGP PUBLIC KEY "
                     "BLOCK-----\r\n",
                     KEY),
                GOOD("armoured, without a sum",
                     "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgJw\naw==\n-----END PGP PUBLIC KEY BLOCK-----", KEY),
                GOOD("armoured twice", ARMOUR "\n" ARMOUR, KEY KEY),
                GOOD("binary, then armoured, then binary", KEY ARMOUR KEY, KEY KEY KEY),
                BAD("nothing", "", MALFORMED),
                BAD("text alone", "hello\n", MALFORMED),
                BAD("a marker alone", "\xca\x03PGP", MALFORMED),
                BAD("a secret key", "\xc5\x01s", SECRET),
                BAD("a secret subkey", KEY "\xc7\x01s", SECRET),
                BAD("a secret key, old format", "\x94\x01s", SECRET),
                BAD("a secret key behind text", KEY "\n\n-----BEGIN PGP PRIVATE KEY BLOCK-----\n", SECRET),
                BAD("a secret key in a public one's armour",
                    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxQFz\n-----END PGP PUBLIC KEY BLOCK-----\n", SECRET),
                BAD("compressed, with whatever in it", "\xc8\x01z", KIND),
                BAD("encrypted", "\xd2\x01z", KIND),
                BAD("literal data", "\xcb\x01z", KIND),
                BAD("a reserved tag", "\xc0\x01z", KIND),
                BAD("a message's armour", "-----BEGIN PGP MESSAGE-----\n\n", KIND),
                BAD("a user ID first: GnuPG would read it as text", "\xcd\x01u" KEY, MALFORMED),
                BAD("partial lengths", "\xc6\xe1pk", MALFORMED),
                BAD("no length known", "\x9bpk", MALFORMED),
                BAD("shorter than it says", "\xc6\x03pk", MALFORMED),
                BAD("a header alone", "\xc6", MALFORMED),
                BAD("half a length", "\xc6\xff\0\0", MALFORMED),
                BAD("a length beyond everything", "\xc6\xff\xff\xff\xff\xffpk", MALFORMED),
                BAD("armour without an end", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgJwaw==\n", MALFORMED),
                BAD("armour without a blank line",
                    "-----BEGIN PGP PUBLIC KEY BLOCK-----\nxgJwaw==\n-----END PGP PUBLIC KEY BLOCK-----\n", MALFORMED),
                BAD("armour without anything", "-----BEGIN PGP PUBLIC KEY BLOCK-----", MALFORMED),
                BAD("a wrong sum",
                    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgJwaw==\n=AAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
                    MALFORMED),
                BAD("data behind the sum",
                    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgJwaw==\n=88Ok\nAAAA\n-----END PGP PUBLIC KEY "
                    "BLOCK-----\n",
                    MALFORMED),
                BAD("no base64", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx$Jw\n-----END PGP PUBLIC KEY BLOCK-----\n",
                    MALFORMED),
                BAD("half a group", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgJ\n-----END PGP PUBLIC KEY BLOCK-----\n",
                    MALFORMED),
                BAD("three pads", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nx===\n-----END PGP PUBLIC KEY BLOCK-----\n",
                    MALFORMED),
                BAD("letters behind pads",
                    "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxgJwaw==AAAA\n-----END PGP PUBLIC KEY BLOCK-----\n",
                    MALFORMED),
#undef GOOD
#undef BAD
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ uint8_t *data = NULL;
                size_t n = 0;
                int r = gpg_packets_filter((const uint8_t *)cases[i].input, cases[i].n, false, &data, &n);

                if (r != cases[i].r)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].r);
                if (!r && (n != cases[i].n_expect || memcmp(data, cases[i].expect, n) != 0))
                        fail_msg("%s: %zu bytes: %.*s", cases[i].name, n, (int)n, (const char *)data);
        }
}

static void test_allow_secret(void **state) {
        static const char *const inputs[] = {
                "\xc5\x01s", KEY "\xc7\x01s",
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxQFz\n-----END PGP PRIVATE KEY BLOCK-----\n"
        };

        for (size_t i = 0; i < ARRAY_SIZE(inputs); ++i) {
                _cleanup_free_ uint8_t *data = NULL;
                size_t n = 0;

                assert_int_equal(gpg_packets_filter((const uint8_t *)inputs[i], strlen(inputs[i]), true, &data, &n), 0);
                assert_true(n >= 3);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_filter),
                cmocka_unit_test(test_allow_secret),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
