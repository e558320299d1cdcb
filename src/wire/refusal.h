/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request idents, and SERVICE_REFUSED which carries one back (protocol specification, 2.4 and 3.4).
 *
 *   offset 0  32 bytes  ident, NUL-terminated, NUL-padded
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define IDENT_SIZE 32

/** What a caller puts into a trigger's ident: upstream's word, and ours, which asks for descriptors and reasons. */
#define IDENT_SOCKET "SOCKET"
#define IDENT_QAIR   "QAIR1"
/** … and one that may send another request on the same connection once this one has been answered (doc/protocol.md, 4.2). */
#define IDENT_QAIR_MORE "QAIR1 more"

enum {
        _IDENT_E_SUCCESS,
        IDENT_E_MALFORMED, /* wrong size, no NUL, bytes after the NUL, or a byte outside `A-Z a-z 0-9 _ - .` and space */
};

typedef struct Ident {
        char text[IDENT_SIZE]; /* NUL-terminated, the rest is NUL; may be empty */
} Ident;

/** ident_decode() - validate the field (3.4). Return: 0 or IDENT_E_MALFORMED */
int ident_decode(const uint8_t *untrusted_data, size_t n, Ident *ret_ident);

/** refusal_encode() - a whole SERVICE_REFUSED message; @field goes back exactly as it came (3.2), valid or not */
void refusal_encode(const uint8_t field[static IDENT_SIZE], uint8_t ret_data[static 8 + IDENT_SIZE]);
