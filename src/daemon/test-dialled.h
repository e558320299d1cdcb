/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests, linked with --wrap=vsock_accept: who has dialled, which takes a virtual machine, is played; all else is real. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "vchan/vsock.h"

#define DIALLED_MAX 8

typedef struct Dialled {
        VsockPeer peer;
        int fd;
} Dialled;

static Dialled dialled[DIALLED_MAX];
static size_t n_dialled, n_accepted;

int __wrap_vsock_accept(int fd, VsockPeer *ret_peer, int *ret_fd);

int __wrap_vsock_accept(int fd, VsockPeer *ret_peer, int *ret_fd) {
        if (n_accepted == n_dialled) {
                n_accepted = n_dialled = 0;
                return VSOCK_E_AGAIN;
        }
        *ret_peer = dialled[n_accepted].peer;
        *ret_fd = dialled[n_accepted++].fd;
        return 0;
}

/** dial() - be one who waits to be accepted. Return: our end */
static inline int dial(uint32_t cid, uint32_t port) {
        int pair[2];

        assert_true(n_dialled < DIALLED_MAX);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        dialled[n_dialled++] = (Dialled){ { cid, port }, pair[0] };
        return pair[1];
}

/** hangs_up() - was the other end of @fd closed, every copy of it? */
static inline bool hangs_up(int fd) {
        char byte;

        return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}
