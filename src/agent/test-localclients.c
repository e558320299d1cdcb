/* SPDX-License-Identifier: Apache-2.0 */
/* What the end-to-end tests cannot wait for: time that runs out, and descriptors that do. */
#include "agent/localclients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

typedef struct World {
        char folder[32], path[64];
        int epoll_fd;
        LocalClients clients;
} World;

static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));

        if (!world)
                return -1;
        memcpy(world->folder, "/tmp/test-clients.XXXXXX", sizeof("/tmp/test-clients.XXXXXX"));
        if (!mkdtemp(world->folder))
                return -1;
        (void)snprintf(world->path, sizeof(world->path), "%s/agent", world->folder);
        world->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        local_clients_init(&world->clients, world->epoll_fd, world->path);
        *state = world;
        return local_clients_open(&world->clients);
}

static int teardown(void **state) {
        World *world = *state;
        int r;

        local_clients_close(&world->clients);
        local_clients_close(&world->clients);
        fd_close(world->epoll_fd);
        r = rmdir(world->folder); /* the socket is gone */
        free(world);
        return r;
}

static int connect_client(World *world) {
        int fd = -1;

        assert_int_equal(socket_connect(world->path, SOCK_STREAM, &fd), 0);
        return fd;
}

static bool is_closed(int fd) {
        char byte;

        return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_deadline(void **state) {
        World *world = *state;
        int first, second;

        assert_true(local_clients_deadline(&world->clients) == UINT64_MAX);
        first = connect_client(world);
        assert_int_equal(local_clients_accept(&world->clients, 1000), 0);
        second = connect_client(world);
        assert_int_equal(local_clients_accept(&world->clients, 2000), 0);
        assert_true(local_clients_deadline(&world->clients) == 1000 + LOCAL_CLIENTS_REQUEST_USEC);

        assert_int_equal(local_clients_on_deadline(&world->clients, 999 + LOCAL_CLIENTS_REQUEST_USEC), 0);
        assert_false(is_closed(first));
        assert_int_equal(local_clients_on_deadline(&world->clients, 1000 + LOCAL_CLIENTS_REQUEST_USEC), 0);
        assert_true(is_closed(first));
        assert_false(is_closed(second));
        assert_true(local_clients_deadline(&world->clients) == 2000 + LOCAL_CLIENTS_REQUEST_USEC);
        fd_close(first);
        fd_close(second);
}

static bool is_event(World *world) {
        struct epoll_event event;

        return epoll_wait(world->epoll_fd, &event, 1, 0) == 1;
}

static void test_no_descriptors(void **state) {
        World *world = *state;
        struct rlimit before, none;
        int fd = connect_client(world);

        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        none = (struct rlimit){ .rlim_cur = (rlim_t)fd, .rlim_max = before.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        assert_int_equal(local_clients_accept(&world->clients, 1000), 0);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);

        /* Who came is still in the backlog, and no event until it is time. */
        assert_false(is_closed(fd));
        assert_false(is_event(world));
        assert_true(local_clients_deadline(&world->clients) == 1000 + LOCAL_CLIENTS_PAUSE_USEC);
        assert_int_equal(local_clients_on_deadline(&world->clients, 1000 + LOCAL_CLIENTS_PAUSE_USEC), 0);
        assert_true(is_event(world));
        assert_int_equal(local_clients_accept(&world->clients, 2000000), 0);
        assert_int_equal(world->clients.n_unanswered, 1);
        fd_close(fd);
}

static void test_no_socket(void **state) {
        LocalClients clients;

        local_clients_init(&clients, -1, "/nonexistent/agent");
        assert_int_equal(local_clients_open(&clients), LOCAL_CLIENTS_E_FAILED);
        local_clients_close(&clients);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
                cmocka_unit_test(test_no_socket),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
