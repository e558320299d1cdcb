/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_vectors(void **state) {
        static const struct {
                const char *name, *text, *expect;
                size_t n; /* so many times the text */
        } cases[] = {
                { "nothing", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1 },
                { "three letters", "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", 1 },
                { "padding fits", "a", "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318", 55 },
                { "padding does not fit", "a", "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a", 56 },
                { "one byte short of a block", "a", "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34",
                  63 },
                { "a block", "a", "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb", 64 },
                { "more than a block", "ab", "fcae0435ecabaebf770d9506763a6e3cd0aaab640ff0305312d91fd6979a2c99", 33 },
                { "a million", "a", "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", 1000000 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                size_t n_text = strlen(cases[i].text);
                _cleanup_free_ char *data = malloc(n_text * cases[i].n + 1);
                char text[SHA256_TEXT_SIZE];

                for (size_t k = 0; k < cases[i].n; ++k)
                        memcpy(data + k * n_text, cases[i].text, n_text);
                sha256_text(data, n_text * cases[i].n, text);
                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: got %s", cases[i].name, text);
        }
}

/* However the bytes are cut, across each edge of a block, the hash is that of the whole. */
static void test_parts(void **state) {
        char data[3 * SHA256_BLOCK_SIZE + 1];
        uint8_t whole[SHA256_SIZE], parts[SHA256_SIZE];

        for (size_t i = 0; i < sizeof(data); ++i)
                data[i] = (char)(i * 7);
        sha256(data, sizeof(data), whole);
        for (size_t n_first = 0; n_first <= sizeof(data); ++n_first)
                for (size_t n_each = 1; n_each <= 2 * SHA256_BLOCK_SIZE; n_each += 21) {
                        Sha256 hash;

                        sha256_init(&hash);
                        sha256_add(&hash, data, n_first);
                        for (size_t i = n_first; i < sizeof(data); i += n_each)
                                sha256_add(&hash, data + i, n_each < sizeof(data) - i ? n_each : sizeof(data) - i);
                        sha256_finish(&hash, parts);
                        if (memcmp(whole, parts, sizeof(whole)) != 0)
                                fail_msg("first %zu, then %zu each", n_first, n_each);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors), cmocka_unit_test(test_parts) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
