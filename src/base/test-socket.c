/* SPDX-License-Identifier: Apache-2.0 */
#include "base/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static size_t count_open_fds(void) {
        DIR *folder = opendir("/proc/self/fd");
        size_t n = 0;

        assert_non_null(folder);
        while (readdir(folder))
                ++n;
        closedir(folder);
        return n;
}

/* A connected pair that closes itself; index 0 receives in the tests below. */
typedef struct Pair {
        int fds[2];
} Pair;

static Pair pair_open(int type) {
        Pair pair;

        assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair.fds), 0);
        return pair;
}

static void pair_close(Pair *pair) {
        pair->fds[0] = fd_close(pair->fds[0]);
        pair->fds[1] = fd_close(pair->fds[1]);
}
#define _cleanup_pair_ _cleanup_(pair_close)

static void test_address(void **state) {
        struct sockaddr_un address;
        socklen_t n_address = 4711;
        char path[sizeof(address.sun_path) + 1];

        memset(path, 'a', sizeof(path));
        path[sizeof(address.sun_path)] = '\0';
        assert_int_equal(socket_address(path, &address, &n_address), SOCKET_E_PATH); /* 108 bytes */
        assert_int_equal(socket_address("", &address, &n_address), SOCKET_E_PATH);
        assert_int_equal(n_address, 4711);

        path[sizeof(address.sun_path) - 1] = '\0';
        assert_int_equal(socket_address(path, &address, &n_address), 0); /* 107 bytes */
        assert_string_equal(address.sun_path, path);
        assert_int_equal(address.sun_family, AF_UNIX);
        assert_int_equal(n_address, sizeof(address));
}

/* A listening socket in a folder of its own. */
typedef struct Listener {
        char folder[32], path[48];
        int fd;
} Listener;

static void listener_open(Listener *listener, int type) {
        struct sockaddr_un address;
        socklen_t n_address;

        strcpy(listener->folder, "/tmp/qair-test-XXXXXX");
        assert_non_null(mkdtemp(listener->folder));
        snprintf(listener->path, sizeof(listener->path), "%s/socket", listener->folder);
        assert_int_equal(socket_address(listener->path, &address, &n_address), 0);
        listener->fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listener->fd, (struct sockaddr *)&address, n_address), 0);
        assert_int_equal(listen(listener->fd, 8), 0);
}

static void listener_close(Listener *listener) {
        fd_close(listener->fd);
        unlink(listener->path);
        rmdir(listener->folder);
}

static void test_connect(void **state) {
        static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i) {
                _cleanup_(listener_close) Listener listener;
                _cleanup_fd_ int fd = -1;
                int type;
                socklen_t n = sizeof(type);

                listener_open(&listener, types[i]);
                assert_int_equal(socket_connect(listener.path, types[i] | SOCK_NONBLOCK, &fd), 0);
                assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n), 0);
                assert_int_equal(type, types[i]);
                assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
                assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
        }
}

static void test_connect_failures(void **state) {
        _cleanup_(listener_close) Listener listener;
        char long_path[200];
        size_t n_before;
        int fd = 4711;

        listener_open(&listener, SOCK_STREAM);
        memset(long_path, 'a', sizeof(long_path) - 1);
        long_path[sizeof(long_path) - 1] = '\0';
        n_before = count_open_fds();
        assert_int_equal(socket_connect(long_path, SOCK_STREAM, &fd), SOCKET_E_PATH);
        assert_int_equal(socket_connect(listener.folder, SOCK_STREAM, &fd), -ECONNREFUSED);
        assert_int_equal(socket_connect("/nowhere/socket", SOCK_STREAM, &fd), -ENOENT);
        assert_int_equal(socket_connect(listener.path, SOCK_SEQPACKET, &fd), -EPROTOTYPE);
        assert_int_equal(fd, 4711);
        assert_int_equal(count_open_fds(), n_before);
}

