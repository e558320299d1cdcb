/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

/* A completed write, a new name, a rename in or out, a removal, another mode or owner; and the folder itself going away. */
#define WATCH_FOLDER_EVENTS                                                                                  \
        (IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
         IN_MOVE_SELF | IN_ONLYDIR)
#define WATCH_PARENT_EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR)

struct Watch {
        sd_event *event;
        const char *path, *name; /* the folder, and the last part of its path */
        char parent[PATH_MAX];
        sd_event_source *folder_source, *parent_source;
        sd_event_source *pause;
        uint64_t told_usec, pause_usec; /* when it was told last, and how long it rests from then on */
        int (*on_change)(void *userdata);
        void *userdata;
};

static int watch_tell(Watch *watch) {
        uint64_t began_usec = clock_now();
        int r;

        r = watch->on_change(watch->userdata);
        watch->told_usec = clock_now();
        watch->pause_usec = 4 * (watch->told_usec - began_usec);
        if (watch->pause_usec < WATCH_PAUSE_USEC)
                watch->pause_usec = WATCH_PAUSE_USEC;
        return error_trace(r);
}

static int watch_on_pause(sd_event_source *source, uint64_t usec, void *userdata) {
        Watch *watch = userdata;

        watch->pause = sd_event_source_disable_unref(watch->pause);
        return error_trace(watch_tell(watch));
}

static int watch_note(Watch *watch) {
        int r;

        if (watch->pause)
                return 0;
        if (clock_now() - watch->told_usec >= watch->pause_usec)
                return watch_tell(watch);
        r = sd_event_add_time_relative(watch->event, &watch->pause, CLOCK_MONOTONIC, watch->pause_usec, 1,
                                       watch_on_pause, watch);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(watch->pause, true);
        return r < 0 ? error_origin(r) : 0;
}

static int watch_on_folder(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        Watch *watch = userdata;

        /* What editors and we ourselves write beside a file before it has its name. */
        if (event->len > 0 && event->name[0] == '.')
                return 0;
        return error_trace(watch_note(watch));
}

static int watch_add(Watch *watch, const char *path, uint32_t mask, sd_event_inotify_handler_t handler,
                     sd_event_source **ret_source) {
        int r = sd_event_add_inotify(watch->event, ret_source, path, mask, handler, watch);

        switch (r) {
        case -ENOENT:
        case -ENOTDIR:
        case -EACCES:
                return 0; /* its parent tells when it is there */
        case -ENOSPC:
        case -EMFILE:
                log_warning("cannot watch %s: %s: changes there come into force with a reload", path, strerror(-r));
                return 0;
        default:
                if (r >= 0)
                        r = sd_event_source_set_exit_on_failure(*ret_source, true);
                return r < 0 ? error_origin(r) : 0;
        }
}

static int watch_on_parent(sd_event_source *source, const struct inotify_event *event, void *userdata) {
        Watch *watch = userdata;
        int r;

        if (event->len > 0 && strcmp(event->name, watch->name) != 0)
                return 0;
        watch->folder_source = sd_event_source_disable_unref(watch->folder_source);
        r = watch_add(watch, watch->path, WATCH_FOLDER_EVENTS, watch_on_folder, &watch->folder_source);
        return r ? error_trace(r) : error_trace(watch_note(watch));
}

int watch_new(sd_event *event, const char *path, int (*on_change)(void *userdata), void *userdata, Watch **ret_watch) {
        _cleanup_(watch_freep) Watch *watch = NULL;
        const char *slash = strrchr(path, '/');
        int r;

        if (!slash || slash == path || (size_t)(slash - path) >= sizeof(watch->parent))
                return error_origin(-EINVAL);
        watch = malloc(sizeof(*watch));
        if (!watch)
                return error_origin(-ENOMEM);
        *watch = (Watch){
                .event = event,
                .path = path,
                .name = slash + 1,
                .on_change = on_change,
                .userdata = userdata,
        };
        memcpy(watch->parent, path, (size_t)(slash - path));
        r = watch_add(watch, watch->parent, WATCH_PARENT_EVENTS, watch_on_parent, &watch->parent_source);
        r = r ?: watch_add(watch, path, WATCH_FOLDER_EVENTS, watch_on_folder, &watch->folder_source);
        if (r)
                return r;
        *ret_watch = steal_ptr(&watch);
        return 0;
}

Watch *watch_free(Watch *watch) {
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->pause);
        sd_event_source_disable_unref(watch->folder_source);
        sd_event_source_disable_unref(watch->parent_source);
        free(watch);
        return NULL;
}
