/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "gpg/mux.h"
#include "gpg/request.h"

/* Between the signal that asks and the one that does not. */
#define TERMINATE_MSEC 2000

/*
 * What each takes away (split-gpg specification, 7):
 *   - --no-tty: no terminal to write to or read from;
 *   - --disable-dirmngr, --no-auto-key-retrieve: no network, whatever the configuration says;
 *   - --photo-viewer: no viewer is started for a picture that came in a key;
 *   - --batch: no questions, so no answers in the input;
 *   - --exit-on-status-write-error: who reads the status lines gets all or is told.
 */
static const char *const forced[] = {
        "--no-tty",
        "--disable-dirmngr",
        "--photo-viewer=/bin/true",
        "--batch",
        "--exit-on-status-write-error",
        "--no-auto-key-retrieve",
};

#define ARGUMENTS_MAX (1 + ARRAY_SIZE(forced) + GPG_REQUEST_ARGUMENTS_MAX + 1)

typedef struct Pipes {
        GpgFds ours, theirs; /* in the order of the list */
} Pipes;

/*
 * Descriptors
 */

/*
 * So that no descriptor of ours has the number of one of GnuPG's: those must be that number, and nothing else. The first
 * one stays open, since it may have such a number itself.
 */
static int reserve(const GpgFds *fds) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null_fd < 0)
                return error_origin(-errno);
        for (size_t i = 0; i < fds->n; ++i)
                if (fcntl(fds->fds[i], F_GETFD) < 0 && dup3(null_fd, fds->fds[i], O_CLOEXEC) < 0)
                        return error_origin(-errno);
        return 0;
}

/* @is_input: of GnuPG. */
static int make_pipes(const GpgFds *fds, bool is_input, Pipes *ret_pipes) {
        Pipes pipes = {};

        for (size_t i = 0; i < fds->n; ++i) {
                int ends[2];

                if (pipe2(ends, O_CLOEXEC) < 0 || fd_set_nonblocking(ends[is_input ? 1 : 0], true) < 0)
                        return error_origin(-errno);
                pipes.ours.fds[pipes.ours.n++] = ends[is_input ? 1 : 0];
                pipes.theirs.fds[pipes.theirs.n++] = ends[is_input ? 0 : 1];
        }
        *ret_pipes = pipes;
        return 0;
}

static void close_theirs(const Pipes *pipes) {
        for (size_t i = 0; i < pipes->theirs.n; ++i)
                fd_close(pipes->theirs.fds[i]);
}

/*
 * GnuPG
 */

static void make_arguments(const char *gpg, const GpgRequest *request,
                           const char *ret_arguments[static ARGUMENTS_MAX]) {
        size_t n = 0;

        ret_arguments[n++] = gpg;
        for (size_t i = 0; i < ARRAY_SIZE(forced); ++i)
                ret_arguments[n++] = forced[i];
        for (size_t i = 0; i < request->n_arguments; ++i)
                ret_arguments[n++] = request->arguments[i];
        ret_arguments[n] = NULL;
}

/* Who calls may be known; how the call came about is nobody's business. */
static void clean_environment(void) {
        for (char **entry = environ; *entry;) {
                size_t n = strcspn(*entry, "=");
                char name[64];

                if (strncmp(*entry, "QREXEC", 6) != 0 || n >= sizeof(name) ||
                    (n == strlen("QREXEC_REMOTE_DOMAIN") && strncmp(*entry, "QREXEC_REMOTE_DOMAIN", n) == 0)) {
                        ++entry;
                        continue;
                }
                memcpy(name, *entry, n);
                name[n] = '\0';
                (void)unsetenv(name);
                entry = environ;
        }
}

/* In the child, which ends if this returns. */
static void become_gpg(const char *const *arguments, const GpgCommand *command, const Pipes *inputs,
                       const Pipes *outputs) {
        for (size_t i = 0; i < command->input.n; ++i)
                if (dup2(inputs->theirs.fds[i], command->input.fds[i]) < 0)
                        return;
        for (size_t i = 0; i < command->output.n; ++i)
                if (dup2(outputs->theirs.fds[i], command->output.fds[i]) < 0)
                        return;
        (void)signal(SIGPIPE, SIG_DFL);
        (void)execv(arguments[0], (char *const *)arguments);
}

