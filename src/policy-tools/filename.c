/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/filename.h"

#include <string.h>

#include "policy/quote.h"

#define INCLUDE "include"

/* argchar of the policy specification, 2.1 */
static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._+";

int policy_file_name_parse(const char *untrusted_text, PolicyFileName *ret_name,
                           char ret_invalid[static POLICY_FILE_NAME_QUOTED_MAX]) {
        const char *rest = untrusted_text + strlen(INCLUDE);
        PolicyFileName name = { .name = untrusted_text };
        bool is_invalid[256] = {};
        char characters[256];
        size_t n = 0;

        if (strncmp(untrusted_text, INCLUDE, strlen(INCLUDE)) == 0 && (*rest == '/' || *rest == '\0')) {
                name.is_include = true;
                name.name = *rest == '/' ? rest + 1 : rest;
        }
        for (const char *p = name.name; *p != '\0'; ++p)
                is_invalid[(unsigned char)*p] = !strchr(allowed, *p);
        for (size_t c = 1; c < sizeof(is_invalid); ++c)
                if (is_invalid[c])
                        characters[n++] = (char)c;
        if (n > 0) {
                (void)policy_quote(ret_invalid, POLICY_FILE_NAME_QUOTED_MAX, (PolicySlice){ characters, n });
                return POLICY_FILE_NAME_E_CHARACTERS;
        }
        *ret_name = name;
        return 0;
}
