/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/execute.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/error.h"
#include "policy-tools/qubesd.h"

#define DISPOSABLE_PREFIX "@dispvm:"

/** Qubesd answers with a name or `uuid:` and a UUID. */
#define NAME_SIZE_MAX 128

/** An answer, one line of it. */
#define VALUE_SIZE_MAX POLICY_RESPONSE_MAX

extern char **environ;

void policy_execution_command_deinit(PolicyExecutionCommand *command) {
        for (size_t i = 0; i < POLICY_EXECUTION_WORDS_MAX; ++i)
                free(command->words[i]);
        *command = (PolicyExecutionCommand){};
}

static int execution_fail(Diagnostics *reterr, const char *text) {
        int r = diagnostics_add(reterr, "", 0, 0, "%s", text);

        return r < 0 ? error_trace(r) : POLICY_EXECUTION_E_FAILED;
}

/* The value of the line `KEY=VALUE`. Return: is there one? */
static bool answer_find(const char *answer, const char *key, char ret_value[static VALUE_SIZE_MAX]) {
        size_t n_key = strlen(key);

        for (const char *line = answer; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
                if (strncmp(line, key, n_key) == 0 && line[n_key] == '=') {
                        snprintf(ret_value, VALUE_SIZE_MAX, "%.*s", (int)strcspn(line + n_key + 1, "\n"),
                                 line + n_key + 1);
                        return true;
                }
        return false;
}

/* Return: is it there, and this? */
static bool answer_says(const char *answer, const char *key, const char *value) {
        char found[VALUE_SIZE_MAX];

        return answer_find(answer, key, found) && strcmp(found, value) == 0;
}

/* Copies of the words. Return: 0 or a negative error */
static int command_make(const char *const *words, PolicyExecutionCommand *ret_command) {
        _cleanup_(policy_execution_command_deinit) PolicyExecutionCommand command = {};

        for (size_t i = 0; words[i]; ++i) {
                command.words[i] = strdup(words[i]);
                if (!command.words[i])
                        return error_origin(-ENOMEM);
        }
        *ret_command = command;
        command = (PolicyExecutionCommand){};
        return 0;
}

static int prepare_dom0(const PolicyExecution *execution, const char *caller, PolicyExecutionCommand *ret_command) {
        bool is_keyword = execution->target[0] == '@';
        _cleanup_free_ char *line = NULL;

        if (asprintf(&line, "QUBESRPC %s %s %s %s", execution->service, execution->source,
                     is_keyword ? "keyword" : "name", execution->target + is_keyword) < 0) {
                line = NULL;
                return error_origin(-ENOMEM);
        }
        return command_make((const char *const[]){ execution->client, "-Ed", "dom0", "-c", caller, "--", line, NULL },
                            ret_command);
}

/* A new disposable of @base, which is `uuid:…`. */
static int make_disposable(const PolicyExecution *execution, const char *base, Diagnostics *reterr,
                           char ret_name[static NAME_SIZE_MAX]) {
        _cleanup_free_ char *reply = NULL;
        size_t n;
        int r;

        r = qubesd_call(execution->qubesd, "cannot make a disposable", "admin.vm.CreateDisposable", base, "uuid",
                        NAME_SIZE_MAX - 1, reterr, &reply, &n);
        if (r)
                return r < 0 ? error_trace(r) : POLICY_EXECUTION_E_FAILED;
        if (n == 0 || strlen(reply) != n)
                return execution_fail(reterr, "qubesd has not said which disposable it has made");
        memcpy(ret_name, reply, n + 1);
        return 0;
}

static int prepare_domain(const PolicyExecution *execution, const char *answer, const char *caller, Diagnostics *reterr,
                          PolicyExecutionCommand *ret_command) {
        char uuid[VALUE_SIZE_MAX], user[VALUE_SIZE_MAX] = "DEFAULT", name[NAME_SIZE_MAX];
        _cleanup_free_ char *line = NULL, *reply = NULL;
        bool is_disposable;
        size_t n;
        int r;

        (void)answer_find(answer, "user", user);
        if (!answer_find(answer, "target_uuid", uuid))
                return execution_fail(reterr, "the answer has no target_uuid");
        is_disposable = strncmp(uuid, DISPOSABLE_PREFIX, strlen(DISPOSABLE_PREFIX)) == 0;
        if (is_disposable) {
                r = make_disposable(execution, uuid + strlen(DISPOSABLE_PREFIX), reterr, name);
                if (r)
                        return r;
        } else if ((size_t)snprintf(name, sizeof(name), "%s", uuid) >= sizeof(name)) {
                return execution_fail(reterr, "target_uuid is too long");
        }
        r = qubesd_call(execution->qubesd, "cannot start the target", "admin.vm.Start", name, "", NAME_SIZE_MAX, reterr,
                        &reply, &n);
        if (r)
                return r < 0 ? error_trace(r) : POLICY_EXECUTION_E_FAILED;
        if (asprintf(&line, "%s:QUBESRPC %s %s", user, execution->service, execution->source) < 0) {
                line = NULL;
                return error_origin(-ENOMEM);
        }
        return command_make((const char *const[]){ execution->client, is_disposable ? "-EWkd" : "-Ed", name, "-c",
                                                   caller, "--", line, NULL },
                            ret_command);
}

int policy_execution_prepare(const PolicyExecution *execution, const char *answer, Diagnostics *reterr,
                             PolicyExecutionCommand *ret_command) {
        char value[VALUE_SIZE_MAX];
        _cleanup_free_ char *caller = NULL;

        if (answer_find(answer, "service", value))
                return execution_fail(reterr, "the target is on another host, which only the broker can call");
        if (answer_find(answer, "policy_source", value))
                return execution_fail(reterr, "the call is relayed, which only the broker can tell the target");
        if (answer_says(answer, "autostart", "False"))
                return execution_fail(reterr, "the rule says autostart=no, and this starts the target");
        if (asprintf(&caller, "%s,%s,%s", execution->ident, execution->source, execution->id) < 0) {
                caller = NULL;
                return error_origin(-ENOMEM);
        }
        if (answer_says(answer, "target", "dom0"))
                return prepare_dom0(execution, caller, ret_command);
        return prepare_domain(execution, answer, caller, reterr, ret_command);
}

int policy_execution_run(const PolicyExecutionCommand *command) {
        posix_spawnattr_t attributes;
        sigset_t defaults;
        int status, r;
        pid_t pid;

        r = posix_spawnattr_init(&attributes);
        if (r != 0)
                return error_origin(-r);
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE); /* which programs of ours ignore */
        r = posix_spawnattr_setsigdefault(&attributes, &defaults);
        r = r ?: posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
        r = r ?: posix_spawn(&pid, command->words[0], NULL, &attributes, command->words, environ);
        posix_spawnattr_destroy(&attributes);
        if (r != 0)
                return error_origin(-r);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_origin(-errno);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}
