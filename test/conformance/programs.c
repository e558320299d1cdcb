/* SPDX-License-Identifier: Apache-2.0 */
/* The checker on a text, and the programs that are installed. */
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"
#include "parts.h"
#include "policy-tools/check.h"

/* A.5: the checker on one file, which it is given the name of. */
bool case_run_lint(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        struct json_object *arguments = member(object, "args"), *content = member(object, "text");
        PolicyCheckOptions options = { .directories = (const char *const[]){ "/nonexistent", NULL } };
        _cleanup_free_ char *got = NULL, *warnings = NULL;
        size_t n_got = 0, n_warnings = 0, n_errors = 0;
        FILE *stream = open_memstream(&got, &n_got), *warning_stream = open_memstream(&warnings, &n_warnings);

        for (size_t i = 0; i < json_object_array_length(arguments); ++i) {
                const char *argument = json_object_get_string(json_object_array_get_idx(arguments, i));

                if (strcmp(argument, "-s") == 0)
                        options.shows_line = true;
                else if (strcmp(argument, "-i") == 0)
                        options.is_old = true;
                else
                        case_fail(&c, "unknown argument %s", argument);
        }
        if (!stream || !warning_stream ||
            policy_check(stream, warning_stream, &options, "{file}",
                         (PolicySlice){ json_object_get_string(content), (size_t)json_object_get_string_len(content) },
                         &n_errors) != 0)
                die("policy_check");
        fclose(stream);
        fclose(warning_stream);
        case_same(&c, "output", got, text(object, "stdout"));
        if (json_object_get_int(member(object, "status")) != (n_errors > 0))
                case_fail(&c, "%zu errors", n_errors);
        return c.n_failed == 0;
}

/*
 * Programs
 */

/** What a program said. */
typedef struct Output {
        int status;
        char *out, *err;
        size_t n_out;
} Output;

static void output_deinit(Output *output) {
        free(output->out);
        free(output->err);
}

static char *read_stream(FILE *file, size_t *ret_n) {
        char *data = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&data, &n);
        int c;

        rewind(file);
        while ((c = fgetc(file)) != EOF)
                fputc(c, stream);
        fclose(stream);
        fclose(file);
        *ret_n = n;
        return data;
}

/* Runs a program with a standard input; @environment may be NULL. */
static Output run_program(const char *const *arguments, const char *input, size_t n_input, char *const *environment) {
        FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
        Output output = {};
        size_t n_err;
        pid_t pid;

        if (!in || !out || !err || fwrite(input, 1, n_input, in) != n_input || fflush(in) != 0)
                die("tmpfile");
        rewind(in);
        pid = fork();
        if (pid < 0)
                die("fork");
        if (pid == 0) {
                lseek(fileno(in), 0, SEEK_SET);
                if (dup2(fileno(in), 0) >= 0 && dup2(fileno(out), 1) >= 0 && dup2(fileno(err), 2) >= 0)
                        execve(arguments[0], (char **)arguments, environment ? (char **)environment : environ);
                _exit(127);
        }
        if (waitpid(pid, &output.status, 0) != pid)
                die("waitpid");
        output.status = WIFEXITED(output.status) ? WEXITSTATUS(output.status) : -1;
        fclose(in);
        output.out = read_stream(out, &output.n_out);
        output.err = read_stream(err, &n_err);
        return output;
}

/* A.5: the graph tool. */
bool case_run_graph(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        struct json_object *extra = member(object, "args"), *lines = member(object, "stdout");
        const char *arguments[64] = { QAIR_TOOLS "/qrexec-policy-graph", "--policy-dir", c.etc, "--system-info" };
        char information[PATH_MAX + 16], want[8192] = "";
        _cleanup_(output_deinit) Output output = {};
        size_t n = 5;

        case_make_files(&c);
        case_write_information(&c, inventories, information);
        arguments[4] = information;
        for (size_t i = 0; i < json_object_array_length(extra); ++i)
                arguments[n++] = json_object_get_string(json_object_array_get_idx(extra, i));
        output = run_program(arguments, "", 0, NULL);
        for (size_t i = 0; lines && i < json_object_array_length(lines); ++i)
                snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s\n",
                         json_object_get_string(json_object_array_get_idx(lines, i)));
        case_same(&c, "output", output.out, want);
        if (output.status != json_object_get_int(member(object, "status")))
                case_fail(&c, "status %d: %s", output.status, output.err);
        case_remove_files(&c);
        return c.n_failed == 0;
}

