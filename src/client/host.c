/* SPDX-License-Identifier: Apache-2.0 */
#include "client/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "client/connect.h"
#include "client/daemon.h"
#include "client/hostservice.h"
#include "client/kill.h"
#include "client/program.h"
#include "client/session.h"
#include "client/stdin.h"
#include "data/prepare.h"

#define HOST_SHELL "/bin/bash"

/* A local command that cannot be started: the callee just sees the connection close (7.4). */
static int host_abandon(int status, const Channel *channel, Dialled *dialled) {
        int stream_fd;

        if (dialled && dialled_accept(dialled, &stream_fd) == 0)
                fd_close(stream_fd);
        fd_close(channel->stream_fd);
        fd_close(channel->stdin_fd);
        fd_close(channel->stdout_fd);
        return status;
}

static int host_data(const HostOptions *options, const Channel *channel, Dialled *dialled) {
        bool is_service = options->local_command && host_service_is(options->local_command);
        const char *shell_argv[] = { "bash", "-c", options->local_command, NULL };
        const char *service_argv[] = { "qrexec-host-call", "--here", "--", options->local_command, NULL };
        const Program program = {
                .path = is_service ? options->host_call : HOST_SHELL,
                .argv = (char **)(is_service ? service_argv : shell_argv),
                .remote_domain = options->target,
        };
        Session session = {
                .channel = *channel,
                .dialled = dialled,
                .program = options->local_command ? &program : NULL,
                .detached = options->just_exec,
                .use_stdin_socket = options->use_stdin_socket,
                .prefix = options->prefix,
                .hello_usec = options->wait_seconds * USEC_PER_SEC,
                .filter_stdout = options->filter_stdout,
                .filter_stderr = options->filter_stderr,
        };
        int status;

        status = is_service ? host_service_check(options, options->local_command) : 0;
        if (status)
                return host_abandon(status, channel, dialled);
        switch (session_run(&session, &status)) {
        case 0:
                return options->ignore_status ? 0 : status;
        case SESSION_E_PROTOCOL:
                return HOST_STATUS_INVALID;
        default:
                return HOST_STATUS_FAILED;
        }
}

static int host_call(const HostOptions *options) {
        _cleanup_free_ char *path = NULL;
        _cleanup_(dialled_deinit) Dialled dialled = DIALLED_INIT;
        _cleanup_fd_ int daemon_fd = -1;
        Channel channel;
        WireType type;

        if (asprintf(&path, "%s/qrexec.%s", options->socket_dir, options->target) < 0) {
                path = NULL;
                log_error("out of memory");
                return HOST_STATUS_FAILED;
        }
        type = options->just_exec ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE;
        if (dialled_is_wanted()) {
                if (dialled_ask_daemon(path, type, options->command, &dialled))
                        return HOST_STATUS_FAILED;
                dialled.limit_usec = options->wait_seconds * USEC_PER_SEC;
                return host_data(options, &CHANNEL_INIT, &dialled);
        }
        if (daemon_call(path, type, options->command, &daemon_fd, &channel))
                return HOST_STATUS_FAILED;
        return host_data(options, &channel, NULL);
}

int host_run(const HostOptions *options) {
        int status;

        if (options->target_is_host)
                return options->caller.domain ? connect_host(options) : host_service_run(options);
        if (options->caller.domain)
                return connect_domain(options);
        if (options->use_stdin_socket && !stdin_is_stream_socket()) {
                log_error("--use-stdin-socket: standard input is not a stream socket");
                return HOST_STATUS_USAGE;
        }
        if (data_prepare() < 0)
                return HOST_STATUS_FAILED;
        status = host_call(options);
        if (options->kill)
                kill_domain(options->target);
        return status;
}
