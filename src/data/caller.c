/* SPDX-License-Identifier: Apache-2.0 */
#include "data/caller.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "data/complaint.h"
#include "data/pump.h"

typedef enum CallerState {
        CALLER_STATE_HELLO,   /* the callee owes its HELLO */
        CALLER_STATE_RUNNING, /* callee or local side owe data, their ends, an exit */
        CALLER_STATE_LEFT,    /* the local program owes its exit; the callee is gone */
        CALLER_STATE_DONE,
} CallerState;

typedef struct Caller {
        CallerState state;
        uint64_t hello_deadline_usec; /* 0: none */
        const DataCaller *options;
        DataPump pump;
        WireSlice prefix; /* what is still to be sent of it */
        bool ended;       /* the end of stdin has been sent, or cannot be any more */
        bool has_child;   /* there was a local program */
        bool has_status;  /* apart from the status itself: -1 is a status, too (5.4) */
        int status;
        bool warned; /* about messages that no callee sends: once is enough */
} Caller;

/* Send the end of stdin, once. */
static int caller_end_in(Caller *caller) {
        caller->prefix.n = 0;
        data_local_close_read(&caller->pump.local);
        if (caller->ended)
                return 0;
        caller->ended = true;
        return error_trace(data_stream_end(caller->pump.stream, WIRE_TYPE_DATA_STDIN));
}

static void caller_leave(Caller *caller) {
        data_local_deinit(&caller->pump.local);
        caller->pump.pending.n = 0;
        caller->pump.stream = data_stream_free(caller->pump.stream);
        caller->state = CALLER_STATE_LEFT;
}

/* As with err_fd, all else of the call waits until there is room (5.4 rule 4). */
static void caller_wait_for_room(const DataStatus *status) {
        struct pollfd poll_fd = { .fd = status->fd, .events = POLLOUT };

        (void)poll(&poll_fd, 1, -1);
}

/* Where nobody reads it any more, the next turn finds out. */
static int caller_tell_stderr(Caller *caller, WireSlice data) {
        DataStatus *status = caller->options->status;

        while (data.n > 0) {
                size_t n = data.n < DATA_STATUS_CHUNK_MAX ? data.n : DATA_STATUS_CHUNK_MAX;
                int r;

                r = data_status_stderr(status, data.data, n);
                switch (r) {
                case 0:
                        data.data += n;
                        data.n -= n;
                        break;
                case DATA_STATUS_E_AGAIN:
                        caller_wait_for_room(status);
                        break;
                case DATA_STATUS_E_GONE:
                        return 0;
                default:
                        return error_fold(r);
                }
        }
        return 0;
}

static int caller_tell_exit(const Caller *caller, int exit_code) {
        DataStatus *status = caller->options->status;
        int r;

        while ((r = data_status_exit(status, exit_code)) == DATA_STATUS_E_AGAIN)
                caller_wait_for_room(status);
        return r == DATA_STATUS_E_GONE ? 0 : error_trace(r);
}

static int caller_on_data(Caller *caller, const FrameEvent *event) {
        uint8_t *data = data_stream_received(caller->pump.stream, event->data);

        if (event->type == WIRE_TYPE_DATA_STDERR && caller->options->status)
                return caller_tell_stderr(caller, (WireSlice){ data, event->n_data });
        if (event->type == WIRE_TYPE_DATA_STDERR) {
                data_complaint_write(caller->options->err_fd, data, event->n_data, caller->options->filter_stderr);
                return 0;
        }
        if (caller->options->filter_stdout)
                data_filter(data, event->n_data);
        caller->pump.pending = (WireSlice){ data, event->n_data };
        return 0;
}

static int caller_on_event(Caller *caller, const FrameEvent *event) {
        if (event->type == WIRE_TYPE_DATA_STDIN && !caller->warned) {
                log_warning("the service's end sent standard input, taken for standard output");
                caller->warned = true;
        }

        switch (event->kind) {
        case FRAME_KIND_HELLO:
                caller->state = CALLER_STATE_RUNNING;
                return 0;
        case FRAME_KIND_DATA:
                return error_trace(caller_on_data(caller, event));
        case FRAME_KIND_END:
                if (event->type != WIRE_TYPE_DATA_STDERR)
                        data_local_close_write(&caller->pump.local);
                return 0;
        case FRAME_KIND_EXIT_STATUS:
                caller->has_status = true;
                caller->status = event->status;
                return error_trace(caller_end_in(caller));
        }
        return 0;
}

