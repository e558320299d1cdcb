/* SPDX-License-Identifier: Apache-2.0 */
#include "data/child.h"

#include <errno.h>
#include <sys/wait.h>

#include "base/error.h"

int data_child_wait(int pidfd, int *ret_status, CallHow *ret_how) {
        siginfo_t info = {};
        int r;

        do
                r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_origin(-errno);
        *ret_how = info.si_code == CLD_EXITED ? CALL_HOW_EXITED : CALL_HOW_SIGNALLED;
        *ret_status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
        return 0;
}
