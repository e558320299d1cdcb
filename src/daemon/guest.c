/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/guest.h"

#include <errno.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "vchan/place.h"
#include "wire/header.h"

/* At a port that nobody can tell before: what is under way to an earlier daemon's finds nobody there. */
static int guest_init_ports(Ports *ports) {
        ports->in_turn = true;
        if (getrandom(&ports->next, sizeof(ports->next), 0) != sizeof(ports->next))
                return error_origin(-errno);
        ports->next %= PORTS_N;
        return 0;
}

int guest_init(Guest *guest, const DaemonSettings *settings, Ports *ports, Clients *clients) {
        int r;

        *guest = (Guest){ .acceptor = ACCEPTOR_INIT, .ports = ports, .clients = clients };
        r = settings->vsock ? guest_init_ports(ports) : 0;
        return r ?: acceptor_init(&guest->acceptor, settings);
}

void guest_deinit(Guest *guest) {
        acceptor_deinit(&guest->acceptor);
}

/* Anybody with a virtual machine can make us say this, and over the loopback anybody at all. */
static void guest_complain(Guest *guest, const VsockPeer *peer, const char *why) {
        unsigned n_unsaid;

        if (!complaint_is_due(&guest->complaint, clock_now(), &n_unsaid))
                return;
        if (n_unsaid > 0)
                log_notice("%u more connections over vsock were closed", n_unsaid);
        log_notice("closed a connection over vsock, from port %u of context id %u: %s", peer->port, peer->cid, why);
}

void guest_turn_away(Guest *guest, int fd) {
        VsockPeer peer;

        if (vsock_connection_peer(fd, &peer) == 0)
                guest_complain(guest, &peer, "the agent before is still there");
        fd_close(fd);
}

/* Takes the descriptor. */
static int guest_on_data(Guest *guest, const Arrival *arrival) {
        _cleanup_fd_ int fd = arrival->fd;
        Client *client = NULL;
        int r;

        if (acceptor_is_guests(&arrival->peer, guest->cid))
                client = clients_find(guest->clients, &(ExecParams){ VCHAN_DOMAIN_HOST, arrival->peer.port });
        if (!client || client->state != CLIENT_STATE_WAITING) {
                guest_complain(guest, &arrival->peer, "nobody waits for it");
                return 0;
        }
        r = clients_hand_over(client, fd);
        if (r != CLIENTS_E_GONE)
                return r;
        /* The guest sees the end of its connection, and gives the port back. */
        clients_remove(guest->clients, client);
        return 0;
}

int guest_next(Guest *guest, int *ret_fd) {
        Arrival arrival;
        int r;

        r = acceptor_next(&guest->acceptor, &arrival);
        if (r)
                return r == ACCEPTOR_E_AGAIN ? GUEST_E_AGAIN : error_fold(r);
        if (arrival.purpose != VSOCK_PURPOSE_CONTROL)
                return guest_on_data(guest, &arrival) ?: GUEST_E_AGAIN;
        guest->cid = arrival.peer.cid;
        *ret_fd = arrival.fd;
        return 0;
}

int guest_invite(Guest *guest, Client *client, ExecParams *params) {
        uint32_t port;

        if (params->connect_port != 0 ||
            (params->connect_domain != WIRE_DOMAIN_FRAMED && params->connect_domain != WIRE_DOMAIN_DIRECT)) {
                log_warning("a client wants to be dialled, or to dial, and this domain is a virtual machine");
                return GUEST_E_REFUSE;
        }
        if (ports_allocate(guest->ports, VCHAN_DOMAIN_HOST, &port)) {
                log_warning("no port is left for a call");
                return GUEST_E_REFUSE;
        }
        client->params = (ExecParams){ VCHAN_DOMAIN_HOST, port };
        client->state = CLIENT_STATE_WAITING;
        client->deadline_usec = clock_now() + GUEST_DIAL_USEC;
        *params = (ExecParams){ guest->acceptor.data_port, port };
        return 0;
}

/* What was dialled before something was said is heard before it. */
static int guest_hear_data(Guest *guest) {
        Arrival arrival;
        int r = 0;

        for (int i = 0; i < ACCEPTOR_DRAIN_MAX && !r; ++i) {
                r = acceptor_next_data(&guest->acceptor, &arrival);
                if (!r)
                        r = guest_on_data(guest, &arrival);
        }
        return r == ACCEPTOR_E_AGAIN ? 0 : r;
}

/* Return: was it taken? */
static bool guest_release(Guest *guest, uint32_t port) {
        if (!ports_release(guest->ports, VCHAN_DOMAIN_HOST, port))
                return false;
        guest->is_orphan[port - VCHAN_PORT_DATA_MIN] = false;
        return true;
}

int guest_terminate(Guest *guest, const ExecParams *params) {
        ExecParams inside = { VCHAN_DOMAIN_HOST, params->connect_port };
        Client *client;
        int r;

        r = guest_hear_data(guest);
        if (r || params->connect_domain != guest->acceptor.data_port)
                return r;
        client = clients_find(guest->clients, &inside);
        if (client && client->state >= CLIENT_STATE_CONNECTED && client->type == WIRE_TYPE_SERVICE_CONNECT) {
                client->state = CLIENT_STATE_OVER;
                return 0;
        }
        if (guest_release(guest, inside.connect_port) && client)
                clients_remove(guest->clients, client);
        return 0;
}

void guest_lose_agent(Guest *guest, uint64_t now_usec) {
        for (uint32_t i = 0; i < PORTS_N; ++i) {
                ExecParams params = { VCHAN_DOMAIN_HOST, VCHAN_PORT_DATA_MIN + i };

                guest->is_orphan[i] = guest->ports->is_taken[i] && !clients_find(guest->clients, &params);
                if (guest->is_orphan[i])
                        guest->orphans_usec = now_usec + GUEST_DIAL_USEC;
        }
}

void guest_probe(const Guest *guest) {
        for (const Client *client = guest->clients->first; client; client = client->next)
                if (client->data_fd >= 0)
                        vsock_probe(client->data_fd);
}

static void guest_release_orphans(Guest *guest) {
        for (uint32_t i = 0; i < PORTS_N; ++i)
                if (guest->is_orphan[i])
                        (void)guest_release(guest, VCHAN_PORT_DATA_MIN + i);
        guest->orphans_usec = 0;
}

uint64_t guest_deadline(const Guest *guest) {
        uint64_t deadline_usec = guest->orphans_usec > 0 ? guest->orphans_usec : UINT64_MAX;

        for (const Client *client = guest->clients->first; client; client = client->next)
                if (client->state == CLIENT_STATE_WAITING && client->deadline_usec < deadline_usec)
                        deadline_usec = client->deadline_usec;
        return deadline_usec;
}

void guest_on_deadline(Guest *guest, uint64_t now_usec) {
        for (Client *client = guest->clients->first, *next; client; client = next) {
                next = client->next;
                if (client->state != CLIENT_STATE_WAITING || client->deadline_usec > now_usec)
                        continue;
                log_warning("the domain did not dial for a call, from port %u, in time", client->params.connect_port);
                clients_remove(guest->clients, client);
        }
        if (guest->orphans_usec > 0 && guest->orphans_usec <= now_usec)
                guest_release_orphans(guest);
}

void guest_remove_client(Guest *guest, Client *client) {
        if (client->state == CLIENT_STATE_OVER)
                (void)ports_release(guest->ports, VCHAN_DOMAIN_HOST, client->params.connect_port);
        clients_remove(guest->clients, client);
}
