/* SPDX-License-Identifier: Apache-2.0 */
#include "base/paths.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/socket.h"

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
                .run_dir = PATHS_RUN_DIR,
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

/* $VARIABLE/BELOW, or $HOME/OTHERWISE/BELOW */
static int paths_put_xdg(char ret_path[static PATH_MAX], const char *variable, const char *otherwise,
                         const char *below) {
        const char *base = paths_absolute(variable), *home = paths_absolute("HOME");
        PathsBuilder builder = {};

        if (!base && !home)
                return PATHS_E_HOME;
        paths_put(&builder, ret_path, "%s%s/%s", base ?: home, base ? "" : otherwise, below);
        return builder.too_long ? PATHS_E_LONG : 0;
}

int paths_config(const char *below, char ret_path[static PATH_MAX]) {
        return paths_put_xdg(ret_path, "XDG_CONFIG_HOME", "/.config", below);
}

int paths_session(uid_t uid, const char *below, char *ret_path, size_t n_max) {
        const char *runtime = uid == geteuid() ? paths_absolute("XDG_RUNTIME_DIR") : NULL;
        int n = runtime ? snprintf(ret_path, n_max, "%s/%s", runtime, below)
                        : snprintf(ret_path, n_max, "/run/user/%u/%s", uid, below);

        return n < 0 || (size_t)n >= n_max ? PATHS_E_LONG : 0;
}

int paths_user(Paths *ret_paths) {
        const char *runtime = paths_absolute("XDG_RUNTIME_DIR");
        PathsBuilder builder = {};
        Paths paths = { .is_user = true };
        int r;

        if (!runtime)
                return PATHS_E_RUNTIME;
        paths_put(&builder, paths.run_dir, "%s/qubes", runtime);
        r = paths_config("qubes", paths.config_dir);
        r = r ?: paths_put_xdg(paths.audit_dir, "XDG_STATE_HOME", "/.local/state", "qubes");
        r = r ?: paths_put_xdg(paths.homes_dir, "XDG_DATA_HOME", "/.local/share", "qubes/homes");
        if (r)
                return r;
        paths_put_common(&builder, &paths);
        paths_put(&builder, paths.rpc_dir, "%s/rpc", paths.config_dir);
        paths_put(&builder, paths.legacy_dir, "%s/rpc/policy", paths.config_dir);
        paths_put(&builder, paths.rpc_config, "%s/rpc-config:" QAIR_CONFDIR "/rpc-config", paths.config_dir);
        if (builder.too_long || strlen(paths.run_dir) + PATHS_SOCKET_ROOM > SOCKET_PATH_MAX)
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
