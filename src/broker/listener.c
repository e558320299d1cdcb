/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/watch.h"
#include "broker/broker.h"
#include "broker/caller.h"
#include "broker/client.h"
#include "broker/dbpeer.h"
#include "broker/link.h"

/* Connections taken in one turn: as many as a crowd has, since whose turn it is is decided among those that were taken. */
#define LISTENER_ACCEPT_MAX 128
/* Where none can be taken, not even to be closed, the next attempt. */
#define LISTENER_PAUSE_USEC (100 * USEC_PER_MSEC)

struct Listener {
        Broker *broker;
        ListenerKind kind;
        Domain *domain;
        int fd;
        uint64_t event; /* the number of the one that was last for us */
        sd_event_source *source;
        sd_event_source *pause; /* NULL: it listens */
};

/*
 * Who is this? NULL: nobody who may be here. On trigger sockets a stranger is heard nevertheless, to be told why it
 * is refused.
 */
static Domain *listener_identify(const Listener *listener, uid_t uid) {
        const Domain *domain = listener->domain;
        Broker *broker = listener->broker;
        bool is_it = domain && (domain->is_folder || uid == (domain_is_dom0(domain) ? broker->admin_uid : domain->uid));

        switch (listener->kind) {
        case LISTENER_KIND_SHARED:
                return domain_table_find_uid(&broker->domains, uid) ?: broker->strangers;
        case LISTENER_KIND_TRIGGER:
                return is_it ? listener->domain : broker->strangers;
        case LISTENER_KIND_LINK:
                /* dom0's agent is an account of its own, and not root. */
                return domain->is_folder || uid == domain->uid ? listener->domain : NULL;
        case LISTENER_KIND_DAEMON:
        case LISTENER_KIND_HOST_STORE:
                return uid == broker->admin_uid || uid == broker->uid ? listener->domain : NULL;
        case LISTENER_KIND_STORES:
                return uid == broker->admin_uid ? domain_table_find(&broker->domains, DOM0_NAME)
                                                : domain_table_find_uid(&broker->domains, uid);
        case LISTENER_KIND_STORE:
                return is_it ? listener->domain : NULL;
        case _LISTENER_KIND_N:
                break;
        }
        return NULL;
}

/* What a domain may have is its own matter; what we have left is everybody's, so that root and agents come first. */
static bool listener_has_room(const Listener *listener, Domain *payer, int fd) {
        if (listener->kind == LISTENER_KIND_LINK) {
                if (payer->n_links < DOMAIN_LINKS_MAX)
                        return true;
                domain_note(payer, "more than %d links: closed the newest", DOMAIN_LINKS_MAX);
                return false;
        }
        if (payer->n_connections >= payer->n_connections_max) {
                domain_note(payer, "more than %zu unanswered connections: closed the newest", payer->n_connections_max);
                return false;
        }
        if (fd >= listener->broker->fds_end && !domain_is_dom0(payer)) {
                domain_note(payer, "few descriptors are left: refused a connection");
                return false;
        }
        return true;
}

static int listener_admit(Listener *listener, int fd, bool is_busy) {
        static const char *const sockets[_LISTENER_KIND_N] = {
                [LISTENER_KIND_SHARED] = "shared trigger",
                [LISTENER_KIND_TRIGGER] = "trigger",
                [LISTENER_KIND_LINK] = "link",
                [LISTENER_KIND_DAEMON] = "daemon",
                [LISTENER_KIND_STORES] = "shared QubesDB",
                [LISTENER_KIND_STORE] = "QubesDB",
                [LISTENER_KIND_HOST_STORE] = "host's QubesDB",
        };
        _cleanup_fd_ int owned_fd = fd;
        struct ucred peer;
        Domain *domain, *payer;
        int r;

        r = socket_peer(fd, &peer);
        if (r)
                return error_trace(r);
        domain = listener_identify(listener, peer.uid);
        if (!domain || domain == listener->broker->strangers)
                domain_note(listener->broker->strangers, "account %u (process %d) may not use the %s socket of %s",
                            (unsigned)peer.uid, (int)peer.pid, sockets[listener->kind],
                            listener->domain ? listener->domain->name.text : "all domains");
        if (!domain)
                return 0;
        payer = listener->kind == LISTENER_KIND_DAEMON ? domain_table_find(&listener->broker->domains, DOM0_NAME)
                                                       : domain;
        if (!payer || !listener_has_room(listener, payer, fd))
                return 0;

        switch (listener->kind) {
        case LISTENER_KIND_SHARED:
        case LISTENER_KIND_TRIGGER:
                return error_trace(caller_new(listener->broker, domain, fd_steal(&owned_fd), is_busy));
        case LISTENER_KIND_LINK:
                return error_trace(link_new(listener->broker, domain, fd_steal(&owned_fd)));
        case LISTENER_KIND_DAEMON:
                return error_trace(client_new(listener->broker, domain, payer, fd_steal(&owned_fd)));
        case LISTENER_KIND_STORES:
        case LISTENER_KIND_STORE:
                return error_trace(dbpeer_new(domain, domain_is_dom0(domain), fd_steal(&owned_fd)));
        case LISTENER_KIND_HOST_STORE:
                return error_trace(dbpeer_new(domain, true, fd_steal(&owned_fd)));
        case _LISTENER_KIND_N:
                break;
        }
        return 0;
}

