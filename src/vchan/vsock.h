/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of a `vsock` link (doc/protocol.md, 5.5; vsock(7)): the agent of a virtual machine dials the host, from a
 * source port that only its root may have, to a port of the host that only root there may have. What a connection is
 * for, both kernels say; nothing that was sent on it is needed to know it.
 *
 *   guest, port 512, or below it   -> host, port 512        the control connection
 *   guest, port 513 to 768         -> host, the listener    the data connection that the daemon has given this port
 *                                     of this guest
 *
 * All guests of a host share its ports, so each has a listener for its data.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define VSOCK_CID_HOST     2
#define VSOCK_PORT_CONTROL 512
/** Listeners for data are below it; from here on ports are anybody's (LAST_RESERVED_PORT of the kernel's is 1023). */
#define VSOCK_PORT_LISTENER_MAX 511
#define VSOCK_PORT_ANYBODYS     1024

enum {
        _VSOCK_E_SUCCESS,
        VSOCK_E_AGAIN,    /* nobody has dialled */
        VSOCK_E_PROGRESS, /* it is under way: when the socket is writable, SO_ERROR tells */
        VSOCK_E_TAKEN,    /* the source port is that of another connection, which may be ending */
        VSOCK_E_FAILED,   /* it cannot be had, errno says why */
        VSOCK_E_LIMIT,    /* descriptors or memory ran out: it still waits */
};

/**
 * What the supervisor gives to the process of a guest's link, which has no port of root's: messages of this byte, each with
 * one descriptor. First the listener for data, then every control connection as it comes.
 */
#define VSOCK_GIFT_DATA    'D'
#define VSOCK_GIFT_CONTROL 'C'

typedef struct VsockPeer {
        uint32_t cid, port;
} VsockPeer;

typedef enum VsockPurpose {
        VSOCK_PURPOSE_NONE, /* nothing of ours: not root's port, or no guest */
        VSOCK_PURPOSE_CONTROL,
        VSOCK_PURPOSE_DATA,
} VsockPurpose;

/**
 * vsock_peer_decode() - whose address this is; pure
 * @address, @n: as accept(2) gave it
 *
 * Return: is it one of AF_VSOCK?
 */
bool vsock_peer_decode(const struct sockaddr_storage *address, socklen_t n, VsockPeer *ret_peer);

/** vsock_peer_purpose() - what a guest that dials from there wants; pure */
VsockPurpose vsock_peer_purpose(const VsockPeer *peer);

/** vsock_port_is_listener() - may a guest be told to dial this port of the host's for its data? pure */
static inline bool vsock_port_is_listener(uint32_t port) {
        return port >= 1 && port <= VSOCK_PORT_LISTENER_MAX;
}

/**
 * vsock_listen() - for every guest; needs root, or CAP_NET_BIND_SERVICE, below VSOCK_PORT_ANYBODYS
 * @reterr_errno: receives why, on VSOCK_E_FAILED: EAFNOSUPPORT where the kernel has no vsock
 * @ret_fd:       does not block; the caller's
 *
 * Return: 0, VSOCK_E_TAKEN or VSOCK_E_FAILED.
 */
int vsock_listen(uint32_t port, int *reterr_errno, int *ret_fd);

/**
 * vsock_listen_data() - at the lowest port that a listener may have and that is free
 *
 * Otherwise as vsock_listen(). Return: 0, VSOCK_E_TAKEN (none is free) or VSOCK_E_FAILED.
 */
int vsock_listen_data(int *reterr_errno, int *ret_fd, uint32_t *ret_port);

/**
 * vsock_listener_port() - where a listener of ours is
 *
 * Return: 0 or VSOCK_E_FAILED: it is no listener of AF_VSOCK.
 */
int vsock_listener_port(int fd, uint32_t *ret_port);

/**
 * vsock_connection_peer() - who is at the other end of a connection
 *
 * Return: 0 or VSOCK_E_FAILED: it is no connection of AF_VSOCK.
 */
int vsock_connection_peer(int fd, VsockPeer *ret_peer);

/**
 * vsock_probe() - have the kernel say something to the one at the other end
 *
 * It is the size of our buffer, which grows by a byte, and changes nothing. But a machine that was reset has forgotten the
 * connection, and says so: then it ends here, too. By itself it would stand until somebody sends.
 */
void vsock_probe(int fd);

/**
 * vsock_accept() - one who has dialled
 * @ret_fd: does not block; the caller's
 *
 * Return: 0, VSOCK_E_AGAIN, VSOCK_E_LIMIT, or a negative error.
 */
int vsock_accept(int fd, VsockPeer *ret_peer, int *ret_fd);

/**
 * vsock_dial() - begin to connect to the host
 * @source_port:  ours
 * @reterr_errno: receives why, on VSOCK_E_FAILED
 * @ret_fd:       for 0 and VSOCK_E_PROGRESS: does not block; the caller's
 *
 * Return: 0 (connected), VSOCK_E_PROGRESS, VSOCK_E_TAKEN or VSOCK_E_FAILED.
 */
int vsock_dial(uint32_t source_port, uint32_t port, int *reterr_errno, int *ret_fd);
