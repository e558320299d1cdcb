/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/name.h"
#include "base/process.h"
#include "tools/command.h"

/* Far more than the broker ever answers. */
#define ASK_ANSWER_MAX (1024 * 1024)
/* A service that nobody has, and the status that says so: an agent that tells us so is well. */
#define ASK_NO_SERVICE        "qair.Ping"
#define ASK_STATUS_NO_SERVICE 127

extern char **environ;

/* The client, with its standard output in our pipe; what it complains about goes to our standard error. */
static int ask_start(const char *target, const char *service, bool is_quiet, pid_t *ret_pid, int *ret_fd) {
        const Paths *paths = command_paths();
        const char *const host_argv[] = { "qrexec-client-vm", "--", target, service, NULL };
        const char *const user_argv[] = {
                "qrexec-client-vm", "--agent-socket", paths->admin_socket, "--", target, service, NULL
        };
        const char *const *argv = paths->is_user ? user_argv : host_argv;
        _cleanup_fd_ int read_fd = -1, write_fd = -1;
        posix_spawn_file_actions_t actions;
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        read_fd = fds[0];
        write_fd = fds[1];
        r = posix_spawn_file_actions_init(&actions);
        if (r)
                return error_origin(-r);
        r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        r = r ?: posix_spawn_file_actions_adddup2(&actions, write_fd, STDOUT_FILENO);
        if (!r && is_quiet)
                r = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        r = r ?: posix_spawn(ret_pid, QAIR_CLIENT, &actions, NULL, (char *const *)argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r) {
                command_complain("cannot run %s: %s", QAIR_CLIENT, strerror(r));
                return ASK_E_REFUSED;
        }
        *ret_fd = fd_steal(&read_fd);
        return 0;
}

/* What it says to its end, and its exit status; @fd is closed. Return: 0 or a negative error */
static int ask_finish(pid_t pid, int fd, char **ret_text, int *ret_status) {
        size_t n;
        int r = fd_read_all(fd, ASK_ANSWER_MAX, ret_text, &n), status;

        (void)fd_close(fd);
        status = process_wait(pid);
        if (status < 0)
                return error_origin(status);
        *ret_status = status;
        return r == FD_E_TOO_LONG ? error_origin(-EFBIG) : error_origin(r);
}

int ask(const char *service, struct json_object **ret_answer, int *ret_status) {
        _cleanup_free_ char *text = NULL;
        _cleanup_fd_ int fd = -1;
        _cleanup_json_ answer = NULL;
        int status, r;
        pid_t pid;

        r = ask_start(DOM0_NAME, service, false, &pid, &fd);
        r = r ?: ask_finish(pid, fd_steal(&fd), &text, &status);
        if (r)
                return r;
        answer = json_tokener_parse(text);
        if (!json_object_is_type(answer, json_type_object)) {
                if (text[0] != '\0' || status == 0 || status > 128)
                        command_complain("the broker's answer makes no sense");
                return ASK_E_REFUSED; /* else the client has said what there is to say */
        }
        if (ask_text(answer, "error")[0] != '\0') {
                command_complain("%s: %s", service, ask_text(answer, "error"));
                return ASK_E_REFUSED;
        }
        *ret_status = status;
        *ret_answer = steal_ptr(&answer);
        return 0;
}

int ask_all(const char *service, const char *list, const char *last, struct json_object **ret_answer) {
        _cleanup_json_ answer = NULL;
        struct json_object *entries;
        int status, r;

        r = ask(service, &answer, &status);
        if (r)
                return r;
        if (!json_object_object_get_ex(answer, list, &entries) || !json_object_is_type(entries, json_type_array))
                return error_origin(-EBADMSG);
        for (bool more = ask_flag(answer, "more"); more;) {
                size_t n = json_object_array_length(entries);
                _cleanup_json_ page = NULL;
                struct json_object *page_entries;
                char next[128];

                if (n == 0)
                        return error_origin(-EBADMSG);
                snprintf(next, sizeof(next), "%s+%s", service,
                         ask_text(json_object_array_get_idx(entries, n - 1), last));
                r = ask(next, &page, &status);
                if (r)
                        return r;
                if (!json_object_object_get_ex(page, list, &page_entries))
                        return error_origin(-EBADMSG);
                for (size_t i = 0; i < json_object_array_length(page_entries); ++i)
                        if (json_object_array_add(entries,
                                                  json_object_get(json_object_array_get_idx(page_entries, i))) < 0)
                                return error_origin(-ENOMEM);
                more = ask_flag(page, "more") && json_object_array_length(page_entries) > 0;
        }
        json_object_object_del(answer, "more");
        *ret_answer = steal_ptr(&answer);
        return 0;
}

