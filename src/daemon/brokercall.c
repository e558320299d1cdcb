/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/brokercall.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "data/callee.h"
#include "data/caller.h"
#include "data/direct.h"
#include "data/prepare.h"
#include "libqair/answer.h"
#include "libqair/qair.h"
#include "vchan/endpoint.h"
#include "wire/exec.h"
#include "wire/header.h"

/** How long the caller may take to listen, once it is told to (protocol specification, 1.5). */
#define BROKER_CALL_DIAL_USEC (5 * USEC_PER_SEC)

DEFINE_CLEANUP(qair_client *, qair_client_free)
DEFINE_CLEANUP(qair_call *, qair_call_free)

static void broker_call_close(BrokerCall *call) {
        for (size_t i = 0; i < ARRAY_SIZE(call->fds); ++i)
                call->fds[i] = fd_close(call->fds[i]);
}

/* --- the request ------------------------------------------------------------------------------------------------ */

int broker_call_open(const Brokered *brokered, const Trigger *trigger, BrokerCall *ret_call) {
        _cleanup_(qair_client_freep) qair_client *client = NULL;
        _cleanup_(qair_call_freep) qair_call *request = NULL;
        BrokerCall call = BROKER_CALL_INIT;
        int r;

        r = qair_client_new(brokered->trigger, QAIR_ONCE, &client);
        if (!r && trigger->has_source)
                r = qair_client_set_source(client, trigger->source.text);
        if (!r)
                r = qair_call_new(client, trigger->target.text, trigger->service, &request);
        if (!r)
                r = qair_call_open(request);
        if (r == -EACCES && request)
                return BROKER_CALL_E_REFUSED;
        if (!r)
                r = qair_call_take_channel(request, call.fds);
        if (r < 0) {
                log_error("cannot ask the broker at %s: %s", brokered->trigger, strerror(-r));
                return BROKER_CALL_E_FAILED;
        }
        *ret_call = call;
        return 0;
}

/* --- the data --------------------------------------------------------------------------------------------------- */

/*
 * The service, as far as the callee's rules need one: a child that ends as the service did, and writes its standard error
 * into a pipe. It has the status stream; where there are frames, all of the data passes through it.
 */
typedef struct Stand {
        int status_fd, stdin_fd, stdout_fd,
                err_fd; /* the child's; stdin_fd: readable, stdout_fd: writable; -1: no frames */
} Stand;

static void stand_close(Stand *stand) {
        stand->status_fd = fd_close(stand->status_fd);
        stand->stdin_fd = fd_close(stand->stdin_fd);
        stand->stdout_fd = fd_close(stand->stdout_fd);
        stand->err_fd = fd_close(stand->err_fd);
}

/* Return: what the service ended with */
static int stand_run(const Stand *stand) {
        int status = 255, r;

        if (stand->stdin_fd < 0) {
                DataDirect direct = DATA_DIRECT_INIT;

                direct.status_fd = stand->status_fd;
                direct.err_fd = stand->err_fd;
                r = data_direct_run(&direct, &status);
        } else {
                DataCaller caller = DATA_CALLER_INIT;

                caller.stream_fd = stand->status_fd;
                caller.in_fd = stand->stdin_fd;
                caller.out_fd = stand->stdout_fd;
                caller.err_fd = stand->err_fd;
                r = data_caller_run(&caller, &status);
        }
        return r ? 255 : status;
}

/* All but its own is the parent's: an end that it kept open would never be seen to close. */
__attribute__((noreturn)) static void stand_become(Stand *stand, const DataCallee *callee) {
        (void)close(callee->err_fd);
        (void)close(callee->in_fd);
        (void)close(callee->out_fd);
        (void)close(callee->stream_fd);
        _exit(stand_run(stand));
}

static int stand_pair(int *ret_ours, int *ret_theirs) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        *ret_ours = fds[0];
        *ret_theirs = fds[1];
        return 0;
}

