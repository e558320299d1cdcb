/* SPDX-License-Identifier: Apache-2.0 */
#include "data/pump.h"

#include <errno.h>

#include "base/error.h"
#include "base/fd.h"
#include "data/child.h"

void data_pump_deinit(DataPump *pump) {
        pump->child_pidfd = fd_close(pump->child_pidfd);
        data_end_deinit(&pump->err);
        data_local_deinit(&pump->local);
        pump->stream = data_stream_free(pump->stream);
}

static void data_pump_want_stream(const DataPump *pump, struct pollfd *source) {
        source->events = data_stream_wants(pump->stream);
        if (pump->pending.n > 0)
                source->events &= (short)~POLLIN;
        if (source->events)
                source->fd = pump->stream->fd;
}

/*
 * A descriptor that nothing is wanted from is left out: poll() reports hang-ups unasked, and one that we cannot act on
 * yet would keep us spinning. The one exception is the writable end, where a hang-up is news to act on.
 */
int data_pump_wait(DataPump *pump, bool running, int timeout_msec) {
        const DataLocal *local = &pump->local;
        int r;

        for (size_t i = 0; i < _DATA_SOURCE_N; ++i)
                pump->sources[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
        pump->sources[DATA_SOURCE_CHILD].fd = pump->child_pidfd;
        pump->sources[DATA_SOURCE_WATCH] = (struct pollfd){ .fd = pump->watch_fd, .events = pump->watch_events };
        if (pump->stream)
                data_pump_want_stream(pump, &pump->sources[DATA_SOURCE_STREAM]);
        if (running) {
                pump->sources[DATA_SOURCE_SWITCH].fd = local->switch_fd;
                if (local->write_open)
                        pump->sources[DATA_SOURCE_WRITE] = (struct pollfd){
                                .fd = data_end_poll_fd(&local->write),
                                .events = pump->pending.n > 0 ? POLLOUT : 0,
                        };
        }
        if (running && data_stream_is_flushed(pump->stream)) {
                if (local->read_open)
                        pump->sources[DATA_SOURCE_READ].fd = data_end_poll_fd(&local->read);
                pump->sources[DATA_SOURCE_ERR].fd = data_end_poll_fd(&pump->err);
                /* The switch to a single socket is made by an attempt to read, which nothing else might cause. */
                if (local->switching && local->read_open)
                        timeout_msec = 0;
        }

        do
                r = poll(pump->sources, _DATA_SOURCE_N, timeout_msec);
        while (r < 0 && errno == EINTR);
        return r < 0 ? error_origin(-errno) : 0;
}

int data_pump_receive(DataPump *pump) {
        int r;

        if (pump->sources[DATA_SOURCE_STREAM].revents & (POLLOUT | POLLHUP | POLLERR)) {
                r = data_stream_flush(pump->stream);
                if (r)
                        return error_trace(r);
        }
        if (pump->pending.n > 0)
                return data_pump_can_drain(pump) ? 0 : DATA_STREAM_E_AGAIN;
        if (data_pump_can_read(pump, DATA_SOURCE_STREAM))
                return error_trace(data_stream_receive(pump->stream));
        return DATA_STREAM_E_AGAIN;
}

int data_pump_forward(DataPump *pump, WireType type) {
        size_t n, n_max;
        uint8_t *data;
        int r;

        if (!pump->local.switching && !data_pump_can_read(pump, DATA_SOURCE_READ))
                return 0;
        data = data_stream_space(pump->stream, &n_max);
        r = data_local_read(&pump->local, data, n_max, &n);
        switch (r) {
        case 0:
                return error_trace(data_stream_commit(pump->stream, type, n));
        case DATA_END_E_AGAIN:
                return 0;
        case DATA_END_E_EOF:
        case DATA_END_E_FAILED:
                return DATA_END_E_EOF;
        default:
                return error_fold(r);
        }
}

int data_pump_drain(DataPump *pump) {
        while (pump->pending.n > 0) {
                size_t n = pump->pending.n;
                int r;

                if (pump->local.write_open) {
                        r = data_local_write(&pump->local, pump->pending.data, pump->pending.n, &n);
                        if (r == DATA_END_E_AGAIN)
                                return r;
                        if (r) {
                                pump->pending.n = 0;
                                return DATA_END_E_EOF;
                        }
                }
                pump->pending.data += n;
                pump->pending.n -= n;
        }
        return 0;
}

int data_pump_reap(DataPump *pump) {
        int r;

        r = data_child_wait(pump->child_pidfd, &pump->child_status, &pump->child_how);
        if (r)
                return error_trace(r);
        pump->child_pidfd = fd_close(pump->child_pidfd);
        return 0;
}
