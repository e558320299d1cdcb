/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYSTEM_RUN "/run/split-ssh"

/* An absolute path, short enough for what is added to it. */
static const char *folder_of(const char *variable) {
        const char *value = getenv(variable);

        return value && value[0] == '/' ? value : NULL;
}

const char *ssh_place_run(char buffer[static PATH_MAX]) {
        const char *runtime = folder_of("XDG_RUNTIME_DIR");
        struct stat st;
        int n;

        if (!runtime || (lstat(SYSTEM_RUN, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid())) {
                (void)snprintf(buffer, PATH_MAX, "%s", SYSTEM_RUN);
                return buffer;
        }
        /* If they cannot be made, what is wanted in them is not there, and that is said then. */
        n = snprintf(buffer, PATH_MAX, "%s/qubes", runtime);
        if (n > 0 && n < PATH_MAX)
                (void)mkdir(buffer, 0700);
        n = snprintf(buffer, PATH_MAX, "%s/qubes/split-ssh", runtime);
        if (n > 0 && n < PATH_MAX)
                (void)mkdir(buffer, 0700);
        return buffer;
}

const char *ssh_place_config(char buffer[static PATH_MAX]) {
        const char *config = folder_of("XDG_CONFIG_HOME"), *home = folder_of("HOME");
        int n;

        if (!config && !home)
                return NULL;
        n = config ? snprintf(buffer, PATH_MAX, "%s/qubes/split-ssh", config)
                   : snprintf(buffer, PATH_MAX, "%s/.config/qubes/split-ssh", home);
        return n > 0 && n < PATH_MAX ? buffer : NULL;
}
