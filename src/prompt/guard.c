/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/guard.h"

void guard_on_focus(Guard *guard, bool has_focus, uint64_t now_usec) {
        guard->has_focus = has_focus;
        guard->since_usec = now_usec;
}

void guard_on_change(Guard *guard, uint64_t now_usec) {
        guard->since_usec = now_usec;
}

uint64_t guard_left(const Guard *guard, uint64_t now_usec) {
        uint64_t passed_usec = now_usec > guard->since_usec ? now_usec - guard->since_usec : 0;

        if (!guard->has_focus)
                return UINT64_MAX;
        return passed_usec < GUARD_USEC ? GUARD_USEC - passed_usec : 0;
}
