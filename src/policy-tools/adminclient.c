/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/adminclient.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

extern char **environ;

/** Read at a time. */
#define CHUNK 65536

/** One call on its way: a process, and our ends of its three streams. */
typedef struct AdminCall {
        pid_t pid;
        int in_fd, out_fd, err_fd; /* -1: closed */
        PolicySlice payload;       /* what is still to be written */
        char *out, *err;
        size_t n_out, n_err;
} AdminCall;

static void admin_call_deinit(AdminCall *call) {
        fd_close(call->in_fd);
        fd_close(call->out_fd);
        fd_close(call->err_fd);
        free(call->out);
        free(call->err);
}

bool policy_admin_client_is_host(const char *run_dir) {
        char dom0[PATH_MAX], socket[PATH_MAX];

        snprintf(dom0, sizeof(dom0), "%s/dom0", run_dir);
        snprintf(socket, sizeof(socket), "%s/qrexec-agent", run_dir);
        /* A domain's root sees its own run directory there, which has a socket to call through and nothing of dom0. */
        return geteuid() == 0 && (access(dom0, F_OK) == 0 || access(socket, F_OK) < 0);
}

/* Variables of @environ but for those that the service is told by, and these two. NULL: no memory */
static char **admin_call_environment(char *name, char *caller) {
        size_t n = 0, k = 0;
        char **result;

        while (environ[n])
                ++n;
        result = calloc(n + 3, sizeof(*result));
        if (!result)
                return NULL;
        for (size_t i = 0; i < n; ++i)
                if (strncmp(environ[i], "QREXEC_", strlen("QREXEC_")) != 0)
                        result[k++] = environ[i];
        result[k++] = name;
        result[k] = caller;
        return result;
}

static int admin_call_spawn(AdminCall *call, const PolicyAdminClient *client, const char *full_name, const int fds[3]) {
        const char *const remote[] = { client->client, "--", "dom0", full_name, NULL };
        const char *const local[] = { client->program, NULL };
        const char *const *argv = client->is_host ? local : remote;
        char caller[] = "QREXEC_REMOTE_DOMAIN=dom0";
        _cleanup_free_ char *name = NULL, **environment = NULL;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t defaults;
        int r;

        if (asprintf(&name, "QREXEC_SERVICE_FULL_NAME=%s", full_name) < 0) {
                name = NULL;
                return error_origin(-ENOMEM);
        }
        environment = admin_call_environment(name, caller);
        if (!environment)
                return error_origin(-ENOMEM);
        r = posix_spawn_file_actions_init(&actions);
        if (r)
                return error_origin(-r);
        r = posix_spawnattr_init(&attributes);
        if (r) {
                posix_spawn_file_actions_destroy(&actions);
                return error_origin(-r);
        }
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        r = posix_spawnattr_setsigdefault(&attributes, &defaults);
        r = r ?: posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        for (int i = 0; i < 3 && r == 0; ++i)
                r = posix_spawn_file_actions_adddup2(&actions, fds[i], i);
        r = r
                    ?: posix_spawn(&call->pid, argv[0], &actions, &attributes, (char *const *)argv,
                                   client->is_host ? environment : environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        if (r == 0)
                return 0;
        if (asprintf(&call->err, "%s: %s\n", argv[0], strerror(r)) < 0) {
                call->err = NULL;
                return error_origin(-ENOMEM);
        }
        return POLICY_ADMIN_E_INTERNAL;
}

static int admin_call_start(AdminCall *call, const PolicyAdminClient *client, const char *full_name) {
        int fds[3] = { -1, -1, -1 }, *ours[] = { &call->in_fd, &call->out_fd, &call->err_fd }, r = 0;

        for (size_t i = 0; i < 3 && r == 0; ++i) {
                int ends[2];

                if (pipe2(ends, O_CLOEXEC) < 0) {
                        r = error_origin(-errno);
                        break;
                }
                fds[i] = ends[i > 0];
                *ours[i] = ends[i == 0];
                if (fd_set_nonblocking(*ours[i], true) < 0)
                        r = error_origin(-EBADF);
        }
        r = r ?: admin_call_spawn(call, client, full_name, fds);
        for (size_t i = 0; i < 3; ++i)
                fd_close(fds[i]);
        return r;
}

/* A service that does not read its input any more is not at fault for that: what it says is what counts. */
static void admin_call_write(AdminCall *call) {
        ssize_t n = call->payload.n > 0 ? write(call->in_fd, call->payload.text, call->payload.n) : 0;

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n > 0)
                call->payload = policy_slice_skip(call->payload, (size_t)n);
        if (n < 0 || call->payload.n == 0)
                call->in_fd = fd_close(call->in_fd);
}

