/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/dialled.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/dial.h"
#include "agent/handler.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"

static void dialled_call_free(DialledCall *call) {
        fd_close(call->pidfd);
        fd_close(call->handed_fd);
        free(call->text);
        free(call);
}

void dialled_calls_deinit(DialledCalls *calls) {
        while (calls->first)
                dialled_calls_remove(calls, calls->first);
        handover_deinit(&calls->handover);
}

int dialled_calls_add(DialledCalls *calls, const DaemonOrder *order, uint64_t control, DialledCall **ret_call) {
        DialledCall *call;

        call = calloc(1, sizeof(*call));
        if (!call)
                return error_origin(-ENOMEM);
        call->pidfd = call->handed_fd = -1;
        call->text = strdup(order->text);
        if (!call->text) {
                dialled_call_free(call);
                return error_origin(-ENOMEM);
        }
        call->watch = (VchanWatch){ VCHAN_WATCH_KIND_HANDLER };
        call->id = ++calls->last_id;
        call->params = order->params;
        call->just_exec = order->just_exec;
        call->control = control;
        call->next = calls->first;
        if (calls->first)
                calls->first->previous = call;
        calls->first = call;
        *ret_call = call;
        return 0;
}

void dialled_calls_remove(DialledCalls *calls, DialledCall *call) {
        if (call->previous)
                call->previous->next = call->next;
        else
                calls->first = call->next;
        if (call->next)
                call->next->previous = call->previous;
        dialled_call_free(call);
}

static Order dialled_call_order(const DialledCall *call, uint32_t mode) {
        return (Order){
                .type = ORDER_TYPE_EXEC,
                .call_id = call->id,
                .mode = mode,
                .port = call->params.connect_port,
                .just_exec = call->just_exec,
                .text = call->text,
        };
}

/* Both close the descriptor. */
static void dialled_call_fail(const DialledCall *call, int fd, int r) {
        CallHow how;
        int status;

        service_failure(r, &status, &how);
        if (call->just_exec)
                (void)data_callee_detached(fd, status);
        else
                (void)data_callee_fail(fd, status);
}

/* In the forked process; does not return. */
__attribute__((noreturn)) static void dialled_call_run(const DialledCalls *calls, const DialledCall *call,
                                                       const Service *service, int r) {
        HandlerChannel channel = { -1, -1, -1 };
        Order order = dialled_call_order(call, WIRE_DOMAIN_FRAMED);
        DataOutcome outcome;
        int error = 0;
        sigset_t none;

        /* The agent's descriptors are not the call's; and SIGTERM finds its default action again. */
        sigemptyset(&none);
        if (close_range(3, ~0U, 0) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                _exit(1);
        if (medium_dial_wait(calls->medium, &call->params, clock_now() + DIAL_LIMIT_USEC, &error, &channel.stream_fd)) {
                log_warning("call %u: cannot reach its caller, domain %u, at port %u: %s", call->id,
                            call->params.connect_domain, call->params.connect_port,
                            error == ETIMEDOUT ? "it was not there in time" : strerror(error));
                _exit(1);
        }
        if (r) {
                dialled_call_fail(call, channel.stream_fd, r);
                _exit(0);
        }
        handler_run(calls->settings, &order, &channel, service, &outcome);
        _exit(outcome.status);
}

/* In upstream's form: the server dials the caller, and closes when the call is over. Return: 0 or HANDOVER_E_ABSENT */
static int dialled_calls_hand_over(DialledCalls *calls, DialledCall *call, const Service *service) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &call->watch };
        Order order = dialled_call_order(call, call->params.connect_domain);
        _cleanup_fd_ int fd = -1;

        /* What the server has got must be watched: so that is made sure of first. */
        if (!handover_is_for(service) || handover_connect(&calls->handover, &fd) ||
            epoll_ctl(calls->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return HANDOVER_E_ABSENT;
        if (handover_send(fd, &order, service, NULL, 0)) {
                (void)epoll_ctl(calls->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
                return HANDOVER_E_ABSENT;
        }
        call->handed_fd = fd_steal(&fd);
        return 0;
}

int dialled_calls_start(DialledCalls *calls, DialledCall *call, const Service *service, int r) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = &call->watch };
        pid_t pid;

        if (!r && dialled_calls_hand_over(calls, call, service) == 0)
                return 0;
        pid = process_fork(&call->pidfd);
        if (pid == 0)
                dialled_call_run(calls, call, service, r);
        if (pid < 0 || epoll_ctl(calls->epoll_fd, EPOLL_CTL_ADD, call->pidfd, &event) < 0) {
                log_warning("call %u: cannot start its handler: %s", call->id, strerror(errno));
                /* A handler that we cannot watch must not run. */
                if (pid > 0)
                        process_kill(call->pidfd);
                return DIALLED_E_FAILED;
        }
        return 0;
}

int dialled_calls_reap(DialledCalls *calls, DialledCall *call) {
        siginfo_t info = {};
        int r;

        /* A server has nothing to say, so whatever it says is the end, too. */
        if (call->handed_fd >= 0)
                return epoll_ctl(calls->epoll_fd, EPOLL_CTL_DEL, call->handed_fd, NULL) < 0 ? error_origin(-errno) : 0;

        do
                r = waitid(P_PIDFD, (id_t)call->pidfd, &info, WEXITED | WNOHANG);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_origin(-errno);
        if (info.si_pid == 0)
                return DIALLED_E_RUNS;
        if (epoll_ctl(calls->epoll_fd, EPOLL_CTL_DEL, call->pidfd, NULL) < 0)
                return error_origin(-errno);
        return 0;
}
