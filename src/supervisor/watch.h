/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watch over a folder of configuration: tells when what is in it, or the folder itself, may have changed. A burst of
 * changes is told at its first, so that a saved file is in force at once, and then with pauses: WATCH_PAUSE_USEC, or four times
 * what the last telling took, if that is longer.
 *
 * The folder may come and go: its parent is watched too.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"

/** Between two tellings: reading a whole inventory must not become all that we do, and who waits for it does so briefly. */
#define WATCH_PAUSE_USEC (UINT64_C(10) * 1000)

typedef struct Watch Watch;

/**
 * watch_new() - begin to watch
 * @path:      absolute; borrowed as long as the watch lives
 * @on_change: a negative return ends the event loop
 *
 * What cannot be watched (no more inotify instances) is logged; changes then need a reload.
 * Return: 0 or a negative error.
 */
int watch_new(sd_event *event, const char *path, int (*on_change)(void *userdata), void *userdata, Watch **ret_watch);

/** watch_free() - accepts NULL. Return: NULL */
Watch *watch_free(Watch *watch);
DEFINE_CLEANUP(Watch *, watch_free)