/* Return: 0, POLICY_ADMIN_E_INTERNAL if there is too much, or a negative error */
static int admin_call_read(int *fd, size_t n_max, char **data, size_t *n) {
        char *larger = realloc(*data, *n + CHUNK + 1);
        ssize_t got;

        if (!larger)
                return error_origin(-ENOMEM);
        *data = larger;
        got = read(*fd, larger + *n, CHUNK);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
                got = 0;
        else if (got <= 0)
                *fd = fd_close(*fd);
        *n += got > 0 ? (size_t)got : 0;
        larger[*n] = '\0';
        return *n > n_max ? POLICY_ADMIN_E_INTERNAL : 0;
}

static int admin_call_run(AdminCall *call) {
        int r = 0;

        while (r == 0 && (call->out_fd >= 0 || call->err_fd >= 0)) {
                struct pollfd polled[] = { { .fd = call->in_fd, .events = POLLOUT },
                                           { .fd = call->out_fd, .events = POLLIN },
                                           { .fd = call->err_fd, .events = POLLIN } };

                if (poll(polled, ARRAY_SIZE(polled), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return error_origin(-errno);
                }
                if (polled[0].revents)
                        admin_call_write(call);
                if (polled[1].revents)
                        r = admin_call_read(&call->out_fd, POLICY_ADMIN_PAYLOAD_MAX, &call->out, &call->n_out);
                if (polled[2].revents && r == 0)
                        r = admin_call_read(&call->err_fd, POLICY_ADMIN_COMPLAINT_MAX, &call->err, &call->n_err);
        }
        return r;
}

static int admin_call_wait(AdminCall *call, int *ret_status) {
        int status;

        call->in_fd = fd_close(call->in_fd);
        call->out_fd = fd_close(call->out_fd);
        call->err_fd = fd_close(call->err_fd);
        while (waitpid(call->pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_origin(-errno);
        *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
        return 0;
}

/* `CLASS MESSAGE`, or anything else. */
static int admin_call_refused(AdminCall *call, PolicyAdminReply *reply) {
        size_t n = strcspn(call->err ?: "", " ");

        reply->error_class = policy_admin_class((PolicySlice){ call->err ?: "", n });
        reply->message = strdup(reply->error_class ? call->err + n + (call->err[n] == ' ') : call->err ?: "");
        if (!reply->message)
                return error_origin(-ENOMEM);
        return reply->error_class ? POLICY_ADMIN_E_REFUSED : POLICY_ADMIN_E_INTERNAL;
}

int policy_admin_call(const PolicyAdminClient *client, const char *service, const char *argument, PolicySlice payload,
                      PolicyAdminReply *ret_reply) {
        _cleanup_(admin_call_deinit) AdminCall call = { .in_fd = -1, .out_fd = -1, .err_fd = -1, .payload = payload };
        _cleanup_free_ char *full_name = NULL;
        PolicyAdminReply reply = {};
        int status = 255, r, failed;

        if (asprintf(&full_name, "%s%s%s", service, argument[0] != '\0' ? "+" : "", argument) < 0) {
                full_name = NULL;
                return error_origin(-ENOMEM);
        }
        r = admin_call_start(&call, client, full_name);
        if (r == 0) {
                r = admin_call_run(&call);
                failed = admin_call_wait(&call, &status);
                r = r < 0 || failed == 0 ? r : failed;
        }
        if (r == 0 && status == 0) {
                reply.output = steal_ptr(&call.out);
                reply.n_output = call.n_out;
                *ret_reply = reply;
                return 0;
        }
        if (r >= 0) {
                r = admin_call_refused(&call, &reply);
                reply.output = steal_ptr(&call.out);
                reply.n_output = call.n_out;
        }
        if (r < 0)
                policy_admin_reply_deinit(&reply);
        else
                *ret_reply = reply;
        return r;
}