/* A payload: a text, or an object with `hex`. The caller frees it. */
static char *admin_payload(struct json_object *payload, size_t *ret_n) {
        const char *hex = text(payload, "hex");
        char *data;

        if (!hex) {
                *ret_n = (size_t)json_object_get_string_len(payload);
                data = malloc(*ret_n + 1);
                if (!data)
                        die("malloc");
                return memcpy(data, json_object_get_string(payload), *ret_n);
        }
        *ret_n = strlen(hex) / 2;
        data = malloc(*ret_n + 1);
        if (!data)
                die("malloc");
        for (size_t i = 0; i < *ret_n; ++i)
                data[i] = (char)strtoul((char[]){ hex[2 * i], hex[2 * i + 1], '\0' }, NULL, 16);
        return data;
}

static void admin_call(Case *c, const char *log, struct json_object *call) {
        const char *const arguments[] = { QAIR_TOOLS "/qubes-policy-admin", NULL };
        const struct {
                const char *name, *value;
        } variables[] = {
                { "QREXEC_SERVICE_FULL_NAME", text(call, "service") },
                { "QREXEC_REMOTE_DOMAIN", "mgmt" },
                { "QREXEC_POLICY_DIR", c->etc },
                { "QREXEC_POLICY_LEGACY_DIR", c->legacy },
                { "QREXEC_POLICY_ADMIN_LOG", log },
        };
        char *environment[ARRAY_SIZE(variables) + 1] = {};
        size_t n_payload = 0;
        _cleanup_free_ char *payload = admin_payload(member(call, "payload"), &n_payload);
        _cleanup_free_ char *want_out = expand(c, text(call, "stdout")), *want_err = expand(c, text(call, "stderr"));
        const char *in_log = strstr(want_err, "{log}");
        _cleanup_free_ char *want_log = NULL;
        _cleanup_(output_deinit) Output output = {};

        for (size_t i = 0; i < ARRAY_SIZE(variables); ++i)
                if (asprintf(&environment[i], "%s=%s", variables[i].name, variables[i].value) < 0)
                        die("asprintf");
        output = run_program(arguments, payload, n_payload, environment);
        for (size_t i = 0; i < ARRAY_SIZE(variables); ++i)
                free(environment[i]);
        if (asprintf(&want_log, "%.*s%s%s", in_log ? (int)(in_log - want_err) : (int)strlen(want_err), want_err,
                     in_log ? log : "", in_log ? in_log + 5 : "") < 0)
                die("asprintf");
        case_same(c, text(call, "service"), output.out, want_out);
        case_same(c, text(call, "service"), output.err, want_log);
        if (output.status != json_object_get_int(member(call, "status")))
                case_fail(c, "%s: status %d", text(call, "service"), output.status);
}

/* `after`: path to content, or null if it must not exist. */
static void admin_check_file(Case *c, const char *name, struct json_object *want) {
        char path[PATH_MAX * 2];
        FILE *file;
        size_t n;

        snprintf(path, sizeof(path), "%s/%s", c->root, name);
        file = fopen(path, "re");
        if (!want && file) {
                case_fail(c, "%s exists", name);
                fclose(file);
        } else if (want && !file) {
                case_fail(c, "%s does not exist", name);
        } else if (want) {
                _cleanup_free_ char *data = read_stream(file, &n);

                case_same(c, name, data, json_object_get_string(want));
        }
}

/* A.3: the Admin API. The one case that records a defect of the reference has its remedy tested instead. */
bool case_run_admin(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        struct json_object *calls = member(object, "calls"), *after = member(object, "after");
        char log[PATH_MAX + 16];

        case_make_files(&c);
        snprintf(log, sizeof(log), "%s/log", c.root);
        if (member(object, "optional")) {
                const char *const arguments[] = { QAIR_TOOLS "/qubes-policy-admin", NULL };
                char *environment[] = { (char *)"QREXEC_SERVICE_FULL_NAME=policy.Replace+Foo", NULL, NULL };
                _cleanup_(output_deinit) Output output = {};

                if (asprintf(&environment[1], "QREXEC_POLICY_DIR=%s", c.etc) < 0)
                        die("asprintf");
                output = run_program(arguments, "any\n", 4, environment);
                free(environment[1]);
                if (output.status != 1 || strncmp(output.err, "PolicyAdminInvalidFileNameException ", 36) != 0)
                        case_fail(&c, "status %d: %s", output.status, output.err);
                admin_check_file(&c, "etc/Foo.policy", NULL);
        } else {
                for (size_t i = 0; i < json_object_array_length(calls); ++i)
                        admin_call(&c, log, json_object_array_get_idx(calls, i));
        }
        if (after) {
                json_object_object_foreach(after, name, want) admin_check_file(&c, name, want);
        }
        case_remove_files(&c);
        return c.n_failed == 0;
}

/*
 * The daemon
 */

/** A daemon with sockets of its own in the case's directory. */
typedef struct PolicyDaemon {
        pid_t pid;
        FILE *log;
        char paths[3][PATH_MAX + 16]; /* policy, simple, gui */
} PolicyDaemon;

