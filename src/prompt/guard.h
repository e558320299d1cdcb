/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a window that pops up may be believed (policy specification, 7.3): once it has had the focus for a second without
 * interruption. Losing the focus, moving, or coming out from behind another window starts the second anew, so that no
 * key and no click that was meant for another window allows or denies anything. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define GUARD_USEC UINT64_C(1000000)

typedef struct Guard {
        bool has_focus;
        uint64_t since_usec; /* of the last change while it had the focus */
} Guard;

/** guard_on_focus() - it got the focus, or lost it */
void guard_on_focus(Guard *guard, bool has_focus, uint64_t now_usec);

/** guard_on_change() - it moved, changed its size, or was raised */
void guard_on_change(Guard *guard, uint64_t now_usec);

/** guard_left() - how long until it may be believed; 0: now; UINT64_MAX: not before it gets the focus */
uint64_t guard_left(const Guard *guard, uint64_t now_usec);