/* A full backlog shows as -EAGAIN at once, so that a client can wait as it likes. */
static void test_connect_full_backlog(void **state) {
        _cleanup_(listener_close) Listener listener;
        int fds[64], r = 0;
        size_t n = 0;

        listener_open(&listener, SOCK_STREAM);
        while (n < ARRAY_SIZE(fds)) {
                r = socket_connect(listener.path, SOCK_STREAM | SOCK_NONBLOCK, &fds[n]);
                if (r)
                        break;
                ++n;
        }
        assert_int_equal(r, -EAGAIN);
        while (n > 0)
                close(fds[--n]);
}

static void test_send_and_receive(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_SEQPACKET);
        char data[16];
        size_t n = 0, n_sent = 0;

        assert_int_equal(socket_receive(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), SOCKET_E_AGAIN);
        assert_int_equal(socket_send(pair.fds[1], "hello", 5, NULL, 0, &n_sent), 0);
        assert_int_equal(socket_send(pair.fds[1], "you", 3, NULL, 0, NULL), 0);
        assert_int_equal(n_sent, 5);
        assert_int_equal(socket_receive(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), 0);
        assert_int_equal(n, 5);
        assert_memory_equal(data, "hello", 5);
        assert_int_equal(socket_receive(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), 0);
        assert_int_equal(n, 3);
}

/* It waits: as long as the socket itself lets it. */
static void test_receive_wait(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_STREAM);
        struct timeval limit = { .tv_usec = 1000 };
        char data[16];
        size_t n = 0;

        assert_int_equal(setsockopt(pair.fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
        assert_int_equal(socket_receive_wait(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), SOCKET_E_AGAIN);
        assert_int_equal(socket_send(pair.fds[1], "hello", 5, NULL, 0, NULL), 0);
        assert_int_equal(socket_receive_wait(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), 0);
        assert_int_equal(n, 5);
        shutdown(pair.fds[1], SHUT_WR);
        assert_int_equal(socket_receive_wait(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), SOCKET_E_EOF);
}

/* What is passed is received as it is: the number, the order, close-on-exec. */
static void test_descriptors(void **state) {
        static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i)
                for (size_t n_fds = 0; n_fds <= SOCKET_FDS_MAX; ++n_fds) {
                        _cleanup_pair_ Pair pair = pair_open(types[i]);
                        int pipes[SOCKET_FDS_MAX][2], sent[SOCKET_FDS_MAX], received[SOCKET_FDS_MAX];
                        size_t n = 0, n_received = 99, n_before = count_open_fds();
                        char data[4];

                        for (size_t j = 0; j < n_fds; ++j) {
                                assert_int_equal(pipe(pipes[j]), 0);
                                sent[j] = pipes[j][1];
                        }
                        assert_int_equal(socket_send(pair.fds[1], "x", 1, sent, n_fds, NULL), 0);
                        assert_int_equal(socket_receive(pair.fds[0], data, sizeof(data), &n, received, SOCKET_FDS_MAX,
                                                        &n_received),
                                         0);
                        assert_int_equal(n, 1);
                        assert_int_equal(n_received, n_fds);
                        for (size_t j = 0; j < n_fds; ++j) {
                                char byte = (char)j, got = 99;

                                assert_int_equal(fcntl(received[j], F_GETFD), FD_CLOEXEC);
                                assert_int_equal(write(received[j], &byte, 1), 1);
                                assert_int_equal(read(pipes[j][0], &got, 1), 1);
                                assert_int_equal(got, j);
                                close(received[j]);
                                close(pipes[j][0]);
                                close(pipes[j][1]);
                        }
                        assert_int_equal(count_open_fds(), n_before);
                }
}

