/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/mux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "gpg/frame.h"

/* A frame's header and its data. */
#define SLOT_SIZE (GPG_FRAME_HEADER_SIZE + GPG_FRAME_DATA_MAX)
/* Frames that are read and sent at a time: what the kernel's pipes hold, about. */
#define SLOTS  15
#define IN_MAX 65536
/* What a blocking pipe takes without waiting once it is writable: a page (pipe(7)). */
#define SINK_CHUNK GPG_FRAME_DATA_MAX
/* Stream in, stream out, the process; each source; one sink. */
#define POLLED_MAX (3 + GPG_FDS_MAX + 1)

typedef enum SinkKind {
        SINK_KIND_READY,  /* never makes us wait: a file, or O_NONBLOCK */
        SINK_KIND_SOCKET, /* does not if told so with each write */
        SINK_KIND_OTHER,  /* may: ask before each write */
} SinkKind;

typedef struct Sink {
        int fd; /* -1: ended, or nobody reads it */
        SinkKind kind;
} Sink;

struct GpgMux {
        int in_fd, out_fd;               /* out_fd -1: nobody takes what we send */
        int sources[GPG_FDS_MAX];        /* -1: ended */
        size_t n_sources, n_open, first; /* first: whose turn it is to be read first */
        Sink sinks[GPG_FDS_MAX];
        size_t n_sinks;
        GpgFrameDecoder decoder;
        uint8_t in[IN_MAX];
        size_t n_in, in_at;    /* read, and used */
        GpgFrameEvent pending; /* data that a sink has still to take; NONE: nothing */
        GpgFrameEvent ahead;   /* decoded behind them, and still to come */
        uint8_t out[SLOTS * SLOT_SIZE];
        size_t n_out, out_at; /* to be sent, and sent */
};

static SinkKind sink_kind(int fd) {
        struct stat st;

        if (fcntl(fd, F_GETFL) & O_NONBLOCK)
                return SINK_KIND_READY;
        if (fstat(fd, &st) < 0)
                return SINK_KIND_OTHER;
        return S_ISREG(st.st_mode) ? SINK_KIND_READY : S_ISSOCK(st.st_mode) ? SINK_KIND_SOCKET : SINK_KIND_OTHER;
}

int gpg_mux_new(int in_fd, int out_fd, const GpgFds *sources, const GpgFds *sinks, GpgMux **ret_mux) {
        GpgMux *mux = malloc(sizeof(*mux));

        if (!mux)
                return error_origin(-ENOMEM);
        /* Not its buffers. */
        mux->in_fd = in_fd;
        mux->out_fd = out_fd;
        mux->n_sources = mux->n_open = sources->n;
        mux->first = 0;
        mux->n_sinks = sinks->n;
        mux->decoder = (GpgFrameDecoder){ .n_indexes = sinks->n };
        mux->n_in = mux->in_at = mux->n_out = mux->out_at = 0;
        mux->pending = mux->ahead = (GpgFrameEvent){};
        for (size_t i = 0; i < sources->n; ++i)
                mux->sources[i] = sources->fds[i];
        for (size_t i = 0; i < sinks->n; ++i)
                mux->sinks[i] = (Sink){ .fd = sinks->fds[i], .kind = sink_kind(sinks->fds[i]) };
        *ret_mux = mux;
        return 0;
}

GpgMux *gpg_mux_free(GpgMux *mux) {
        free(mux);
        return NULL;
}

/*
 * From the sources to the stream
 */

/* Headers for @n bytes that were read into the free slots. */
static void frame_slots(GpgMux *mux, size_t index, size_t n) {
        while (n > 0) {
                size_t n_slot = n < GPG_FRAME_DATA_MAX ? n : GPG_FRAME_DATA_MAX;

                gpg_frame_encode_header(index, n_slot, mux->out + mux->n_out);
                mux->n_out += GPG_FRAME_HEADER_SIZE + n_slot;
                n -= n_slot;
        }
}

static void end_source(GpgMux *mux, size_t index) {
        mux->sources[index] = fd_close(mux->sources[index]);
        --mux->n_open;
        gpg_frame_encode_header(index, 0, mux->out + mux->n_out);
        mux->n_out += GPG_FRAME_HEADER_SIZE;
}

/* What is there of one source, into the free slots, in one go: only the last is perhaps not full. */
static int read_source(GpgMux *mux, size_t index) {
        size_t n_slots = (sizeof(mux->out) - mux->n_out) / SLOT_SIZE;
        struct iovec slots[SLOTS];
        ssize_t n;

        if (n_slots == 0)
                return 0;
        for (size_t i = 0; i < n_slots; ++i)
                slots[i] = (struct iovec){
                        .iov_base = mux->out + mux->n_out + i * SLOT_SIZE + GPG_FRAME_HEADER_SIZE,
                        .iov_len = GPG_FRAME_DATA_MAX,
                };
        n = readv(mux->sources[index], slots, (int)n_slots);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : GPG_MUX_E_SOURCE;
        if (n == 0)
                end_source(mux, index);
        else
                frame_slots(mux, index, (size_t)n);
        return 0;
}

