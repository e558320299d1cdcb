/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

static size_t environment_find(char *const *environment, const char *name) {
        size_t n_name = strlen(name), i = 0;

        for (; environment && environment[i]; ++i)
                if (strncmp(environment[i], name, n_name) == 0 && environment[i][n_name] == '=')
                        break;
        return i;
}

const char *environment_get(char *const *environment, const char *name) {
        size_t place = environment_find(environment, name);

        return environment && environment[place] ? environment[place] + strlen(name) + 1 : NULL;
}

int environment_set(char ***environment, const char *name, const char *value) {
        _cleanup_free_ char *setting = NULL;
        size_t place = environment_find(*environment, name);
        char **larger;

        if (asprintf(&setting, "%s=%s", name, value) < 0) {
                setting = NULL;
                return error_origin(-ENOMEM);
        }
        if (*environment && (*environment)[place]) {
                free((*environment)[place]);
                (*environment)[place] = steal_ptr(&setting);
                return 0;
        }
        larger = reallocarray(*environment, place + 2, sizeof(*larger));
        if (!larger)
                return error_origin(-ENOMEM);
        larger[place] = steal_ptr(&setting);
        larger[place + 1] = NULL;
        *environment = larger;
        return 0;
}

int environment_copy(char *const *from, char ***ret_environment) {
        size_t n = 0;
        char **copy;

        while (from[n])
                ++n;
        copy = calloc(n + 1, sizeof(*copy));
        if (!copy)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n; ++i) {
                copy[i] = strdup(from[i]);
                if (!copy[i]) {
                        environment_free(copy);
                        return error_origin(-ENOMEM);
                }
        }
        *ret_environment = copy;
        return 0;
}

void environment_free(char **environment) {
        for (size_t i = 0; environment && environment[i]; ++i)
                free(environment[i]);
        free(environment);
}
