/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 (FIPS 180-4), for tokens that say which content somebody saw. Pure; not written to hide what it hashes from
 * somebody who measures time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32
/** Hexadecimal digits and a NUL. */
#define SHA256_TEXT_SIZE (2 * SHA256_SIZE + 1)

#define SHA256_BLOCK_SIZE 64

/** What comes in parts: init, add …, finish. A struct without resources, to be thrown away. */
typedef struct Sha256 {
        uint32_t state[8];
        uint64_t n; /* bytes so far */
        uint8_t rest[SHA256_BLOCK_SIZE];
} Sha256;

/** sha256_init(), sha256_add() - begin; go on with the next @n bytes */
void sha256_init(Sha256 *hash);
void sha256_add(Sha256 *hash, const void *data, size_t n);
/** sha256_finish() - the hash of all that was added; add nothing more */
void sha256_finish(Sha256 *hash, uint8_t ret_hash[static SHA256_SIZE]);

/** sha256() - the hash of @n bytes */
void sha256(const void *data, size_t n, uint8_t ret_hash[static SHA256_SIZE]);

/** sha256_text() - the same as lower-case hexadecimal digits, NUL-terminated */
void sha256_text(const void *data, size_t n, char ret_text[static SHA256_TEXT_SIZE]);
