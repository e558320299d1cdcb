/* SPDX-License-Identifier: Apache-2.0 */
/* What the end-to-end tests cannot wait for: time that runs out, descriptors that do; and hosts that nobody has here. */
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
#include "base/test-capture.h"
#include "vchan/vsock.h"
#include "wire/trigger.h"

typedef struct World {
        char folder[32], path[64];
        int epoll_fd;
        LocalClients clients;
} World;

static const Medium vchan = { .kind = MEDIUM_KIND_VCHAN }, vsock = { .kind = MEDIUM_KIND_VSOCK };

static int setup_medium(void **state, const Medium *medium) {
        World *world = calloc(1, sizeof(*world));

        if (!world)
                return -1;
        memcpy(world->folder, "/tmp/test-clients.XXXXXX", sizeof("/tmp/test-clients.XXXXXX"));
        if (!mkdtemp(world->folder))
                return -1;
        (void)snprintf(world->path, sizeof(world->path), "%s/agent", world->folder);
        world->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        local_clients_init(&world->clients, world->epoll_fd, world->path, medium);
        *state = world;
        return local_clients_open(&world->clients);
}

static int setup(void **state) {
        return setup_medium(state, &vchan);
}

static int setup_vsock(void **state) {
        return setup_medium(state, &vsock);
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

        local_clients_init(&clients, -1, "/nonexistent/agent", &vchan);
        assert_int_equal(local_clients_open(&clients), LOCAL_CLIENTS_E_FAILED);
        local_clients_close(&clients);
}

/* --- over vsock: the agent dials, and hands the connection over ------------------------------------------------- */

/* One that has sent a request. Return: its descriptor */
static int ask(World *world, const char *ident) {
        uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MIN + 6];
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        int fd = connect_client(world);
        size_t n;

        assert_int_equal(trigger_new("", "vault", ident, "my.Svc", &trigger), 0);
        assert_int_equal(trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, message, sizeof(message), &n), 0);
        assert_int_equal(write(fd, message, n), n);
        assert_int_equal(local_clients_accept(&world->clients, 1000), 0);
        return fd;
}

/* One whose request is at the daemon. */
static LocalClient *wait_for_daemon_as(World *world, const char *ident, int *ret_fd) {
        uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX];
        LocalClient *client;
        size_t n;

        *ret_fd = ask(world, ident);
        client = world->clients.unanswered.last;
        assert_int_equal(local_clients_read(&world->clients, client), 0);
        assert_int_equal(local_clients_forward(&world->clients, client, 4, message, sizeof(message), &n), 0);
        assert_ptr_equal(local_clients_find(&world->clients, client->ident.text), client);
        return client;
}

static LocalClient *wait_for_daemon(World *world, int *ret_fd) {
        return wait_for_daemon_as(world, IDENT_QAIR, ret_fd);
}

static void assert_told(int fd, ReplyReason reason) {
        uint8_t data[REPLY_REFUSED_SIZE + 1];
        Reply reply;
        ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

        assert_int_equal(n, REPLY_REFUSED_SIZE);
        assert_int_equal(reply_decode(data, (size_t)n, &reply), 0);
        assert_int_equal(reply.connect_domain, WIRE_DOMAIN_REFUSED);
        assert_int_equal(reply.connect_port, 0);
        assert_int_equal(reply.reason, reason);
}

static void test_idents(void **state) {
        static const struct {
                const char *ident;
                int vchan, vsock;
        } cases[] = {
                { "QAIR1", 0, 0 },
                { "QAIR1 more", 0, 0 },
                { "SOCKET", 0, LOCAL_CLIENTS_E_GONE },
                { "SOCKET7", 0, LOCAL_CLIENTS_E_GONE },
                { "", 0, LOCAL_CLIENTS_E_GONE },
                { "QAIR2", 0, LOCAL_CLIENTS_E_GONE },
                { "QAIR1 mor", 0, LOCAL_CLIENTS_E_GONE },
                { "+", 0, LOCAL_CLIENTS_E_GONE }, /* no ident at all */
        };
        World *world = *state;
        bool over_vsock = world->clients.medium == &vsock;

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int fd = ask(world, cases[i].ident), want = over_vsock ? cases[i].vsock : cases[i].vchan, r;
                Capture capture;

                capture_begin(&capture);
                r = local_clients_read(&world->clients, world->clients.unanswered.last);
                capture_end(&capture);
                if (r != want)
                        fail_msg("\"%s\": got %d, want %d", cases[i].ident, r, want);
                local_clients_remove(&world->clients, world->clients.unanswered.last);
                assert_true(is_closed(fd));
                fd_close(fd);
        }
}

