/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/kept.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"

/* A completed write, a rename in or out, a removal, another mode or owner; and the folder itself going away. */
#define KEPT_EVENTS                                                                                     \
        (IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | \
         IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/** Where uuids of domains come from that have none of their own. */
#define KEPT_MACHINE_ID "/etc/machine-id"

/** What cannot be kept is tried again after a change, or this time: it may not even be possible to tell a change. */
#define KEPT_RETRY_USEC USEC_PER_SEC

enum {
        _KEPT_E_SUCCESS,
        KEPT_E_NOT, /* it cannot be kept */
};

/* A folder that is watched, and which one it was. */
typedef struct KeptFolder {
        char *path;
        dev_t device;
        ino_t inode;
} KeptFolder;

struct PolicyKept {
        PolicyHandler *handler;
        int inotify_fd; /* -1: nothing is watched */
        KeptFolder folders[POLICY_KEPT_FOLDERS_MAX];
        size_t n_folders;
        uint64_t failed_usec; /* when it turned out last that it cannot be kept; 0: it could */
};

static void kept_forget(PolicyKept *kept) {
        kept->handler->system = policy_system_free(kept->handler->system);
        kept->handler->policy = policy_unref(kept->handler->policy);
        kept->inotify_fd = fd_close(kept->inotify_fd);
        while (kept->n_folders > 0)
                free(kept->folders[--kept->n_folders].path);
}

int policy_kept_new(PolicyHandler *handler, PolicyKept **ret_kept) {
        PolicyKept *kept;

        kept = calloc(1, sizeof(*kept));
        if (!kept)
                return error_origin(-ENOMEM);
        kept->handler = handler;
        kept->inotify_fd = -1;
        *ret_kept = kept;
        return 0;
}

PolicyKept *policy_kept_free(PolicyKept *kept) {
        if (!kept)
                return NULL;
        kept_forget(kept);
        free(kept);
        return NULL;
}

/*
 * What is watched
 */

/* Is this the path of what it leads to? @n: of it, a part */
static bool kept_is_real(const char *path, size_t n) {
        _cleanup_free_ char *part = strndup(path, n), *real = part ? realpath(part, NULL) : NULL;

        return real && strcmp(part, real) == 0;
}

/* Watch a folder, once. Return: 0, KEPT_E_NOT, or a negative error */
static int kept_watch(PolicyKept *kept, const char *path, size_t n, bool *ret_new) {
        _cleanup_free_ char *folder = strndup(path, n > 0 ? n : 1); /* "/" */
        struct stat status;

        if (!folder)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < kept->n_folders; ++i)
                if (strcmp(kept->folders[i].path, folder) == 0)
                        return 0;
        if (kept->n_folders == POLICY_KEPT_FOLDERS_MAX || !kept_is_real(folder, strlen(folder)) ||
            inotify_add_watch(kept->inotify_fd, folder, KEPT_EVENTS) < 0 || stat(folder, &status) < 0)
                return KEPT_E_NOT;
        kept->folders[kept->n_folders++] = (KeptFolder){ steal_ptr(&folder), status.st_dev, status.st_ino };
        *ret_new = true;
        return 0;
}

/* The folder that @path is in; where that one is missing, the one that it is missing in, and so on. */
static int kept_watch_parent(PolicyKept *kept, const char *path, bool *ret_new) {
        size_t n = strlen(path);

        while (n > 0) {
                _cleanup_free_ char *folder = NULL;

                while (n > 0 && path[n - 1] != '/')
                        --n;
                n -= n > 0; /* the slash */
                folder = strndup(path, n > 0 ? n : 1);
                if (!folder)
                        return error_origin(-ENOMEM);
                if (access(folder, F_OK) == 0)
                        return kept_watch(kept, path, n, ret_new);
        }
        return KEPT_E_NOT;
}

/* A folder that is read, and the one that it is in. */
static int kept_watch_folder(PolicyKept *kept, const char *path, bool *ret_new) {
        int r = kept_watch_parent(kept, path, ret_new);

        if (r || access(path, F_OK) < 0)
                return r;
        return kept_watch(kept, path, strlen(path), ret_new);
}

/* Return: the folder of domains; NULL: they come from elsewhere */
static const char *kept_inventory(const PolicyHandler *handler) {
        return policy_system_host_folder(handler->system_info, handler->inventory, handler->usual_inventory);
}

