/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/path.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

/** A path under way: what is resolved, and what is still to be. */
typedef struct PolicyPath {
        char done[PATH_MAX]; /* absolute, without links; "" is the root */
        char rest[PATH_MAX];
        size_t n_rest; /* begins at rest + sizeof(rest) - n_rest: links are put in front of it */
        unsigned n_links;
} PolicyPath;

/* Puts @text and a slash in front of what is still to be resolved. */
static int policy_path_push(PolicyPath *path, PolicySlice text) {
        if (text.n + 1 > sizeof(path->rest) - path->n_rest || memchr(text.text, '\0', text.n))
                return POLICY_PATH_E_LOOP;
        path->rest[sizeof(path->rest) - ++path->n_rest] = '/';
        path->n_rest += text.n;
        memcpy(path->rest + sizeof(path->rest) - path->n_rest, text.text, text.n);
        if (text.text[0] == '/')
                path->done[0] = '\0';
        return 0;
}

static PolicySlice policy_path_pop(PolicyPath *path) {
        PolicySlice component = { path->rest + sizeof(path->rest) - path->n_rest, 0 };

        while (component.n < path->n_rest && component.text[component.n] != '/')
                ++component.n;
        path->n_rest -= component.n < path->n_rest ? component.n + 1 : component.n;
        return component;
}

static int policy_path_step(PolicyPath *path, PolicySlice component) {
        size_t n_done = strlen(path->done);
        char link[PATH_MAX];
        ssize_t n_link;

        if (component.n == 0 || policy_slice_equal(component, POLICY_SLICE(".")))
                return 0;
        if (policy_slice_equal(component, POLICY_SLICE(".."))) {
                char *slash = strrchr(path->done, '/');

                if (slash)
                        *slash = '\0';
                return 0;
        }
        if (n_done + 1 + component.n >= sizeof(path->done))
                return POLICY_PATH_E_LOOP;
        path->done[n_done] = '/';
        memcpy(path->done + n_done + 1, component.text, component.n);
        path->done[n_done + 1 + component.n] = '\0';

        n_link = readlink(path->done, link, sizeof(link));
        if (n_link <= 0)
                return 0; /* not a link, or not there at all */
        if (++path->n_links > POLICY_PATH_LINKS_MAX)
                return POLICY_PATH_E_LOOP;
        path->done[n_done] = '\0';
        return policy_path_push(path, (PolicySlice){ link, (size_t)n_link });
}

int policy_path_resolve(const char *directory, PolicySlice untrusted_path, char **ret_path) {
        PolicyPath path = {};
        char *text;
        int r;

        if (untrusted_path.n == 0)
                return POLICY_PATH_E_LOOP;
        r = policy_path_push(&path, untrusted_path);
        if (r == 0 && untrusted_path.text[0] != '/' && directory)
                r = policy_path_push(&path, policy_slice(directory));
        if (r)
                return r;
        if (path.rest[sizeof(path.rest) - path.n_rest] != '/' && !getcwd(path.done, sizeof(path.done)))
                return error_origin(-errno);
        while (path.n_rest > 0) {
                r = policy_path_step(&path, policy_path_pop(&path));
                if (r)
                        return r;
        }
        text = strdup(path.done[0] != '\0' ? path.done : "/");
        if (!text)
                return error_origin(-ENOMEM);
        *ret_path = text;
        return 0;
}

bool policy_path_is_file(const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool policy_path_is_directory(const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/*
 * Listing
 */

void policy_names_deinit(PolicyNames *names) {
        for (size_t i = 0; i < names->n; ++i)
                free(names->names[i]);
        free(names->names);
        *names = (PolicyNames){};
}

static int policy_names_add(PolicyNames *names, const char *name) {
        char **larger = reallocarray(names->names, names->n + 1, sizeof(*larger));
        char *copy;

        if (!larger)
                return -ENOMEM;
        names->names = larger;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        names->names[names->n++] = copy;
        return 0;
}

static int policy_names_compare(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void policy_directory_closep(DIR **directory) {
        if (*directory)
                closedir(*directory);
}

static int policy_names_read(const char *path, bool hidden, PolicyNames *ret_names) {
        _cleanup_(policy_directory_closep) DIR *directory = NULL;
        _cleanup_(policy_names_deinit) PolicyNames names = {};
        struct dirent *entry;
        struct stat st;
        int r;

        directory = opendir(path); /* close-on-exec, as glibc opens every directory */
        if (!directory)
                return -errno;
        for (;;) {
                errno = 0;
                entry = readdir(directory);
                if (!entry && errno != 0)
                        return -errno;
                if (!entry)
                        break;
                if ((entry->d_name[0] == '.' && !hidden) || fstatat(dirfd(directory), entry->d_name, &st, 0) < 0 ||
                    !S_ISREG(st.st_mode))
                        continue;
                r = policy_names_add(&names, entry->d_name);
                if (r < 0)
                        return r;
        }
        if (names.n > 1)
                qsort(names.names, names.n, sizeof(*names.names), policy_names_compare);
        *ret_names = names;
        names = (PolicyNames){};
        return 0;
}

int policy_names_list(const char *path, PolicyNames *ret_names) {
        return policy_names_read(path, false, ret_names);
}

int policy_names_list_all(const char *path, PolicyNames *ret_names) {
        return policy_names_read(path, true, ret_names);
}