/* A peer of another make: any number of descriptors in one message. */
static void send_many(int fd, const void *data, size_t n, int passed_fd, size_t n_fds) {
        struct iovec iov = { .iov_base = (void *)data, .iov_len = n };
        union {
                struct cmsghdr header;
                char data[CMSG_SPACE(16 * sizeof(int))];
        } control = {};
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = control.data,
                                  .msg_controllen = CMSG_SPACE(n_fds * sizeof(int)) };
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        for (size_t i = 0; i < n_fds; ++i)
                memcpy(CMSG_DATA(cmsg) + i * sizeof(int), &passed_fd, sizeof(int));
        assert_int_equal(sendmsg(fd, &message, 0), (ssize_t)n);
}

static void test_too_many_descriptors(void **state) {
        static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i)
                for (size_t n_max = 1; n_max <= SOCKET_FDS_MAX; ++n_max)
                        for (size_t n_sent = n_max; n_sent <= 8; ++n_sent) {
                                _cleanup_pair_ Pair pair = pair_open(types[i]);
                                size_t n = 4711, n_received = 4711, n_before = count_open_fds();
                                int received[SOCKET_FDS_MAX] = { -1, -1, -1 };
                                char data[4];
                                int r;

                                send_many(pair.fds[1], "x", 1, pair.fds[1], n_sent);
                                r = socket_receive(pair.fds[0], data, sizeof(data), &n, received, n_max, &n_received);
                                if (n_sent == n_max) {
                                        assert_int_equal(r, 0);
                                        assert_int_equal(n_received, n_max);
                                        for (size_t j = 0; j < n_received; ++j)
                                                close(received[j]);
                                } else {
                                        if (r != SOCKET_E_TRUNCATED)
                                                fail_msg("%zu descriptors where %zu are expected: got %d", n_sent,
                                                         n_max, r);
                                        assert_int_equal(n, 4711);
                                        assert_int_equal(n_received, 4711);
                                        assert_int_equal(received[0], -1);
                                }
                                assert_int_equal(count_open_fds(), n_before);
                        }
}

/* Where none are expected they are dropped by the kernel, and the bytes arrive. */
static void test_unasked_descriptors(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_SEQPACKET);
        size_t n = 0, n_before = count_open_fds();
        char data[4];

        send_many(pair.fds[1], "x", 1, pair.fds[1], 8);
        assert_int_equal(socket_receive(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), 0);
        assert_int_equal(n, 1);
        assert_int_equal(count_open_fds(), n_before);
}

static void test_packet_too_large(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_SEQPACKET);
        size_t n = 4711, n_received = 4711, n_before = count_open_fds();
        int received[1];
        char data[4];

        assert_int_equal(socket_send(pair.fds[1], "12345", 5, &pair.fds[1], 1, NULL), 0);
        assert_int_equal(socket_receive(pair.fds[0], data, 4, &n, received, 1, &n_received), SOCKET_E_TRUNCATED);
        assert_int_equal(n, 4711);
        assert_int_equal(count_open_fds(), n_before);

        assert_int_equal(socket_send(pair.fds[1], "1234", 4, NULL, 0, NULL), 0);
        assert_int_equal(socket_receive(pair.fds[0], data, 4, &n, NULL, 0, NULL), 0);
        assert_int_equal(n, 4);
}

/* A receiver that may open no more descriptors: the message counts as truncated, nothing leaks. */
static void test_receiver_out_of_descriptors(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_SEQPACKET);
        struct rlimit old, low;
        size_t n = 4711, n_received = 4711;
        int received[2], r, next;
        char data[4];

        send_many(pair.fds[1], "x", 1, pair.fds[1], 2);
        next = dup(pair.fds[0]); /* the lowest free number: room for one descriptor, not for two */
        close(next);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
        low = (struct rlimit){ .rlim_cur = (rlim_t)next + 1, .rlim_max = old.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        r = socket_receive(pair.fds[0], data, sizeof(data), &n, received, 2, &n_received);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);

        assert_int_equal(r, SOCKET_E_TRUNCATED);
        assert_int_equal(fcntl(next, F_GETFD), -1);
        assert_int_equal(n_received, 4711);
}

