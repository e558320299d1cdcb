/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int paths_directory(uid_t uid, char ret_path[static PATHS_MAX]) {
        const char *runtime = uid == geteuid() ? getenv("XDG_RUNTIME_DIR") : NULL;
        int n;

        if (runtime && runtime[0] == '/')
                n = snprintf(ret_path, PATHS_MAX, "%s/qubes", runtime);
        else
                n = snprintf(ret_path, PATHS_MAX, "/run/user/%u/qubes", (unsigned)uid);
        return n > 0 && n < PATHS_MAX ? 0 : PATHS_E_LENGTH;
}

int paths_beside(const char *path, const char *name, char ret_path[static PATHS_MAX]) {
        const char *slash = strrchr(path, '/');
        int n = snprintf(ret_path, PATHS_MAX, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name);

        return n > 0 && n < PATHS_MAX ? 0 : PATHS_E_LENGTH;
}
