/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The descriptors that an agent waits for. Each belongs to an object with a Watch embedded, whose address is what epoll
 * gives back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

typedef enum WatchKind {
        WATCH_KIND_SIGNALS,
        WATCH_KIND_REPORTS,
        WATCH_KIND_LINK,
        WATCH_KIND_LISTENER, /* of a fork server */
        WATCH_KIND_PEER,     /* ForkserverPeer.watch */
        WATCH_KIND_HANDLER,  /* Call.watch */
        WATCH_KIND_HANDED,   /* Call.handed_watch */
        WATCH_KIND_PROGRAM,  /* Direct.program_watch */
        WATCH_KIND_STDERR,   /* Direct.stderr_watch */
        WATCH_KIND_STATUS,   /* Direct.status_watch */
        WATCH_KIND_SESSION,  /* Runner.session_watch */
        WATCH_KIND_CARRIER_SOCKET,
        WATCH_KIND_CARRIER_STDIN,
        WATCH_KIND_CARRIER_STDOUT,
        WATCH_KIND_CARRIER_STATUS,
} WatchKind;

typedef struct Watch {
        WatchKind kind;
} Watch;

/** watch_is_carriers() - does it belong to a Carrier? */
static inline bool watch_is_carriers(const Watch *watch) {
        return watch->kind >= WATCH_KIND_CARRIER_SOCKET && watch->kind <= WATCH_KIND_CARRIER_STATUS;
}

typedef struct WatchSet {
        int epoll_fd;
        /*
         * Living processes that were forked from this one, or that this one was forked from. For a moment after that they may
         * hold a copy of any descriptor of ours; while a copy is open, epoll goes on to report what we have closed. Programs
         * that are started (agent/spawn.h) never hold one.
         */
        size_t n_forked;
} WatchSet;

#define WATCH_SET_INIT ((WatchSet){ .epoll_fd = -1 })

/** watch_set_init() - Return: 0 or a negative error */
int watch_set_init(WatchSet *set);

/** watch_set_deinit() - harmless when repeated; the descriptors in it are their owners' */
void watch_set_deinit(WatchSet *set);

/** watch_set_add() - wait for @events (epoll_ctl(2)) of @fd. Return: 0 or -errno (not logged) */
int watch_set_add(WatchSet *set, int fd, uint32_t events, Watch *watch);

/** watch_set_change() - other events, of a descriptor that was added. Return: 0 or -errno (not logged) */
int watch_set_change(WatchSet *set, int fd, uint32_t events, Watch *watch);

/** watch_set_remove() - wait no more; the descriptor stays open. What was taken from the kernel before is still to come */
void watch_set_remove(WatchSet *set, int fd);

/** watch_set_close() - the same, and close it; -1 is none. Return: -1, as fd_close() */
int watch_set_close(WatchSet *set, int fd);

/**
 * watch_set_wait() - wait for events
 * @deadline_usec: until then at most (base/clock.h); 0: not at all; UINT64_MAX: without limit
 * @ret_n:         how many of @events, n_max, there are; 0 also when a signal interrupted
 *
 * Return: 0 or a negative error.
 */
int watch_set_wait(WatchSet *set, uint64_t deadline_usec, struct epoll_event *events, int n_max, int *ret_n);
