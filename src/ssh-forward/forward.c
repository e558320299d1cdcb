/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh-forward/forward.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "ssh-forward/connection.h"

/** Events taken from the kernel at a time. */
#define FORWARD_EVENTS_MAX 64

/* Keys of events; those of connections lie above: (generation, slot, part). */
#define FORWARD_KEY_LISTENER UINT64_C(0)
#define FORWARD_KEY_SIGNAL   UINT64_C(1)
#define FORWARD_KEY_FIRST    UINT64_C(1024)

typedef struct Forward {
        ConnectionTarget target;
        int listener_fd, epoll_fd, signal_fd;
        Connection *connections[FORWARD_CONNECTIONS_MAX];
        size_t n_connections;
        uint64_t n_ever;      /* connections so far: no two have the same key */
        bool accepting;       /* epoll tells of new ones */
        uint64_t paused_usec; /* nobody is accepted before; 0: no pause */
        bool stopping;
} Forward;

static void forward_deinit(Forward *forward) {
        for (size_t i = 0; i < FORWARD_CONNECTIONS_MAX; ++i)
                forward->connections[i] = connection_free(forward->connections[i]);
        qair_client_free(forward->target.client);
        forward->epoll_fd = fd_close(forward->epoll_fd);
        forward->signal_fd = fd_close(forward->signal_fd);
}

static int forward_add(const Forward *forward, int fd, uint64_t key) {
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = key };

        return epoll_ctl(forward->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? error_origin(-errno) : 0;
}

static int forward_init(Forward *forward, int listener_fd, const char *domain, const char *service) {
        sigset_t signals;
        int r;

        forward->listener_fd = listener_fd;
        forward->target = (ConnectionTarget){ .domain = domain, .service = service };
        r = qair_client_new(NULL, QAIR_NONBLOCK, &forward->target.client);
        if (r)
                return error_origin(r);
        (void)sigemptyset(&signals);
        (void)sigaddset(&signals, SIGTERM);
        (void)sigaddset(&signals, SIGINT);
        (void)sigaddset(&signals, SIGHUP);
        /* Who is gone is an error code. */
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return error_origin(-errno);
        forward->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
        if (forward->signal_fd < 0)
                return error_origin(-errno);
        forward->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (forward->epoll_fd < 0)
                return error_origin(-errno);
        return error_trace(forward_add(forward, forward->signal_fd, FORWARD_KEY_SIGNAL));
}

/*
 * New connections
 */

/* Who may connect anyway, by the socket's mode; but root can change modes. */
static bool forward_may(int fd) {
        struct ucred peer;

        if (socket_peer(fd, &peer))
                return false;
        if (peer.uid == 0 || peer.uid == geteuid())
                return true;
        log_warning("closed a connection of user %u, who may not use this socket", peer.uid);
        return false;
}

static uint64_t forward_key(uint64_t n, size_t slot) {
        return FORWARD_KEY_FIRST + (n * FORWARD_CONNECTIONS_MAX + slot) * _CONNECTION_PART_N;
}

static int forward_take(Forward *forward, int fd) {
        size_t slot = 0;
        int r;

        if (!forward_may(fd)) {
                fd_close(fd);
                return 0;
        }
        while (forward->connections[slot])
                ++slot;
        r = connection_new(&forward->target, forward->epoll_fd, forward_key(forward->n_ever++, slot), fd,
                           &forward->connections[slot]);
        if (!r)
                ++forward->n_connections;
        return error_trace(r);
}

static int forward_accept(Forward *forward) {
        int fd = accept4(forward->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0)
                return error_trace(forward_take(forward, fd));
        switch (errno) {
        case EAGAIN:
        case EINTR:
        case ECONNABORTED:
                return 0;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
                log_warning("no connection can be accepted now: %s", strerror(errno));
                forward->paused_usec = clock_now() + FORWARD_PAUSE_USEC;
                return 0;
        default:
                return error_origin(-errno);
        }
}