/* What of @call goes to whom. Return: 0 or -errno */
static int stand_divide(BrokerCall *call, DataCallee *callee, Stand *stand) {
        bool direct = call->fds[1] >= 0;
        int fds[2], r;

        stand->status_fd = fd_steal(&call->fds[0]);
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        callee->err_fd = fds[0];
        stand->err_fd = fds[1];
        if (direct) {
                callee->in_fd = fd_steal(&call->fds[1]);
                callee->out_fd = fd_steal(&call->fds[2]);
                return 0;
        }
        r = stand_pair(&callee->in_fd, &stand->stdin_fd);
        return r ? r : stand_pair(&callee->out_fd, &stand->stdout_fd);
}

/* Return: 0 or -errno */
static int stand_start(Stand *stand, DataCallee *callee) {
        pid_t pid;

        pid = fork();
        if (pid == 0)
                stand_become(stand, callee);
        if (pid < 0)
                return -errno;
        callee->child_pidfd = pidfd_open(pid, 0);
        return callee->child_pidfd < 0 ? -errno : 0;
}

int broker_call_dial(const VchanPlace *place, uint32_t source, uint32_t port, int *ret_fd) {
        int error = 0, r;

        r = vchan_dial_until(place, source, port, clock_now() + BROKER_CALL_DIAL_USEC, &error, ret_fd);
        if (r)
                log_error("cannot reach the caller, domain %u, at port %u: %s", source, port,
                          r == VCHAN_E_TIMEOUT ? "it was not there in time" : strerror(error));
        return r ? BROKER_CALL_E_FAILED : 0;
}

static int broker_call_take(Answer *answer, int *ret_fd) {
        Channel channel = CHANNEL_INIT;
        ExecParams params;
        WireHeader header;

        if (wire_header_decode(answer->data, answer->n, &header) || header.type != WIRE_TYPE_SERVICE_CONNECT ||
            header.length != EXEC_PARAMS_SIZE ||
            exec_params_decode(answer->data + WIRE_HEADER_SIZE, EXEC_PARAMS_SIZE, &params) ||
            params.connect_domain != WIRE_DOMAIN_FRAMED ||
            answer_take_channel(answer, params.connect_domain, &channel)) {
                log_error("the daemon's answer is not understood");
                return BROKER_CALL_E_FAILED;
        }
        *ret_fd = channel.stream_fd;
        return 0;
}

int broker_call_receive(int daemon_fd, int *ret_fd) {
        _cleanup_(answer_deinit) Answer answer = ANSWER_INIT;
        uint64_t deadline_usec = clock_now() + BROKER_CALL_DIAL_USEC, now_usec;

        while (answer.n < WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE && (now_usec = clock_now()) < deadline_usec) {
                struct pollfd poll_fd = { .fd = daemon_fd, .events = POLLIN };
                int r;

                (void)poll(&poll_fd, 1, (int)((deadline_usec - now_usec) / USEC_PER_MSEC) + 1);
                r = answer_receive(&answer, daemon_fd, WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE, false);
                if (r && r != ANSWER_E_AGAIN) {
                        log_error("the caller could not be reached: it did not dial");
                        return BROKER_CALL_E_FAILED;
                }
        }
        if (answer.n < WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE) {
                log_error("the caller could not be reached: it did not dial in time");
                return BROKER_CALL_E_FAILED;
        }
        return broker_call_take(&answer, ret_fd);
}

int broker_call_run(BrokerCall *call, int stream_fd) {
        Stand stand = { -1, -1, -1, -1 };
        DataCallee callee = DATA_CALLEE_INIT;
        DataOutcome outcome;
        int r;

        callee.stream_fd = stream_fd;
        r = data_prepare();
        if (!r)
                r = stand_divide(call, &callee, &stand);
        if (!r)
                r = stand_start(&stand, &callee);
        stand_close(&stand);
        broker_call_close(call);
        if (!r)
                return data_callee_run(&callee, &outcome) ? BROKER_CALL_E_FAILED : 0;
        if (r < 0)
                log_error("a call of the domain cannot be carried: %s", strerror(-r));
        /* The process ends with its call: what is open closes then. */
        return BROKER_CALL_E_FAILED;
}
