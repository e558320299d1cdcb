/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "base/process.h"
#include "daemon/brokercall.h"
#include "daemon/policyquery.h"
#include "vchan/peer.h"
#include "wire/command.h"
#include "wire/exec.h"
#include "wire/header.h"

#define WORKER_DISPVM    "@dispvm:"
#define WORKER_HOST_UUID "uuid:00000000-0000-0000-0000-000000000000"

typedef struct Worker {
        const DaemonSettings *settings;
        const Trigger *trigger;
        PolicyAnswer answer;
        const char *source, *service; /* as the policy has them */
} Worker;

/* --- the source's side ------------------------------------------------------------------------------------------ */

/* Tell our own daemon that the request is allowed. @ret_answer: NULL: nothing is waited for */
static int worker_tell_source(const Worker *worker, const ExecParams *params, ExecParams *ret_answer,
                              int *ret_daemon_fd) {
        _cleanup_fd_ int fd = -1;
        char id[16];
        int r;

        (void)snprintf(id, sizeof(id), "%u", worker->settings->domain);
        r = peer_connect_daemon(".", id, &fd);
        if (!r)
                r = peer_command(fd, WIRE_TYPE_SERVICE_CONNECT, params, worker->trigger->ident.text, IDENT_SIZE,
                                 ret_answer);
        if (r)
                return r;
        *ret_daemon_fd = fd_steal(&fd);
        return 0;
}

/* Likewise. @ret_port: for a call to the host; NULL: the port is known */
static int worker_connect_source(const Worker *worker, const ExecParams *params, uint32_t *ret_port) {
        _cleanup_fd_ int fd = -1;
        ExecParams answer;
        int r;

        r = worker_tell_source(worker, params, ret_port ? &answer : NULL, &fd);
        if (!r && ret_port)
                *ret_port = answer.connect_port;
        return r;
}

/* --- calls to the host ------------------------------------------------------------------------------------------ */

static bool worker_target_is_host(const Worker *worker) {
        const char *target = worker->answer.target;

        return strcmp(target, DOM0_NAME) == 0 || strcmp(target, "@adminvm") == 0 ||
               strcmp(target, WORKER_HOST_UUID) == 0;
}

static int worker_call_host(const Worker *worker) {
        const char *requested = worker->answer.requested_target;
        bool keyword = requested[0] == '@';
        _cleanup_free_ char *command = NULL;
        char id[16], port_text[16];
        uint32_t port;

        command = malloc(EXEC_COMMAND_MAX);
        if (!command || command_format(command, EXEC_COMMAND_MAX, NULL, worker->service, worker->source,
                                       keyword ? "keyword" : "name", requested + keyword) < 0)
                return WORKER_STATUS_FAILED;
        if (worker_connect_source(worker, &(ExecParams){ 0 }, &port))
                return WORKER_STATUS_FAILED;

        (void)snprintf(id, sizeof(id), "%u", worker->settings->domain);
        (void)snprintf(port_text, sizeof(port_text), "%u", port);
        (void)execl(worker->settings->host_call, "qrexec-host-call", id, port_text, command, NULL);
        log_error("cannot run %s: %s", worker->settings->host_call, strerror(errno));
        return WORKER_STATUS_FAILED;
}

/* --- calls to domains ------------------------------------------------------------------------------------------- */

static int worker_admin(const char *method, const char *destination, const char *payload, const char *tolerated,
                        char *ret_answer) {
        int r = peer_admin(method, destination, payload, tolerated, ret_answer);

        if (r == PEER_E_ABSENT)
                log_error("%s: nobody answers at " PEER_ADMIN_SOCKET, method);
        return r;
}

/* Connect to the target's daemon, and start the target if it does not run. */
static int worker_connect_target(const Worker *worker, const char *destination, bool may_run, int *ret_fd) {
        int r = PEER_E_ABSENT;

        if (may_run)
                r = peer_connect_daemon(".", destination, ret_fd);
        if (r != PEER_E_ABSENT)
                return r;
        if (!worker->answer.autostart) {
                log_notice("%s does not run, and the policy does not start it", destination);
                return PEER_E_FAILED;
        }
        if (worker_admin("admin.vm.Start", destination, "", "QubesVMNotHaltedError", NULL))
                return PEER_E_FAILED;
        r = peer_connect_daemon(".", destination, ret_fd);
        if (r == PEER_E_ABSENT)
                log_error("%s was started, and its daemon is not there", destination);
        return r;
}

