/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unix sockets: addresses, descriptors in messages, and who is at the other end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

/** Longest path of a socket, with its NUL. */
#define SOCKET_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

/** Most descriptors that one of our messages carries: status, stdin, stdout. */
#define SOCKET_FDS_MAX 3

enum {
        _SOCKET_E_SUCCESS,
        SOCKET_E_PATH,      /* does not fit sun_path */
        SOCKET_E_AGAIN,     /* nothing there yet, or no room; try later */
        SOCKET_E_EOF,       /* the peer closed */
        SOCKET_E_TRUNCATED, /* the message or its descriptors did not fit what was expected */
        SOCKET_E_GONE,      /* the peer reset the connection, or can no longer be written to */
        SOCKET_E_LIMIT,     /* descriptors or memory ran out (EMFILE, ETOOMANYREFS, ENOBUFS …): refuse this request */
};

/** socket_address() - fill @ret_address for @path. Return: 0 or SOCKET_E_PATH */
int socket_address(const char *path, struct sockaddr_un *ret_address, socklen_t *ret_n);

/**
 * socket_connect() - connect a new socket to @path
 * @type: SOCK_STREAM or SOCK_SEQPACKET, with SOCK_NONBLOCK if wanted (SOCK_CLOEXEC is always set)
 *
 * A non-blocking connect on a Unix socket is done at once or fails with -EAGAIN when the backlog is full.
 * Return: 0, SOCKET_E_PATH, or -errno (not logged: what it means is the caller's to say).
 */
int socket_connect(const char *path, int type, int *ret_fd);

/**
 * socket_send() - send one message with up to SOCKET_FDS_MAX descriptors, without blocking and without SIGPIPE
 * @ret_n_sent: bytes taken (all of them on a SOCK_SEQPACKET socket); descriptors go with the first byte; may be NULL
 *
 * The descriptors stay the caller's. Return: 0, SOCKET_E_AGAIN, SOCKET_E_GONE, SOCKET_E_LIMIT, or a negative error.
 */
int socket_send(int fd, const void *data, size_t n, const int *fds, size_t n_fds, size_t *ret_n_sent);

/**
 * socket_receive() - receive bytes, or one packet, with at most @n_fds_max descriptors, without blocking
 * @ret_fds:   receives the descriptors, close-on-exec, the caller's to close; NULL if @n_fds_max is 0
 * @ret_n_fds: how many; may be NULL if @n_fds_max is 0
 *
 * With @n_fds_max 0 no room is offered and the kernel drops descriptors that came unasked. A packet larger than @n,
 * or more descriptors than offered, is SOCKET_E_TRUNCATED; what arrived has been closed.
 *
 * Return: 0, SOCKET_E_AGAIN, SOCKET_E_EOF, SOCKET_E_TRUNCATED, SOCKET_E_GONE, or a negative error.
 */
int socket_receive(int fd, void *data, size_t n, size_t *ret_n, int *ret_fds, size_t n_fds_max, size_t *ret_n_fds);

/**
 * socket_receive_wait() - as socket_receive(), but wait until there is something, without limit
 *
 * Return: as socket_receive(); SOCKET_E_AGAIN only from a socket that is non-blocking by itself, or has a time limit.
 */
int socket_receive_wait(int fd, void *data, size_t n, size_t *ret_n, int *ret_fds, size_t n_fds_max, size_t *ret_n_fds);

/**
 * socket_receive_partial() - as socket_receive(), for a message that means something without its descriptors
 * @ret_lost: descriptors were lost: more than @n_fds_max came, or we have no room for them (RLIMIT_NOFILE). Those
 *            that did arrive are in @ret_fds
 *
 * So a request can be refused by its name where its descriptors did not arrive. A packet larger than @n is still
 * SOCKET_E_TRUNCATED.
 */
int socket_receive_partial(int fd, void *data, size_t n, size_t *ret_n, int *ret_fds, size_t n_fds_max,
                           size_t *ret_n_fds, bool *ret_lost);

/** Most packets that socket_receive_packets() takes at a time. */
#define SOCKET_PACKETS_MAX 16

/**
 * socket_receive_packets() - receive the packets that are there, without blocking and without descriptors
 * @data:    @n_max times @n_each bytes: packet i begins at i * @n_each
 * @n_each:  more than any good packet has: one that is longer is cut to it, and so is known
 * @n_max:   at most SOCKET_PACKETS_MAX
 * @ret_sizes: @n_max of them; 0 is the end: the peer closed
 *
 * One system call also finds out that there are no more. What a peer had sent before it closed is received, whether it had read
 * everything or not. Return: 0, SOCKET_E_AGAIN, SOCKET_E_GONE, or a negative error.
 */
int socket_receive_packets(int fd, void *data, size_t n_each, size_t n_max, size_t *ret_sizes, size_t *ret_n);

/** socket_peer() - what the kernel attests about the peer (SO_PEERCRED, unix(7)). Return: 0 or a negative error */
int socket_peer(int fd, struct ucred *ret_credentials);

/**
 * socket_refuse_rights() - make the kernel refuse descriptors that peers send here (SO_PASSRIGHTS = 0, Linux 6.16)
 *
 * Set on a listening socket before its first connection, it holds for every connection accepted from it. Descriptors
 * that we did not ask for are dangerous because dropping them can block (a TCP socket that lingers).
 * Return: true if the kernel does it.
 */
bool socket_refuse_rights(int fd);