static void test_peer_gone(void **state) {
        static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i) {
                _cleanup_pair_ Pair pair = pair_open(types[i]);
                size_t n = 4711;
                char data[4];

                /* What was sent before the end is still received. */
                assert_int_equal(socket_send(pair.fds[1], "x", 1, NULL, 0, NULL), 0);
                pair.fds[1] = fd_close(pair.fds[1]);
                assert_int_equal(socket_receive(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), 0);
                assert_int_equal(socket_receive(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), SOCKET_E_EOF);
                /* No SIGPIPE: it would end this test. */
                assert_int_equal(socket_send(pair.fds[0], "x", 1, NULL, 0, NULL), SOCKET_E_GONE);
        }
}

/* A peer that closes with our bytes unread resets the connection. */
static void test_peer_reset(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_STREAM);
        size_t n;
        char data[4];

        assert_int_equal(socket_send(pair.fds[0], "unread", 6, NULL, 0, NULL), 0);
        pair.fds[1] = fd_close(pair.fds[1]);
        assert_int_equal(socket_receive(pair.fds[0], data, sizeof(data), &n, NULL, 0, NULL), SOCKET_E_GONE);
}

static void test_not_connected(void **state) {
        _cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(socket_send(fd, "x", 1, NULL, 0, NULL), SOCKET_E_GONE);
}

/* Neither call waits, whatever the descriptor's flags say. */
static void test_no_room(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_SEQPACKET);
        static char data[4096];
        int r, n = 0;

        do
                r = socket_send(pair.fds[1], data, sizeof(data), NULL, 0, NULL);
        while (r == 0 && ++n < 100000);
        assert_int_equal(r, SOCKET_E_AGAIN);
}

/* On a stream, what has no room is not sent, and the count says so. */
static void test_partial_send(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_STREAM);
        static char data[1 << 23];
        size_t n_sent = 0;

        assert_int_equal(socket_send(pair.fds[1], data, sizeof(data), NULL, 0, &n_sent), 0);
        assert_in_range(n_sent, 1, sizeof(data) - 1);
}

static void test_no_more_than_our_limit(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_STREAM);
        int fds[SOCKET_FDS_MAX + 1] = { 0, 0, 0, 0 };
        size_t n, n_fds;
        char data[4];

        assert_int_equal(socket_send(pair.fds[1], "x", 1, fds, SOCKET_FDS_MAX + 1, NULL), -EINVAL);
        assert_int_equal(socket_receive(pair.fds[0], data, 4, &n, fds, SOCKET_FDS_MAX + 1, &n_fds), -EINVAL);
}

static void test_peer_credentials(void **state) {
        _cleanup_pair_ Pair pair = pair_open(SOCK_STREAM);
        _cleanup_fd_ int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        struct ucred credentials = {};

        assert_int_equal(socket_peer(pair.fds[0], &credentials), 0);
        assert_int_equal(credentials.pid, getpid());
        assert_int_equal(credentials.uid, geteuid());
        assert_int_equal(credentials.gid, getegid());
        assert_int_equal(socket_peer(null_fd, &credentials), -ENOTSOCK);
}

static void test_refuse_rights(void **state) {
        static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i) {
                _cleanup_(listener_close) Listener listener;
                _cleanup_fd_ int client_fd = -1, server_fd = -1;
                size_t n;
                int received[1];
                char data[4];

                listener_open(&listener, types[i]);
                if (!socket_refuse_rights(listener.fd)) {
                        print_message("this kernel has no SO_PASSRIGHTS\n");
                        skip();
                }
                /* Set on the listener, it holds for what is accepted from it, from the first byte on. */
                assert_int_equal(socket_connect(listener.path, types[i], &client_fd), 0);
                assert_int_equal(socket_send(client_fd, "x", 1, &client_fd, 1, NULL), SOCKET_E_GONE);
                assert_int_equal(socket_send(client_fd, "y", 1, NULL, 0, NULL), 0);
                server_fd = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC);
                assert_true(server_fd >= 0);
                assert_int_equal(socket_receive(server_fd, data, sizeof(data), &n, NULL, 0, NULL), 0);
                assert_memory_equal(data, "y", 1);
                /* The other direction is the other side's to choose. */
                assert_int_equal(socket_send(server_fd, "z", 1, &server_fd, 1, NULL), 0);
                assert_int_equal(socket_receive(client_fd, data, sizeof(data), &n, received, 1, &n), 0);
                close(received[0]);
        }
}

