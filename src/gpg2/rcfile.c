/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/rcfile.h"

#include <stdbool.h>
#include <string.h>

int rcfile_domain_parse(const char *text, size_t n, VaultName *ret_domain) {
        if (n == 0 || n > VAULT_NAME_MAX)
                return RCFILE_E_INVALID;
        for (size_t i = 0; i < n; ++i) {
                bool is_letter = (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z');
                bool is_other =
                        (text[i] >= '0' && text[i] <= '9') || text[i] == ':' || text[i] == '_' || text[i] == '-';

                if (!is_letter && !(i == 0 ? text[i] == '@' : is_other))
                        return RCFILE_E_INVALID;
        }
        memcpy(ret_domain->text, text, n);
        ret_domain->text[n] = '\0';
        return 0;
}

static bool skip(const char **line, size_t *n, const char *prefix) {
        size_t n_prefix = strlen(prefix);

        if (*n < n_prefix || memcmp(*line, prefix, n_prefix) != 0)
                return false;
        *line += n_prefix;
        *n -= n_prefix;
        return true;
}

/* One line. Return: 0, RCFILE_E_NONE: it is about something else, or RCFILE_E_INVALID */
static int parse_line(const char *line, size_t n, VaultName *ret_domain) {
        while (n > 0 && (*line == ' ' || *line == '\t'))
                (void)(++line, --n);
        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
                --n;
        (void)skip(&line, &n, "export ");
        if (!skip(&line, &n, RCFILE_VARIABLE "="))
                return RCFILE_E_NONE;
        if (n >= 2 && (*line == '"' || *line == '\'') && line[n - 1] == *line) {
                ++line;
                n -= 2;
        }
        return rcfile_domain_parse(line, n, ret_domain);
}

int rcfile_parse(const char *text, VaultName *ret_domain) {
        VaultName domain;
        bool found = false;

        while (*text != '\0') {
                size_t n = strcspn(text, "\n");
                int r = parse_line(text, n, &domain);

                if (r == RCFILE_E_INVALID)
                        return r;
                found |= r == 0;
                text += n + (text[n] == '\n');
        }
        if (!found)
                return RCFILE_E_NONE;
        *ret_domain = domain;
        return 0;
}