/* Hand on what the callee sent, until all of it is, or the local side takes no more. */
static int caller_deliver(Caller *caller) {
        for (;;) {
                FrameEvent event;
                int r;

                r = data_pump_drain(&caller->pump);
                if (r == DATA_END_E_AGAIN)
                        return 0;
                if (r)
                        data_local_close_write(&caller->pump.local);

                r = data_stream_next(caller->pump.stream, &event);
                switch (r) {
                case 0:
                        r = caller_on_event(caller, &event);
                        if (r)
                                return error_trace(r);
                        break;
                case FRAME_E_MORE:
                        return 0;
                case FRAME_E_HELLO:
                case FRAME_E_VERSION:
                        log_error("cannot talk to the service's end: %s", frame_error_text(r));
                        return DATA_CALLER_E_HANDSHAKE;
                case FRAME_E_LENGTH:
                case FRAME_E_TYPE:
                        log_error("the service's end broke the protocol: %s", frame_error_text(r));
                        return DATA_CALLER_E_PROTOCOL;
                default:
                        return error_fold(r);
                }
        }
}

static int caller_on_stream(Caller *caller) {
        int r;

        r = data_pump_receive(&caller->pump);
        switch (r) {
        case 0:
                return error_trace(caller_deliver(caller));
        case DATA_STREAM_E_AGAIN:
                return 0;
        case DATA_STREAM_E_EOF:
                if (caller->state == CALLER_STATE_HELLO) {
                        log_error("the connection was closed before the call began");
                        return DATA_CALLER_E_HANDSHAKE;
                }
                caller_leave(caller);
                return 0;
        default:
                return error_fold(r);
        }
}

/* Data of our own always goes first, in chunks of its own (5.4 rule 1). */
static int caller_send_prefix(Caller *caller) {
        size_t n_max;
        uint8_t *data = data_stream_space(caller->pump.stream, &n_max);
        size_t n = caller->prefix.n < n_max ? caller->prefix.n : n_max;

        memcpy(data, caller->prefix.data, n);
        caller->prefix.data += n;
        caller->prefix.n -= n;
        return error_trace(data_stream_commit(caller->pump.stream, WIRE_TYPE_DATA_STDIN, n));
}

static int caller_forward_in(Caller *caller) {
        int r = data_pump_forward(&caller->pump, WIRE_TYPE_DATA_STDIN);

        return r == DATA_END_E_EOF ? error_trace(caller_end_in(caller)) : error_trace(r);
}

static int caller_forward(Caller *caller) {
        DataPump *pump = &caller->pump;

        while (caller->prefix.n > 0 && data_stream_is_flushed(pump->stream)) {
                int r = caller_send_prefix(caller);

                if (r)
                        return error_trace(r);
        }
        if (caller->prefix.n > 0 || !data_stream_is_flushed(pump->stream))
                return 0;
        if (!pump->local.read_open)
                return caller->ended ? 0 : error_trace(caller_end_in(caller));
        return error_trace(caller_forward_in(caller));
}

static int caller_on_child(Caller *caller) {
        int r;

        r = data_pump_reap(&caller->pump);
        if (r)
                return error_trace(r);
        data_local_close_write(&caller->pump.local);
        return 0;
}

/* 5.4 rules 9 and 10; an end of stdin that is still on its way is waited for, as a close would. */
static void caller_check_finished(Caller *caller) {
        const DataPump *pump = &caller->pump;
        bool childless = pump->child_pidfd < 0;

        if (caller->state == CALLER_STATE_LEFT && childless)
                caller->state = CALLER_STATE_DONE;
        if (caller->state == CALLER_STATE_RUNNING && childless && caller->has_status && !pump->local.write_open &&
            !pump->local.read_open && data_stream_is_flushed(pump->stream))
                caller->state = CALLER_STATE_DONE;
}

