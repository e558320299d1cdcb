/* SPDX-License-Identifier: Apache-2.0 */
/* What anybody can make us say, as often as he likes: it is said once in a while, and in between it is counted. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/** Of more than one within this time, only the number is said. */
#define COMPLAINT_USEC USEC_PER_SEC

/** All zero: nothing was said so far. */
typedef struct Complaint {
        uint64_t said_usec;
        unsigned n_unsaid;
} Complaint;

/**
 * complaint_is_due() - may it be said now? pure, but for @complaint
 * @now_usec:     by clock_now()
 * @ret_n_unsaid: for true: how many since the last one were not
 */
bool complaint_is_due(Complaint *complaint, uint64_t now_usec, unsigned *ret_n_unsaid);
