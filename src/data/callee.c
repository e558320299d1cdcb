/* SPDX-License-Identifier: Apache-2.0 */
#include "data/callee.h"

#include <errno.h>
#include <poll.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "data/pump.h"

typedef enum CalleeState {
        CALLEE_STATE_HELLO,     /* the caller owes its HELLO */
        CALLEE_STATE_RUNNING,   /* caller or service owe data, their ends, an exit */
        CALLEE_STATE_FINISHING, /* the caller owes room for what is queued */
        CALLEE_STATE_ORPHANED,  /* the service owes its exit; the caller is gone */
        CALLEE_STATE_DONE,
} CalleeState;

typedef struct Callee {
        CalleeState state;
        const DataCallee *options;
        DataPump pump;
        bool has_err;
        bool err_first; /* stdout and stderr take turns when both have data */
        bool warned;    /* about messages that no caller sends: once is enough */
} Callee;

static bool callee_has_child(const Callee *callee) {
        return callee->pump.child_pidfd >= 0;
}

/* The caller is gone, or has to go: the service loses its ends and is waited for (5.8). */
static void callee_orphan(Callee *callee) {
        data_local_deinit(&callee->pump.local);
        data_end_deinit(&callee->pump.err);
        callee->pump.pending.n = 0;
        callee->pump.stream = data_stream_free(callee->pump.stream);
        callee->state = CALLEE_STATE_ORPHANED;
}

static int callee_close_out(Callee *callee) {
        DataLocal *local = &callee->pump.local;
        int r;

        if (!local->read_open)
                return 0;
        data_local_close_read(local);
        r = data_stream_end(callee->pump.stream, WIRE_TYPE_DATA_STDOUT);
        if (r)
                return error_trace(r);
        if (callee->options->exit_on_service_eof)
                data_local_close_write(local);
        return 0;
}

static int callee_close_in(Callee *callee) {
        DataLocal *local = &callee->pump.local;

        if (!local->write_open)
                return 0;
        data_local_close_write(local);
        if (callee->options->exit_on_client_eof)
                return error_trace(callee_close_out(callee));
        return 0;
}

static int callee_close_err(Callee *callee) {
        data_end_deinit(&callee->pump.err);
        return error_trace(data_stream_end(callee->pump.stream, WIRE_TYPE_DATA_STDERR));
}

static void callee_warn(Callee *callee, const char *what) {
        if (!callee->warned)
                log_warning("the caller sent %s, which is not for callers to send", what);
        callee->warned = true;
}

static int callee_on_hello(Callee *callee) {
        int r = 0;

        if (callee->options->is_host)
                r = data_stream_hello(callee->pump.stream);
        callee->state = CALLEE_STATE_RUNNING;
        callee->pump.pending = (WireSlice){ callee->options->prefix, callee->options->n_prefix };
        if (!r && !callee->has_err)
                r = data_stream_end(callee->pump.stream, WIRE_TYPE_DATA_STDERR);
        return error_trace(r);
}

static int callee_on_event(Callee *callee, const FrameEvent *event) {
        if (callee->state == CALLEE_STATE_FINISHING)
                return 0;

        switch (event->kind) {
        case FRAME_KIND_HELLO:
                return error_trace(callee_on_hello(callee));
        case FRAME_KIND_EXIT_STATUS:
                callee_warn(callee, "an exit code");
                return 0;
        case FRAME_KIND_DATA:
        case FRAME_KIND_END:
                break;
        }

        if (event->type == WIRE_TYPE_DATA_STDERR) {
                callee_warn(callee, "standard error");
                return 0;
        }
        if (event->type == WIRE_TYPE_DATA_STDOUT)
                callee_warn(callee, "standard output");
        if (event->kind == FRAME_KIND_END)
                return error_trace(callee_close_in(callee));
        callee->pump.pending = (WireSlice){ event->data, event->n_data };
        return 0;
}

/* Hand on what the caller sent, until all of it is, or the service takes no more. */
static int callee_deliver(Callee *callee) {
        for (;;) {
                FrameEvent event;
                int r;

                r = data_pump_drain(&callee->pump);
                if (r == DATA_END_E_AGAIN)
                        return 0;
                if (r) {
                        r = callee_close_in(callee);
                        if (r)
                                return error_trace(r);
                }

                r = data_stream_next(callee->pump.stream, &event);
                if (r == FRAME_E_MORE)
                        return 0;
                if (r) {
                        log_error("the caller broke the protocol: %s", frame_error_text(r));
                        callee_orphan(callee);
                        return 0;
                }
                r = callee_on_event(callee, &event);
                if (r)
                        return error_trace(r);
        }
}

