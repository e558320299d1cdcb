/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "gpg/command.h"
#include "gpg/domain.h"
#include "gpg/mux.h"
#include "gpg/request.h"

/* `-` for the data, behind what the request can hold at most. */
#define WORDS_MAX (GPG_REQUEST_ARGUMENTS_MAX + 1)

enum {
        _CLIENT_E_SUCCESS,
        CLIENT_E_REFUSED, /* a word of ours has been said why */
};

/* What is sent. */
typedef struct Outgoing {
        const char *words[WORDS_MAX];
        size_t n;
        char signature[32]; /* "/dev/fd/N" */
} Outgoing;

/*
 * Descriptors and files
 */

/* Those that the command names must be there, and the program that carries the call must not get them. */
static int check_outputs(const GpgFds *fds) {
        for (size_t i = 0; i < fds->n; ++i) {
                if (fds->fds[i] <= STDERR_FILENO)
                        continue;
                if (fd_set_cloexec(fds->fds[i], true) < 0) {
                        log_error("Invalid fd argument '%d': it is not open", fds->fds[i]);
                        return CLIENT_E_REFUSED;
                }
        }
        return 0;
}

static int open_file(const char *path, int *ret_fd) {
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode)) {
                log_error("cannot open %s: %s", ESCAPED(path, strlen(path)), strerror(fd < 0 ? errno : EISDIR));
                return CLIENT_E_REFUSED;
        }
        *ret_fd = fd_steal(&fd);
        return 0;
}

/* The first word behind the options, if it is a signature: in a descriptor of its own, whose name the server is told. */
static int open_signature(GpgCommand *command, const char *path, Outgoing *outgoing) {
        _cleanup_fd_ int fd = -1;
        int r = 0;

        if (strcmp(path, "-") == 0)
                fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
        else
                r = open_file(path, &fd);
        if (r)
                return r;
        if (fd < 0 || fd > GPG_FD_MAX || gpg_command_set_signature(command, fd)) {
                log_error("there is no descriptor left for the signature");
                return CLIENT_E_REFUSED;
        }
        (void)snprintf(outgoing->signature, sizeof(outgoing->signature), "/dev/fd/%d", fd_steal(&fd));
        outgoing->words[outgoing->n++] = outgoing->signature;
        return 0;
}

/* The file to work on becomes standard input. */
static int open_data(const char *path, Outgoing *outgoing) {
        _cleanup_fd_ int fd = -1;
        int r;

        outgoing->words[outgoing->n++] = "-";
        if (strcmp(path, "-") == 0)
                return 0;
        r = open_file(path, &fd);
        if (r)
                return r;
        return dup2(fd, STDIN_FILENO) < 0 ? error_origin(-errno) : 0;
}

/* Everything that the command needs, and the request that says so. */
static int prepare(char *const *words, size_t n, GpgCommand *ret_command,
                   uint8_t ret_request[static GPG_REQUEST_SIZE]) {
        char complaint[GPG_COMPLAINT_MAX];
        Outgoing outgoing = {};
        size_t n_options;
        int r;

        if (gpg_command_parse(GPG_ROLE_CLIENT, words, n, ret_command, complaint)) {
                log_error("%s", complaint);
                return CLIENT_E_REFUSED;
        }
        n_options = ret_command->takes_users ? n : ret_command->n_options;
        r = n_options > GPG_REQUEST_ARGUMENTS_MAX ? CLIENT_E_REFUSED : 0;
        for (; !r && outgoing.n < n_options; ++outgoing.n)
                outgoing.words[outgoing.n] = words[outgoing.n];
        /* Before any file is opened: its descriptor may have the number that was not open. */
        r = r ?: check_outputs(&ret_command->output);
        if (!r && ret_command->has_signature)
                r = open_signature(ret_command, words[n_options], &outgoing);
        if (!r && gpg_command_n_files(ret_command, n) > 0)
                r = open_data(words[n - 1], &outgoing);
        if (r)
                return r;
        if (gpg_request_encode(outgoing.words, outgoing.n, ret_request)) {
                log_error("command line too long: the arguments may have %d bytes, each with one more behind it",
                          GPG_REQUEST_COMMAND_SIZE - 1);
                return CLIENT_E_REFUSED;
        }
        return 0;
}

