/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/places.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"

#define PLACES_MACHINE_SETTINGS "/rw/config"
/** A name, a newline, and somebody's blank lines. */
#define PLACES_FILE_MAX 4096

static int places_put(char *path, size_t n_max, const char *format, ...) _printf_(3, 4);
static int places_put(char *path, size_t n_max, const char *format, ...) {
        va_list arguments;
        int n;

        va_start(arguments, format);
        n = vsnprintf(path, n_max, format, arguments);
        va_end(arguments);
        return n < 0 || (size_t)n >= n_max ? PLACES_E_LENGTH : 0;
}

int places_agents(char ret_path[static PATH_MAX]) {
        struct stat st;

        if (geteuid() == 0 || (lstat(PLACES_RUN_DIR, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid()))
                return places_put(ret_path, PATH_MAX, PLACES_RUN_DIR);
        return paths_session(geteuid(), "qubes/split-ssh", ret_path, PATH_MAX) ? PLACES_E_LENGTH : 0;
}

int places_agent_socket(const AgentName *agent, char ret_path[static SOCKET_PATH_MAX]) {
        char folder[PATH_MAX];

        return places_agents(folder) ?: places_put(ret_path, SOCKET_PATH_MAX, "%s/%s.sock", folder, agent->text);
}

int places_keys(const char *home, const AgentName *agent, char ret_path[static PATH_MAX]) {
        return places_put(ret_path, PATH_MAX, "%s/.ssh/identities.d/%s", home, agent->text);
}

int places_forwarded(char ret_path[static SOCKET_PATH_MAX]) {
        return paths_session(geteuid(), "ssh/S.ssh-agent", ret_path, SOCKET_PATH_MAX) ? PLACES_E_LENGTH : 0;
}

int places_forwarded_agent(const char *home, const AgentName *agent, char ret_path[static SOCKET_PATH_MAX]) {
        return places_put(ret_path, SOCKET_PATH_MAX, "%s/.split-ssh/%s.sock", home, agent->text);
}

/* Return: 0, PLACES_E_NONE, PLACES_E_INVALID, or a negative error */
static int places_vault_from_file(const char *path, VaultName *ret_name) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = file_read(AT_FDCWD, path, PLACES_FILE_MAX, &text, &n);
        if (r < 0)
                return error_trace(r);
        if (r == FILE_E_NOT_FOUND)
                return PLACES_E_NONE;
        if (r) {
                log_error("%s: %s", ESCAPED(path, strlen(path)), file_error_text(r));
                return PLACES_E_INVALID;
        }
        while (n > 0 && text[n - 1] == '\n')
                --n;
        if (n == 0)
                return PLACES_E_NONE;
        if (vault_name_parse(text, n, ret_name)) {
                log_error("%s: \"%s\" is no name of a domain", ESCAPED(path, strlen(path)), ESCAPED(text, n));
                return PLACES_E_INVALID;
        }
        return 0;
}

static int places_vault_from_environment(VaultName *ret_name) {
        const char *value = getenv(PLACES_VAULT_VARIABLE) ?: "";

        if (value[0] == '\0')
                return PLACES_E_NONE;
        if (vault_name_parse(value, strlen(value), ret_name)) {
                log_error(PLACES_VAULT_VARIABLE ": \"%s\" is no name of a domain", ESCAPED(value, strlen(value)));
                return PLACES_E_INVALID;
        }
        return 0;
}

int places_vault(bool from_files, VaultName *ret_name) {
        char path[PATH_MAX];
        int r = paths_config("qubes/" PLACES_VAULT_FILE, path);

        if (r == PATHS_E_LONG)
                return PLACES_E_LENGTH;
        r = r == PATHS_E_HOME ? PLACES_E_NONE : places_vault_from_file(path, ret_name);
        if (r == PLACES_E_NONE)
                r = places_vault_from_file(PLACES_MACHINE_SETTINGS "/" PLACES_VAULT_FILE, ret_name);
        if (r == PLACES_E_NONE && !from_files)
                r = places_vault_from_environment(ret_name);
        return r < 0 ? error_trace(r) : r;
}

const char *places_error_text(int r) {
        switch (r) {
        case PLACES_E_LENGTH:
                return "HOME or XDG_RUNTIME_DIR is too long a path";
        case PLACES_E_HOME:
                return "HOME is not set to an absolute path";
        case PLACES_E_NONE:
                return "nothing says which domain has the keys: write its name into ~/.config/qubes/" PLACES_VAULT_FILE;
        case PLACES_E_INVALID:
                return "what says which domain has the keys holds no name";
        default:
                return "cannot tell where things are";
        }
}
