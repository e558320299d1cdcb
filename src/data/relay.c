/* SPDX-License-Identifier: Apache-2.0 */
#include "data/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

/** Splices before others get their turn. */
#define DATA_RELAY_TURN_MAX 4

/** Linux, Documentation/admin-guide/devices.txt: memory devices. */
#define RELAY_MEMORY_MAJOR 1
#define RELAY_NULL_MINOR   3

enum {
        RELAY_FROM,
        RELAY_TO,
};

static bool relay_is_own(DataRelayKind kind) {
        return kind == DATA_RELAY_KIND_OURS || kind == DATA_RELAY_KIND_PIPE;
}

/* What kind of file it is; zero if that cannot be told. */
static struct stat relay_look_at(int fd, DataRelayKind kind) {
        struct stat status = {};

        if (kind == DATA_RELAY_KIND_PIPE)
                status.st_mode = S_IFIFO;
        else if (fd >= 0 && fstat(fd, &status) < 0)
                status = (struct stat){};
        return status;
}

static bool relay_is_memory(const struct stat *status) {
        return S_ISCHR(status->st_mode) && major(status->st_rdev) == RELAY_MEMORY_MAJOR;
}

/* Can splice(2) take part in this, as far as one can tell without trying, and without ever blocking? */
static bool relay_can_splice(const struct stat *status, DataRelayKind kind, bool writable) {
        if (S_ISSOCK(status->st_mode))
                return !writable || kind == DATA_RELAY_KIND_OURS;
        /* /dev/null and its like; any other device may be a terminal. */
        return S_ISFIFO(status->st_mode) || S_ISREG(status->st_mode) || relay_is_memory(status);
}

/* Most callers have no input: that is seen at once, and needs no poll() and no attempt to move anything. */
static bool relay_is_empty(const struct stat *status) {
        return relay_is_memory(status) && minor(status->st_rdev) == RELAY_NULL_MINOR;
}

/* From now on bytes go through a buffer. */
static void relay_copy(DataRelay *relay) {
        relay->copies = true;
        if (relay_is_own(relay->from_kind))
                data_end_init_own(&relay->from, relay->from.fd);
        else
                data_end_init(&relay->from, relay->from.fd, false, true);
        if (relay_is_own(relay->to_kind))
                data_end_init_own(&relay->to, relay->to.fd);
        else
                data_end_init(&relay->to, relay->to.fd, true, true);
}

/* What splice(2) needs to know of an end. */
static DataEnd relay_make_end(int fd, const struct stat *status) {
        return (DataEnd){
                .fd = fd,
                .own_fd = -1,
                .kind = S_ISSOCK(status->st_mode) ? DATA_END_KIND_SOCKET : DATA_END_KIND_OTHER,
        };
}

/* The choice of 5.12, now that we know what it is about. */
static DataFilter relay_resolve_filter(DataFilter filter, int to_fd, const struct stat *to) {
        if (filter != DATA_FILTER_TERMINAL)
                return filter;
        return S_ISCHR(to->st_mode) && !relay_is_memory(to) && isatty(to_fd) ? DATA_FILTER_ON : DATA_FILTER_OFF;
}

static void relay_close_end(DataEnd *end, DataRelayKind kind, int how) {
        /* ENOTCONN: the other end was faster. */
        if (end->fd >= 0 && end->kind == DATA_END_KIND_SOCKET && kind != DATA_RELAY_KIND_INHERITED)
                (void)shutdown(end->fd, how);
        data_end_deinit(end);
}

void data_relay_close(DataRelay *relay) {
        relay_close_end(&relay->from, relay->from_kind, SHUT_RD);
        relay_close_end(&relay->to, relay->to_kind, SHUT_WR);
        relay->pending.n = 0;
        free(relay->buffer);
        relay->buffer = NULL;
}

void data_relay_close_to(DataRelay *relay) {
        if (!relay->drain) {
                data_relay_close(relay);
                return;
        }
        relay_close_end(&relay->to, relay->to_kind, SHUT_WR);
        relay->pending.n = 0;
        relay->waits_for_to = false;
        relay_copy(relay);
}

static void relay_end(DataRelay *relay) {
        relay->ended = true;
        if (!relay->lingers)
                data_relay_close(relay);
}

void data_relay_init(DataRelay *relay, int from_fd, DataRelayKind from_kind, int to_fd, DataRelayKind to_kind) {
        struct stat from = relay_look_at(from_fd, from_kind), to = relay_look_at(to_fd, to_kind);

        relay->from_kind = from_kind;
        relay->to_kind = to_kind;
        relay->from = relay_make_end(from_fd, &from);
        relay->to = relay_make_end(to_fd, &to);
        relay->filter = relay_resolve_filter(relay->filter, to_fd, &to);
        relay->waits_for_to = relay->pending.n > 0;
        if (from_fd < 0) {
                data_relay_close(relay);
                return;
        }
        if (relay_is_empty(&from) && relay->pending.n == 0) {
                relay_end(relay);
                return;
        }
        if (relay->filter == DATA_FILTER_ON || !relay_can_splice(&from, from_kind, false) ||
            !relay_can_splice(&to, to_kind, true)) {
                relay_copy(relay);
                return;
        }
        /* To a pipe one can say with each splice that it must not block; a socket looks at its flag alone. */
        if (S_ISSOCK(to.st_mode) || relay->pending.n > 0)
                data_end_init_own(&relay->to, to_fd);
        if (S_ISSOCK(from.st_mode) && from_kind == DATA_RELAY_KIND_OURS)
                data_end_init_own(&relay->from, from_fd);
}

