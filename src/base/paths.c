/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/cleanup.h"

/* What comes behind the run directory at most: "/domains/", a name of 31, and "/qrexec-agent". */
#define PATHS_SOCKET_ROOM 56

typedef struct PathsBuilder {
        bool too_long;
} PathsBuilder;

static void paths_put(PathsBuilder *builder, char ret_path[static PATH_MAX], const char *format, ...) _printf_(3, 4);
static void paths_put(PathsBuilder *builder, char ret_path[static PATH_MAX], const char *format, ...) {
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(ret_path, PATH_MAX, format, arguments);
        va_end(arguments);
        if (n < 0 || n >= PATH_MAX)
                builder->too_long = true;
}

/* What is at the same place below the two. */
static void paths_put_common(PathsBuilder *builder, Paths *paths) {
        paths_put(builder, paths->domains_dir, "%s/domains.d", paths->config_dir);
        paths_put(builder, paths->policy_dir, "%s/policy.d", paths->config_dir);
        paths_put(builder, paths->policy_run_dir, "%s/policy.d", paths->run_dir);
        paths_put(builder, paths->ask_file, "%s/ask.conf", paths->config_dir);
        paths_put(builder, paths->admin_socket, "%s/dom0/qrexec-agent", paths->run_dir);
}

void paths_host(Paths *ret_paths) {
        PathsBuilder builder = {};

        *ret_paths = (Paths){
                .run_dir = "/run/qubes",
                .config_dir = QAIR_CONFDIR,
                .legacy_dir = QAIR_RPCDIR "/policy",
                .rpc_dir = QAIR_RPCDIR,
                .rpc_config = "/usr/local/etc/qubes/rpc-config:" QAIR_CONFDIR "/rpc-config",
                .audit_dir = "/var/log/qubes",
        };
        paths_put_common(&builder, ret_paths);
}

static const char *paths_absolute(const char *variable) {
        const char *value = getenv(variable);

        return value && value[0] == '/' ? value : NULL;
}

/* $VARIABLE/qubes, or $HOME/OTHERWISE/qubes */
static int paths_put_xdg(PathsBuilder *builder, char ret_path[static PATH_MAX], const char *variable,
                         const char *otherwise, const char *suffix) {
        const char *base = paths_absolute(variable), *home = paths_absolute("HOME");

        if (!base && !home)
                return PATHS_E_HOME;
        paths_put(builder, ret_path, "%s%s/qubes%s", base ?: home, base ? "" : otherwise, suffix);
        return 0;
}

int paths_user(Paths *ret_paths) {
        const char *runtime = paths_absolute("XDG_RUNTIME_DIR");
        PathsBuilder builder = {};
        Paths paths = { .is_user = true };
        int r;

        if (!runtime)
                return PATHS_E_RUNTIME;
        paths_put(&builder, paths.run_dir, "%s/qubes", runtime);
        r = paths_put_xdg(&builder, paths.config_dir, "XDG_CONFIG_HOME", "/.config", "");
        r = r ?: paths_put_xdg(&builder, paths.audit_dir, "XDG_STATE_HOME", "/.local/state", "");
        r = r ?: paths_put_xdg(&builder, paths.homes_dir, "XDG_DATA_HOME", "/.local/share", "/homes");
        if (r)
                return r;
        paths_put_common(&builder, &paths);
        paths_put(&builder, paths.rpc_dir, "%s/rpc", paths.config_dir);
        paths_put(&builder, paths.legacy_dir, "%s/rpc/policy", paths.config_dir);
        paths_put(&builder, paths.rpc_config, "%s/rpc-config:" QAIR_CONFDIR "/rpc-config", paths.config_dir);
        if (builder.too_long || strlen(paths.run_dir) + PATHS_SOCKET_ROOM > sizeof(((struct sockaddr_un *)0)->sun_path))
                return PATHS_E_LONG;
        *ret_paths = paths;
        return 0;
}

const char *paths_error_text(int r) {
        switch (r) {
        case PATHS_E_RUNTIME:
                return "XDG_RUNTIME_DIR is not set: log in to a session that has one (loginctl enable-linger gives one "
                       "that lasts)";
        case PATHS_E_HOME:
                return "HOME is not set to an absolute path";
        case PATHS_E_LONG:
                return "XDG_RUNTIME_DIR, or another of the XDG folders, is too long a path";
        default:
                return "the folders cannot be found";
        }
}