static void test_give(void **state) {
        static const ExecParams params = { 7, 513 };
        World *world = *state;
        _cleanup_fd_ int fd = -1, got_fd = -1;
        LocalClient *client = wait_for_daemon(world, &fd);
        uint8_t data[REPLY_SIZE + 1];
        Reply reply;
        int ends[2];
        size_t n, n_fds;
        char byte;

        assert_int_equal(local_clients_connect(&world->clients, client, &params, 1000), 0);
        assert_int_equal(client->state, LOCAL_CLIENT_STATE_DIALLING);
        assert_null(local_clients_find(&world->clients, client->ident.text));
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(local_clients_give(&world->clients, client, ends[0]), LOCAL_CLIENTS_E_GONE);
        assert_int_equal(client->params.connect_domain, 7);
        assert_int_equal(client->params.connect_port, 513);
        local_clients_remove(&world->clients, client);
        assert_int_equal(world->clients.n_unanswered, 0);

        assert_int_equal(socket_receive(fd, data, sizeof(data), &n, &got_fd, 1, &n_fds), 0);
        assert_int_equal(n_fds, 1);
        assert_int_equal(reply_decode(data, n, &reply), 0);
        assert_int_equal(reply.connect_domain, WIRE_DOMAIN_FRAMED);
        assert_int_equal(reply.connect_port, 513);
        /* The connection itself, of which the agent has no copy; and the other one is over. */
        assert_true(is_closed(fd));
        assert_int_equal(write(ends[1], "x", 1), 1);
        assert_int_equal(read(got_fd, &byte, 1), 1);
        got_fd = fd_close(got_fd);
        assert_true(is_closed(ends[1]));
        fd_close(ends[1]);
}

