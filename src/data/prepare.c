/* SPDX-License-Identifier: Apache-2.0 */
#include "data/prepare.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "base/error.h"

static int prepare_set(int how, void (*sigpipe_handler)(int)) {
        struct sigaction action = { .sa_handler = sigpipe_handler };
        sigset_t usr1;

        (void)sigemptyset(&usr1);
        (void)sigaddset(&usr1, SIGUSR1);
        if (sigprocmask(how, &usr1, NULL) < 0)
                return -errno;
        if (sigaction(SIGPIPE, &action, NULL) < 0)
                return -errno;
        return 0;
}

int data_prepare(void) {
        return error_origin(prepare_set(SIG_BLOCK, SIG_IGN));
}

int data_restore(void) {
        return prepare_set(SIG_UNBLOCK, SIG_DFL);
}
