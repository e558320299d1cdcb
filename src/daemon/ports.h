/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data ports of one domain, 513 to 768, and which other domain each is given to (protocol specification, 3.7).
 *
 * Two daemons may give out ports for the same pair of domains: they never choose the same, since a domain with a higher id
 * than the peer's takes odd port numbers and the other one even ones. Ports for the host are taken from all.
 *
 * Over vsock a port is the guest's own, which may have it a moment longer than the call lasts: there the next one is taken, not
 * the lowest.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vchan/place.h"

#define PORTS_N (VCHAN_PORT_DATA_MAX - VCHAN_PORT_DATA_MIN + 1)

enum {
        _PORTS_E_SUCCESS,
        PORTS_E_FULL, /* no port that this peer could be given */
};

typedef struct Ports {
        uint32_t domain; /* whose they are */
        bool in_turn;    /* give out the next free one; otherwise the lowest */
        unsigned next;   /* in_turn: where to look first; below PORTS_N */
        bool is_taken[PORTS_N];
        uint32_t peers[PORTS_N];
} Ports;

#define PORTS_INIT(_domain) ((Ports){ .domain = (_domain) })

/** port_is_data() - is this a port that a daemon gives out? */
static inline bool port_is_data(uint32_t port) {
        return port >= VCHAN_PORT_DATA_MIN && port <= VCHAN_PORT_DATA_MAX;
}

/** ports_allocate() - give @peer a free port of those it can have. Return: 0 or PORTS_E_FULL */
int ports_allocate(Ports *ports, uint32_t peer, uint32_t *ret_port);

/** ports_release() - take it back, if it is given to exactly @peer. Return: was it? */
bool ports_release(Ports *ports, uint32_t peer, uint32_t port);
