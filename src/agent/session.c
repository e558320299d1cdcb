/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

void session_init(Session *session, const ServiceSettings *settings) {
        *session = (Session){ .settings = settings, .pidfd = -1 };
        session->last = &session->first;
}

void session_deinit(Session *session) {
        session->pidfd = fd_close(session->pidfd);
        session->first = NULL;
        session->last = &session->first;
        session->n_waiters = 0;
}

/* What the program reads: the user whose session it is, after force-user, and the end. */
static int session_open_stdin(const Service *service, int *ret_fd) {
        const CommandPart *user = &service->command.user;
        _cleanup_fd_ int read_fd = -1, write_fd = -1;
        int fds[2], r;

        /* On the host nobody says whose session (6.11). */
        if (!service->settings->account) {
                *ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC | O_NOCTTY);
                return *ret_fd < 0 ? -errno : 0;
        }
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        read_fd = fds[0];
        write_fd = fds[1];
        /* Far less than a pipe takes; an account's name was compared with ours. */
        r = service->config.force_user ? dprintf(write_fd, "%s\n", service->config.force_user)
                                       : dprintf(write_fd, "%.*s\n", (int)user->n, user->text);
        if (r < 0)
                return -EIO;
        *ret_fd = fd_steal(&read_fd);
        return 0;
}

static int session_spawn(Session *session, const Service *call, const Service *program_service) {
        _cleanup_fd_ int stdin_fd = -1, stdout_fd = -1, stderr_fd = -1;
        ServiceProgram program;

        stdout_fd = open("/dev/null", O_WRONLY | O_CLOEXEC | O_NOCTTY);
        /* What it has to say is for our own log. */
        stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        if (stdout_fd < 0 || stderr_fd < 0 || session_open_stdin(call, &stdin_fd) < 0)
                return SERVICE_E_FAILED;
        program = (ServiceProgram){ .stdin_fd = stdin_fd, .stdout_fd = stdout_fd, .stderr_fd = stderr_fd };
        if (service_spawn(program_service, &program))
                return SERVICE_E_FAILED;
        session->pidfd = program.pidfd;
        return 0;
}

/* As a call of the same source to the service of that name, which has no caller. */
static int session_start(Session *session, const Service *call) {
        _cleanup_free_ char *text = NULL;
        Service service;
        int r;

        if (asprintf(&text, "%s%sQUBESRPC " SESSION_SERVICE " %.*s", session->settings->account ?: "",
                     session->settings->account ? ":" : "", (int)call->command.source.n,
                     call->command.source.text) < 0) {
                text = NULL;
                return SERVICE_E_FAILED;
        }
        r = service_resolve(session->settings, call->call_id, text, &service);
        service.is_own = true;
        if (!r)
                r = service_is_program(&service) ? session_spawn(session, call, &service) : SERVICE_E_FAILED;
        service_deinit(&service);
        if (r)
                SERVICE_LOG(call, "cannot wait for the session, so nobody waits: there is no " SESSION_SERVICE
                                  " that could be run");
        return r;
}

bool session_is_wanted(const Service *service) {
        return service->command.is_service && service->config.wait_for_session && !service->command.nogui;
}

bool session_may_be_wanted(const ServiceSettings *settings, const char *text) {
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT, notices = DIAGNOSTICS_INIT;
        Service service = { .settings = settings, .config = CONFIG_INIT };
        bool wanted;

        if (settings->guest || command_parse(text, settings->account != NULL, &service.command) ||
            !service.command.is_service)
                return false;
        wanted = config_load(settings->config_path, &service.command, &errors, &notices, &service.config) == 0 &&
                 session_is_wanted(&service);
        config_deinit(&service.config);
        return wanted;
}

int session_wait(Session *session, const Service *service, SessionWaiter *waiter, bool *ret_started) {
        bool started = false;

        if (!session_is_wanted(service))
                return SESSION_E_NONE;
        if (session->n_waiters >= SESSION_WAITERS_MAX) {
                SERVICE_LOG(service, "too many calls wait for the session: this one does not");
                return SESSION_E_NONE;
        }
        if (session->pidfd < 0) {
                if (session_start(session, service))
                        return SESSION_E_NONE;
                started = true;
        }
        waiter->next = NULL;
        *session->last = waiter;
        session->last = &waiter->next;
        ++session->n_waiters;
        *ret_started = started;
        return 0;
}

int session_on_exit(Session *session) {
        int r;

        do
                r = waitid(P_PIDFD, (id_t)session->pidfd, &(siginfo_t){ 0 }, WEXITED);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_origin(-errno);
        session->pidfd = fd_close(session->pidfd);
        return 0;
}

SessionWaiter *session_next(Session *session) {
        SessionWaiter *waiter = session->first;

        if (!waiter)
                return NULL;
        session->first = waiter->next;
        if (!session->first)
                session->last = &session->first;
        --session->n_waiters;
        return waiter;
}
