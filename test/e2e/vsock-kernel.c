/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a kernel does for AF_VSOCK, played with Unix sockets: for tests that are the other side. Loaded into a program of one
 * side (LD_PRELOAD), compiled with SIDE="guest" or SIDE="host", which its own ports are. Port N of the host is the abstract
 * socket "vsock.host.N"; port P of the guest, which is taken as long as somebody has it, "vsock.guest.P", or
 * "vsock.guest.P.CID" if its context id is not 42. A port at which nobody listens resets.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#define CID_GUEST 42

static int is_vsock(const struct sockaddr *address, socklen_t n) {
        return n >= sizeof(struct sockaddr_vm) && address->sa_family == AF_VSOCK;
}

static socklen_t name_port(const struct sockaddr *address, const char *side, struct sockaddr_un *ret_name) {
        struct sockaddr_vm vm;
        int n;

        memcpy(&vm, address, sizeof(vm));
        memset(ret_name, 0, sizeof(*ret_name));
        ret_name->sun_family = AF_UNIX;
        n = snprintf(ret_name->sun_path + 1, sizeof(ret_name->sun_path) - 1, "vsock.%s.%u", side, vm.svm_port);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

int socket(int domain, int type, int protocol) {
        int (*next)(int, int, int) = (int (*)(int, int, int))dlsym(RTLD_NEXT, "socket");

        return next(domain == AF_VSOCK ? AF_UNIX : domain, type, protocol);
}

int bind(int fd, const struct sockaddr *address, socklen_t n) {
        int (*next)(int, const struct sockaddr *, socklen_t) =
                (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
        struct sockaddr_un name;

        if (!is_vsock(address, n))
                return next(fd, address, n);
        n = name_port(address, SIDE, &name);
        return next(fd, (const struct sockaddr *)&name, n);
}

int connect(int fd, const struct sockaddr *address, socklen_t n) {
        int (*next)(int, const struct sockaddr *, socklen_t) =
                (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "connect");
        struct sockaddr_un name;
        int r;

        if (!is_vsock(address, n))
                return next(fd, address, n);
        if (((const struct sockaddr_vm *)address)->svm_cid != VMADDR_CID_HOST) {
                errno = ENODEV;
                return -1;
        }
        n = name_port(address, "host", &name);
        r = next(fd, (const struct sockaddr *)&name, n);
        if (r < 0 && errno == ECONNREFUSED)
                errno = ECONNRESET;
        return r;
}

/* --- whose address it is --- */

/* @address: room for @n bytes, and what the kernel said of a Unix socket, @n_said bytes; becomes one of vsock if it stands for that */
static void translate(struct sockaddr *address, socklen_t n, socklen_t *n_said) {
        struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };
        char text[sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "";
        size_t offset = offsetof(struct sockaddr_un, sun_path) + 1;

        if (n < sizeof(vm) || address->sa_family != AF_UNIX || *n_said <= offset || *n_said > n)
                return;
        memcpy(text, (const char *)address + offset, *n_said - offset);
        if (sscanf(text, "vsock.host.%u", &vm.svm_port) != 1) {
                vm.svm_cid = CID_GUEST;
                if (sscanf(text, "vsock.guest.%u.%u", &vm.svm_port, &vm.svm_cid) < 1)
                        return;
        }
        memcpy(address, &vm, sizeof(vm));
        *n_said = sizeof(vm);
}

int accept4(int fd, struct sockaddr *address, socklen_t *n, int flags) {
        int (*next)(int, struct sockaddr *, socklen_t *, int) =
                (int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4");
        socklen_t n_room = address ? *n : 0;
        int accepted = next(fd, address, n, flags);

        if (accepted >= 0 && address)
                translate(address, n_room, n);
        return accepted;
}

int getsockname(int fd, struct sockaddr *address, socklen_t *n) {
        int (*next)(int, struct sockaddr *, socklen_t *) =
                (int (*)(int, struct sockaddr *, socklen_t *))dlsym(RTLD_NEXT, "getsockname");
        socklen_t n_room = *n;
        int r = next(fd, address, n);

        if (r == 0)
                translate(address, n_room, n);
        return r;
}

int getpeername(int fd, struct sockaddr *address, socklen_t *n) {
        int (*next)(int, struct sockaddr *, socklen_t *) =
                (int (*)(int, struct sockaddr *, socklen_t *))dlsym(RTLD_NEXT, "getpeername");
        socklen_t n_room = *n;
        int r = next(fd, address, n);

        if (r == 0)
                translate(address, n_room, n);
        return r;
}
