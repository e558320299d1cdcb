/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a whole byte stream means to the end of a data connection that receives it, worked out the slow way: all bytes
 * at once, by the rules of the protocol specification, 2.6 and 5.2. To compare with what the real ends do.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "fuzz.h"

/** One read of either end takes so much: what a test is about does not depend on how the bytes arrive. */
#define ORACLE_INPUT_MAX 65536

typedef struct Oracle {
        bool hello;  /* a HELLO that is good enough came first */
        bool broken; /* something came that the protocol does not have */
        uint8_t out[ORACLE_INPUT_MAX], err[ORACLE_INPUT_MAX];
        size_t n_out, n_err;
        bool ended; /* the end of the data came, what followed it is not in out */
        bool has_status;
        int status;
} Oracle;

static inline uint32_t oracle_u32(const uint8_t *data) {
        return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

static inline void oracle_message(Oracle *oracle, uint32_t type, const uint8_t *payload, size_t length, size_t n) {
        switch (type) {
        case 0x190:
        case 0x191:
                if (length == 0)
                        oracle->ended = true;
                if (n > 0 && !oracle->ended) {
                        memcpy(oracle->out + oracle->n_out, payload, n);
                        oracle->n_out += n;
                }
                break;
        case 0x192:
                if (n > 0) {
                        memcpy(oracle->err + oracle->n_err, payload, n);
                        oracle->n_err += n;
                }
                break;
        case 0x193:
                if (n == length) {
                        oracle->has_status = true;
                        oracle->status = n < 4 || oracle_u32(payload) > 255 ? 255 : (int)oracle_u32(payload);
                }
                break;
        default:
                oracle->broken = n == length;
                break;
        }
}

static inline void oracle_run(Oracle *oracle, const uint8_t *data, size_t n) {
        size_t n_max;

        memset(oracle, 0, sizeof(*oracle));
        if (n >= 8 && (oracle_u32(data) != 0x300 || oracle_u32(data + 4) != 4))
                oracle->broken = true;
        if (n < 12 || oracle->broken)
                return;
        if (oracle_u32(data + 8) < 2) {
                oracle->broken = true;
                return;
        }
        oracle->hello = true;
        n_max = oracle_u32(data + 8) == 2 ? 4096 : 65536;

        for (size_t at = 12; n - at >= 8 && !oracle->broken;) {
                uint32_t type = oracle_u32(data + at), length = oracle_u32(data + at + 4);
                size_t n_there;

                at += 8;
                if (length > n_max) {
                        oracle->broken = true;
                        return;
                }
                n_there = n - at < length ? n - at : length;
                oracle_message(oracle, type, data + at, length, n_there);
                at += n_there;
                if (n_there < length)
                        return;
        }
}