static int callee_on_stream(Callee *callee) {
        int r;

        r = data_pump_receive(&callee->pump);
        switch (r) {
        case 0:
                return error_trace(callee_deliver(callee));
        case DATA_STREAM_E_AGAIN:
                return 0;
        case DATA_STREAM_E_EOF:
                callee_orphan(callee);
                return 0;
        default:
                return error_fold(r);
        }
}

static int callee_forward_out(Callee *callee) {
        int r = data_pump_forward(&callee->pump, WIRE_TYPE_DATA_STDOUT);

        return r == DATA_END_E_EOF ? error_trace(callee_close_out(callee)) : error_trace(r);
}

static int callee_forward_err(Callee *callee) {
        size_t n, n_max;
        uint8_t *data = data_stream_space(callee->pump.stream, &n_max);
        int r;

        r = data_end_read(&callee->pump.err, data, n_max, &n);
        switch (r) {
        case 0:
                if (callee->options->on_stderr)
                        callee->options->on_stderr(callee->options->userdata, data, n);
                return error_trace(data_stream_commit(callee->pump.stream, WIRE_TYPE_DATA_STDERR, n));
        case DATA_END_E_AGAIN:
                return 0;
        case DATA_END_E_EOF:
        case DATA_END_E_FAILED:
                return error_trace(callee_close_err(callee));
        default:
                return error_fold(r);
        }
}

/* Both of the service's outputs share one stream: the one that went first waits for the other the next time. */
static int callee_forward(Callee *callee) {
        callee->err_first = !callee->err_first;
        for (int turn = 0; turn < 2; ++turn) {
                bool err = callee->err_first == (turn == 0);
                int r = 0;

                if (!data_stream_is_flushed(callee->pump.stream))
                        return 0;
                if (err && data_pump_can_read(&callee->pump, DATA_SOURCE_ERR))
                        r = callee_forward_err(callee);
                else if (!err && callee->pump.local.read_open)
                        r = callee_forward_out(callee);
                if (r)
                        return error_trace(r);
        }
        return 0;
}

/*
 * The caller takes nothing any more. What it sent before is still the service's, and so is the end of it: only when
 * that has been received is the connection down. The service learns from its own writes that nobody listens.
 */
static void callee_drop_output(Callee *callee) {
        data_local_close_read(&callee->pump.local);
        data_end_deinit(&callee->pump.err);
}

/* 5.3 rule 2 */
static int callee_check_finished(Callee *callee) {
        DataPump *pump = &callee->pump;
        int r;

        switch (callee->state) {
        case CALLEE_STATE_RUNNING:
                if (pump->local.write_open || pump->local.read_open || pump->err.fd >= 0 || callee_has_child(callee))
                        return 0;
                r = data_stream_exit(pump->stream, pump->child_status);
                if (r)
                        return error_trace(r);
                callee->state = CALLEE_STATE_FINISHING;
                __attribute__((__fallthrough__));
        case CALLEE_STATE_FINISHING:
                if (data_stream_is_flushed(pump->stream))
                        callee->state = CALLEE_STATE_DONE;
                return 0;
        case CALLEE_STATE_ORPHANED:
                if (!callee_has_child(callee))
                        callee->state = CALLEE_STATE_DONE;
                return 0;
        case CALLEE_STATE_HELLO:
        case CALLEE_STATE_DONE:
                return 0;
        }
        return 0;
}

static int callee_on_child(Callee *callee) {
        int r;

        r = data_pump_reap(&callee->pump);
        if (r)
                return error_trace(r);
        if (callee->state == CALLEE_STATE_ORPHANED)
                return 0;
        return error_trace(callee_close_in(callee));
}

/* What the last wait found, in an order that matters where it says so. */
static int callee_dispatch(Callee *callee) {
        DataPump *pump = &callee->pump;
        int r = 0;

        if (data_pump_can_read(pump, DATA_SOURCE_WATCH))
                callee->options->on_watch(callee->options->userdata);
        if (data_pump_can_read(pump, DATA_SOURCE_CHILD))
                r = callee_on_child(callee);
        /* Before stdout is read: its end may be due to the switch. */
        if (!r && data_pump_can_read(pump, DATA_SOURCE_SWITCH))
                r = data_local_on_switch(&pump->local);
        if (!r && data_pump_is_hung_up(pump))
                r = callee_close_in(callee);
        if (!r && callee->state != CALLEE_STATE_ORPHANED)
                r = callee_on_stream(callee);
        if (!r && callee->state == CALLEE_STATE_RUNNING) {
                r = callee_forward(callee);
                if (pump->stream->broken)
                        callee_drop_output(callee);
        }
        if (!r)
                r = callee_check_finished(callee);
        return error_trace(r);
}

