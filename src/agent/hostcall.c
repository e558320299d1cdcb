/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hostcall.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/dial.h"
#include "agent/session.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "data/callee.h"
#include "data/prepare.h"
#include "vchan/endpoint.h"

static void host_call_wait_for_session(const Service *service) {
        SessionWaiter waiter;
        Session session;
        bool started;

        session_init(&session, service->settings);
        if (session_wait(&session, service, &waiter, &started) == 0) {
                struct pollfd poll_fd = { .fd = session.pidfd, .events = POLLIN };

                while (poll(&poll_fd, 1, -1) < 0 && errno == EINTR)
                        ;
                (void)session_on_exit(&session);
        }
        session_deinit(&session);
}

static int host_call_open_pair(int *ret_ours, int *ret_theirs) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_origin(-errno);
        *ret_ours = fds[0];
        *ret_theirs = fds[1];
        return 0;
}

/* Return: 0 or SERVICE_E_…, as from everything that starts the service */
static int host_call_start_program(const Service *service, DataCallee *callee) {
        _cleanup_fd_ int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;
        ServiceProgram program;
        int r;

        stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        if (stderr_fd < 0 || host_call_open_pair(&callee->in_fd, &stdin_fd) < 0 ||
            host_call_open_pair(&callee->out_fd, &stdout_fd) < 0)
                return SERVICE_E_FAILED;
        program = (ServiceProgram){ .stdin_fd = stdin_fd, .stdout_fd = stdout_fd, .stderr_fd = stderr_fd };
        r = service_spawn(service, &program);
        if (!r)
                callee->child_pidfd = program.pidfd;
        return r;
}

static int host_call_connect(const Service *service, DataCallee *callee) {
        _cleanup_(dial_address_deinit) DialAddress address = DIAL_ADDRESS_INIT;
        const void *descriptor;
        int error, fd;

        if (service_address(service, &address))
                return SERVICE_E_FAILED;
        if (dial_wait(&address, DIAL_LIMIT_USEC, &error, &fd)) {
                _cleanup_free_ char *text = service_address_text(service);

                SERVICE_LOG(service, "cannot connect to %s: %s", text ?: "it", strerror(error));
                return SERVICE_E_FAILED;
        }
        callee->in_fd = callee->out_fd = fd;
        service_descriptor(service, &descriptor, &callee->n_prefix);
        callee->prefix = descriptor;
        callee->exit_on_client_eof = service->config.exit_on_client_eof;
        callee->exit_on_service_eof = service->config.exit_on_service_eof;
        return 0;
}

/* Return: 0 or HOST_CALL_E_UNREACHABLE */
static int host_call_dial(const VchanPlace *place, uint32_t source, uint32_t port, uint64_t limit_usec, int *ret_fd) {
        uint64_t deadline_usec = limit_usec > 0 ? clock_now() + limit_usec : UINT64_MAX;
        int error = 0, r;

        r = vchan_dial_until(place, source, port, deadline_usec, &error, ret_fd);
        if (r) {
                log_error("cannot reach the caller, domain %u, at port %u: %s", source, port,
                          r == VCHAN_E_TIMEOUT ? "it was not there in time" : strerror(error));
                return HOST_CALL_E_UNREACHABLE;
        }
        return 0;
}

/* Nobody will hear of it: it ends as if its caller had gone. */
static void host_call_abandon(DataCallee *callee) {
        if (callee->out_fd != callee->in_fd)
                fd_close(callee->out_fd);
        fd_close(callee->in_fd);
        fd_close(callee->child_pidfd);
}

int host_call_run(const ServiceSettings *settings, const VchanPlace *place, uint32_t source, uint32_t port,
                  uint64_t dial_usec, const char *command, int *ret_status) {
        DataCallee callee = DATA_CALLEE_INIT;
        DataOutcome outcome;
        Service service;
        CallHow how;
        int r, started, status;

        r = data_prepare();
        if (r)
                return r;
        callee.is_host = true;
        started = service_resolve(settings, port, command, &service);
        if (!started)
                host_call_wait_for_session(&service);
        if (!started)
                started = service_is_program(&service) ? host_call_start_program(&service, &callee)
                                                       : host_call_connect(&service, &callee);
        r = host_call_dial(place, source, port, dial_usec, &callee.stream_fd);
        if (r || started)
                host_call_abandon(&callee);
        if (!r && started) {
                service_failure(started, &status, &how);
                r = data_callee_fail_host(callee.stream_fd, status);
        } else if (!r) {
                r = data_callee_run(&callee, &outcome);
                status = outcome.status;
        }
        if (!r)
                *ret_status = status;
        service_deinit(&service);
        return r;
}

/* --- callers on the host ---------------------------------------------------------------------------------------- */

/* Return: 0 or SERVICE_E_… */
static int host_call_spawn_here(const Service *service) {
        _cleanup_fd_ int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1, pidfd = -1;
        ServiceProgram program;
        int r;

        stdin_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        stdout_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        if (stdin_fd < 0 || stdout_fd < 0 || stderr_fd < 0)
                return SERVICE_E_FAILED;
        program = (ServiceProgram){ .stdin_fd = stdin_fd, .stdout_fd = stdout_fd, .stderr_fd = stderr_fd };
        r = service_spawn(service, &program);
        if (r)
                return r;
        pidfd = program.pidfd;
        while (waitid(P_PIDFD, (id_t)pidfd, &(siginfo_t){ 0 }, WEXITED) < 0)
                if (errno != EINTR)
                        return SERVICE_E_FAILED;
        return 0;
}

int host_call_here(const ServiceSettings *settings, const char *command, HostCallHere how) {
        Service service;
        CallHow ended;
        int status = 0, r;

        r = service_resolve(settings, 0, command, &service);
        if (!r && !service_is_program(&service)) {
                SERVICE_LOG(&service, "services that are sockets cannot be run from the host itself");
                r = SERVICE_E_FAILED;
        }
        if (!r && how != HOST_CALL_HERE_CHECK)
                host_call_wait_for_session(&service);
        if (!r && how == HOST_CALL_HERE_BECOME)
                r = service_become(&service);
        if (!r && how == HOST_CALL_HERE_WAIT)
                r = host_call_spawn_here(&service);
        if (r)
                service_failure(r, &status, &ended);
        service_deinit(&service);
        return status;
}