static int listener_on_pause(sd_event_source *source, uint64_t usec, void *userdata) {
        Listener *listener = userdata;

        listener->pause = sd_event_source_disable_unref(listener->pause);
        return error_trace(watch_enable(listener->source, SD_EVENT_ON));
}

/*
 * No descriptor left to accept with: use the spare one to close the connection in the peer's face, instead of spinning. Where
 * the machine has none left the spare one is somebody else's as soon as it is free: then all wait.
 */
static int listener_shed(Listener *listener) {
        Broker *broker = listener->broker;
        int fd, r;

        broker->spare_fd = fd_close(broker->spare_fd);
        fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        r = fd < 0 && errno != EAGAIN ? watch_enable(listener->source, SD_EVENT_OFF) : 1;
        fd_close(fd);
        broker->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        domain_note(broker->strangers, "out of descriptors: %s", r == 1 ? "refused a connection" : "connections wait");
        if (r == 0)
                r = watch_time(broker->event, LISTENER_PAUSE_USEC, 0, listener_on_pause, listener, &listener->pause);
        return r < 0 ? error_trace(r) : 0;
}

/* accept4() makes a socket before it looks, which costs several times as much as to ask. */
static bool listener_has_more(int fd) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

        return poll(&poll_fd, 1, 0) == 1;
}

static int listener_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Listener *listener = userdata;
        Broker *broker = listener->broker;
        /* Connections come faster than they are served if the last event was one already, or if some wait. */
        bool is_busy = broker->n_events - listener->event <= 1 || caller_turns_wait(&broker->turns);

        listener->event = broker->n_events;
        for (unsigned i = 0; i < LISTENER_ACCEPT_MAX; ++i) {
                int connection, r;

                connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (connection < 0) {
                        switch (errno) {
                        case EAGAIN:
                        case ECONNABORTED:
                        case EINTR:
                                return 0;
                        case EMFILE:
                        case ENFILE:
                        case ENOBUFS:
                        case ENOMEM:
                                return listener_shed(listener);
                        default:
                                return error_origin(-errno);
                        }
                }
                r = listener_admit(listener, connection, is_busy);
                /* Asking whether there is another costs as much as the loop's next turn, so only who is busy does. */
                if (r || !is_busy || !listener_has_more(fd))
                        return error_trace(r);
        }
        return 0;
}

int listener_new(Broker *broker, ListenerKind kind, Domain *domain, int fd, Listener **ret_listener) {
        _cleanup_(listener_freep) Listener *listener = NULL;
        int r;

        listener = malloc(sizeof(*listener));
        if (!listener) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        *listener = (Listener){ .broker = broker, .kind = kind, .domain = domain, .fd = fd };
        r = fd_set_nonblocking(fd, true);
        if (r < 0)
                return error_origin(r);
        r = watch_io(broker->event, fd, EPOLLIN, listener_on_io, listener, &listener->source);
        if (r)
                return error_trace(r);
        *ret_listener = steal_ptr(&listener);
        return 0;
}

Listener *listener_free(Listener *listener) {
        if (!listener)
                return NULL;
        sd_event_source_disable_unref(listener->source);
        sd_event_source_disable_unref(listener->pause);
        fd_close(listener->fd);
        free(listener);
        return NULL;
}
