/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends over real sockets. "A3" is line 3 of the protocol specification's Appendix A. */
#include "vchan/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/socket.h"

#define LONG_USEC (UINT64_C(20) * USEC_PER_SEC)

typedef struct World {
        char folder[32];
        VchanPlace server, client; /* domains 42 and 43 */
        char path[VCHAN_PATH_MAX]; /* of port 1024 */
} World;

static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));

        if (!world)
                return -1;
        memcpy(world->folder, "/tmp/test-vchan.XXXXXX", sizeof("/tmp/test-vchan.XXXXXX"));
        if (!mkdtemp(world->folder))
                return -1;
        world->server = (VchanPlace){ .directory = world->folder, .domain = 42 };
        world->client = (VchanPlace){ .directory = world->folder, .domain = 43 };
        *state = world;
        return vchan_place_path(&world->server, 42, 43, 1024, world->path);
}

/* Fails if a test left a file behind. */
static int teardown(void **state) {
        World *world = *state;
        int r = rmdir(world->folder);

        free(world);
        return r;
}

static void listen_here(World *world, VchanListener *listener) {
        int error = 0;

        assert_int_equal(vchan_listen(&world->server, 43, 1024, &error, listener), 0);
        assert_true(fcntl(listener->fd, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(access(world->path, F_OK), 0);
}

static void check_ready(int fd) {
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static void wait_readable(int fd) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

        assert_int_equal(poll(&poll_fd, 1, 20000), 1);
}

static void check_transfer(int from, int to) {
        char byte = 0;

        assert_int_equal(write(from, "x", 1), 1);
        wait_readable(to);
        assert_int_equal(read(to, &byte, 1), 1);
        assert_int_equal(byte, 'x');
}

static void test_connect(void **state) {
        VchanListener listener;
        int server_fd = -1, client_fd = -1, error = 0;
        World *world = *state;

        assert_int_equal(vchan_dial(&world->client, 42, 1024, &error, &client_fd), VCHAN_E_AGAIN);
        listen_here(world, &listener);
        assert_int_equal(vchan_accept(&listener, &server_fd), VCHAN_E_AGAIN);
        assert_int_equal(vchan_dial(&world->client, 42, 1024, &error, &client_fd), 0);
        wait_readable(listener.fd);
        assert_int_equal(vchan_accept(&listener, &server_fd), 0);
        check_ready(server_fd);
        check_ready(client_fd);
        check_transfer(server_fd, client_fd);
        check_transfer(client_fd, server_fd);

        /* one dialler for the life of an endpoint: the file is gone, a second one finds nobody */
        assert_int_equal(listener.fd, -1);
        assert_int_equal(access(world->path, F_OK), -1);
        fd_close(server_fd);
        assert_int_equal(vchan_dial(&world->client, 42, 1024, &error, &server_fd), VCHAN_E_AGAIN);
        fd_close(client_fd);
        vchan_listener_deinit(&listener);
}

/* 1.4: bytes written before a close arrive, then end-of-file. */
static void test_close_delivers(void **state) {
        VchanListener listener;
        int server_fd, client_fd, error;
        World *world = *state;
        char data[8];
        size_t n;

        listen_here(world, &listener);
        assert_int_equal(vchan_dial(&world->client, 42, 1024, &error, &client_fd), 0);
        assert_int_equal(vchan_accept_until(&listener, clock_now() + LONG_USEC, &server_fd), 0);
        /* Something unread at the one who closes: the other sees a reset, after the data. */
        assert_int_equal(write(client_fd, "unread", 6), 6);
        assert_int_equal(write(server_fd, "last", 4), 4);
        fd_close(server_fd);

        wait_readable(client_fd);
        assert_int_equal(socket_receive(client_fd, data, sizeof(data), &n, NULL, 0, NULL), 0);
        assert_int_equal(n, 4);
        assert_memory_equal(data, "last", 4);
        assert_int_equal(socket_receive(client_fd, data, sizeof(data), &n, NULL, 0, NULL), SOCKET_E_GONE);
        assert_int_equal(socket_receive(client_fd, data, sizeof(data), &n, NULL, 0, NULL), SOCKET_E_EOF);
        assert_int_equal(socket_send(client_fd, "x", 1, NULL, 0, NULL), SOCKET_E_GONE);
        fd_close(client_fd);
}

/* A3: the dialler comes first, and waits for its listener. */
static void test_dialler_first(void **state) {
        VchanListener listener;
        int server_fd, client_fd, error, status, ready[2];
        World *world = *state;
        pid_t pid;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (vchan_dial(&world->client, 42, 1024, &error, &client_fd) != VCHAN_E_AGAIN ||
                    write(ready[1], "r", 1) != 1 ||
                    vchan_dial_until(&world->client, 42, 1024, clock_now() + LONG_USEC, &error, &client_fd) != 0 ||
                    write(client_fd, "x", 1) != 1)
                        _exit(1);
                _exit(0);
        }
        wait_readable(ready[0]);
        listen_here(world, &listener);
        assert_int_equal(vchan_accept_until(&listener, UINT64_MAX, &server_fd), 0);
        wait_readable(server_fd);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        fd_close(server_fd);
        fd_close(ready[0]);
        fd_close(ready[1]);
}

/* A4: a file without a listener is nobody, and is replaced by the next listener. */
static void test_stale_file(void **state) {
        VchanListener listener;
        int server_fd, client_fd, error;
        World *world = *state;
        struct sockaddr_un address;
        socklen_t n_address;
        int fd;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(socket_address(world->path, &address, &n_address), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        fd_close(fd);

        assert_int_equal(vchan_dial(&world->client, 42, 1024, &error, &client_fd), VCHAN_E_AGAIN);
        listen_here(world, &listener);
        assert_int_equal(vchan_dial(&world->client, 42, 1024, &error, &client_fd), 0);
        assert_int_equal(vchan_accept(&listener, &server_fd), 0);
        fd_close(server_fd);
        fd_close(client_fd);
}

static void test_deadlines(void **state) {
        uint64_t begin_usec = clock_now();
        VchanListener listener;
        int fd = -1, error = 0;
        World *world = *state;

        assert_int_equal(vchan_dial_until(&world->client, 42, 1024, begin_usec + 50000, &error, &fd), VCHAN_E_TIMEOUT);
        assert_true(clock_now() - begin_usec >= 50000);
        assert_int_equal(vchan_dial_until(&world->client, 42, 1024, 0, &error, &fd), VCHAN_E_TIMEOUT);

        listen_here(world, &listener);
        begin_usec = clock_now();
        assert_int_equal(vchan_accept_until(&listener, begin_usec + 50000, &fd), VCHAN_E_TIMEOUT);
        assert_true(clock_now() - begin_usec >= 50000);
        assert_int_equal(fd, -1);
        vchan_listener_deinit(&listener);
        vchan_listener_deinit(&listener);
}

/* A second dialler that waits in the backlog is not served, and does not hang: it is nobody's. */
static void test_second_dialler(void **state) {
        VchanListener listener;
        int server_fd, first_fd, second_fd, error;
        World *world = *state;
        char byte;

        listen_here(world, &listener);
        assert_int_equal(vchan_dial(&world->client, 42, 1024, &error, &first_fd), 0);
        assert_int_equal(vchan_dial(&world->client, 42, 1024, &error, &second_fd), 0);
        assert_int_equal(vchan_accept(&listener, &server_fd), 0);
        wait_readable(second_fd);
        assert_true(read(second_fd, &byte, 1) <= 0);
        check_transfer(server_fd, first_fd);
        fd_close(server_fd);
        fd_close(first_fd);
        fd_close(second_fd);
}

static void test_failures(void **state) {
        char folder[VCHAN_PATH_MAX + 1] = {};
        VchanPlace nowhere = { .directory = "/nonexistent", .domain = 42 }, deep = { .directory = folder };
        VchanPlace file = { .directory = "/dev/null", .domain = 42 };
        VchanListener listener = VCHAN_LISTENER_INIT;
        int fd = -1, error = 0;

        memset(folder, 'd', VCHAN_PATH_MAX);
        assert_int_equal(vchan_listen(&nowhere, 43, 1024, &error, &listener), VCHAN_E_FAILED);
        assert_int_equal(error, ENOENT);
        assert_int_equal(vchan_listen(&deep, 43, 1024, &error, &listener), VCHAN_E_FAILED);
        assert_int_equal(error, ENAMETOOLONG);
        assert_int_equal(vchan_listen(&file, 43, 1024, &error, &listener), VCHAN_E_FAILED);
        assert_int_equal(error, ENOTDIR);
        assert_int_equal(listener.fd, -1);

        assert_int_equal(vchan_dial(&deep, 43, 1024, &error, &fd), VCHAN_E_FAILED);
        assert_int_equal(error, ENAMETOOLONG);
        assert_int_equal(vchan_dial_until(&file, 43, 1024, UINT64_MAX, &error, &fd), VCHAN_E_FAILED);
        assert_int_equal(error, ENOTDIR);
        assert_int_equal(fd, -1);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_connect, setup, teardown),
                cmocka_unit_test_setup_teardown(test_close_delivers, setup, teardown),
                cmocka_unit_test_setup_teardown(test_dialler_first, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stale_file, setup, teardown),
                cmocka_unit_test_setup_teardown(test_deadlines, setup, teardown),
                cmocka_unit_test_setup_teardown(test_second_dialler, setup, teardown),
                cmocka_unit_test(test_failures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