/* @ret_fd: the connection to the target's daemon, which closes it at the end of the call */
static int worker_connect(const Worker *worker, const char *destination, bool may_run, int *ret_fd) {
        _cleanup_free_ char *command = NULL;
        _cleanup_fd_ int fd = -1;
        ExecParams params;
        int n, r;

        command = malloc(EXEC_COMMAND_MAX);
        if (!command)
                return PEER_E_FAILED;
        n = command_format(command, EXEC_COMMAND_MAX, worker->answer.user, worker->service, worker->source, NULL, NULL);
        if (n < 0)
                return PEER_E_FAILED;
        r = worker_connect_target(worker, destination, may_run, &fd);
        if (!r)
                r = peer_command(fd, WIRE_TYPE_EXEC_CMDLINE, &(ExecParams){ worker->settings->domain, 0 }, command,
                                 (size_t)n + 1, &params);
        if (!r)
                r = worker_connect_source(worker, &params, NULL);
        if (r)
                return r;
        *ret_fd = fd_steal(&fd);
        return 0;
}

/* A disposable is gone with its call, and with every failure after it was made. */
static int worker_call_disposable(const Worker *worker, const char *base) {
        char disposable[PEER_ADMIN_ANSWER_MAX + 1];
        _cleanup_fd_ int fd = -1;
        int r;

        if (!worker->answer.autostart) {
                log_notice("no disposable of %s is made: the policy does not start it", base);
                return WORKER_STATUS_FAILED;
        }
        if (worker_admin("admin.vm.CreateDisposable", base, strncmp(base, "uuid:", 5) == 0 ? "uuid" : "", NULL,
                         disposable))
                return WORKER_STATUS_FAILED;
        r = worker_connect(worker, disposable, false, &fd);
        if (!r)
                peer_wait(fd);
        (void)worker_admin("admin.vm.Kill", disposable, "", NULL, NULL);
        return r ? WORKER_STATUS_FAILED : WORKER_STATUS_DONE;
}

static int worker_call_domain(const Worker *worker) {
        const char *destination = worker->answer.target_uuid ? worker->answer.target_uuid : worker->answer.target;
        _cleanup_fd_ int fd = -1;

        if (strncmp(destination, WORKER_DISPVM, strlen(WORKER_DISPVM)) == 0)
                return worker_call_disposable(worker, destination + strlen(WORKER_DISPVM));
        return worker_connect(worker, destination, true, &fd) ? WORKER_STATUS_FAILED : WORKER_STATUS_DONE;
}

/* --- calls of a domain of the broker's ------------------------------------------------------------------------- */

/* The caller's connection: we dial it, or it has dialled. @ret_daemon_fd: to be kept as long as that is used */
static int worker_reach_caller(const Worker *worker, int *ret_daemon_fd, int *ret_fd) {
        const DaemonSettings *settings = worker->settings;
        uint32_t port;

        if (!settings->vsock)
                return worker_connect_source(worker, &(ExecParams){ 0 }, &port) ||
                       broker_call_dial(&settings->place, settings->domain, port, ret_fd);
        return worker_tell_source(worker, &(ExecParams){ WIRE_DOMAIN_FRAMED, 0 }, NULL, ret_daemon_fd) ||
               broker_call_receive(*ret_daemon_fd, ret_fd);
}

static int worker_call_broker(const Worker *worker) {
        BrokerCall call = BROKER_CALL_INIT;
        int daemon_fd, fd;

        switch (broker_call_open(worker->settings->brokered, worker->trigger, &call)) {
        case 0:
                break;
        case BROKER_CALL_E_REFUSED:
                return WORKER_STATUS_DENIED;
        default:
                return WORKER_STATUS_FAILED;
        }
        /* What is open closes with this process, which ends with its call. */
        if (worker_reach_caller(worker, &daemon_fd, &fd) || broker_call_run(&call, fd))
                return WORKER_STATUS_FAILED;
        return WORKER_STATUS_DONE;
}

int worker_run(const DaemonSettings *settings, const Trigger *trigger) {
        static Worker worker;

        worker.settings = settings;
        worker.trigger = trigger;
        if (settings->brokered)
                return worker_call_broker(&worker);
        switch (policy_query(settings, trigger, &worker.answer)) {
        case 0:
                break;
        case POLICY_QUERY_E_DENIED:
                return WORKER_STATUS_DENIED;
        default:
                return WORKER_STATUS_FAILED;
        }
        worker.source = worker.answer.policy_source ? worker.answer.policy_source : settings->name;
        worker.service = worker.answer.service ? worker.answer.service : trigger->service;
        return worker_target_is_host(&worker) ? worker_call_host(&worker) : worker_call_domain(&worker);
}

/* In the forked process. */
__attribute__((noreturn)) static void worker_become(const DaemonSettings *settings, const Trigger *trigger) {
        sigset_t none;

        sigemptyset(&none);
        if (close_range(3, ~0U, 0) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                _exit(WORKER_STATUS_FAILED);
        _exit(worker_run(settings, trigger));
}

int worker_start(const DaemonSettings *settings, const Trigger *trigger, int *ret_pidfd) {
        int error;
        pid_t pid;

        pid = process_fork(ret_pidfd);
        if (pid == 0)
                worker_become(settings, trigger);
        if (pid > 0)
                return 0;
        error = errno;
        log_warning("a request is refused: cannot start its worker: %s", strerror(error));
        return -error;
}
