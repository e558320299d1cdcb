/* SPDX-License-Identifier: Apache-2.0 */
#include "client/vm.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "client/program.h"
#include "client/request.h"
#include "client/session.h"
#include "client/stdin.h"
#include "data/prepare.h"

/** dom0's own socket: its directory is root's alone, so who can see it is root on the host. */
#define VM_SOCKET_DOM0 "/run/qubes/dom0/qrexec-agent"
/** Everybody else's: the broker knows the account. In a sandbox it is the sandbox's own. */
#define VM_SOCKET_SHARED "/run/qubes/qrexec-agent"

/** How long the callee may take to be there once the call is allowed (protocol specification, 1.5). */
#define VM_HELLO_USEC (120 * USEC_PER_SEC)

static const char *vm_default_socket(void) {
        return geteuid() == 0 && access(VM_SOCKET_DOM0, F_OK) == 0 ? VM_SOCKET_DOM0 : VM_SOCKET_SHARED;
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
static void vm_say_refused(const Reply *reply) {
        char call_text[32] = "", account[LOGIN_NAME_MAX];

        (void)fprintf(stderr, "Request refused\n");
        if (reply->connect_port > 0)
                (void)snprintf(call_text, sizeof(call_text), " (call %u)", reply->connect_port);
        switch (reply->reason) {
        case REPLY_REASON_REFUSED:
                log_error("%s%s: the administrator finds the reason in the audit log", reply_reason_text(reply->reason),
                          call_text);
                return;
        case REPLY_REASON_NOT_A_DOMAIN:
                vm_account(account, sizeof(account));
                log_error("%s%s: ask the administrator to run: qair domain add NAME user=%s",
                          reply_reason_text(reply->reason), call_text, account);
                return;
        case REPLY_REASON_TOO_MANY:
                log_error("%s%s: try again when some of them have ended", reply_reason_text(reply->reason), call_text);
                return;
        case REPLY_REASON_UNAVAILABLE:
        case REPLY_REASON_NOT_UNDERSTOOD:
                log_error("%s%s", reply_reason_text(reply->reason), call_text);
                return;
        }
        /* Not said: nothing to add. */
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

static int vm_call(const VmOptions *options, const Channel *channel) {
        Session session = {
                .channel = *channel,
                .use_stdin_socket = options->use_stdin_socket,
                .prefix = options->prefix,
                .hello_usec = VM_HELLO_USEC,
                .filter_stdout = vm_filter(options->filter_stdout, vm_default_filter(options)),
                .filter_stderr = vm_filter(options->filter_stderr, DATA_FILTER_TERMINAL),
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

int vm_run(const VmOptions *options) {
        Reply reply;
        Channel channel;
        int r;

        if (options->use_stdin_socket && !stdin_is_stream_socket()) {
                log_error("--use-stdin-socket: standard input is not a stream socket");
                return VM_STATUS_USAGE;
        }
        r = data_prepare();
        if (r)
                return VM_STATUS_FAILED;

        r = request_call(options->socket_path ? options->socket_path : vm_default_socket(), options->source,
                         options->target, options->service, &reply, &channel);
        switch (r) {
        case 0:
                break;
        case REQUEST_E_REFUSED:
                vm_say_refused(&reply);
                return VM_STATUS_REFUSED;
        case REQUEST_E_GONE:
                return VM_STATUS_GONE;
        default:
                return VM_STATUS_FAILED;
        }
        if (options->buffer_size > 0)
                vm_grow_buffer(&channel, options->buffer_size);
        return vm_call(options, &channel);
}
