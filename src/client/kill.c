/* SPDX-License-Identifier: Apache-2.0 */
#include "client/kill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "client/dialled.h"
#include "data/caller.h"
#include "libqair/qair.h"
#include "vchan/peer.h"

DEFINE_CLEANUP(qair_client *, qair_client_free)
DEFINE_CLEANUP(qair_call *, qair_call_free)

/* The broker itself answers, in frames: what it says is for others, how it ends for us. Return: 0 or a negative error */
static int kill_await(qair_call *call, int *ret_status) {
        DataCaller caller = DATA_CALLER_INIT;
        int fds[3], r;

        r = qair_call_take_channel(call, fds);
        if (r == 1) {
                caller.stream_fd = fds[0];
                r = data_caller_run(&caller, ret_status);
        } else if (r > 1) {
                for (int i = 0; i < r; ++i)
                        fd_close(fds[i]);
                r = -EPROTO;
        }
        return r > 0 ? -EPROTO : r;
}

/* Return: 0 or a negative error; @ret_status: what the broker's service ended with */
static int kill_by_broker(const char *target, int *ret_status) {
        _cleanup_(qair_client_freep) qair_client *client = NULL;
        _cleanup_(qair_call_freep) qair_call *call = NULL;
        _cleanup_free_ char *service = NULL;
        int r;

        if (asprintf(&service, "qair.DomainStop+%s", target) < 0) {
                service = NULL;
                return -ENOMEM;
        }
        r = qair_client_new(NULL, QAIR_ONCE, &client);
        if (!r)
                r = qair_call_new(client, DOM0_NAME, service, &call);
        if (!r)
                r = qair_call_open(call);
        return r ? r : kill_await(call, ret_status);
}

void kill_domain(const char *target) {
        int status = 0, r;

        r = peer_admin("admin.vm.Kill", target, "", NULL, NULL);
        if (r != PEER_E_ABSENT)
                return;
        if (dialled_is_wanted()) {
                log_error("-k: nobody answers at " PEER_ADMIN_SOCKET ": %s is not killed",
                          ESCAPED(target, strlen(target)));
                return;
        }
        r = kill_by_broker(target, &status);
        if (r || status)
                log_error("-k: %s is not stopped: %s", ESCAPED(target, strlen(target)),
                          r ? strerror(-r) : "the broker could not; see its log");
}
