/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/vsock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "base/cleanup.h"
#include "base/fd.h"

static struct sockaddr_storage address_of(sa_family_t family, uint32_t cid, uint32_t port) {
        struct sockaddr_vm vm = { .svm_family = family, .svm_cid = cid, .svm_port = port };
        struct sockaddr_storage address = {};

        memcpy(&address, &vm, sizeof(vm));
        return address;
}

static void test_peer_decode(void **state) {
        static const struct {
                const char *name;
                sa_family_t family;
                socklen_t n;
                bool expect;
        } cases[] = {
                { "a guest", AF_VSOCK, sizeof(struct sockaddr_vm), true },
                { "with more behind it", AF_VSOCK, sizeof(struct sockaddr_storage), true },
                { "cut off", AF_VSOCK, sizeof(struct sockaddr_vm) - 1, false },
                { "nothing", AF_VSOCK, 0, false },
                { "a Unix socket", AF_UNIX, sizeof(struct sockaddr_vm), false },
                { "no family", AF_UNSPEC, sizeof(struct sockaddr_vm), false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                struct sockaddr_storage address = address_of(cases[i].family, 4294967294, 512);
                VsockPeer peer = { 7, 8 };

                if (vsock_peer_decode(&address, cases[i].n, &peer) != cases[i].expect)
                        fail_msg("%s", cases[i].name);
                assert_int_equal(peer.cid, cases[i].expect ? 4294967294 : 7);
                assert_int_equal(peer.port, cases[i].expect ? 512 : 8);
        }
}

static void test_peer_purpose(void **state) {
        static const struct {
                const char *name;
                VsockPeer peer;
                VsockPurpose expect;
        } cases[] = {
                { "an agent", { 3, 512 }, VSOCK_PURPOSE_CONTROL },
                { "of the last guest there can be", { 4294967294, 512 }, VSOCK_PURPOSE_CONTROL },
                { "whose port is still taken", { 3, 511 }, VSOCK_PURPOSE_CONTROL },
                { "the lowest port", { 3, 0 }, VSOCK_PURPOSE_CONTROL },
                { "the first one of data", { 3, 513 }, VSOCK_PURPOSE_DATA },
                { "the last one of data", { 3, 768 }, VSOCK_PURPOSE_DATA },
                { "behind it", { 3, 769 }, VSOCK_PURPOSE_CONTROL },
                { "the last one of root's", { 3, 1023 }, VSOCK_PURPOSE_CONTROL },
                { "anybody's", { 3, 1024 }, VSOCK_PURPOSE_NONE },
                { "anybody's, the last", { 3, 4294967295 }, VSOCK_PURPOSE_NONE },
                { "anybody's, which looks like one of data", { 3, 65536 + 513 }, VSOCK_PURPOSE_NONE },
                { "the hypervisor", { 0, 512 }, VSOCK_PURPOSE_NONE },
                { "this machine itself", { 1, 512 }, VSOCK_PURPOSE_NONE },
                { "our own host", { 2, 512 }, VSOCK_PURPOSE_NONE },
                { "our own host, for data", { 2, 513 }, VSOCK_PURPOSE_NONE },
                { "nobody", { 4294967295, 512 }, VSOCK_PURPOSE_NONE },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (vsock_peer_purpose(&cases[i].peer) != cases[i].expect)
                        fail_msg("%s", cases[i].name);
}

static void test_port_is_listener(void **state) {
        assert_false(vsock_port_is_listener(0));
        assert_true(vsock_port_is_listener(1));
        assert_true(vsock_port_is_listener(511));
        assert_false(vsock_port_is_listener(512));
        assert_false(vsock_port_is_listener(4294967295));
}

static void skip_without_vsock(void) {
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                skip();
        fd_close(fd);
}

static void test_listen(void **state) {
        _cleanup_fd_ int fd = -1, second_fd = -1, accepted_fd = -1;
        uint32_t port = 40000, found;
        VsockPeer peer;
        int error = 0, r;

        skip_without_vsock();
        while ((r = vsock_listen(port, &error, &fd)) == VSOCK_E_TAKEN)
                ++port;
        assert_int_equal(r, 0);
        assert_int_equal(vsock_listener_port(fd, &found), 0);
        assert_int_equal(found, port);
        assert_int_equal(vsock_accept(fd, &peer, &accepted_fd), VSOCK_E_AGAIN);
        assert_int_equal(vsock_listen(port, &error, &second_fd), VSOCK_E_TAKEN);
        assert_int_equal(vsock_dial(port, 1, &error, &second_fd), VSOCK_E_TAKEN);
}

static void test_listen_data(void **state) {
        _cleanup_fd_ int first_fd = -1, second_fd = -1;
        uint32_t first, second, found;
        int error = 0;

        skip_without_vsock();
        if (vsock_listen_data(&error, &first_fd, &first) == VSOCK_E_FAILED && error == EACCES)
                skip(); /* not root */
        assert_int_equal(vsock_listen_data(&error, &second_fd, &second), 0);
        assert_true(vsock_port_is_listener(first));
        assert_true(second > first);
        assert_int_equal(vsock_listener_port(second_fd, &found), 0);
        assert_int_equal(found, second);
}

static void test_no_listener(void **state) {
        _cleanup_fd_ int fd = -1, unix_fd = -1;
        uint32_t port = 7;

        unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(vsock_listener_port(unix_fd, &port), VSOCK_E_FAILED);
        assert_int_equal(vsock_listener_port(-1, &port), VSOCK_E_FAILED);
        skip_without_vsock();
        fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(vsock_listener_port(fd, &port), VSOCK_E_FAILED);
        assert_int_equal(port, 7);
}

static void test_no_connection(void **state) {
        _cleanup_fd_ int one_fd = -1, other_fd = -1;
        VsockPeer peer = { 7, 7 };
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        one_fd = fds[0];
        other_fd = fds[1];
        assert_int_equal(vsock_connection_peer(one_fd, &peer), VSOCK_E_FAILED);
        assert_int_equal(vsock_connection_peer(-1, &peer), VSOCK_E_FAILED);
        assert_int_equal(peer.cid, 7);
}

static void test_probe(void **state) {
        _cleanup_fd_ int fd = -1;
        uint64_t before = 0, after = 0;
        socklen_t n = sizeof(before);

        vsock_probe(-1);
        skip_without_vsock();
        fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &before, &n), 0);
        for (int i = 0; i < 2; ++i)
                vsock_probe(fd);
        assert_int_equal(getsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &after, &n), 0);
        assert_int_equal(after, before + 2);
}

static void test_no_descriptor_left(void **state) {
        _cleanup_fd_ int fd = -1, accepted_fd = -1;
        struct rlimit before, none;
        uint32_t port = 40000;
        int error = 0, r;
        VsockPeer peer;

        skip_without_vsock();
        while ((r = vsock_listen(port, &error, &fd)) == VSOCK_E_TAKEN)
                ++port;
        assert_int_equal(r, 0);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = before;
        none.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        r = vsock_accept(fd, &peer, &accepted_fd);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, VSOCK_E_LIMIT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_peer_decode),
                cmocka_unit_test(test_peer_purpose),
                cmocka_unit_test(test_port_is_listener),
                cmocka_unit_test(test_listen),
                cmocka_unit_test(test_listen_data),
                cmocka_unit_test(test_no_listener),
                cmocka_unit_test(test_no_connection),
                cmocka_unit_test(test_no_descriptor_left),
                cmocka_unit_test(test_probe),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