/* What libqair takes: three descriptors, with a process behind them. */
static void test_give_direct(void **state) {
        static const ExecParams params = { 7, 514 };
        World *world = *state;
        _cleanup_fd_ int fd = -1;
        LocalClient *client = wait_for_daemon_as(world, IDENT_QAIR_MORE, &fd);
        uint8_t data[REPLY_SIZE + 1];
        int ends[2], fds[3];
        size_t n, n_fds;
        char byte;
        Reply reply;

        assert_int_equal(local_clients_connect(&world->clients, client, &params, 1000), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(local_clients_give(&world->clients, client, ends[0]), LOCAL_CLIENTS_E_GONE);
        local_clients_remove(&world->clients, client);

        assert_int_equal(socket_receive(fd, data, sizeof(data), &n, fds, 3, &n_fds), 0);
        assert_int_equal(n_fds, 3);
        assert_int_equal(reply_decode(data, n, &reply), 0);
        assert_int_equal(reply.connect_domain, WIRE_DOMAIN_DIRECT);
        assert_int_equal(reply.connect_port, 514);
        assert_int_equal(recv(fd, &byte, 1, 0), 0); /* whoever was forked holds a copy for a moment */
        /* Without the client there is nobody. */
        fd_close_all(fds, 3);
        while (read(ends[1], &byte, 1) > 0)
                ;
        fd_close(ends[1]);
}

static void test_give_to_nobody(void **state) {
        static const ExecParams params = { 7, 513 };
        World *world = *state;
        LocalClient *client;
        int ends[2], fd;

        client = wait_for_daemon(world, &fd);
        fd_close(fd);
        assert_int_equal(local_clients_connect(&world->clients, client, &params, 1000), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(local_clients_give(&world->clients, client, ends[0]), LOCAL_CLIENTS_E_GONE);
        assert_true(is_closed(ends[1]));
        fd_close(ends[1]);
        local_clients_remove(&world->clients, client);
}

/* Of a port that is taken the client hears when its time is over. */
static void test_dial_taken(void **state) {
        World *world = *state;
        ExecParams params = { 1, 50000 };
        int taken_fd, error, fd, dialled_fd = -7, r;
        uint64_t end_usec = 1000 + LOCAL_CLIENTS_DIAL_USEC;
        LocalClient *client;
        Capture capture;

        while ((r = vsock_listen(params.connect_port, &error, &taken_fd)) == VSOCK_E_TAKEN)
                ++params.connect_port;
        if (r)
                skip(); /* no vsock in this kernel */
        client = wait_for_daemon(world, &fd);
        assert_int_equal(local_clients_connect(&world->clients, client, &params, 1000), 0);
        assert_ptr_equal(local_clients_due(&world->clients, 1000), client);
        assert_int_equal(local_clients_dial(&world->clients, client, 1000, &dialled_fd), LOCAL_CLIENTS_E_AGAIN);
        assert_true(local_clients_deadline(&world->clients) == 1000 + HOST_DIAL_PAUSE_USEC);
        assert_null(local_clients_due(&world->clients, 999 + HOST_DIAL_PAUSE_USEC));
        assert_ptr_equal(local_clients_due(&world->clients, 1000 + HOST_DIAL_PAUSE_USEC), client);
        assert_int_equal(local_clients_dial(&world->clients, client, end_usec - 1, &dialled_fd), LOCAL_CLIENTS_E_AGAIN);
        assert_true(local_clients_deadline(&world->clients) == end_usec);
        assert_ptr_equal(local_clients_due(&world->clients, end_usec), client);
        client->dial.next_usec = 0;
        capture_begin(&capture);
        r = local_clients_dial(&world->clients, client, end_usec, &dialled_fd);
        capture_end(&capture);
        assert_int_equal(r, LOCAL_CLIENTS_E_GONE);
        assert_non_null(strstr(capture.text, "Address already in use"));
        assert_int_equal(dialled_fd, -7);
        local_clients_remove(&world->clients, client);
        assert_told(fd, REPLY_REASON_UNAVAILABLE);
        assert_true(is_closed(fd));
        assert_true(local_clients_deadline(&world->clients) == UINT64_MAX);
        fd_close(fd);
        fd_close(taken_fd);
}

static void test_refuse(void **state) {
        static const ReplyReason reasons[] = { REPLY_REASON_REFUSED, REPLY_REASON_UNAVAILABLE };
        World *world = *state;

        for (size_t i = 0; i < ARRAY_SIZE(reasons); ++i) {
                LocalClient *client;
                int fd;

                client = wait_for_daemon(world, &fd);
                local_clients_refuse(&world->clients, client, reasons[i]);
                if (world->clients.medium == &vsock)
                        assert_told(fd, reasons[i]);
                assert_true(is_closed(fd));
                fd_close(fd);
        }
}

/* The daemon is gone: who waits in whatever state is told, who has not asked yet is closed. */
static void test_close(void **state) {
        static const ExecParams params = { 1, 513 };
        World *world = *state;
        int reading, ready, waiting, dialling;
        LocalClient *client;

        reading = connect_client(world);
        assert_int_equal(local_clients_accept(&world->clients, 1000), 0);
        ready = ask(world, IDENT_QAIR_MORE);
        assert_int_equal(local_clients_read(&world->clients, world->clients.unanswered.last), 0);
        (void)wait_for_daemon(world, &waiting);
        client = wait_for_daemon(world, &dialling);
        assert_int_equal(local_clients_connect(&world->clients, client, &params, 1000), 0);
        assert_int_equal(world->clients.n_unanswered, 4);

        local_clients_close(&world->clients);
        assert_int_equal(world->clients.n_unanswered, 0);
        assert_told(ready, REPLY_REASON_UNAVAILABLE);
        assert_told(waiting, REPLY_REASON_UNAVAILABLE);
        assert_told(dialling, REPLY_REASON_UNAVAILABLE);
        assert_true(is_closed(reading) && is_closed(ready) && is_closed(waiting) && is_closed(dialling));
        fd_close(reading);
        fd_close(ready);
        fd_close(waiting);
        fd_close(dialling);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_deadline, setup, teardown),
                cmocka_unit_test_setup_teardown(test_no_descriptors, setup, teardown),
                cmocka_unit_test(test_no_socket),
                cmocka_unit_test_setup_teardown(test_idents, setup, teardown),
                cmocka_unit_test_setup_teardown(test_idents, setup_vsock, teardown),
                cmocka_unit_test_setup_teardown(test_refuse, setup, teardown),
                cmocka_unit_test_setup_teardown(test_refuse, setup_vsock, teardown),
                cmocka_unit_test_setup_teardown(test_give, setup_vsock, teardown),
                cmocka_unit_test_setup_teardown(test_give_direct, setup_vsock, teardown),
                cmocka_unit_test_setup_teardown(test_give_to_nobody, setup_vsock, teardown),
                cmocka_unit_test_setup_teardown(test_dial_taken, setup_vsock, teardown),
                cmocka_unit_test_setup_teardown(test_close, setup_vsock, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