/* Return: 0 or GPG_MUX_E_HANGUP. */
static int flush_out(GpgMux *mux) {
        while (mux->out_at < mux->n_out) {
                ssize_t n = write(mux->out_fd, mux->out + mux->out_at, mux->n_out - mux->out_at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? 0 : GPG_MUX_E_HANGUP;
                mux->out_at += (size_t)n;
        }
        mux->n_out = mux->out_at = 0;
        return 0;
}

/*
 * From the stream to the sinks
 */

/* Return: as write(2), -1 with EAGAIN where it would wait. */
static ssize_t write_sink(const Sink *sink, const uint8_t *data, size_t n) {
        switch (sink->kind) {
        case SINK_KIND_SOCKET:
                return send(sink->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        case SINK_KIND_OTHER:
                if (poll(&(struct pollfd){ .fd = sink->fd, .events = POLLOUT }, 1, 0) == 0) {
                        errno = EAGAIN;
                        return -1;
                }
                return write(sink->fd, data, n < SINK_CHUNK ? n : SINK_CHUNK);
        case SINK_KIND_READY:
                break;
        }
        return write(sink->fd, data, n);
}

/* Return: whether all of the pending data have been taken, or dropped. */
static bool feed_sink(GpgMux *mux) {
        Sink *sink = &mux->sinks[mux->pending.index];

        while (mux->pending.n > 0 && sink->fd >= 0) {
                ssize_t n = write_sink(sink, mux->pending.data, mux->pending.n);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        return false;
                if (n < 0) {
                        sink->fd = fd_close(sink->fd); /* nobody takes it: the rest is for nobody, too */
                        break;
                }
                mux->pending.data += n;
                mux->pending.n -= (size_t)n;
        }
        mux->pending = (GpgFrameEvent){};
        return true;
}

/* What comes next of what was read. Return: 0 or GPG_MUX_E_PROTOCOL. */
static int next_event(GpgMux *mux, GpgFrameEvent *ret_event) {
        size_t n_used;

        if (mux->ahead.kind != GPG_FRAME_EVENT_NONE) {
                *ret_event = mux->ahead;
                mux->ahead = (GpgFrameEvent){};
                return 0;
        }
        if (gpg_frame_decode(&mux->decoder, mux->in + mux->in_at, mux->n_in - mux->in_at, &n_used, ret_event))
                return GPG_MUX_E_PROTOCOL;
        mux->in_at += n_used;
        return 0;
}

/* A frame holds little: the data of those that follow for the same sink are moved up, so that one write takes all. */
static int gather(GpgMux *mux) {
        uint8_t *end = mux->in + (mux->pending.data - mux->in) + mux->pending.n;
        int r;

        while (mux->ahead.kind == GPG_FRAME_EVENT_NONE && mux->in_at < mux->n_in) {
                GpgFrameEvent event;

                r = next_event(mux, &event);
                if (r)
                        return r;
                if (event.kind != GPG_FRAME_EVENT_DATA || event.index != mux->pending.index) {
                        mux->ahead = event;
                        continue;
                }
                memmove(end, event.data, event.n);
                end += event.n;
                mux->pending.n += event.n;
        }
        return 0;
}

/* Everything that was read, as far as the sinks take it. */
static int dispatch(GpgMux *mux, bool *ret_exited, uint8_t *ret_status) {
        int r = 0;

        while (!r && (mux->pending.kind == GPG_FRAME_EVENT_NONE || feed_sink(mux))) {
                GpgFrameEvent event;

                r = next_event(mux, &event);
                if (r)
                        break;
                switch (event.kind) {
                case GPG_FRAME_EVENT_NONE:
                        return 0;
                case GPG_FRAME_EVENT_DATA:
                        mux->pending = event;
                        if (mux->sinks[event.index].kind == SINK_KIND_READY)
                                r = gather(mux);
                        break;
                case GPG_FRAME_EVENT_END:
                        mux->sinks[event.index].fd = fd_close(mux->sinks[event.index].fd);
                        break;
                case GPG_FRAME_EVENT_EXIT:
                        *ret_exited = true;
                        *ret_status = event.status;
                        return 0;
                }
        }
        return r;
}

/* Return: 0, or what the end of the stream means. */
static int fill_in(GpgMux *mux) {
        ssize_t n = read(mux->in_fd, mux->in, sizeof(mux->in));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return 0;
        if (n <= 0)
                return gpg_frame_is_between(&mux->decoder) ? GPG_MUX_E_HANGUP : GPG_MUX_E_TRUNCATED;
        mux->in_at = 0;
        mux->n_in = (size_t)n;
        return 0;
}

/*
 * Both
 */

typedef struct Polled {
        struct pollfd fds[POLLED_MAX];
        size_t n;
        struct pollfd *in, *out, *process, *sources[GPG_FDS_MAX];
} Polled;

static struct pollfd *polled_add(Polled *polled, int fd, short events) {
        polled->fds[polled->n] = (struct pollfd){ .fd = fd, .events = events };
        return &polled->fds[polled->n++];
}

static int wait_for_work(GpgMux *mux, int pidfd, Polled *ret_polled) {
        *ret_polled = (Polled){};
        /* With nothing to send, too: that nobody takes it any more comes unasked. */
        if (mux->out_fd >= 0)
                ret_polled->out = polled_add(ret_polled, mux->out_fd, mux->n_out > 0 ? POLLOUT : 0);
        if (mux->out_fd >= 0 && mux->n_out == 0)
                for (size_t i = 0; i < mux->n_sources; ++i)
                        if (mux->sources[i] >= 0)
                                ret_polled->sources[i] = polled_add(ret_polled, mux->sources[i], POLLIN);
        if (mux->pending.kind == GPG_FRAME_EVENT_NONE)
                ret_polled->in = polled_add(ret_polled, mux->in_fd, POLLIN);
        else
                polled_add(ret_polled, mux->sinks[mux->pending.index].fd, POLLOUT);
        if (pidfd >= 0)
                ret_polled->process = polled_add(ret_polled, pidfd, POLLIN);
        if (poll(ret_polled->fds, ret_polled->n, -1) >= 0)
                return 0;
        return errno == EINTR ? 0 : error_origin(-errno);
}

static int read_sources(GpgMux *mux, const Polled *polled) {
        int r = 0;

        for (size_t k = 0; k < mux->n_sources && !r; ++k) {
                size_t i = (mux->first + k) % mux->n_sources;

                if (polled->sources[i] && polled->sources[i]->revents)
                        r = read_source(mux, i);
        }
        mux->first = (mux->first + 1) % mux->n_sources;
        return r;
}

/* The stream's own way out. Return: 0, GPG_MUX_E_HANGUP, GPG_MUX_E_SOURCE, or a negative error. */
static int send_out(GpgMux *mux, const Polled *polled) {
        int r;

        if (mux->n_out == 0 && polled->out && polled->out->revents)
                return GPG_MUX_E_HANGUP;
        r = mux->n_out == 0 && mux->out_fd >= 0 ? read_sources(mux, polled) : 0;
        return r ?: flush_out(mux);
}

static int receive_in(GpgMux *mux, const Polled *polled, bool *ret_exited, uint8_t *ret_status) {
        int r = polled->in && polled->in->revents ? fill_in(mux) : 0;

        return r ?: dispatch(mux, ret_exited, ret_status);
}

int gpg_mux_run_client(GpgMux *mux, uint8_t *ret_status) {
        bool exited = false;
        Polled polled;
        int r;

        mux->decoder.may_exit = true;
        while (!exited) {
                r = wait_for_work(mux, -1, &polled);
                r = r ?: send_out(mux, &polled);
                if (r == GPG_MUX_E_HANGUP) {
                        /* It takes no more; what it has said before, perhaps that GnuPG has ended, is still to be read. */
                        mux->out_fd = -1;
                        mux->n_out = mux->out_at = 0;
                        r = 0;
                }
                r = r ?: receive_in(mux, &polled, &exited, ret_status);
                if (r)
                        return r;
        }
        return 0;
}

int gpg_mux_run_server(GpgMux *mux, int pidfd) {
        bool exited = false, ended = false;
        uint8_t status;
        Polled polled;
        int r;

        while (!ended || mux->n_open > 0 || mux->n_out > 0) {
                r = wait_for_work(mux, ended ? -1 : pidfd, &polled);
                ended = ended || (!r && polled.process && polled.process->revents);
                r = r ?: send_out(mux, &polled);
                r = r ?: receive_in(mux, &polled, &exited, &status);
                if (r)
                        return r;
        }
        return 0;
}

int gpg_mux_send_exit(GpgMux *mux, uint8_t status) {
        int r;

        gpg_frame_encode_exit(status, mux->out);
        mux->n_out = GPG_FRAME_HEADER_SIZE;
        for (;;) {
                r = flush_out(mux);
                if (r || mux->n_out == 0)
                        return r;
                if (poll(&(struct pollfd){ .fd = mux->out_fd, .events = POLLOUT }, 1, -1) < 0 && errno != EINTR)
                        return error_origin(-errno);
        }
}
