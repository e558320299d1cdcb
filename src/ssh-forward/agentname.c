/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh-forward/agentname.h"

#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define DIGITS  "0123456789"

int agent_name_parse(const char *untrusted_text, AgentName *ret_name) {
        size_t n = strspn(untrusted_text, LETTERS DIGITS "_.-");

        if (n == 0 || n > AGENT_NAME_MAX || untrusted_text[n] != '\0' || !strchr(LETTERS DIGITS, untrusted_text[0]))
                return AGENT_NAME_E_INVALID;
        memcpy(ret_name->text, untrusted_text, n + 1);
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
