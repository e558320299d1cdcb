/* SPDX-License-Identifier: Apache-2.0 */
#include "client/vm.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "client/program.h"
#include "client/request.h"
#include "client/stdin.h"
#include "data/caller.h"
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

/* The first line is upstream's, which scripts know. The second is for the person: why, and what may help. */
static void vm_say_refused(const Reply *reply) {
        const struct passwd *account;
        char call_text[32] = "";

        (void)fprintf(stderr, "Request refused\n");
        if (reply->connect_port > 0)
                (void)snprintf(call_text, sizeof(call_text), " (call %u)", reply->connect_port);
        switch (reply->reason) {
        case REPLY_REASON_REFUSED:
                log_error("%s%s: the administrator finds the reason in the audit log", reply_reason_text(reply->reason),
                          call_text);
                return;
        case REPLY_REASON_NOT_A_DOMAIN:
                account = getpwuid(geteuid());
                log_error("%s%s: ask the administrator to run: qair domain add NAME user=%s",
                          reply_reason_text(reply->reason), call_text, account ? account->pw_name : "ACCOUNT");
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
static void vm_grow_buffer(int stream_fd, size_t size) {
        int wanted = (int)size, current;
        socklen_t n = sizeof(current);

        if (getsockopt(stream_fd, SOL_SOCKET, SO_SNDBUF, &current, &n) == 0 && current < wanted)
                (void)setsockopt(stream_fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

static bool vm_filters(FilterChoice choice, bool by_default) {
        switch (choice) {
        case FILTER_CHOICE_DEFAULT:
                return by_default;
        case FILTER_CHOICE_ON:
                return true;
        case FILTER_CHOICE_OFF:
                return false;
        }
        return by_default;
}

/* argv[0] is the last component of the path; the path itself is executed (5.13). */
static int vm_start_program(char **argv, ProgramEnds *ret_ends) {
        Program program = { .path = argv[0], .argv = argv, .save_fds = true };
        char *slash = strrchr(argv[0], '/');

        if (slash)
                argv[0] = slash + 1;
        return program_start(&program, ret_ends);
}

static int vm_call(const VmOptions *options, int stream_fd) {
        DataCaller caller = DATA_CALLER_INIT;
        int status;
        int r;

        if (options->program) {
                ProgramEnds ends;

                r = vm_start_program(options->program, &ends);
                if (r) {
                        fd_close(stream_fd);
                        return VM_STATUS_FAILED;
                }
                caller.in_fd = ends.in_fd;
                caller.out_fd = ends.out_fd;
                caller.child_pidfd = ends.pidfd;
        } else {
                caller.in_fd = STDIN_FILENO;
                caller.out_fd = options->use_stdin_socket ? STDIN_FILENO : STDOUT_FILENO;
                caller.inherited = true;
        }
        caller.stream_fd = stream_fd;
        caller.hello_usec = VM_HELLO_USEC;
        if (options->prefix) {
                caller.prefix = options->prefix;
                caller.n_prefix = strlen(options->prefix);
        }
        caller.filter_stdout = vm_filters(options->filter_stdout, !options->program && isatty(STDOUT_FILENO));
        caller.filter_stderr = vm_filters(options->filter_stderr, isatty(STDERR_FILENO));

        r = data_caller_run(&caller, &status);
        return r ? VM_STATUS_FAILED : status;
}

int vm_run(const VmOptions *options) {
        Reply reply;
        int stream_fd;
        int r;

        if (options->use_stdin_socket && !stdin_is_stream_socket()) {
                log_error("--use-stdin-socket: standard input is not a stream socket");
                return VM_STATUS_USAGE;
        }
        r = data_prepare();
        if (r)
                return VM_STATUS_FAILED;

        r = request_call(options->socket_path ? options->socket_path : vm_default_socket(), options->source,
                         options->target, options->service, &reply, &stream_fd);
        switch (r) {
        case 0:
                break;
        case REQUEST_E_REFUSED:
                vm_say_refused(&reply);
                return VM_STATUS_REFUSED;
        default:
                return VM_STATUS_FAILED;
        }
        if (options->buffer_size > 0)
                vm_grow_buffer(stream_fd, options->buffer_size);
        return vm_call(options, stream_fd);
}
