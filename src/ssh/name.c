/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/name.h"

#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"

static bool name_is_valid(const char *untrusted_text, size_t n_max) {
        size_t n = strspn(untrusted_text, LETTERS DIGITS "_.-");

        return n > 0 && n <= n_max && untrusted_text[n] == '\0' && strchr(LETTERS DIGITS, untrusted_text[0]);
}

bool ssh_source_name_is_valid(const char *untrusted_name) {
        return name_is_valid(untrusted_name, SSH_SOURCE_MAX);
}

bool ssh_agent_name_is_valid(const char *untrusted_name) {
        return name_is_valid(untrusted_name, AGENT_NAME_MAX);
}

int agent_name_parse(const char *untrusted_text, AgentName *ret_name) {
        if (!ssh_agent_name_is_valid(untrusted_text))
                return AGENT_NAME_E_INVALID;
        memcpy(ret_name->text, untrusted_text, strlen(untrusted_text) + 1);
        return 0;
}

int vault_name_parse(const char *untrusted_text, size_t n, VaultName *ret_name) {
        size_t first = n > 0 && untrusted_text[0] == '@';

        if (n > VAULT_NAME_MAX || n <= first || untrusted_text[first] == '\0' ||
            !strchr(LETTERS, untrusted_text[first]))
                return AGENT_NAME_E_INVALID;
        for (size_t i = first; i < n; ++i)
                if (untrusted_text[i] == '\0' || !strchr(LETTERS DIGITS ":_.-", untrusted_text[i]))
                        return AGENT_NAME_E_INVALID;
        memcpy(ret_name->text, untrusted_text, n);
        ret_name->text[n] = '\0';
        return 0;
}