static int start_gpg(const char *gpg, const GpgRequest *request, const GpgCommand *command, const Pipes *inputs,
                     const Pipes *outputs, pid_t *ret_pid, int *ret_pidfd) {
        const char *arguments[ARGUMENTS_MAX];
        pid_t pid;
        int fd;

        make_arguments(gpg, request, arguments);
        clean_environment();
        pid = fork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0) {
                become_gpg(arguments, command, inputs, outputs);
                _exit(GPG_SERVER_FAILED);
        }
        fd = pidfd_open(pid, 0);
        if (fd < 0)
                return error_origin(-errno);
        *ret_pid = pid;
        *ret_pidfd = fd;
        return 0;
}

static uint8_t reap(pid_t pid) {
        int status = process_wait(pid);

        return (uint8_t)(status < 0 ? GPG_SERVER_FAILED : status);
}

/* Whatever it is doing: nobody is there any more for whom it would. */
static void terminate(pid_t pid, int pidfd) {
        uint64_t deadline = clock_now() + TERMINATE_MSEC * USEC_PER_MSEC, now;

        (void)pidfd_send_signal(pidfd, SIGTERM, NULL, 0);
        for (now = clock_now(); now < deadline; now = clock_now())
                if (poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1,
                         (int)((deadline - now) / USEC_PER_MSEC) + 1) > 0)
                        break;
        if (now >= deadline)
                (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        (void)reap(pid);
}

/*
 * The call
 */

static int run(const char *gpg, const GpgRequest *request, const GpgCommand *command) {
        _cleanup_(gpg_mux_freep) GpgMux *mux = NULL;
        Pipes inputs, outputs;
        _cleanup_fd_ int pidfd = -1;
        pid_t pid;
        int r;

        r = reserve(&command->input);
        r = r ?: reserve(&command->output);
        r = r ?: make_pipes(&command->input, true, &inputs);
        r = r ?: make_pipes(&command->output, false, &outputs);
        r = r ?: start_gpg(gpg, request, command, &inputs, &outputs, &pid, &pidfd);
        if (r)
                return GPG_SERVER_FAILED;
        close_theirs(&inputs);
        close_theirs(&outputs);
        /* The ends of the stream are the service's own: there is no other who would see this. */
        r = fd_set_nonblocking(STDIN_FILENO, true);
        r = r ?: fd_set_nonblocking(STDOUT_FILENO, true);
        r = r ?: gpg_mux_new(STDIN_FILENO, STDOUT_FILENO, &outputs.ours, &inputs.ours, &mux);
        r = r ?: gpg_mux_run_server(mux, pidfd);
        if (r) {
                terminate(pid, pidfd);
                if (r != GPG_MUX_E_HANGUP)
                        log_error("the client does not speak the protocol of qubes.Gpg");
                return r == GPG_MUX_E_HANGUP ? 0 : GPG_SERVER_FAILED;
        }
        (void)gpg_mux_send_exit(mux, reap(pid));
        return 0;
}

int gpg_server_run(const char *gpg, void (*on_request)(const GpgCommand *command, void *userdata), void *userdata) {
        uint8_t untrusted_request[GPG_REQUEST_SIZE];
        char complaint[GPG_COMPLAINT_MAX];
        GpgCommand command;
        GpgRequest request;

        (void)signal(SIGPIPE, SIG_IGN);
        (void)signal(SIGCHLD, SIG_DFL);
        /* Whatever we were started with is not for GnuPG. */
        if (close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0) {
                log_error("close_range: %s", strerror(errno));
                return GPG_SERVER_FAILED;
        }
        if (fd_read_full(STDIN_FILENO, untrusted_request, sizeof(untrusted_request)))
                return GPG_SERVER_FAILED;
        if (gpg_request_decode(untrusted_request, &request) ||
            gpg_command_parse(GPG_ROLE_SERVER, request.arguments, request.n_arguments, &command, complaint))
                return GPG_SERVER_FAILED;
        if (on_request)
                on_request(&command, userdata);
        return run(gpg, &request, &command);
}
