/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <regex.h>
#include <stdbool.h>
#include <string.h>

#include "gpg/optionlist.h"

#define NUMBER "([1-9]|[1-9][0-9]|1[01][0-9]|12[0-7])"
#define ITEM   "[a-z-]+(=(" NUMBER "|\"" NUMBER "(," NUMBER ")*\")?)?"

static bool is_canonical(const char *text) {
        static regex_t regex;
        static bool compiled;

        if (!compiled)
                fuzz_check(regcomp(&regex, "^(" ITEM "(," ITEM ")*)?$", REG_EXTENDED | REG_NOSUB) == 0);
        compiled = true;
        return regexec(&regex, text, 0, NULL, 0) == 0;
}

/* The first byte chooses the table. What comes out is canonical, not longer, and stays what it is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        char text[1024], again[1024], complaint[GPG_OPTION_LIST_COMPLAINT_MAX];
        GpgListKind kind;

        if (n == 0 || n > sizeof(text))
                return 0;
        kind = (GpgListKind)(data[0] % _GPG_LIST_KIND_N);
        memcpy(text, data + 1, n - 1);
        text[n - 1] = '\0';
        if (gpg_option_list_rewrite(kind, text, complaint)) {
                for (const char *byte = complaint; *byte; ++byte)
                        fuzz_check(*byte >= 0x20 && *byte <= 0x7e);
                return 0;
        }
        fuzz_check(strlen(text) <= n - 1 && is_canonical(text));
        strcpy(again, text);
        fuzz_check(gpg_option_list_rewrite(kind, again, complaint) == 0 && strcmp(text, again) == 0);
        return 0;
}
