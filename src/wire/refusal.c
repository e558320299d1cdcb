/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/refusal.h"

#include <stdbool.h>
#include <string.h>

#include "wire/header.h"

static bool ident_char_is_valid(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
               c == '.' || c == ' ';
}

int ident_decode(const uint8_t *untrusted_data, size_t n, Ident *ret_ident) {
        Ident ident;
        size_t n_text;

        if (n != IDENT_SIZE)
                return IDENT_E_MALFORMED;
        memcpy(ident.text, untrusted_data, IDENT_SIZE);
        n_text = strnlen(ident.text, IDENT_SIZE);
        if (n_text == IDENT_SIZE)
                return IDENT_E_MALFORMED;
        for (size_t i = 0; i < n_text; ++i)
                if (!ident_char_is_valid(ident.text[i]))
                        return IDENT_E_MALFORMED;
        for (size_t i = n_text; i < IDENT_SIZE; ++i)
                if (ident.text[i] != '\0')
                        return IDENT_E_MALFORMED;
        *ret_ident = ident;
        return 0;
}

void refusal_encode(const uint8_t field[static IDENT_SIZE], uint8_t ret_data[static 8 + IDENT_SIZE]) {
        wire_header_encode((WireHeader){ .type = WIRE_TYPE_SERVICE_REFUSED, .length = IDENT_SIZE }, ret_data);
        memcpy(ret_data + WIRE_HEADER_SIZE, field, IDENT_SIZE);
}
