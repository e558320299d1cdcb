/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)

/** clock_now() - microseconds of CLOCK_MONOTONIC; cannot fail */
uint64_t clock_now(void);
