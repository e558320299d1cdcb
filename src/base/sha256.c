/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sha256.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 64

/* FIPS 180-4, 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t constants[ROUNDS] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t value, unsigned n) {
        return value >> n | value << (32 - n);
}

static uint32_t read_u32(const uint8_t *bytes) {
        return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* 6.2.2 */
static void sha256_block(uint32_t state[static 8], const uint8_t *block) {
        uint32_t w[ROUNDS], v[8];

        for (unsigned i = 0; i < 16; ++i)
                w[i] = read_u32(block + 4 * i);
        for (unsigned i = 16; i < ROUNDS; ++i)
                w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
                       (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
        memcpy(v, state, sizeof(v));
        for (unsigned i = 0; i < ROUNDS; ++i) {
                uint32_t t1 = v[7] + (rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25)) +
                              ((v[4] & v[5]) ^ (~v[4] & v[6])) + constants[i] + w[i];
                uint32_t t2 = (rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22)) +
                              ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));

                memmove(v + 1, v, 7 * sizeof(*v));
                v[4] += t1;
                v[0] = t1 + t2;
        }
        for (unsigned i = 0; i < 8; ++i)
                state[i] += v[i];
}

void sha256_init(Sha256 *hash) {
        *hash = (Sha256){ .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                                     0x5be0cd19 } };
}

void sha256_add(Sha256 *hash, const void *data, size_t n) {
        const uint8_t *bytes = data;

        while (n > 0) {
                size_t n_rest = hash->n % SHA256_BLOCK_SIZE, n_part = SHA256_BLOCK_SIZE - n_rest;

                if (n_rest == 0 && n >= SHA256_BLOCK_SIZE) {
                        n_part = SHA256_BLOCK_SIZE;
                        sha256_block(hash->state, bytes);
                } else {
                        if (n_part > n)
                                n_part = n;
                        memcpy(hash->rest + n_rest, bytes, n_part);
                        if (n_rest + n_part == SHA256_BLOCK_SIZE)
                                sha256_block(hash->state, hash->rest);
                }
                hash->n += n_part;
                bytes += n_part;
                n -= n_part;
        }
}

void sha256_finish(Sha256 *hash, uint8_t ret_hash[static SHA256_SIZE]) {
        static const uint8_t padding[SHA256_BLOCK_SIZE] = { 0x80 };
        size_t n_rest = hash->n % SHA256_BLOCK_SIZE;
        uint64_t n_bits = hash->n * 8;
        uint8_t length[8];

        for (unsigned i = 0; i < sizeof(length); ++i)
                length[i] = (uint8_t)(n_bits >> (56 - 8 * i));
        sha256_add(hash, padding, (n_rest < 56 ? 56 : 120) - n_rest);
        sha256_add(hash, length, sizeof(length));
        for (unsigned i = 0; i < SHA256_SIZE; ++i)
                ret_hash[i] = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256(const void *data, size_t n, uint8_t ret_hash[static SHA256_SIZE]) {
        Sha256 hash;

        sha256_init(&hash);
        sha256_add(&hash, data, n);
        sha256_finish(&hash, ret_hash);
}

void sha256_text(const void *data, size_t n, char ret_text[static SHA256_TEXT_SIZE]) {
        uint8_t hash[SHA256_SIZE];

        sha256(data, n, hash);
        for (size_t i = 0; i < sizeof(hash); ++i)
                sprintf(ret_text + 2 * i, "%02x", hash[i]);
}
