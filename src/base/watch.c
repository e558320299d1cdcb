/* SPDX-License-Identifier: Apache-2.0 */
#include "base/watch.h"

#include <stdbool.h>
#include <time.h>

#include "base/error.h"

static int watch_set_up(int r, sd_event_source *source, sd_event_source **ret_source) {
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(source, true);
        if (r < 0) {
                sd_event_source_disable_unref(source);
                return error_origin(r);
        }
        *ret_source = source;
        return 0;
}

int watch_io(sd_event *event, int fd, uint32_t events, sd_event_io_handler_t on_io, void *userdata,
             sd_event_source **ret_source) {
        sd_event_source *source = NULL;
        int r = sd_event_add_io(event, &source, fd, events, on_io, userdata);

        return watch_set_up(r, source, ret_source);
}

int watch_time(sd_event *event, uint64_t usec, uint64_t accuracy_usec, sd_event_time_handler_t on_time, void *userdata,
               sd_event_source **ret_source) {
        sd_event_source *source = NULL;
        int r = sd_event_add_time_relative(event, &source, CLOCK_MONOTONIC, usec, accuracy_usec, on_time, userdata);

        return watch_set_up(r, source, ret_source);
}

int watch_defer(sd_event *event, sd_event_handler_t on_turn, void *userdata, sd_event_source **ret_source) {
        sd_event_source *source = NULL;
        int r = sd_event_add_defer(event, &source, on_turn, userdata);

        if (r >= 0)
                r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return watch_set_up(r, source, ret_source);
}

int watch_enable(sd_event_source *source, int enabled) {
        int r = sd_event_source_set_enabled(source, enabled);

        return r < 0 ? error_origin(r) : 0;
}