static bool caller_is_abandoned(const Caller *caller) {
        const DataStatus *status = caller->options->status;

        return status && (status->fd < 0 || data_pump_can_read(&caller->pump, DATA_SOURCE_WATCH));
}

static int caller_dispatch(Caller *caller) {
        DataPump *pump = &caller->pump;
        int r = 0;

        if (caller->state != CALLER_STATE_LEFT && caller_is_abandoned(caller))
                caller_leave(caller);
        if (data_pump_can_read(pump, DATA_SOURCE_CHILD))
                r = caller_on_child(caller);
        /* Before the program's output is read: its end may be due to the switch. */
        if (!r && data_pump_can_read(pump, DATA_SOURCE_SWITCH))
                r = data_local_on_switch(&pump->local);
        if (!r && data_pump_is_hung_up(pump))
                data_local_close_write(&pump->local);
        if (!r && caller->state != CALLER_STATE_LEFT)
                r = caller_on_stream(caller);
        if (!r && caller->state == CALLER_STATE_RUNNING) {
                /* Nobody takes our data: no more is read, but the exit code may still be on its way (5.4 rule 8). */
                caller->ended |= pump->stream->broken;
                r = caller->ended ? caller_end_in(caller) : caller_forward(caller);
        }
        if (!r)
                caller_check_finished(caller);
        return error_trace(r);
}

static int caller_init(Caller *caller, DataCaller *options) {
        DataPump *pump = &caller->pump;
        _cleanup_fd_ int stream_fd = fd_steal(&options->stream_fd);
        int in_fd = fd_steal(&options->in_fd), out_fd = fd_steal(&options->out_fd);
        int r;

        caller->has_child = options->child_pidfd >= 0;
        if (options->hello_usec > 0)
                caller->hello_deadline_usec = clock_now() + options->hello_usec;
        caller->prefix = (WireSlice){ options->prefix, options->n_prefix };
        pump->child_pidfd = fd_steal(&options->child_pidfd);
        r = data_local_init(&pump->local, out_fd, in_fd, options->inherited, caller->has_child);
        if (r)
                return error_trace(r);
        r = data_stream_new(fd_steal(&stream_fd), &pump->stream);
        return error_trace(r ?: data_stream_hello(pump->stream));
}

/* Wait for whatever comes next; the callee's HELLO is the one thing that is not waited for without limit. */
static int caller_wait(Caller *caller) {
        uint64_t now_usec = clock_now(), left_msec;
        int timeout_msec = -1;

        if (caller->state == CALLER_STATE_HELLO && caller->hello_deadline_usec > 0) {
                if (now_usec >= caller->hello_deadline_usec) {
                        log_error("the service's end was not there in time");
                        return DATA_CALLER_E_HANDSHAKE;
                }
                /* Rounded up, and capped: an early wake-up comes here again. */
                left_msec = (caller->hello_deadline_usec - now_usec) / USEC_PER_MSEC + 1;
                timeout_msec = left_msec < INT_MAX ? (int)left_msec : INT_MAX;
        }
        /* Of the status stream only its end is news: nobody may send anything there. */
        if (caller->options->status) {
                caller->pump.watch_fd = caller->options->status->fd;
                caller->pump.watch_events = 0;
        }
        return error_trace(data_pump_wait(&caller->pump, caller->state == CALLER_STATE_RUNNING, timeout_msec));
}

/* The table of 5.4. */
static int caller_status(const Caller *caller) {
        if (!caller->has_status)
                return 255;
        if (caller->status != 0)
                return caller->status;
        return caller->has_child ? caller->pump.child_status : 0;
}

int data_caller_run(DataCaller *options, int *ret_status) {
        Caller caller = { .state = CALLER_STATE_HELLO, .options = options, .pump = DATA_PUMP_INIT };
        int r;

        r = caller_init(&caller, options);
        while (!r && caller.state != CALLER_STATE_DONE) {
                r = caller_wait(&caller);
                if (!r)
                        r = caller_dispatch(&caller);
        }
        if (!r && options->status && caller.has_status)
                r = caller_tell_exit(&caller, caller_status(&caller));
        if (!r)
                *ret_status = caller_status(&caller);
        data_pump_deinit(&caller.pump);
        return error_trace(r);
}
