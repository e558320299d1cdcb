/* SPDX-License-Identifier: Apache-2.0 */
#include "base/name.h"

#include <string.h>

#include "base/cleanup.h"

static bool char_is_letter(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool char_is_word(char c) {
        return char_is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static bool domain_name_is_reserved(const char *text, size_t n) {
        static const char *const reserved[] = { "none", "default", "Domain-0" };

        for (size_t i = 0; i < ARRAY_SIZE(reserved); ++i)
                if (n == strlen(reserved[i]) && memcmp(text, reserved[i], n) == 0)
                        return true;
        return n >= 3 && memcmp(text + n - 3, "-dm", 3) == 0;
}

int domain_name_parse(const char *untrusted_text, size_t n, DomainName *ret_name) {
        DomainName name = {};

        if (n == 0)
                return NAME_E_EMPTY;
        if (n > DOMAIN_NAME_MAX)
                return NAME_E_LENGTH;
        if (!char_is_letter(untrusted_text[0]))
                return NAME_E_CHARACTER;
        for (size_t i = 0; i < n; ++i)
                if (!char_is_word(untrusted_text[i]))
                        return NAME_E_CHARACTER;
        if (domain_name_is_reserved(untrusted_text, n))
                return NAME_E_RESERVED;

        memcpy(name.text, untrusted_text, n);
        *ret_name = name;
        return 0;
}

void request_name_parse(const char *untrusted_field, size_t n_field, RequestName *ret_name) {
        RequestName name = {};

        if (n_field > sizeof(name.text))
                n_field = sizeof(name.text);
        for (size_t i = 0; i + 1 < n_field && untrusted_field[i] != '\0'; ++i) {
                char c = untrusted_field[i];

                name.text[i] = char_is_word(c) || c == '@' || c == ':' ? c : '_';
        }
        *ret_name = name;
}

int service_name_check(const char *untrusted_text, size_t n) {
        if (n == 0)
                return NAME_E_EMPTY;
        if (n > SERVICE_NAME_MAX)
                return NAME_E_LENGTH;
        for (size_t i = 0; i < n; ++i)
                if (!char_is_word(untrusted_text[i]))
                        return NAME_E_CHARACTER;
        if ((n == 1 && untrusted_text[0] == '.') || (n == 2 && memcmp(untrusted_text, "..", 2) == 0))
                return NAME_E_RESERVED;
        return 0;
}

int service_descriptor_parse(const char *untrusted_text, size_t n, char *ret_text, size_t *ret_n_name) {
        size_t n_name = n;
        int r;

        if (n == 0)
                return NAME_E_EMPTY;
        if (n > SERVICE_DESCRIPTOR_MAX)
                return NAME_E_LENGTH;
        if (memchr(untrusted_text, '\0', n))
                return NAME_E_CHARACTER;

        for (size_t i = 0; i < n; ++i) {
                char c = untrusted_text[i];

                ret_text[i] = char_is_word(c) || c == '+' ? c : '_';
                if (c == '+' && n_name == n)
                        n_name = i;
        }
        ret_text[n] = '\0';

        r = service_name_check(ret_text, n_name);
        if (r)
                return r;
        *ret_n_name = n_name;
        return 0;
}

int account_name_parse(const char *untrusted_text, size_t n, AccountName *ret_name) {
        AccountName name = {};

        if (n == 0)
                return NAME_E_EMPTY;
        if (n > ACCOUNT_NAME_MAX)
                return NAME_E_LENGTH;
        for (size_t i = 0; i < n; ++i) {
                char c = untrusted_text[i];
                bool first = (c >= 'a' && c <= 'z') || c == '_';
                bool later = (c >= '0' && c <= '9') || c == '-' || (c == '$' && i == n - 1);

                if (!first && (i == 0 || !later))
                        return NAME_E_CHARACTER;
        }
        memcpy(name.text, untrusted_text, n);
        *ret_name = name;
        return 0;
}

const char *name_error_text(int r) {
        switch (r) {
        case NAME_E_EMPTY:
                return "is empty";
        case NAME_E_LENGTH:
                return "is too long";
        case NAME_E_CHARACTER:
                return "has a character that is not allowed";
        case NAME_E_RESERVED:
                return "is reserved";
        default:
                return "is invalid";
        }
}
