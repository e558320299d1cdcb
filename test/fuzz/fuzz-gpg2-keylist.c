/* SPDX-License-Identifier: Apache-2.0 */
/* User IDs are anybody's bytes: whatever is listed, a keygrip is one, and what describes a key fits a line of the agent's. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "gpg2/keylist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char *text = strndup((const char *)data, n), line[ASSUAN_LINE_MAX + 1 - sizeof("SETKEYDESC")];
        KeyList all = {}, subkeys = {};

        fuzz_check(text != NULL);
        if (keylist_parse(text, false, &all) == 0) {
                for (size_t i = 0; i < all.n_keys; ++i) {
                        fuzz_check(strspn(all.keys[i].grip, "0123456789ABCDEF") == GPG2_GRIP_SIZE);
                        fuzz_check(assuan_text_encode(all.keys[i].description, line, sizeof(line)) == 0);
                }
                fuzz_check(keylist_parse(text, true, &subkeys) == 0 && subkeys.n_keys <= all.n_keys);
                for (size_t i = 0; i < subkeys.n_keys; ++i)
                        fuzz_check(subkeys.are_subkeys[i]);
        }
        keylist_deinit(&all);
        keylist_deinit(&subkeys);
        free(text);
        return 0;
}
