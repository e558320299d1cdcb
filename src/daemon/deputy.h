/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The domain's agent at the broker, for a daemon that is a link of the broker's: qrexec-agent --guest, a child of ours. It is
 * there as long as the domain's own agent is; when that goes away it is told to stop, and sees what runs to its end, while
 * another may serve already.
 *
 *   deputies_start() -> live -- deputies_dismiss() --> draining -- the last of its calls ended --> gone
 *                         `---- ended by itself: DEPUTIES_E_LOST --> gone
 */
#pragma once

#include <stdbool.h>

#include "daemon/settings.h"

enum {
        _DEPUTIES_E_SUCCESS,
        DEPUTIES_E_FAILED, /* it could not be started; it has been logged */
        DEPUTIES_E_LOST,   /* the live one ended by itself */
};

typedef struct Deputy Deputy;

typedef struct Deputies {
        const DaemonSettings *settings; /* not owned */
        int epoll_fd;                   /* readable when one has ended; part of the daemon's own epoll */
        Deputy *first;                  /* all that have not ended */
        Deputy *live;                   /* of these, the one that was not dismissed; NULL: none */
} Deputies;

/** deputies_init() - none yet. Return: 0 or a negative error */
int deputies_init(Deputies *deputies, const DaemonSettings *settings);

/** deputies_deinit() - all are told to stop, and end by themselves */
void deputies_deinit(Deputies *deputies);

/** deputies_start() - there is a domain that can be called. Return: 0 or DEPUTIES_E_FAILED */
int deputies_start(Deputies *deputies);

/** deputies_dismiss() - the domain is gone; harmless when repeated */
void deputies_dismiss(Deputies *deputies);

/** deputies_on_event() - reap who has ended. Return: 0, DEPUTIES_E_LOST, or a negative error */
int deputies_on_event(Deputies *deputies);

/** deputies_are_gone() - have all ended? */
static inline bool deputies_are_gone(const Deputies *deputies) {
        return !deputies->first;
}
