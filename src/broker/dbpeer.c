/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/dbpeer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/watch.h"
#include "base/watchdog.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "qubesdb/session.h"
#include "qubesdb/store.h"

struct DbPeer {
        DbPeer *next, **place; /* in the domain's list */
        Domain *domain;
        QubesdbSession *session;
        int fd;
        sd_event_source *source;
        bool is_last; /* close when what is in output was sent */

        /* Commands that arrived behind the one in progress, and what the socket has no room for yet. */
        uint8_t input[QUBESDB_MESSAGE_MAX], output[2 * QUBESDB_MESSAGE_MAX];
        size_t n_input, n_output, n_sent;
};

enum {
        _DBPEER_SUCCESS,
        DBPEER_CLOSE,
};

static DbPeer *dbpeer_free(DbPeer *peer) {
        if (!peer)
                return NULL;
        if (peer->place) {
                *peer->place = peer->next;
                if (peer->next)
                        peer->next->place = peer->place;
                --peer->domain->n_dbpeers;
        }
        sd_event_source_disable_unref(peer->source);
        fd_close(peer->fd);
        qubesdb_session_free(peer->session);
        free(peer);
        return NULL;
}
DEFINE_CLEANUP(DbPeer *, dbpeer_free)

void dbpeer_free_all(Domain *domain) {
        while (domain->dbpeers)
                dbpeer_free(domain->dbpeers);
        domain->store = qubesdb_store_free(domain->store);
        domain->view = qubesdb_store_free(domain->view);
        domain->view_generation = 0;
}

/* The others hear of a change in their own turn: one of them may have to be closed. */
static int dbpeer_wake_all(Domain *domain) {
        for (DbPeer *peer = domain->dbpeers; peer; peer = peer->next) {
                int r;

                if (peer->session->n_events == 0 && !peer->session->is_closing)
                        continue;
                r = sd_event_source_set_io_events(peer->source, EPOLLIN | EPOLLOUT);
                if (r < 0)
                        return error_origin(r);
        }
        return 0;
}

/* Bring the domain's entries up to date. While the inventory is broken, what it said last stays. */
static int dbpeer_refresh(Domain *domain) {
        _cleanup_(qubesdb_store_freep) QubesdbStore *view = NULL;
        Config *config = domain->broker->config;
        int r;

        if (!domain->store) {
                r = qubesdb_store_new(&domain->store);
                r = r ?: qubesdb_store_new(&domain->view);
                if (r)
                        return error_trace(r);
        }
        if (domain->view_generation == config_inventory_generation(config))
                return 0;
        domain->view_generation = config_inventory_generation(config);
        r = qubesdb_store_new(&view);
        r = r ?: config_fill_view(config, &domain->name, view);
        if (r == CONFIG_E_BROKEN)
                return 0;
        r = r ?: qubesdb_store_change(domain->store, domain->view, view);
        if (r)
                return error_trace(r);
        qubesdb_store_free(domain->view);
        domain->view = steal_ptr(&view);
        return error_trace(dbpeer_wake_all(domain));
}

int dbpeer_refresh_all(Broker *broker) {
        for (size_t i = 0; i < broker->domains.n; ++i) {
                int r = broker->domains.by_name[i]->store ? dbpeer_refresh(broker->domains.by_name[i]) : 0;

                if (r)
                        return error_trace(r);
        }
        return 0;
}

/* Send what there is to send. Return: 0, also if the socket is full; DBPEER_CLOSE; or a negative error. */
static int dbpeer_send(DbPeer *peer) {
        for (;;) {
                size_t n;
                int r;

                if (peer->n_sent == peer->n_output) {
                        if (peer->is_last)
                                return DBPEER_CLOSE;
                        r = qubesdb_session_send(peer->session, peer->output, sizeof(peer->output), &peer->n_output);
                        peer->n_sent = 0;
                        peer->is_last = r == QUBESDB_SESSION_E_CLOSE;
                        if (peer->n_output == 0)
                                return peer->is_last ? DBPEER_CLOSE : 0;
                }
                r = socket_send(peer->fd, peer->output + peer->n_sent, peer->n_output - peer->n_sent, NULL, 0, &n);
                switch (r) {
                case 0:
                        peer->n_sent += n;
                        break;
                case SOCKET_E_AGAIN:
                case SOCKET_E_LIMIT:
                        return 0;
                case SOCKET_E_GONE:
                        return DBPEER_CLOSE;
                default:
                        return error_fold(r);
                }
        }
}

