/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control connection to the broker: a SOCK_SEQPACKET Unix socket, one message a packet.
 *
 *   DOWN -- retry time reached, connected, HELLO sent --> HELLO -- HELLO received, CALL_LIST sent --> UP
 *     ^                                                     |                                        |
 *     `------------- deadline, end-of-file, violation ------+----------------------------------------'
 *
 *   DOWN   nobody is there; we wait for the retry time
 *   HELLO  the broker owes us a HELLO, until the deadline
 *   UP     the broker may send orders
 *
 * This object is the socket and the two times; what is said, and when the state changes, is agent/agent.c's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/socket.h"

/** First and longest wait before another attempt; it doubles in between. */
#define LINK_RETRY_MIN_USEC (50 * USEC_PER_MSEC)
#define LINK_RETRY_MAX_USEC (5 * USEC_PER_SEC)
/** A link that was up this long was a good one: the next wait is the shortest again. */
#define LINK_STABLE_USEC (5 * USEC_PER_SEC)
/** A broker that accepted but does not answer HELLO is given up after this. */
#define LINK_HELLO_USEC (10 * USEC_PER_SEC)

typedef enum LinkState {
        LINK_STATE_DOWN,
        LINK_STATE_HELLO,
        LINK_STATE_UP,
} LinkState;

enum {
        _LINK_E_SUCCESS,
        LINK_E_AGAIN, /* nothing there yet, or no room: wait for the descriptor */
        LINK_E_LOST,  /* the broker is not there, or is there no more */
};

typedef struct Link {
        const char *path; /* not owned */
        LinkState state;
        int fd;
        uint64_t deadline_usec; /* DOWN: next attempt; HELLO: give up; UP: none, UINT64_MAX */
        uint64_t retry_usec;    /* what the next wait will be */
        uint64_t up_usec;       /* since when it is UP */
        uint64_t lost_usec;     /* when it was UP last; 0: it never was */
        bool absent;            /* the last attempt found nobody: neither a broker nor whoever starts one */
        bool complained;        /* the present outage was logged */
} Link;

/** link_init() - DOWN, with an attempt due at once */
void link_init(Link *link, const char *path);

void link_deinit(Link *link);

/** link_connect() - DOWN: connect and send HELLO. Return: 0 (now HELLO), LINK_E_LOST (still DOWN, later), or negative */
int link_connect(Link *link, uint64_t now_usec);

/** link_connect_saying() - the same with @message instead of HELLO; nothing but that is agreed on yet */
int link_connect_saying(Link *link, uint64_t now_usec, const void *message, size_t n);

/** link_try_soon() - DOWN: the next attempt is due at @now_usec, and the waits after it are short again */
void link_try_soon(Link *link, uint64_t now_usec);

/** link_set_up() - HELLO to UP */
void link_set_up(Link *link, uint64_t now_usec);

/** link_lose() - close, if there is something to close, and set the time of the next attempt; the reason is logged */
void link_lose(Link *link, uint64_t now_usec, const char *reason);

/** link_send() - send one message. Return: 0, LINK_E_AGAIN, LINK_E_LOST, or a negative error */
int link_send(Link *link, const void *data, size_t n);

/** A packet, and what came with it. */
typedef struct LinkPacket {
        size_t n;
        int fds[SOCKET_FDS_MAX];
        size_t n_fds;
        bool lost_fds; /* there were more descriptors, which did not reach us */
} LinkPacket;

/** link_packet_close() - close the descriptors that nobody took */
void link_packet_close(LinkPacket *packet);

/**
 * link_receive() - receive one message
 * @ret_packet: its size, and its descriptors, which become the caller's
 *
 * What a broker that is gone had sent before comes first.
 * Return: 0, LINK_E_AGAIN, LINK_E_LOST (also after a packet that is larger than @n_max), or a negative error.
 */
int link_receive(Link *link, void *data, size_t n_max, LinkPacket *ret_packet);
