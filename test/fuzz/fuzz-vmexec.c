/* SPDX-License-Identifier: Apache-2.0 */
/* A command line that was decoded, encoded again, is a command line of the same words; and the encoding is then the one. */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "tools/vmexec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *argument = NULL, *encoded = NULL, *encoded_again = NULL;
        _cleanup_free_ char **words = NULL, **words_again = NULL;
        size_t i = 0;
        int r;

        argument = strndup((const char *)data, n);
        fuzz_check(argument != NULL);
        r = vmexec_decode(argument, &words);
        fuzz_check(r >= 0);
        if (r)
                return 0;
        fuzz_check(words[0] != NULL);
        fuzz_check(vmexec_encode(words, &encoded) == 0);
        fuzz_check(vmexec_decode(encoded, &words_again) == 0);
        for (; words[i]; ++i)
                fuzz_check(words_again[i] && strcmp(words[i], words_again[i]) == 0);
        fuzz_check(!words_again[i]);
        fuzz_check(vmexec_encode(words_again, &encoded_again) == 0);
        fuzz_check(strcmp(encoded, encoded_again) == 0);
        return 0;
}
