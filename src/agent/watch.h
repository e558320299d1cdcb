/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event of the agent's epoll is about: each descriptor that is watched belongs to an object with one of these
 * embedded, and its address is what epoll gives back.
 */
#pragma once

typedef enum WatchKind {
        WATCH_KIND_SIGNALS,
        WATCH_KIND_REPORTS,
        WATCH_KIND_LINK,
        WATCH_KIND_HANDLER, /* Call.watch */
        WATCH_KIND_PROGRAM, /* Direct.program_watch */
        WATCH_KIND_STDERR,  /* Direct.stderr_watch */
        WATCH_KIND_STATUS,  /* Direct.status_watch */
} WatchKind;

typedef struct Watch {
        WatchKind kind;
} Watch;