/* Answer the commands that are there, one after the other. */
static int dbpeer_execute(DbPeer *peer) {
        int r;

        r = config_refresh(peer->domain->broker->config);
        r = r ?: dbpeer_refresh(peer->domain);
        while (!r && peer->n_input > 0 && peer->n_sent == peer->n_output &&
               qubesdb_session_wants_input(peer->session)) {
                size_t n_taken;

                r = qubesdb_session_receive(peer->session, peer->input, peer->n_input, &n_taken);
                if (r == QUBESDB_SESSION_E_CLOSE)
                        return DBPEER_CLOSE;
                if (r)
                        break;
                peer->n_input -= n_taken;
                memmove(peer->input, peer->input + n_taken, peer->n_input);
                r = dbpeer_send(peer);
                if (r == DBPEER_CLOSE)
                        return DBPEER_CLOSE;
        }
        return error_trace(r ?: dbpeer_wake_all(peer->domain));
}

static int dbpeer_receive(DbPeer *peer) {
        Watchdog *watchdog = peer->domain->broker->watchdog;
        size_t n;
        int r;

        watchdog_arm(watchdog);
        r = socket_receive(peer->fd, peer->input + peer->n_input, sizeof(peer->input) - peer->n_input, &n, NULL, 0,
                           NULL);
        if (watchdog_disarm(watchdog)) {
                domain_note(peer->domain, "sent descriptors that nobody asked for: closed that connection");
                return DBPEER_CLOSE;
        }
        switch (r) {
        case 0:
                peer->n_input += n;
                return dbpeer_execute(peer);
        case SOCKET_E_AGAIN:
                return 0;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
        case SOCKET_E_TRUNCATED:
                return DBPEER_CLOSE;
        default:
                return error_fold(r);
        }
}

static int dbpeer_dispatch(DbPeer *peer, uint32_t revents) {
        bool is_full;
        int r = 0;

        r = dbpeer_send(peer);
        if (r)
                return r;
        if (peer->n_input > 0) {
                r = dbpeer_execute(peer);
                if (r)
                        return r;
        }
        if ((revents & ~EPOLLOUT) && peer->n_input < sizeof(peer->input) && peer->n_sent == peer->n_output) {
                r = dbpeer_receive(peer);
                if (r)
                        return r;
        }
        /* No command is read from one who does not read our answers. */
        is_full = peer->n_sent < peer->n_output;
        r = sd_event_source_set_io_events(peer->source, is_full ? EPOLLOUT : EPOLLIN);
        return r < 0 ? error_origin(r) : 0;
}

static int dbpeer_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        DbPeer *peer = userdata;
        int r;

        if ((revents & (EPOLLERR | EPOLLHUP)) && !(revents & EPOLLIN))
                r = DBPEER_CLOSE;
        else
                r = dbpeer_dispatch(peer, revents);
        if (r == DBPEER_CLOSE) {
                dbpeer_free(peer);
                return 0;
        }
        return error_trace(r);
}

int dbpeer_new(Domain *domain, bool may_write, int fd) {
        _cleanup_(dbpeer_freep) DbPeer *peer = NULL;
        _cleanup_fd_ int owned_fd = fd;
        int r;

        if (domain->n_dbpeers >= DBPEER_MAX) {
                domain_note(domain, "more than %d connections to its QubesDB: closed the newest", DBPEER_MAX);
                return 0;
        }
        r = dbpeer_refresh(domain);
        if (r)
                return error_trace(r);
        peer = malloc(sizeof(*peer));
        if (!peer)
                return error_origin(-ENOMEM);
        *peer = (DbPeer){ .domain = domain, .fd = fd_steal(&owned_fd) };
        r = qubesdb_session_new(domain->store, may_write, &peer->session);
        if (r)
                return error_trace(r);
        peer->next = domain->dbpeers;
        if (peer->next)
                peer->next->place = &peer->next;
        peer->place = &domain->dbpeers;
        domain->dbpeers = peer;
        ++domain->n_dbpeers;
        r = watch_io(domain->broker->event, peer->fd, EPOLLIN, dbpeer_on_io, peer, &peer->source);
        if (r)
                return error_trace(r);
        steal_ptr(&peer);
        return 0;
}
