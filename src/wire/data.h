/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payloads of data connections (protocol specification, 5.2). STDIN, STDOUT and STDERR carry plain bytes, none of
 * them meaning end-of-file; EXIT_CODE carries a signed 32-bit integer.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/header.h"

#define DATA_EXIT_CODE_SIZE 4

/** data_type_is_known() - the four types that a data connection carries after HELLO */
bool data_type_is_known(uint32_t type);

/** data_size_max() - largest payload for an effective version */
static inline size_t data_size_max(uint32_t version) {
        return version >= 3 ? WIRE_DATA_MAX : WIRE_DATA_MAX_V2;
}

/**
 * data_exit_code_decode() - fewer than four bytes mean 255, of more the first four count (5.2)
 *
 * Values outside 0 to 255, which no honest callee sends, become 255: 256 would truncate to success (5.4).
 */
int32_t data_exit_code_decode(const uint8_t *untrusted_data, size_t n);

/** data_exit_code_encode() - the payload, without its header */
void data_exit_code_encode(int32_t status, uint8_t ret_data[static DATA_EXIT_CODE_SIZE]);