static void test_packets(void **state) {
        char data[3][4];
        size_t sizes[3], n;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(socket_receive_packets(fds[0], data, 4, 3, sizes, &n), SOCKET_E_AGAIN);
        assert_int_equal(socket_receive_packets(fds[0], data, 4, 0, sizes, &n), -EINVAL);
        assert_int_equal(socket_receive_packets(fds[0], data, 4, SOCKET_PACKETS_MAX + 1, sizes, &n), -EINVAL);

        /* Fewer than there is room for; and one that is too long, of which the rest is lost. */
        assert_int_equal(socket_send(fds[1], "abc", 3, NULL, 0, NULL), 0);
        assert_int_equal(socket_send(fds[1], "defgh", 5, NULL, 0, NULL), 0);
        assert_int_equal(socket_receive_packets(fds[0], data, 4, 3, sizes, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(sizes[0], 3);
        assert_memory_equal(data[0], "abc", 3);
        assert_int_equal(sizes[1], 4);
        assert_memory_equal(data[1], "defg", 4);

        /* More than there is room for stay there; behind the last one is the end. */
        for (int i = 0; i < 4; ++i)
                assert_int_equal(socket_send(fds[1], &"1234"[i], (size_t)(4 - i), NULL, 0, NULL), 0);
        fd_close(fds[1]);
        assert_int_equal(socket_receive_packets(fds[0], data, 4, 3, sizes, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(sizes[2], 2);
        assert_int_equal(socket_receive_packets(fds[0], data, 4, 3, sizes, &n), 0);
        assert_in_range(n, 2, 3);
        assert_int_equal(sizes[0], 1);
        assert_int_equal(sizes[1], 0);
        fd_close(fds[0]);

        /* Neither is anything lost that was sent by a peer who had not read all. */
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
        assert_int_equal(socket_send(fds[0], "unread", 6, NULL, 0, NULL), 0);
        assert_int_equal(socket_send(fds[1], "abc", 3, NULL, 0, NULL), 0);
        fd_close(fds[1]);
        assert_int_equal(socket_receive_packets(fds[0], data, 4, 3, sizes, &n), 0);
        assert_in_range(n, 2, 3);
        assert_int_equal(sizes[0], 3);
        assert_int_equal(sizes[1], 0);
        fd_close(fds[0]);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_address),
                cmocka_unit_test(test_connect),
                cmocka_unit_test(test_connect_failures),
                cmocka_unit_test(test_connect_full_backlog),
                cmocka_unit_test(test_send_and_receive),
                cmocka_unit_test(test_receive_wait),
                cmocka_unit_test(test_descriptors),
                cmocka_unit_test(test_too_many_descriptors),
                cmocka_unit_test(test_unasked_descriptors),
                cmocka_unit_test(test_packet_too_large),
                cmocka_unit_test(test_receiver_out_of_descriptors),
                cmocka_unit_test(test_peer_gone),
                cmocka_unit_test(test_peer_reset),
                cmocka_unit_test(test_not_connected),
                cmocka_unit_test(test_no_room),
                cmocka_unit_test(test_partial_send),
                cmocka_unit_test(test_no_more_than_our_limit),
                cmocka_unit_test(test_peer_credentials),
                cmocka_unit_test(test_packets),
                cmocka_unit_test(test_refuse_rights),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
