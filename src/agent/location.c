/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/location.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *location_expand(const char *folder, const char *pattern, const char *account) {
        const char *mark = strstr(pattern, "%s");
        char *path;
        int r;

        if (mark)
                r = asprintf(&path, "%s%.*s%s%s", folder, (int)(mark - pattern), pattern, account, mark + strlen("%s"));
        else
                r = asprintf(&path, "%s%s", folder, pattern);
        return r < 0 ? NULL : path;
}

char *location_fork_server(const char *pattern, const char *account) {
        const char *runtime = getenv("XDG_RUNTIME_DIR");

        if (*account == '\0' || strchr(account, '/'))
                return NULL;
        if (pattern)
                return location_expand("", pattern, account);
        return location_expand(runtime && *runtime ? runtime : "/run", "/" LOCATION_FORK_SERVER, account);
}