static int daemon_connect(const char *path, int type, bool listens) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (fd < 0 || (listens ? bind(fd, (struct sockaddr *)&address, sizeof(address))
                               : connect(fd, (struct sockaddr *)&address, sizeof(address))) < 0)
                die(path);
        return fd;
}

/* Starts it, and waits until it says that it listens. */
static void daemon_start(PolicyDaemon *daemon, const Case *c, const char *information) {
        char notify[PATH_MAX + 16], variable[PATH_MAX + 64], word[16];
        char *environment[] = { variable, NULL };
        const char *const arguments[] = { QAIR_TOOLS "/qrexec-policy-daemon",
                                          "--policy-path",
                                          c->run,
                                          "--policy-path",
                                          c->etc,
                                          "--system-info",
                                          information,
                                          "--socket-path",
                                          daemon->paths[0],
                                          "--eval-socket-path",
                                          daemon->paths[1],
                                          "--gui-socket-path",
                                          daemon->paths[2],
                                          NULL };
        int fd;

        for (size_t i = 0; i < ARRAY_SIZE(daemon->paths); ++i)
                snprintf(daemon->paths[i], sizeof(daemon->paths[i]), "%s/socket%zu", c->root, i);
        snprintf(notify, sizeof(notify), "%s/notify", c->root);
        snprintf(variable, sizeof(variable), "NOTIFY_SOCKET=%s", notify);
        fd = daemon_connect(notify, SOCK_DGRAM, true);
        daemon->log = tmpfile();
        daemon->pid = daemon->log ? fork() : -1;
        if (daemon->pid < 0)
                die("fork");
        if (daemon->pid == 0) {
                if (dup2(fileno(daemon->log), 2) >= 0)
                        execve(arguments[0], (char **)arguments, environment);
                _exit(127);
        }
        if (recv(fd, word, sizeof(word), 0) < 7 || memcmp(word, "READY=1", 7) != 0)
                die("READY");
        close(fd);
}

/* Sends @input, and returns all that comes back; the caller frees it. */
static char *daemon_ask(const PolicyDaemon *daemon, const char *socket_name, struct json_object *input) {
        static const char *const names[] = { "policy", "simple", "gui" };
        size_t which = 0, n = (size_t)json_object_get_string_len(input), n_reply = 0;
        char *reply = NULL, buffer[512];
        FILE *stream = open_memstream(&reply, &n_reply);
        ssize_t l;
        int fd;

        while (which < ARRAY_SIZE(names) - 1 && strcmp(names[which], socket_name) != 0)
                ++which;
        fd = daemon_connect(daemon->paths[which], SOCK_STREAM, false);
        if (send(fd, json_object_get_string(input), n, MSG_NOSIGNAL) != (ssize_t)n || shutdown(fd, SHUT_WR) < 0)
                die("send");
        /* Who does not read all that came resets the connection when it closes: that is an end, too. */
        while ((l = read(fd, buffer, sizeof(buffer))) > 0)
                fwrite(buffer, 1, (size_t)l, stream);
        close(fd);
        fclose(stream);
        return reply;
}

/* Ends it; returns its log, which the caller frees. */
static char *daemon_stop(PolicyDaemon *daemon) {
        size_t n;
        int status;

        if (kill(daemon->pid, SIGTERM) < 0 || waitpid(daemon->pid, &status, 0) != daemon->pid)
                die("waitpid");
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                die("the daemon did not end well");
        return read_stream(daemon->log, &n);
}

/* A.4: conversations on the daemon's sockets. */
bool case_run_socket(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        const char *want = text(object, "reply"), *socket_name = text(object, "socket");
        struct json_object *lines = member(object, "log");
        char information[PATH_MAX + 16];
        _cleanup_free_ char *reply = NULL, *log = NULL;
        PolicyDaemon daemon = {};

        case_make_files(&c);
        case_write_information(&c, inventories, information);
        daemon_start(&daemon, &c, information);
        reply = daemon_ask(&daemon, socket_name, member(object, "input"));
        log = daemon_stop(&daemon);
        /* For the faults of 5.10 an orderly refusal is right as well. */
        if (want[0] != '\0' || lines || strcmp(socket_name, "policy") != 0 || strcmp(reply, "result=deny") != 0)
                case_same(&c, "reply", reply, want);
        for (size_t i = 0; lines && i < json_object_array_length(lines); ++i) {
                const char *line = json_object_get_string(json_object_array_get_idx(lines, i));
                const char *found = strstr(log, line);

                if (!found || (found != log && found[-1] != '\n') || found[strlen(line)] != '\n')
                        case_fail(&c, "the log lacks \"%s\": %s", line, log);
        }
        case_remove_files(&c);
        return c.n_failed == 0;
}