/*
 * The call
 */

typedef struct Call {
        int in_fd, out_fd;
        pid_t pid;
} Call;

/* In the child. */
static void become_call(const char *domain, int in_fd, int out_fd) {
        const char *path = getenv("QREXEC_CLIENT_PATH") ?: QAIR_LIBEXECDIR "/qrexec-client-vm";

        (void)signal(SIGPIPE, SIG_DFL);
        if (dup2(in_fd, STDIN_FILENO) < 0 || dup2(out_fd, STDOUT_FILENO) < 0)
                return;
        (void)execl(path, "qrexec-client-vm", domain, "qubes.Gpg", NULL);
        log_error("cannot execute %s: %s", ESCAPED(path, strlen(path)), strerror(errno));
}

static int start_call(const char *domain, Call *ret_call) {
        int to_call[2] = { -1, -1 }, from_call[2] = { -1, -1 };
        pid_t pid;

        if (pipe2(to_call, O_CLOEXEC) < 0 || pipe2(from_call, O_CLOEXEC) < 0)
                return error_origin(-errno);
        pid = fork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0) {
                become_call(domain, to_call[0], from_call[1]);
                _exit(GPG_CLIENT_FAILED);
        }
        fd_close(to_call[0]);
        fd_close(from_call[1]);
        *ret_call = (Call){ .in_fd = from_call[0], .out_fd = to_call[1], .pid = pid };
        return 0;
}

/* The stream is ours alone, so we may make it nonblocking. */
static int carry(const Call *call, const GpgCommand *command, const uint8_t request[static GPG_REQUEST_SIZE],
                 uint8_t *ret_status) {
        _cleanup_(gpg_mux_freep) GpgMux *mux = NULL;
        int r;

        /* In one piece (6.2): an empty pipe takes it. Who hangs up before has said why, or says it soon. */
        if (fd_write_full(call->out_fd, request, GPG_REQUEST_SIZE) < 0)
                return GPG_MUX_E_HANGUP;
        r = fd_set_nonblocking(call->in_fd, true);
        r = r ?: fd_set_nonblocking(call->out_fd, true);
        if (r)
                return error_origin(r);
        r = gpg_mux_new(call->in_fd, call->out_fd, &command->input, &command->output, &mux);
        return r ?: gpg_mux_run_client(mux, ret_status);
}

int gpg_client_run(char *const *words, int n) {
        uint8_t request[GPG_REQUEST_SIZE], status = GPG_CLIENT_FAILED;
        GpgCommand command;
        const char *domain;
        Call call = { .in_fd = -1, .out_fd = -1 };
        int r;

        (void)signal(SIGPIPE, SIG_IGN);
        domain = gpg_domain_from_environment();
        if (!domain) {
                log_error("QUBES_GPG_DOMAIN is not set: it names the domain that has the keys, or is @default where "
                          "the policy says which");
                return GPG_CLIENT_FAILED;
        }
        r = prepare(words, (size_t)n, &command, request);
        r = r ?: start_call(domain, &call);
        if (r)
                return GPG_CLIENT_FAILED;
        r = carry(&call, &command, request, &status);
        fd_close(call.out_fd);
        fd_close(call.in_fd);
        switch (r) {
        case 0:
                return status;
        case GPG_MUX_E_PROTOCOL:
        case GPG_MUX_E_TRUNCATED:
                log_error("the other side does not speak the protocol of qubes.Gpg");
                return GPG_CLIENT_FAILED;
        case GPG_MUX_E_SOURCE:
                log_error("the input cannot be read to its end: nothing was made of a part of it");
                return GPG_CLIENT_FAILED;
        default:
                /* Whoever carries the call says why it was not to be. */
                (void)waitpid(call.pid, NULL, 0);
                return GPG_CLIENT_FAILED;
        }
}