static int kept_watch_roots(PolicyKept *kept, bool *ret_new) {
        const PolicyHandler *handler = kept->handler;
        const char *inventory = kept_inventory(handler);
        int r;

        if (!inventory)
                return KEPT_E_NOT;
        r = kept_watch_parent(kept, KEPT_MACHINE_ID, ret_new);
        r = r ?: kept_watch_folder(kept, inventory, ret_new);
        r = r ?: kept_watch_folder(kept, handler->legacy ?: POLICY_LEGACY_DIRECTORY, ret_new);
        for (size_t i = 0; i < handler->n_directories && !r; ++i)
                r = kept_watch_folder(kept, handler->directories[i], ret_new);
        return r;
}

/* Of what was read: each file's folder, and folders that were included. */
static int kept_watch_files(PolicyKept *kept, const Policy *policy, bool *ret_new) {
        int r = 0;

        for (size_t i = 0; i < policy->n_files && !r; ++i) {
                const char *path = policy->files[i]->text;
                size_t n = strlen(path);
                struct stat status;

                /* A folder's has a slash at its end. */
                if (n > 1 && path[n - 1] == '/') {
                        r = kept_watch(kept, path, n - 1, ret_new);
                        continue;
                }
                if (!kept_is_real(path, n) || stat(path, &status) < 0 || status.st_nlink > 1)
                        return KEPT_E_NOT;
                r = kept_watch_parent(kept, path, ret_new);
        }
        return r;
}

/*
 * Reading
 */

/* Return: 0, KEPT_E_NOT, or a negative error */
static int kept_read(PolicyKept *kept) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        PolicyHandler *handler = kept->handler;
        const PolicySources sources = { .directories = handler->directories,
                                        .n_directories = handler->n_directories,
                                        .legacy = handler->legacy };
        const char *inventory = kept_inventory(handler);
        int r;

        handler->system = policy_system_free(handler->system);
        handler->policy = policy_unref(handler->policy);
        if (!inventory)
                return KEPT_E_NOT;
        r = policy_system_from_inventory(inventory, &diagnostics, &handler->system);
        if (!r)
                r = policy_load(&sources, &diagnostics, &handler->policy);
        return r > 0 ? KEPT_E_NOT : error_trace(r);
}

/* Watch before reading: a change in between is told of, and read by the next one who asks. */
static int kept_load(PolicyKept *kept) {
        bool is_new = true;
        int r;

        kept_forget(kept);
        kept->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (kept->inotify_fd < 0)
                return KEPT_E_NOT;
        r = kept_watch_roots(kept, &is_new);
        /* What is included is known when it has been read; so, if that is watched as of now, once more. */
        while (!r && is_new) {
                is_new = false;
                r = kept_read(kept);
                r = r ?: kept_watch_files(kept, kept->handler->policy, &is_new);
        }
        return r;
}

/*
 * Has anything been saved, or put in the place of a folder? Events stay where they are: a process that was forked since shares
 * the queue, and is to find them as well. Whoever reads anew begins a new queue.
 */
static bool kept_is_changed(const PolicyKept *kept) {
        struct pollfd told = { .fd = kept->inotify_fd, .events = POLLIN };
        bool changed = poll(&told, 1, 0) != 0;
        struct stat status;

        for (size_t i = 0; i < kept->n_folders && !changed; ++i)
                changed = stat(kept->folders[i].path, &status) < 0 || status.st_dev != kept->folders[i].device ||
                          status.st_ino != kept->folders[i].inode;
        /* Where qubesd is since, domains are its to tell. */
        return changed || !kept_inventory(kept->handler);
}

void policy_kept_check(PolicyKept *kept) {
        if (kept->inotify_fd >= 0 && kept_is_changed(kept))
                kept_forget(kept);
}

int policy_kept_refresh(PolicyKept *kept) {
        int r;

        if (kept->inotify_fd >= 0 && !kept_is_changed(kept))
                return 0;
        if (kept->inotify_fd < 0 && kept->failed_usec > 0 && clock_now() - kept->failed_usec < KEPT_RETRY_USEC)
                return 0;
        r = kept_load(kept);
        kept->failed_usec = r ? clock_now() : 0;
        if (r)
                kept_forget(kept);
        return r < 0 ? error_trace(r) : 0;
}
