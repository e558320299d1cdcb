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

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_vectors) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