int ask_each(const char *service, char **arguments, int n_arguments, bool json,
             int (*tell)(const char *argument, struct json_object *answer, int status)) {
        int result = COMMAND_STATUS_DONE;

        for (int i = 0; i < n_arguments; ++i) {
                _cleanup_json_ answer = NULL;
                char asked[64];
                int status, r;

                snprintf(asked, sizeof(asked), "%s+%s", service, arguments[i]);
                r = ask(asked, &answer, &status);
                if (r > 0)
                        r = COMMAND_STATUS_FAILED;
                else if (!r && json)
                        r = ask_print_json(answer) ?: status == 0 ? COMMAND_STATUS_DONE : COMMAND_STATUS_FAILED;
                else if (!r)
                        r = tell(arguments[i], answer, status);
                if (r < 0)
                        return error_trace(r);
                result = result ?: r;
        }
        return result;
}

/* Wait for the first byte, or the end; a client that takes too long is ended. */
static void ask_limit(pid_t pid, int fd, int limit_msec) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

        if (poll(&poll_fd, 1, limit_msec) <= 0)
                (void)kill(pid, SIGKILL);
}

int ask_agent(const char *domain, bool *ret_answers) {
        _cleanup_fd_ int fd = -1;
        int status, r;
        pid_t pid;

        r = ask_start(domain, ASK_NO_SERVICE, true, &pid, &fd);
        if (r)
                return r;
        ask_limit(pid, fd, ASK_QUIETLY_MSEC);
        status = process_wait(pid);
        if (status < 0)
                return error_origin(status);
        *ret_answers = status == ASK_STATUS_NO_SERVICE;
        return 0;
}

int ask_quietly(const char *service, int limit_msec, struct json_object **ret_answer) {
        _cleanup_free_ char *text = NULL;
        _cleanup_fd_ int fd = -1;
        struct json_object *answer;
        int status, r;
        pid_t pid;

        r = ask_start(DOM0_NAME, service, true, &pid, &fd);
        if (r)
                return r;
        /* An answer comes in one piece: once it has begun, its end is not far. */
        ask_limit(pid, fd, limit_msec);
        r = ask_finish(pid, fd_steal(&fd), &text, &status);
        if (r)
                return r;
        answer = json_tokener_parse(text);
        if (!json_object_is_type(answer, json_type_object)) {
                json_object_put(answer);
                return ASK_E_REFUSED;
        }
        *ret_answer = answer;
        return 0;
}

const char *ask_text(struct json_object *object, const char *key) {
        struct json_object *value;

        return json_object_object_get_ex(object, key, &value) && value ? json_object_get_string(value) : "";
}

uint64_t ask_number(struct json_object *object, const char *key) {
        struct json_object *value;

        return json_object_object_get_ex(object, key, &value) ? json_object_get_uint64(value) : 0;
}

bool ask_flag(struct json_object *object, const char *key) {
        struct json_object *value;

        return json_object_object_get_ex(object, key, &value) && json_object_get_boolean(value);
}

int ask_print_json(struct json_object *object) {
        const char *text =
                json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

        if (!text)
                return error_origin(-ENOMEM);
        puts(text);
        return 0;
}

const char *ask_duration(uint64_t usec, char buffer[static 32]) {
        double sec = (double)usec / USEC_PER_SEC;

        if (usec < 1000)
                snprintf(buffer, 32, "%u us", (unsigned)usec);
        else if (usec < USEC_PER_SEC)
                snprintf(buffer, 32, "%.1f ms", sec * 1000);
        else if (sec < 120)
                snprintf(buffer, 32, "%.1f s", sec);
        else if (sec < 7200)
                snprintf(buffer, 32, "%.0f min", sec / 60);
        else if (sec < 172800)
                snprintf(buffer, 32, "%.1f h", sec / 3600);
        else
                snprintf(buffer, 32, "%.1f d", sec / 86400);
        return buffer;
}
