/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an event of a vchan agent's epoll is about; as agent/watch.h, for the other kind of link.
 */
#pragma once

typedef enum VchanWatchKind {
        VCHAN_WATCH_KIND_SIGNALS,
        VCHAN_WATCH_KIND_CONTROL,
        VCHAN_WATCH_KIND_LISTENER, /* LocalClients.watch */
        VCHAN_WATCH_KIND_CLIENT,   /* LocalClient.watch */
        VCHAN_WATCH_KIND_DIAL,     /* LocalClient.dial_watch */
        VCHAN_WATCH_KIND_HANDLER,  /* DialledCall.watch */
        VCHAN_WATCH_KIND_SESSION,  /* the program that waits for the session */
} VchanWatchKind;

typedef struct VchanWatch {
        VchanWatchKind kind;
} VchanWatch;