void data_relay_switch(DataRelay *relay, int from_fd) {
        relay_close_end(&relay->from, relay->from_kind, SHUT_RD);
        relay->from_kind = DATA_RELAY_KIND_OURS;
        data_end_init_own(&relay->from, from_fd);
        relay->waits_for_to = relay->pending.n > 0;
        relay->ended = false;
}

/*
 * Whichever of both ends held us up is waited for. The writable one is always watched, since a hang-up there ends the
 * direction whatever is to be read; the readable one is not while it cannot be read, or poll() would come back at once.
 */
void data_relay_want(const DataRelay *relay, struct pollfd ret_sources[static 2]) {
        ret_sources[RELAY_FROM] = (struct pollfd){ .fd = -1 };
        ret_sources[RELAY_TO] = (struct pollfd){ .fd = -1 };
        if (!data_relay_is_open(relay))
                return;
        if (!relay->waits_for_to && !relay->ended)
                ret_sources[RELAY_FROM] = (struct pollfd){ .fd = data_end_poll_fd(&relay->from), .events = POLLIN };
        if (relay->to.fd >= 0)
                ret_sources[RELAY_TO] = (struct pollfd){ .fd = data_end_poll_fd(&relay->to),
                                                         .events = relay->waits_for_to ? POLLOUT : 0 };
}

/*
 * Who moves a stream is woken by each block of its writer, and would take the processor from that writer before there is a
 * second one, so that every block costs two process switches. A batch process (sched(7)) runs when the writer has filled the
 * pipe or used up its time, and then moves all of it. It costs nothing where there is a processor to spare: there it
 * runs at once. What somebody else chose for us (nice(1), chrt(1)) stays.
 */
static void relay_become_batch(void) {
        static const struct sched_param parameters = {};

        /* By number: musl has functions for them that always fail. */
        if (syscall(SYS_sched_getscheduler, 0) == SCHED_OTHER)
                (void)syscall(SYS_sched_setscheduler, 0, SCHED_BATCH, &parameters);
}

static void relay_count(DataRelay *relay, size_t n) {
        bool was_grown = relay->growth.grown;

        data_growth_count(&relay->growth, n, relay->from.fd, relay->to.fd);
        /* What is copied may be a terminal, with a person who waits for it. */
        if (relay->growth.grown && !was_grown && !relay->copies)
                relay_become_batch();
}

/* Return: 0, or DATA_END_E_AGAIN */
static int relay_flush(DataRelay *relay) {
        while (relay->pending.n > 0) {
                size_t n;
                int r;

                r = data_end_write(&relay->to, relay->pending.data, relay->pending.n, &n);
                if (r == DATA_END_E_AGAIN) {
                        relay->waits_for_to = true;
                        return r;
                }
                if (r) {
                        data_relay_close_to(relay);
                        return 0;
                }
                relay->pending.data += n;
                relay->pending.n -= n;
        }
        relay->waits_for_to = false;
        return 0;
}

/* One buffer: what poll() promised, and no more, since not every end can be asked again without blocking. */
static int relay_run_copy(DataRelay *relay) {
        size_t n;
        int r;

        if (!relay->buffer) {
                relay->buffer = malloc(DATA_RELAY_BUFFER);
                if (!relay->buffer)
                        return error_origin(-ENOMEM);
        }
        r = data_end_read(&relay->from, relay->buffer, DATA_RELAY_BUFFER, &n);
        if (r == DATA_END_E_AGAIN)
                return 0;
        if (r) {
                relay_end(relay);
                return 0;
        }
        if (relay->to.fd < 0)
                return 0;
        if (relay->filter == DATA_FILTER_ON)
                data_filter(relay->buffer, n);
        relay_count(relay, n);
        relay->pending = (WireSlice){ relay->buffer, n };
        (void)relay_flush(relay);
        return 0;
}

static void relay_run_splice(DataRelay *relay) {
        for (unsigned i = 0; i < DATA_RELAY_TURN_MAX; ++i) {
                ssize_t n = splice(relay->from.fd, NULL, relay->to.fd, NULL, DATA_RELAY_SPLICE_MAX, SPLICE_F_NONBLOCK);

                if (n > 0) {
                        relay->waits_for_to = false;
                        relay_count(relay, (size_t)n);
                        continue;
                }
                if (n == 0) {
                        relay_end(relay);
                        return;
                }
                switch (errno) {
                case EINTR:
                        continue;
                case EAGAIN:
                        /* It does not say which of both: the one that poll() has not just told us about. */
                        relay->waits_for_to = i == 0 && !relay->waits_for_to;
                        return;
                case EPIPE:
                        data_relay_close_to(relay);
                        return;
                default:
                        /* EINVAL where it cannot serve. Any other error comes again from what copies, with a side. */
                        relay_copy(relay);
                        relay->waits_for_to = false;
                        return;
                }
        }
}

int data_relay_run(DataRelay *relay, const struct pollfd sources[static 2]) {
        if (!data_relay_is_open(relay))
                return 0;
        if (sources[RELAY_TO].revents & (POLLERR | POLLHUP | POLLNVAL)) {
                data_relay_close_to(relay);
                return 0;
        }
        if (relay->pending.n > 0)
                return sources[RELAY_TO].revents ? (void)relay_flush(relay), 0 : 0;
        if (!sources[relay->waits_for_to ? RELAY_TO : RELAY_FROM].revents)
                return 0;
        /* A hang-up with nothing to read before it is the end. */
        if (!relay->waits_for_to && sources[RELAY_FROM].revents == POLLHUP) {
                relay_end(relay);
                return 0;
        }
        if (relay->copies)
                return error_trace(relay_run_copy(relay));
        relay_run_splice(relay);
        return 0;
}
