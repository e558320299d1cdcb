/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/link.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/header.h"
#include "wire/hello.h"

void link_init(Link *link, const char *path) {
        *link = (Link){ .path = path, .state = LINK_STATE_DOWN, .fd = -1, .retry_usec = LINK_RETRY_MIN_USEC };
}

void link_deinit(Link *link) {
        link->fd = fd_close(link->fd);
}

int link_connect(Link *link, uint64_t now_usec) {
        uint8_t message[WIRE_HEADER_SIZE + HELLO_SIZE];

        wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, message);
        hello_encode(&(Hello){ .version = WIRE_VERSION }, message + WIRE_HEADER_SIZE);
        return link_connect_saying(link, now_usec, message, sizeof(message));
}

int link_connect_saying(Link *link, uint64_t now_usec, const void *message, size_t n) {
        int r;

        r = socket_connect(link->path, SOCK_SEQPACKET | SOCK_NONBLOCK, &link->fd);
        /* The supervisor listens as long as it lives, whatever becomes of its brokers. */
        link->absent = r == -ENOENT || r == -ECONNREFUSED;
        if (r < 0) {
                link_lose(link, now_usec, strerror(-r));
                return LINK_E_LOST;
        }
        if (r > 0)
                return error_fold(r); /* main() has checked the path */
        r = link_send(link, message, n);
        if (r < 0)
                return r;
        if (r > 0) {
                link_lose(link, now_usec, "the broker closed at once");
                return LINK_E_LOST;
        }
        link->state = LINK_STATE_HELLO;
        link->deadline_usec = now_usec + LINK_HELLO_USEC;
        return 0;
}

void link_try_soon(Link *link, uint64_t now_usec) {
        link->deadline_usec = now_usec;
        link->retry_usec = LINK_RETRY_MIN_USEC;
}

void link_set_up(Link *link, uint64_t now_usec) {
        link->state = LINK_STATE_UP;
        link->deadline_usec = UINT64_MAX;
        link->up_usec = now_usec;
        link->complained = false;
}

void link_lose(Link *link, uint64_t now_usec, const char *reason) {
        if (link->state == LINK_STATE_UP && now_usec - link->up_usec >= LINK_STABLE_USEC)
                link->retry_usec = LINK_RETRY_MIN_USEC;
        if (link->state == LINK_STATE_UP)
                link->lost_usec = now_usec;
        /* Once an outage: a host without a broker would fill its log. */
        if (link->complained)
                log_debug("%s: %s", link->path, reason);
        else
                log_notice("%s: %s; trying again until it works", link->path, reason);
        link->complained = true;

        link->fd = fd_close(link->fd);
        link->state = LINK_STATE_DOWN;
        link->deadline_usec = now_usec + link->retry_usec;
        link->retry_usec *= 2;
        if (link->retry_usec > LINK_RETRY_MAX_USEC)
                link->retry_usec = LINK_RETRY_MAX_USEC;
}

int link_send(Link *link, const void *data, size_t n) {
        int r;

        r = socket_send(link->fd, data, n, NULL, 0, NULL);
        switch (r) {
        case 0:
                return 0;
        case SOCKET_E_AGAIN:
                return LINK_E_AGAIN;
        case SOCKET_E_GONE:
        case SOCKET_E_LIMIT: /* no memory for a packet: a new attempt comes after a wait, which a full socket's does not */
                return LINK_E_LOST;
        default:
                return error_fold(r);
        }
}

void link_packet_close(LinkPacket *packet) {
        for (size_t i = 0; i < packet->n_fds; ++i)
                packet->fds[i] = fd_close(packet->fds[i]);
        packet->n_fds = 0;
}

static int link_receive_packet(Link *link, void *data, size_t n_max, LinkPacket *packet) {
        return socket_receive_partial(link->fd, data, n_max, &packet->n, packet->fds, SOCKET_FDS_MAX, &packet->n_fds,
                                      &packet->lost_fds);
}

int link_receive(Link *link, void *data, size_t n_max, LinkPacket *ret_packet) {
        LinkPacket packet = {};
        int r;

        r = link_receive_packet(link, data, n_max, &packet);
        /* A broker that closed with packets of ours unread: that is said first, and once. What it had sent is still there. */
        if (r == SOCKET_E_GONE)
                r = link_receive_packet(link, data, n_max, &packet);
        switch (r) {
        case 0:
                *ret_packet = packet;
                return 0;
        case SOCKET_E_AGAIN:
                return LINK_E_AGAIN;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
        case SOCKET_E_TRUNCATED:
                return LINK_E_LOST;
        default:
                return error_fold(r);
        }
}
