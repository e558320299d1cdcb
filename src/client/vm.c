/* SPDX-License-Identifier: Apache-2.0 */
#include "client/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/escape.h"
#include "base/log.h"
#include "client/program.h"
#include "client/session.h"
#include "client/stdin.h"
#include "data/prepare.h"
#include "libqair/qair.h"

/** Set by transports over SSH (data/direct.h): in the environment, since Qubes' own client knows no option for it. */
#define VM_STDERR_ENDS_WITH_STDOUT "QREXEC_STDERR_ENDS_WITH_STDOUT"

/** How long the callee may take to be there once the call is allowed (protocol specification, 1.5). */
#define VM_HELLO_USEC (120 * USEC_PER_SEC)

/*
 * How often brokers are asked, and the pause between, doubled each time: three seconds in all, in which a service manager
 * has started a supervisor again.
 */
#define VM_ATTEMPTS   7U
#define VM_PAUSE_USEC 25000U

static void vm_call_freep(qair_call **call) {
        qair_call_free(*call);
}

static void vm_client_freep(qair_client **client) {
        qair_client_free(*client);
}

/*
 * The name of our account, for a person. getpwuid() would load whatever the machine's name service is made of, which a
 * static program cannot; who is not in the file says its number, which serves as well.
 */
static void vm_account(char *ret_name, size_t n) {
        uid_t uid = geteuid();
        struct passwd *account = NULL;
        FILE *file = fopen("/etc/passwd", "re");

        while (file && (account = fgetpwent(file)) && account->pw_uid != uid)
                ;
        (void)(account ? snprintf(ret_name, n, "%s", account->pw_name) : snprintf(ret_name, n, "%u", uid));
        if (file)
                (void)fclose(file);
}

/* The first line is upstream's, which scripts know. The second is for the person: why, and what may help. */
static void vm_say_refused(const qair_call *call) {
        const char *said = qair_reason_text(qair_call_reason(call));
        char id[32] = "", account[LOGIN_NAME_MAX];

        (void)fprintf(stderr, "Request refused\n");
        if (qair_call_id(call) > 0)
                (void)snprintf(id, sizeof(id), " (call %u)", qair_call_id(call));
        switch (qair_call_reason(call)) {
        case QAIR_REASON_NONE:
                return;
        case QAIR_REASON_REFUSED:
                log_error("%s%s: the administrator finds the reason in the audit log", said, id);
                return;
        case QAIR_REASON_NOT_A_DOMAIN:
                vm_account(account, sizeof(account));
                log_error("%s%s: ask the administrator to run: qair domain add NAME user=%s", said, id, account);
                return;
        case QAIR_REASON_TOO_MANY:
                log_error("%s%s: try again when some of them have ended", said, id);
                return;
        case QAIR_REASON_UNAVAILABLE:
        case QAIR_REASON_NOT_UNDERSTOOD:
                log_error("%s%s", said, id);
                return;
        }
}

/* Return: the status to exit with */
static int vm_say_failed(const char *path, int r) {
        switch (r) {
        case -ECONNRESET:
                log_error("broker after broker went away before it had read the request: see the log of qair, or try "
                          "again later");
                return VM_STATUS_GONE;
        case -ENAMETOOLONG:
                log_error("%s: too long for the path of a socket", ESCAPED(path, strlen(path)));
                return VM_STATUS_FAILED;
        case -EBADMSG:
                log_error("the answer to the request broke off");
                return VM_STATUS_FAILED;
        case -EPROTO:
                log_error("the answer to the request is of a kind that this program does not understand");
                return VM_STATUS_FAILED;
        default:
                log_error("cannot connect to %s: %s%s", ESCAPED(path, strlen(path)), strerror(-r),
                          r == -ENOENT || r == -ECONNREFUSED ? "; is the service running? Try: systemctl status qair"
                                                             : "");
                return VM_STATUS_FAILED;
        }
}

static bool vm_is_gone(int r) {
        return r == -ECONNRESET || r == -ECONNREFUSED || r == -ENOENT;
}

/*
 * Ask, and again where the brokers that were asked went away before they had read the request: there was one a moment ago,
 * and there will be one again. Return: 0 or a negative error; with a call or without
 */
static int vm_open(qair_client *client, const VmOptions *options, qair_call **ret_call) {
        int r;

        for (unsigned attempt = 0;; ++attempt) {
                qair_call *call = NULL;
                bool gone;

                if (attempt > 0)
                        (void)usleep(VM_PAUSE_USEC << attempt);
                r = qair_call_new(client, options->target, options->service, &call);
                /* Only where nobody is there from the beginning does nobody come. */
                gone = attempt > 0 && vm_is_gone(r);
                if (!r) {
                        r = qair_call_open(call);
                        gone = vm_is_gone(r);
                }
                if (!gone) {
                        *ret_call = call;
                        return r;
                }
                qair_call_free(call);
                if (attempt + 1 == VM_ATTEMPTS)
                        return -ECONNRESET;
        }
}

