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
#include "client/stdin.h"
#include "data/caller.h"
#include "data/prepare.h"

#define HOST_SHELL "/bin/bash"

/* Where a program of ours takes the place of standard input and output. Return: 0 or an exit status */
static int host_start_local(const HostOptions *options, ProgramEnds *ret_ends) {
        const char *argv[] = { "bash", "-c", options->local_command, NULL };
        Program program = {
                .path = HOST_SHELL,
                .argv = (char **)argv,
                .remote_domain = options->target,
        };

        return program_start(&program, ret_ends) ? HOST_STATUS_FAILED : 0;
}

static int host_data(const HostOptions *options, int stream_fd) {
        DataCaller caller = DATA_CALLER_INIT;
        int status;
        int r;

        if (options->local_command) {
                ProgramEnds ends;

                r = host_start_local(options, &ends);
                if (r) {
                        fd_close(stream_fd);
                        return r;
                }
                caller.in_fd = ends.in_fd;
                caller.out_fd = ends.out_fd;
                caller.child_pidfd = ends.pidfd;
        } else if (!options->just_exec) {
                caller.in_fd = STDIN_FILENO;
                caller.out_fd = options->use_stdin_socket ? STDIN_FILENO : STDOUT_FILENO;
                caller.inherited = true;
        }
        caller.stream_fd = stream_fd;
        caller.hello_usec = options->wait_seconds * USEC_PER_SEC;
        if (options->prefix && !options->just_exec) {
                caller.prefix = options->prefix;
                caller.n_prefix = strlen(options->prefix);
        }
        caller.filter_stdout = options->filter_stdout;
        caller.filter_stderr = options->filter_stderr;

        r = data_caller_run(&caller, &status);
        switch (r) {
        case 0:
                return options->ignore_status ? 0 : status;
        case DATA_CALLER_E_PROTOCOL:
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
        _cleanup_fd_ int daemon_fd = -1;
        const char *unsupported = host_unsupported(options);
        int stream_fd;
        int r;

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
        r = daemon_call(path, options->just_exec ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE, options->command,
                        &daemon_fd, &stream_fd);
        if (r)
                return HOST_STATUS_FAILED;
        return host_data(options, stream_fd);
}
