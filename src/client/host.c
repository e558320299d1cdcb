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
#include "client/daemon.h"
#include "client/program.h"
#include "client/session.h"
#include "client/stdin.h"
#include "data/prepare.h"

#define HOST_SHELL "/bin/bash"

static int host_data(const HostOptions *options, const Channel *channel, Dialled *dialled) {
        const char *argv[] = { "bash", "-c", options->local_command, NULL };
        const Program program = { .path = HOST_SHELL, .argv = (char **)argv, .remote_domain = options->target };
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

        switch (session_run(&session, &status)) {
        case 0:
                return options->ignore_status ? 0 : status;
        case SESSION_E_PROTOCOL:
                return HOST_STATUS_INVALID;
        default:
                return HOST_STATUS_FAILED;
        }
}

/* What this version cannot do is refused before anything is started. Return: why, or NULL */
static const char *host_unsupported(const HostOptions *options) {
        if (options->target_is_host)
                return "services of dom0 itself cannot be called with this program yet: use qrexec-client-vm";
        if (options->local_command && strncmp(options->local_command, "QUBESRPC ", strlen("QUBESRPC ")) == 0)
                return "-l: services as local commands are not in this version";
        return NULL;
}

int host_run(const HostOptions *options) {
        _cleanup_free_ char *path = NULL;
        _cleanup_(dialled_deinit) Dialled dialled = DIALLED_INIT;
        _cleanup_fd_ int daemon_fd = -1;
        const char *unsupported = host_unsupported(options);
        Channel channel;
        WireType type;

        if (unsupported) {
                log_error("%s", unsupported);
                return HOST_STATUS_FAILED;
        }
        if (options->use_stdin_socket && !stdin_is_stream_socket()) {
                log_error("--use-stdin-socket: standard input is not a stream socket");
                return HOST_STATUS_USAGE;
        }
        if (data_prepare() < 0)
                return HOST_STATUS_FAILED;

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
