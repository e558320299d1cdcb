/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/policyfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/paths.h"

typedef struct Loader {
        SshPolicy *policy;
        Diagnostics *diagnostics;
        size_t n_total; /* bytes so far */
} Loader;

static int complain(Loader *loader, const char *path, const char *text) {
        int r = diagnostics_add(loader->diagnostics, path, 0, 0, "%s", text);

        return r ? error_trace(r) : SSH_POLICY_E_INVALID;
}

static int load_file(Loader *loader, const char *path, bool must_exist) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = file_read_trusted(AT_FDCWD, path, SSH_POLICY_MAX - loader->n_total, &text, &n);
        if (r == FILE_E_NOT_FOUND && !must_exist)
                return 0;
        if (r == FILE_E_TOO_LARGE)
                return complain(loader, path, "all files together are larger than 256 KiB");
        if (r > 0)
                return complain(loader, path, file_error_text(r));
        if (r)
                return error_trace(r);
        loader->n_total += n;
        return error_trace(ssh_policy_parse(loader->policy, path, text, n, loader->diagnostics));
}

static int is_wanted(const struct dirent *entry) {
        const char *dot = strrchr(entry->d_name, '.');

        return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_folder(Loader *loader, const char *path) {
        struct dirent **entries;
        int n = scandir(path, &entries, is_wanted, by_bytes), result = 0;

        if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
                return 0;
        if (n < 0)
                return complain(loader, path, strerror(errno));
        for (int i = 0; i < n; ++i) {
                char file[PATH_MAX];
                int r = snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);

                if (r > 0 && r < PATH_MAX && result >= 0) {
                        r = load_file(loader, file, true);
                        result = r ?: result;
                }
                free(entries[i]);
        }
        free(entries);
        return result;
}

/* filter.conf and filter.d/ there. */
static int load_place(Loader *loader, const char *place) {
        char path[PATH_MAX];
        int r, result = 0;

        if (snprintf(path, sizeof(path), "%s/filter.conf", place) < PATH_MAX) {
                r = load_file(loader, path, false);
                if (r < 0)
                        return error_trace(r);
                result = r;
        }
        if (snprintf(path, sizeof(path), "%s/filter.d", place) < PATH_MAX) {
                r = load_folder(loader, path);
                result = r ?: result;
        }
        return error_trace(result);
}

int ssh_policy_load(const char *path, SshPolicy **ret_policy, Diagnostics *diagnostics) {
        _cleanup_(ssh_policy_freep) SshPolicy *policy = NULL;
        Loader loader = { .diagnostics = diagnostics };
        char own[PATH_MAX];
        int r, result = 0;

        r = ssh_policy_new(&policy);
        if (r)
                return error_trace(r);
        loader.policy = policy;
        if (path) {
                result = load_file(&loader, path, true);
        } else {
                const char *const places[] = { "/etc/split-ssh", "/rw/config/split-ssh",
                                               paths_config("qubes/split-ssh", own) ? NULL : own };

                for (size_t i = 0; i < ARRAY_SIZE(places) && places[i] && result >= 0; ++i) {
                        r = load_place(&loader, places[i]);
                        result = r ?: result;
                }
        }
        if (result < 0)
                return error_trace(result);
        r = ssh_policy_finish(policy, diagnostics);
        result = r ?: result;
        if (result)
                return error_trace(result);
        *ret_policy = steal_ptr(&policy);
        return 0;
}
