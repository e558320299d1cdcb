/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/relay-key.h"

#include <string.h>

#include "base/cleanup.h"

#define BASE64 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
/* The smallest key of all, Ed25519, has 68. */
#define RELAY_KEY_BASE64_MIN 60

int relay_key_parse(const char *untrusted_text, RelayKey *ret_key) {
        static const char *const types[] = {
                "ssh-ed25519",
                "ecdsa-sha2-nistp256",
                "ecdsa-sha2-nistp384",
                "ecdsa-sha2-nistp521",
                "sk-ssh-ed25519@openssh.com",
                "sk-ecdsa-sha2-nistp256@openssh.com",
                "ssh-rsa",
        };
        size_t n_type = strcspn(untrusted_text, " "), n_key, n_padding, n;
        const char *key;
        bool is_known = false;

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i)
                is_known = is_known || (strlen(types[i]) == n_type && memcmp(types[i], untrusted_text, n_type) == 0);
        if (!is_known || untrusted_text[n_type] != ' ')
                return RELAY_KEY_E_TYPE;
        key = untrusted_text + n_type + 1;
        n_key = strspn(key, BASE64);
        n_padding = strspn(key + n_key, "=");
        n = n_type + 1 + n_key + n_padding;
        if (n_key < RELAY_KEY_BASE64_MIN || n_padding > 2 || n >= RELAY_KEY_MAX ||
            (untrusted_text[n] != '\0' && untrusted_text[n] != ' ' && untrusted_text[n] != '\n') ||
            (strchr(untrusted_text, '\n') && strchr(untrusted_text, '\n')[1] != '\0'))
                return RELAY_KEY_E_MALFORMED;
        memcpy(ret_key->text, untrusted_text, n);
        ret_key->text[n] = '\0';
        return 0;
}

bool relay_key_is_in(const RelayKey *key, const char *file, size_t n_file) {
        size_t n_key = strlen(key->text);

        for (const char *at = file; (at = memmem(at, n_file - (size_t)(at - file), key->text, n_key)); at += n_key)
                if (at + n_key == file + n_file || at[n_key] == '\n' || at[n_key] == ' ')
                        return true;
        return false;
}
