/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/environment.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

/** Variables that we may add: those of 6.8, and QREXEC_AGENT_PID. */
#define ENVIRONMENT_ADDED_MAX 6

char **environment_free(char **environment) {
        if (environment)
                for (char **variable = environment; *variable; ++variable)
                        free(*variable);
        free(environment);
        return NULL;
}
DEFINE_CLEANUP(char **, environment_free)

static bool environment_is_kept(const char *variable) {
        return strncmp(variable, "QREXEC", strlen("QREXEC")) != 0 ||
               strncmp(variable, "QREXEC_SERVICE_PATH=", strlen("QREXEC_SERVICE_PATH=")) == 0;
}

_printf_(3, 4) static int environment_add(char **environment, size_t *n, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&environment[*n], format, arguments);
        va_end(arguments);
        if (r < 0) {
                environment[*n] = NULL;
                return error_origin(-ENOMEM);
        }
        ++*n;
        return 0;
}

static bool environment_part_is(const CommandPart *part, const char *text) {
        return part->n == strlen(text) && memcmp(part->text, text, part->n) == 0;
}

static int environment_add_part(char **environment, size_t *n, const char *name, const CommandPart *value) {
        return environment_add(environment, n, "%s=%.*s", name, (int)value->n, value->text ?: "");
}

static int environment_add_call(char **environment, size_t *n, const Command *command) {
        int r;

        r = environment_add_part(environment, n, "QREXEC_SERVICE_FULL_NAME", &command->descriptor);
        if (!r)
                r = environment_add_part(environment, n, "QREXEC_REMOTE_DOMAIN", &command->source);
        if (!r)
                r = environment_add_part(environment, n, "QREXEC_REQUESTED_TARGET_TYPE", &command->type);
        if (!r && environment_part_is(&command->type, "name"))
                r = environment_add_part(environment, n, "QREXEC_REQUESTED_TARGET", &command->requested);
        if (!r && environment_part_is(&command->type, "keyword"))
                r = environment_add_part(environment, n, "QREXEC_REQUESTED_TARGET_KEYWORD", &command->requested);
        if (!r && command->has_argument)
                r = environment_add_part(environment, n, "QREXEC_SERVICE_ARGUMENT", &command->argument);
        return r;
}

int environment_new(char *const *base, const Command *command, pid_t agent_pid, char ***ret_environment) {
        _cleanup_(environment_freep) char **environment = NULL;
        size_t n_base = 0, n = 0;
        int r;

        while (base[n_base])
                ++n_base;
        environment = calloc(n_base + ENVIRONMENT_ADDED_MAX + 1, sizeof(*environment));
        if (!environment)
                return error_origin(-ENOMEM);

        for (size_t i = 0; i < n_base; ++i) {
                if (!environment_is_kept(base[i]))
                        continue;
                environment[n] = strdup(base[i]);
                if (!environment[n])
                        return error_origin(-ENOMEM);
                ++n;
        }
        if (agent_pid > 0) {
                r = environment_add(environment, &n, "QREXEC_AGENT_PID=%d", (int)agent_pid);
                if (r)
                        return r;
        }
        if (command->is_service) {
                r = environment_add_call(environment, &n, command);
                if (r)
                        return r;
        }
        *ret_environment = steal_ptr(&environment);
        return 0;
}
