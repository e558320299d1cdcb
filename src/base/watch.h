/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event sources, set up the one way that is right here: a handler that fails ends the loop. Left alone, sd-event answers
 * a failure by quietly disabling the source, and then a peer is stuck instead of closed.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-event.h>

/**
 * watch_io() - be told of @events (EPOLLIN, …) on @fd
 * @fd:         stays the caller's; must outlive the source
 * @ret_source: the caller's, to sd_event_source_disable_unref()
 *
 * Return: 0 or a negative error.
 */
int watch_io(sd_event *event, int fd, uint32_t events, sd_event_io_handler_t on_io, void *userdata,
             sd_event_source **ret_source);

/** watch_time() - be told once, @usec from now or up to @accuracy_usec later (0: sd-event's default, 250 ms). Likewise */
int watch_time(sd_event *event, uint64_t usec, uint64_t accuracy_usec, sd_event_time_handler_t on_time, void *userdata,
               sd_event_source **ret_source);

/** watch_defer() - be told in each turn of the loop, once enabled: it is off at first. Return: 0 or a negative error */
int watch_defer(sd_event *event, sd_event_handler_t on_turn, void *userdata, sd_event_source **ret_source);

/** watch_enable() - SD_EVENT_ON, SD_EVENT_OFF or SD_EVENT_ONESHOT from now on. Return: 0 or a negative error */
int watch_enable(sd_event_source *source, int enabled);
