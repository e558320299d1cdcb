/* SPDX-License-Identifier: Apache-2.0 */
#include "client/session.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "data/caller.h"
#include "data/direct.h"

static void channel_close(Channel *channel) {
        channel->stream_fd = fd_close(channel->stream_fd);
        channel->stdin_fd = fd_close(channel->stdin_fd);
        channel->stdout_fd = fd_close(channel->stdout_fd);
}

/* A program that was started sees the end of its input, and runs on. */
static int session_abandon(DataCaller *caller) {
        if (!caller->inherited) {
                fd_close(caller->in_fd);
                fd_close(caller->out_fd);
        }
        fd_close(caller->child_pidfd);
        return SESSION_E_FAILED;
}

static int session_run_framed(Session *session, int *ret_status) {
        DataCaller caller = DATA_CALLER_INIT;

        if (session->program) {
                ProgramEnds ends;

                if (program_start(session->program, &ends))
                        return SESSION_E_FAILED;
                caller.in_fd = ends.in_fd;
                caller.out_fd = ends.out_fd;
                caller.child_pidfd = ends.pidfd;
        } else if (!session->detached) {
                caller.in_fd = STDIN_FILENO;
                caller.out_fd = session->use_stdin_socket ? STDIN_FILENO : STDOUT_FILENO;
                caller.inherited = true;
        }
        if (session->dialled && dialled_accept(session->dialled, &session->channel.stream_fd))
                return session_abandon(&caller);
        caller.stream_fd = fd_steal(&session->channel.stream_fd);
        caller.hello_usec = session->hello_usec;
        if (session->prefix && !session->detached) {
                caller.prefix = session->prefix;
                caller.n_prefix = strlen(session->prefix);
        }
        caller.filter_stdout = data_filter_applies(session->filter_stdout, STDOUT_FILENO);
        caller.filter_stderr = session->filter_stderr;

        switch (data_caller_run(&caller, ret_status)) {
        case 0:
                return 0;
        case DATA_CALLER_E_PROTOCOL:
                return SESSION_E_PROTOCOL;
        default:
                return SESSION_E_FAILED;
        }
}

/*
 * What goes before the program's own output, written before it starts, so that it has the pipe itself. That must not
 * depend on when the service reads: where the pipe cannot be made large enough (fs.pipe-user-pages-soft), it is not done.
 */
static bool session_write_prefix(const Session *session) {
        size_t n = strlen(session->prefix);
        int fd = session->channel.stdin_fd;

        if (fcntl(fd, F_GETPIPE_SZ) < (int)n && fcntl(fd, F_SETPIPE_SZ, (int)n) < 0)
                return false;
        /* A service that does not read its stdin is no reason not to start. */
        (void)fd_write_full(fd, session->prefix, n);
        return true;
}

/*
 * A local program has the pipes themselves, and we none of them: only a filter, or a prefix without room, needs us in
 * between, for that direction.
 */
static int session_start_program(Session *session, DataDirect *direct) {
        Channel *channel = &session->channel;
        _cleanup_fd_ int in_fd = -1, out_fd = -1;
        int fds[2];

        if (session->prefix && !session_write_prefix(session)) {
                if (pipe2(fds, O_CLOEXEC) < 0)
                        return SESSION_E_FAILED;
                direct->in_fd = fds[0];
                out_fd = fds[1];
                direct->stdin_fd = fd_steal(&channel->stdin_fd);
                direct->prefix = session->prefix;
                direct->n_prefix = strlen(session->prefix);
        } else {
                out_fd = fd_steal(&channel->stdin_fd);
        }
        if (session->filter_stdout == DATA_FILTER_ON) {
                if (pipe2(fds, O_CLOEXEC) < 0)
                        return SESSION_E_FAILED;
                in_fd = fds[0];
                direct->out_fd = fds[1];
                direct->stdout_fd = fd_steal(&channel->stdout_fd);
        } else {
                in_fd = fd_steal(&channel->stdout_fd);
        }
        /* Its ends are closed here on return, or neither side would ever see the other's end. */
        return program_start_with(session->program, in_fd, out_fd, &direct->child_pidfd) ? SESSION_E_FAILED : 0;
}

static int session_run_direct(Session *session, int *ret_status) {
        DataDirect direct = DATA_DIRECT_INIT;
        int r;

        if (session->program) {
                r = session_start_program(session, &direct);
                if (r)
                        return r;
        } else {
                direct.stdin_fd = fd_steal(&session->channel.stdin_fd);
                direct.stdout_fd = fd_steal(&session->channel.stdout_fd);
                direct.in_fd = STDIN_FILENO;
                direct.out_fd = session->use_stdin_socket ? STDIN_FILENO : STDOUT_FILENO;
                direct.inherited = true;
                if (session->prefix) {
                        direct.prefix = session->prefix;
                        direct.n_prefix = strlen(session->prefix);
                }
        }
        direct.status_fd = fd_steal(&session->channel.stream_fd);
        direct.filter_stdout = session->filter_stdout;
        direct.filter_stderr = session->filter_stderr;
        direct.err_follows_out = session->err_follows_out;

        switch (data_direct_run(&direct, ret_status)) {
        case 0:
                return 0;
        case DATA_DIRECT_E_PROTOCOL:
                return SESSION_E_PROTOCOL;
        default:
                return SESSION_E_FAILED;
        }
}

int session_run(Session *session, int *ret_status) {
        int r;

        r = session->channel.stdin_fd >= 0 ? session_run_direct(session, ret_status)
                                           : session_run_framed(session, ret_status);
        channel_close(&session->channel);
        return r;
}
