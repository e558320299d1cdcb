/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ports.h"

int ports_allocate(Ports *ports, uint32_t peer, uint32_t *ret_port) {
        unsigned first = peer > ports->domain ? 1 : 0;
        unsigned step = peer == VCHAN_DOMAIN_HOST ? 1 : 2;

        for (unsigned n = 0; n < PORTS_N; ++n) {
                unsigned i = (ports->next + n) % PORTS_N;

                if (i % step != first % step || ports->is_taken[i])
                        continue;
                ports->is_taken[i] = true;
                ports->peers[i] = peer;
                if (ports->in_turn)
                        ports->next = (i + 1) % PORTS_N;
                *ret_port = VCHAN_PORT_DATA_MIN + i;
                return 0;
        }
        return PORTS_E_FULL;
}

bool ports_release(Ports *ports, uint32_t peer, uint32_t port) {
        unsigned i = port - VCHAN_PORT_DATA_MIN;

        if (!port_is_data(port) || !ports->is_taken[i] || ports->peers[i] != peer)
                return false;
        ports->is_taken[i] = false;
        return true;
}
