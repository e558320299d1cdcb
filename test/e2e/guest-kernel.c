/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel of a virtual machine does for AF_VSOCK, played with Unix sockets: for test_vsock_agent.py, which is the host.
 * Loaded into the agent (LD_PRELOAD). Port N of the host is the abstract socket "vsock.host.N", port P of the guest, which is
 * taken as long as somebody has it, "vsock.guest.P". A port at which nobody listens resets.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

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
        n = name_port(address, "guest", &name);
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
