/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/vsock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* After the headers of sockets, whose types it takes for granted. */
#include <linux/vm_sockets.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "vchan/place.h"

/** Guests that dial at the same moment, or one guest's data connections. */
#define VSOCK_BACKLOG 256

/** What a buffer may grow to by probes: far more of them than there are reasons. */
#define VSOCK_BUFFER_MAX (UINT64_C(1024) * 1024)

bool vsock_peer_decode(const struct sockaddr_storage *address, socklen_t n, VsockPeer *ret_peer) {
        struct sockaddr_vm vm;

        if (n < sizeof(vm) || address->ss_family != AF_VSOCK)
                return false;
        memcpy(&vm, address, sizeof(vm));
        *ret_peer = (VsockPeer){ .cid = vm.svm_cid, .port = vm.svm_port };
        return true;
}

VsockPurpose vsock_peer_purpose(const VsockPeer *peer) {
        /* The hypervisor (0), this machine itself (1), its host (2), and nobody. */
        if (peer->cid <= VSOCK_CID_HOST || peer->cid == VMADDR_CID_ANY)
                return VSOCK_PURPOSE_NONE;
        if (peer->port >= VCHAN_PORT_DATA_MIN && peer->port <= VCHAN_PORT_DATA_MAX)
                return VSOCK_PURPOSE_DATA;
        return peer->port < VSOCK_PORT_ANYBODYS ? VSOCK_PURPOSE_CONTROL : VSOCK_PURPOSE_NONE;
}

/* Return: as of vsock_listen() */
static int vsock_bind(int fd, uint32_t port, int *reterr_errno) {
        struct sockaddr_vm address = {
                .svm_family = AF_VSOCK,
                .svm_cid = VMADDR_CID_ANY,
                .svm_port = port,
        };

        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
                return 0;
        *reterr_errno = errno;
        return errno == EADDRINUSE ? VSOCK_E_TAKEN : VSOCK_E_FAILED;
}

static int vsock_open(int *reterr_errno, int *ret_fd) {
        int fd;

        fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) {
                *reterr_errno = errno;
                return VSOCK_E_FAILED;
        }
        *ret_fd = fd;
        return 0;
}

int vsock_listen(uint32_t port, int *reterr_errno, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        int r;

        r = vsock_open(reterr_errno, &fd);
        if (!r)
                r = vsock_bind(fd, port, reterr_errno);
        if (r)
                return r;
        if (listen(fd, VSOCK_BACKLOG) < 0) {
                *reterr_errno = errno;
                return VSOCK_E_FAILED;
        }
        *ret_fd = fd_steal(&fd);
        return 0;
}

int vsock_listen_data(int *reterr_errno, int *ret_fd, uint32_t *ret_port) {
        int r = VSOCK_E_TAKEN;

        for (uint32_t port = 1; r == VSOCK_E_TAKEN && vsock_port_is_listener(port); ++port) {
                r = vsock_listen(port, reterr_errno, ret_fd);
                *ret_port = port;
        }
        return r;
}

int vsock_listener_port(int fd, uint32_t *ret_port) {
        struct sockaddr_storage address = {};
        socklen_t n = sizeof(address), n_listens = sizeof(int);
        VsockPeer us;
        int listens = 0;

        if (getsockname(fd, (struct sockaddr *)&address, &n) < 0 || !vsock_peer_decode(&address, n, &us) ||
            getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n_listens) < 0 || !listens)
                return VSOCK_E_FAILED;
        *ret_port = us.port;
        return 0;
}

int vsock_connection_peer(int fd, VsockPeer *ret_peer) {
        struct sockaddr_storage address = {};
        socklen_t n = sizeof(address);

        return getpeername(fd, (struct sockaddr *)&address, &n) < 0 || !vsock_peer_decode(&address, n, ret_peer)
                       ? VSOCK_E_FAILED
                       : 0;
}

void vsock_probe(int fd) {
        uint64_t size;
        socklen_t n = sizeof(size);

        if (getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, &n) < 0 || size >= VSOCK_BUFFER_MAX)
                return;
        /* Never smaller: what is under way was let through by the size before. */
        ++size;
        (void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &size, sizeof(size));
        (void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof(size));
}

int vsock_accept(int fd, VsockPeer *ret_peer, int *ret_fd) {
        _cleanup_fd_ int accepted = -1;
        struct sockaddr_storage address = {};
        socklen_t n = sizeof(address);

        do
                accepted = accept4(fd, (struct sockaddr *)&address, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
        while (accepted < 0 && errno == EINTR);
        /* Who dialled and went away again was nobody. */
        if (accepted < 0 && (errno == EAGAIN || errno == ECONNABORTED || errno == ECONNRESET))
                return VSOCK_E_AGAIN;
        if (accepted < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM))
                return VSOCK_E_LIMIT;
        if (accepted < 0)
                return error_origin(-errno);
        if (!vsock_peer_decode(&address, n, ret_peer))
                return error_origin(-EAFNOSUPPORT);
        *ret_fd = fd_steal(&accepted);
        return 0;
}

int vsock_dial(uint32_t source_port, uint32_t port, int *reterr_errno, int *ret_fd) {
        struct sockaddr_vm address = {
                .svm_family = AF_VSOCK,
                .svm_cid = VSOCK_CID_HOST,
                .svm_port = port,
        };
        _cleanup_fd_ int fd = -1;
        int r;

        r = vsock_open(reterr_errno, &fd);
        if (!r)
                r = vsock_bind(fd, source_port, reterr_errno);
        if (r)
                return r;
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
                if (errno != EINPROGRESS && errno != EINTR) {
                        *reterr_errno = errno;
                        return VSOCK_E_FAILED;
                }
                r = VSOCK_E_PROGRESS;
        }
        *ret_fd = fd_steal(&fd);
        return r;
}
