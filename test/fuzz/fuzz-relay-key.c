/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line of a public key, which becomes a part of sshd's authorized_keys behind options of ours: a key that was parsed is two words and
 * nothing that sshd would take for more; parsed again it is the same; and it is found in a file that has it, whatever is around it.
 */
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "tools/relay-key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *text = strndup((const char *)data, n);
        char file[2 * RELAY_KEY_MAX];
        RelayKey key, again;
        size_t n_words;

        fuzz_check(text);
        if (relay_key_parse(text, &key))
                return 0;
        fuzz_check(strnlen(key.text, sizeof(key.text)) < sizeof(key.text));
        n_words = strcspn(key.text, " ");
        fuzz_check(n_words > 0 && key.text[n_words] == ' ' && key.text[n_words + 1] != '\0');
        for (size_t i = 0; key.text[i] != '\0'; ++i)
                fuzz_check((key.text[i] > ' ' && key.text[i] <= '~' && !strchr("\"'\\#,", key.text[i])) ||
                           i == n_words);
        fuzz_check(strncmp(text, key.text, n_words) == 0); /* no option in front */
        fuzz_check(relay_key_parse(key.text, &again) == 0 && strcmp(key.text, again.text) == 0);
        (void)snprintf(file, sizeof(file), "# keys\nrestrict,command=\"x y\" %s somebody\n", key.text);
        fuzz_check(relay_key_is_in(&key, file, strlen(file)));
        fuzz_check(!relay_key_is_in(&key, "# keys\n", 7));
        return 0;
}