static int callee_init(Callee *callee, DataCallee *options) {
        DataPump *pump = &callee->pump;
        _cleanup_fd_ int stream_fd = fd_steal(&options->stream_fd);
        int in_fd = fd_steal(&options->in_fd), out_fd = fd_steal(&options->out_fd);
        int r;

        pump->child_pidfd = fd_steal(&options->child_pidfd);
        pump->watch_fd = options->watch_fd;
        callee->has_err = options->err_fd >= 0;
        data_end_init(&pump->err, fd_steal(&options->err_fd), false, false);
        r = data_local_init(&pump->local, in_fd, out_fd, false, callee_has_child(callee));
        if (r)
                return error_trace(r);
        r = data_stream_new(fd_steal(&stream_fd), &pump->stream);
        if (!r && !options->is_host)
                r = data_stream_hello(pump->stream);
        return error_trace(r);
}

int data_callee_run(DataCallee *options, DataOutcome *ret_outcome) {
        Callee callee = { .state = CALLEE_STATE_HELLO, .options = options, .pump = DATA_PUMP_INIT };
        int r;

        r = callee_init(&callee, options);
        while (!r && callee.state != CALLEE_STATE_DONE) {
                r = data_pump_wait(&callee.pump, callee.state == CALLEE_STATE_RUNNING, -1);
                if (!r)
                        r = callee_dispatch(&callee);
        }
        if (!r) {
                bool told = callee.pump.stream && !callee.pump.stream->broken;

                *ret_outcome = (DataOutcome){
                        .status = callee.pump.child_status,
                        .how = told ? callee.pump.child_how : CALL_HOW_ABANDONED,
                };
        }
        data_pump_deinit(&callee.pump);
        return error_trace(r);
}

/* What a caller is told whose service was not started. */
typedef struct Answer {
        bool is_host;
        WireType ends[2]; /* the end-of-files that go before the status */
        size_t n_ends;
        int status;
} Answer;

static int answer_say(DataStream *stream, const Answer *answer) {
        int r = 0;

        if (answer->is_host)
                r = data_stream_hello(stream);
        for (size_t i = 0; i < answer->n_ends && !r; ++i)
                r = data_stream_end(stream, answer->ends[i]);
        return r ? error_trace(r) : error_trace(data_stream_exit(stream, answer->status));
}

/* One look at the caller; its end and its faults are marked in the stream. */
static int answer_step(DataStream *stream, bool *answered, const Answer *answer) {
        struct pollfd poll_fd = { .fd = stream->fd, .events = data_stream_wants(stream) };
        FrameEvent event;
        int r;

        if (poll(&poll_fd, 1, -1) < 0)
                return errno == EINTR ? 0 : error_origin(-errno);
        r = data_stream_flush(stream);
        if (r)
                return error_trace(r);
        r = data_stream_receive(stream);
        if (r)
                return r == DATA_STREAM_E_AGAIN || r == DATA_STREAM_E_EOF ? 0 : error_fold(r);

        /* Whatever else the caller sends, it is not for anybody. */
        while ((r = data_stream_next(stream, &event)) == 0) {
                if (event.kind != FRAME_KIND_HELLO)
                        continue;
                *answered = true;
                r = answer_say(stream, answer);
                if (r)
                        return error_trace(r);
        }
        if (r != FRAME_E_MORE) {
                log_error("the caller broke the protocol: %s", frame_error_text(r));
                stream->ended = true;
        }
        return 0;
}

static int answer_run(int stream_fd, const Answer *answer) {
        _cleanup_(data_stream_freep) DataStream *stream = NULL;
        bool answered = false;
        int r;

        r = data_stream_new(stream_fd, &stream);
        if (!r && !answer->is_host)
                r = data_stream_hello(stream);
        while (!r && !stream->ended && !stream->broken && !(answered && data_stream_is_flushed(stream)))
                r = answer_step(stream, &answered, answer);
        return error_trace(r);
}

int data_callee_fail(int stream_fd, int status) {
        return error_trace(answer_run(
                stream_fd,
                &(Answer){ .ends = { WIRE_TYPE_DATA_STDOUT, WIRE_TYPE_DATA_STDERR }, .n_ends = 2, .status = status }));
}

int data_callee_fail_host(int stream_fd, int status) {
        return error_trace(answer_run(stream_fd, &(Answer){ .is_host = true,
                                                            .ends = { WIRE_TYPE_DATA_STDERR, WIRE_TYPE_DATA_STDOUT },
                                                            .n_ends = 2,
                                                            .status = status }));
}

int data_callee_detached(int stream_fd, int status) {
        return error_trace(answer_run(stream_fd, &(Answer){ .status = status }));
}
