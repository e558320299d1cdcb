/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/** fuzz_check() - the invariant; unlike assert() it is never compiled out */
#define fuzz_check(_condition)                                                                   \
        do {                                                                                     \
                if (!(_condition)) {                                                             \
                        fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #_condition); \
                        abort();                                                                 \
                }                                                                                \
        } while (0)