/* Ask, and wait for the answer without limit. Return: 0, or the status to exit with; it has been said why */
static int vm_ask(qair_client *client, const VmOptions *options, Channel *ret_channel) {
        _cleanup_(vm_call_freep) qair_call *call = NULL;
        int fds[3], n, r;

        r = qair_client_set_source(client, options->source);
        if (!r)
                r = vm_open(client, options, &call);
        if (r == -EACCES && call) {
                vm_say_refused(call);
                return VM_STATUS_REFUSED;
        }
        if (r)
                return vm_say_failed(qair_client_path(client), r);
        n = qair_call_take_channel(call, fds);
        *ret_channel =
                (Channel){ .stream_fd = fds[0], .stdin_fd = n == 3 ? fds[1] : -1, .stdout_fd = n == 3 ? fds[2] : -1 };
        return 0;
}

/* --buffer-size asks for a minimum (protocol specification, 5.6); the kernel's default is rarely less. */
static void vm_grow_buffer(const Channel *channel, size_t size) {
        int wanted = (int)size, current;
        socklen_t n = sizeof(current);

        if (channel->stdin_fd >= 0) {
                if (fcntl(channel->stdin_fd, F_GETPIPE_SZ) < wanted)
                        (void)fcntl(channel->stdin_fd, F_SETPIPE_SZ, wanted);
                if (fcntl(channel->stdout_fd, F_GETPIPE_SZ) < wanted)
                        (void)fcntl(channel->stdout_fd, F_SETPIPE_SZ, wanted);
                return;
        }
        if (getsockopt(channel->stream_fd, SOL_SOCKET, SO_SNDBUF, &current, &n) == 0 && current < wanted)
                (void)setsockopt(channel->stream_fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

static DataFilter vm_filter(FilterChoice choice, DataFilter by_default) {
        switch (choice) {
        case FILTER_CHOICE_DEFAULT:
                return by_default;
        case FILTER_CHOICE_ON:
                return DATA_FILTER_ON;
        case FILTER_CHOICE_OFF:
                return DATA_FILTER_OFF;
        }
        return by_default;
}

/* By 5.12 our standard output decides, also where the output goes elsewhere. */
static DataFilter vm_default_filter(const VmOptions *options) {
        if (options->program)
                return DATA_FILTER_OFF;
        if (options->use_stdin_socket)
                return isatty(STDOUT_FILENO) ? DATA_FILTER_ON : DATA_FILTER_OFF;
        return DATA_FILTER_TERMINAL;
}

static int vm_call(const VmOptions *options, const Channel *channel, Dialled *dialled) {
        Session session = {
                .channel = *channel,
                .dialled = dialled,
                .use_stdin_socket = options->use_stdin_socket,
                .prefix = options->prefix,
                .hello_usec = VM_HELLO_USEC,
                .filter_stdout = vm_filter(options->filter_stdout, vm_default_filter(options)),
                .filter_stderr = vm_filter(options->filter_stderr, DATA_FILTER_TERMINAL),
                .err_follows_out = getenv(VM_STDERR_ENDS_WITH_STDOUT) != NULL,
        };
        Program program;
        int status;

        if (options->program) {
                char *slash = strrchr(options->program[0], '/');

                program = (Program){ .path = options->program[0], .argv = options->program, .save_fds = true };
                /* argv[0] is the last component of the path; the path itself is executed (5.13). */
                if (slash)
                        options->program[0] = slash + 1;
                session.program = &program;
        }
        return session_run(&session, &status) ? VM_STATUS_FAILED : status;
}

static int vm_run_dialled(const VmOptions *options, const char *socket_path) {
        _cleanup_(dialled_deinit) Dialled dialled = DIALLED_INIT;

        switch (dialled_ask_agent(socket_path, options->source, options->target, options->service, &dialled)) {
        case 0:
                break;
        case DIALLED_E_REFUSED:
                (void)fprintf(stderr, "Request refused\n");
                return VM_STATUS_REFUSED;
        default:
                return VM_STATUS_FAILED;
        }
        dialled.limit_usec = VM_HELLO_USEC;
        return vm_call(options, &CHANNEL_INIT, &dialled);
}

int vm_run(const VmOptions *options) {
        _cleanup_(vm_client_freep) qair_client *client = NULL;
        Channel channel;
        int r;

        if (options->use_stdin_socket && !stdin_is_stream_socket()) {
                log_error("--use-stdin-socket: standard input is not a stream socket");
                return VM_STATUS_USAGE;
        }
        if (data_prepare())
                return VM_STATUS_FAILED;
        r = qair_client_new(options->socket_path, QAIR_ONCE, &client);
        if (r) {
                log_error("cannot begin: %s", strerror(-r));
                return VM_STATUS_FAILED;
        }
        if (dialled_is_wanted())
                return vm_run_dialled(options, qair_client_path(client));
        r = vm_ask(client, options, &channel);
        if (r)
                return r;
        if (options->buffer_size > 0)
                vm_grow_buffer(&channel, options->buffer_size);
        return vm_call(options, &channel, NULL);
}
