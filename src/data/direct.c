/* SPDX-License-Identifier: Apache-2.0 */
#include "data/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "data/child.h"
#include "data/complaint.h"
#include "data/frame.h"
#include "data/relay.h"
#include "data/status.h"

typedef enum DirectSource {
        DIRECT_SOURCE_STATUS,
        DIRECT_SOURCE_CHILD,
        DIRECT_SOURCE_IN, /* a relay has two */
        DIRECT_SOURCE_OUT = DIRECT_SOURCE_IN + 2,
        _DIRECT_SOURCE_N = DIRECT_SOURCE_OUT + 2,
} DirectSource;

typedef struct Direct {
        const DataDirect *options;
        int status_fd; /* -1: it has told all */
        FrameDecoder decoder;
        DataRelay in, out;
        int child_pidfd;
        bool has_status, has_child;
        int status, child_status;
        uint64_t err_deadline_usec; /* 0: none yet */
        bool err_is_gone;
        struct pollfd sources[_DIRECT_SOURCE_N];
} Direct;

static void direct_deinit(Direct *direct) {
        direct->status_fd = fd_close(direct->status_fd);
        direct->child_pidfd = fd_close(direct->child_pidfd);
        data_relay_close(&direct->in);
        data_relay_close(&direct->out);
}

static void direct_on_event(Direct *direct, const FrameEvent *event, uint8_t *data) {
        switch (event->kind) {
        case FRAME_KIND_HELLO:
        case FRAME_KIND_END:
                return;
        case FRAME_KIND_DATA:
                if (event->type == WIRE_TYPE_DATA_STDERR)
                        data_complaint_write(direct->options->err_fd, data + (event->data - data), event->n_data,
                                             direct->options->filter_stderr);
                return;
        case FRAME_KIND_EXIT_STATUS:
                direct->has_status = true;
                direct->status = event->status;
                /* The service takes no more input; what it wrote is still on its way. */
                data_relay_close(&direct->in);
                return;
        }
}

static int direct_on_status(Direct *direct) {
        uint8_t data[WIRE_HEADER_SIZE + DATA_STATUS_CHUNK_MAX];
        size_t n, n_all;
        int r;

        r = socket_receive(direct->status_fd, data, sizeof(data), &n_all, NULL, 0, NULL);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
                return 0;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                /* Without an exit code the agent is gone. The service need not be, and has its pipes still. */
                direct->status_fd = fd_close(direct->status_fd);
                return 0;
        default:
                return error_fold(r);
        }
        for (size_t at = 0;; at += n) {
                FrameEvent event;

                r = frame_decoder_next(&direct->decoder, data + at, n_all - at, &n, &event);
                if (r == FRAME_E_MORE)
                        return 0;
                if (r) {
                        log_error("the service's end broke the protocol: %s", frame_error_text(r));
                        return DATA_DIRECT_E_PROTOCOL;
                }
                direct_on_event(direct, &event, data);
        }
}

static int direct_on_child(Direct *direct) {
        CallHow how;
        int r;

        r = data_child_wait(direct->child_pidfd, &direct->child_status, &how);
        if (r)
                return error_trace(r);
        direct->child_pidfd = fd_close(direct->child_pidfd);
        return 0;
}