/* Look at the listener only where there is room for what it brings. */
static int forward_set_accepting(Forward *forward, uint64_t now_usec) {
        bool accepting;

        if (forward->paused_usec <= now_usec)
                forward->paused_usec = 0;
        accepting = forward->n_connections < FORWARD_CONNECTIONS_MAX && forward->paused_usec == 0;
        if (accepting == forward->accepting)
                return 0;
        forward->accepting = accepting;
        if (accepting)
                return error_trace(forward_add(forward, forward->listener_fd, FORWARD_KEY_LISTENER));
        return epoll_ctl(forward->epoll_fd, EPOLL_CTL_DEL, forward->listener_fd, NULL) < 0 ? error_origin(-errno) : 0;
}

/*
 * The loop
 */

static int forward_on_event(Forward *forward, const struct epoll_event *event) {
        uint64_t key = event->data.u64;
        Connection *connection;

        if (key == FORWARD_KEY_LISTENER)
                return forward->n_connections < FORWARD_CONNECTIONS_MAX ? error_trace(forward_accept(forward)) : 0;
        if (key == FORWARD_KEY_SIGNAL) {
                forward->stopping = true;
                return 0;
        }
        connection = forward->connections[(key - FORWARD_KEY_FIRST) / _CONNECTION_PART_N % FORWARD_CONNECTIONS_MAX];
        /* Of one that has ended since the kernel told us. */
        if (!connection || connection->key != key - key % _CONNECTION_PART_N)
                return 0;
        return error_trace(connection_on_event(connection, (ConnectionPart)(key % _CONNECTION_PART_N), event->events));
}

/* Return: 0 or a negative error */
static int forward_run_connections(Forward *forward, uint64_t now_usec) {
        for (size_t i = 0; i < FORWARD_CONNECTIONS_MAX; ++i) {
                Connection *connection = forward->connections[i];
                int r;

                if (!connection)
                        continue;
                r = connection_run(connection, now_usec);
                if (r)
                        return error_trace(r);
                if (connection->state == CONNECTION_STATE_CLOSED) {
                        forward->connections[i] = connection_free(connection);
                        --forward->n_connections;
                }
        }
        return 0;
}

/* Return: milliseconds until something is to be done even if nothing happens; -1: never */
static int forward_timeout(const Forward *forward, uint64_t now_usec) {
        uint64_t deadline = forward->paused_usec ?: UINT64_MAX;

        for (size_t i = 0; i < FORWARD_CONNECTIONS_MAX; ++i) {
                const Connection *connection = forward->connections[i];

                if (!connection)
                        continue;
                if (connection_is_due(connection))
                        return 0;
                if (connection->deadline_usec < deadline)
                        deadline = connection->deadline_usec;
        }
        if (deadline == UINT64_MAX)
                return -1;
        /* Rounded up, so that it is over then. */
        return deadline <= now_usec ? 0 : (int)((deadline - now_usec) / USEC_PER_MSEC) + 1;
}

static int forward_serve(Forward *forward) {
        while (!forward->stopping) {
                struct epoll_event events[FORWARD_EVENTS_MAX];
                uint64_t now_usec = clock_now();
                int n, r;

                r = forward_set_accepting(forward, now_usec);
                if (r)
                        return error_trace(r);
                n = epoll_wait(forward->epoll_fd, events, FORWARD_EVENTS_MAX, forward_timeout(forward, now_usec));
                if (n < 0 && errno != EINTR)
                        return error_origin(-errno);
                for (int i = 0; i < n; ++i) {
                        r = forward_on_event(forward, &events[i]);
                        if (r)
                                return error_trace(r);
                }
                r = forward_run_connections(forward, clock_now());
                if (r)
                        return error_trace(r);
        }
        return 0;
}

int forward_run(int listener_fd, const char *domain, const char *service) {
        _cleanup_(forward_deinit) Forward forward = { .epoll_fd = -1, .signal_fd = -1 };
        int r;

        r = forward_init(&forward, listener_fd, domain, service);
        if (!r)
                r = forward_serve(&forward);
        return error_trace(r);
}
