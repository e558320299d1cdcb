/* SPDX-License-Identifier: Apache-2.0 */
#include "base/complaint.h"

bool complaint_is_due(Complaint *complaint, uint64_t now_usec, unsigned *ret_n_unsaid) {
        if (complaint->said_usec > 0 && now_usec - complaint->said_usec < COMPLAINT_USEC) {
                ++complaint->n_unsaid;
                return false;
        }
        *ret_n_unsaid = complaint->n_unsaid;
        *complaint = (Complaint){ .said_usec = now_usec };
        return true;
}