/* How long to wait for an event, in ms; -1: for ever. See DATA_DIRECT_ERR_MSEC. */
static int direct_err_timeout(Direct *direct) {
        uint64_t now;

        if (!direct->options->err_follows_out || direct->err_is_gone || data_relay_is_open(&direct->out))
                return -1;
        now = clock_now();
        if (direct->err_deadline_usec == 0)
                direct->err_deadline_usec = now + DATA_DIRECT_ERR_MSEC * USEC_PER_MSEC;
        if (now >= direct->err_deadline_usec)
                return 0;
        return (int)((direct->err_deadline_usec - now + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

static int direct_let_go_of_err(Direct *direct) {
        _cleanup_fd_ int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        direct->err_is_gone = true;
        if (null_fd < 0 || dup2(null_fd, direct->options->err_fd) < 0)
                return error_origin(-errno);
        return 0;
}

static int direct_wait(Direct *direct) {
        struct pollfd *sources = direct->sources;
        int timeout = direct_err_timeout(direct), r;

        sources[DIRECT_SOURCE_STATUS] = (struct pollfd){ .fd = direct->status_fd, .events = POLLIN };
        sources[DIRECT_SOURCE_CHILD] = (struct pollfd){ .fd = direct->child_pidfd, .events = POLLIN };
        data_relay_want(&direct->in, sources + DIRECT_SOURCE_IN);
        data_relay_want(&direct->out, sources + DIRECT_SOURCE_OUT);
        r = poll(sources, _DIRECT_SOURCE_N, timeout);
        if (r < 0 && errno != EINTR)
                return error_origin(-errno);
        return r == 0 && timeout >= 0 ? error_trace(direct_let_go_of_err(direct)) : 0;
}

static int direct_dispatch(Direct *direct) {
        int r = 0;

        if (direct->sources[DIRECT_SOURCE_STATUS].revents)
                r = direct_on_status(direct);
        if (!r && direct->sources[DIRECT_SOURCE_CHILD].revents)
                r = direct_on_child(direct);
        if (!r)
                r = data_relay_run(&direct->in, direct->sources + DIRECT_SOURCE_IN);
        if (!r)
                r = data_relay_run(&direct->out, direct->sources + DIRECT_SOURCE_OUT);
        return r;
}

static bool direct_is_done(const Direct *direct) {
        return (direct->has_status || direct->status_fd < 0) && !data_relay_is_open(&direct->out) &&
               direct->child_pidfd < 0;
}

static int direct_init(Direct *direct, DataDirect *options) {
        bool one_socket = options->in_fd >= 0 && options->in_fd == options->out_fd;
        DataRelayKind kind = one_socket           ? DATA_RELAY_KIND_TWO_WAY
                             : options->inherited ? DATA_RELAY_KIND_INHERITED
                                                  : DATA_RELAY_KIND_OURS;
        int in_fd = fd_steal(&options->in_fd), out_fd = fd_steal(&options->out_fd);
        int stdin_fd = fd_steal(&options->stdin_fd), stdout_fd = fd_steal(&options->stdout_fd);
        int error = 0;

        direct->status_fd = fd_steal(&options->status_fd);
        direct->child_pidfd = fd_steal(&options->child_pidfd);
        direct->has_child = direct->child_pidfd >= 0;
        if (one_socket) {
                out_fd = fcntl(in_fd, F_DUPFD_CLOEXEC, 3);
                if (out_fd < 0)
                        error = -errno;
        }
        direct->in.pending = (WireSlice){ options->prefix, stdin_fd >= 0 ? options->n_prefix : 0 };
        direct->out.filter = options->filter_stdout;
        data_relay_init(&direct->in, in_fd, kind, stdin_fd, DATA_RELAY_KIND_PIPE);
        data_relay_init(&direct->out, stdout_fd, DATA_RELAY_KIND_PIPE, out_fd, kind);
        return error_origin(error);
}

/* The table of 5.4. */
static int direct_status(const Direct *direct) {
        if (!direct->has_status)
                return 255;
        if (direct->status != 0)
                return direct->status;
        return direct->has_child ? direct->child_status : 0;
}

int data_direct_run(DataDirect *options, int *ret_status) {
        Direct direct = {
                .options = options,
                .decoder = FRAME_DECODER_INIT,
                .in = DATA_RELAY_INIT,
                .out = DATA_RELAY_INIT,
        };
        int r;

        r = direct_init(&direct, options);
        while (!r && !direct_is_done(&direct)) {
                r = direct_wait(&direct);
                if (!r)
                        r = direct_dispatch(&direct);
        }
        if (!r)
                *ret_status = direct_status(&direct);
        direct_deinit(&direct);
        return error_trace(r);
}
