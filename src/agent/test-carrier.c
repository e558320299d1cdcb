/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of socket services, with real sockets and pipes; this process plays caller, service and event loop. */
#include "agent/carrier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/socket.h"

#define TEST_CALL_ID 17
#define TEST_TEXT    "me:QUBESRPC svc+arg work"

typedef struct World {
        WatchSet watches;
        CarrierTable table;
        ServiceSettings settings;
        Service service;
        char folder[32], path[64];
        int null_fd, listener;

        /* the caller's ends of the one call */
        int status_fd, stdin_fd, stdout_fd;
        Carrier *carrier;
        unsigned n_ended;
        uint32_t call_id;
        DataOutcome outcome;
} World;

static void on_ended(void *userdata, uint32_t call_id, const DataOutcome *outcome) {
        World *world = userdata;

        ++world->n_ended;
        world->call_id = call_id;
        world->outcome = *outcome;
}

static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));

        signal(SIGPIPE, SIG_IGN);
        alarm(60);
        assert_non_null(world);
        assert_int_equal(watch_set_init(&world->watches), 0);
        world->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        carrier_table_init(&world->table, &world->watches, world->null_fd);
        world->table.on_ended = on_ended;
        world->table.userdata = world;
        strcpy(world->folder, "/tmp/test-carrier.XXXXXX");
        assert_non_null(mkdtemp(world->folder));
        snprintf(world->path, sizeof(world->path), "%s/svc", world->folder);
        world->status_fd = world->stdin_fd = world->stdout_fd = world->listener = -1;
        world->service = (Service){ .settings = &world->settings, .call_id = TEST_CALL_ID, .config = CONFIG_INIT };
        assert_int_equal(command_parse(TEST_TEXT, true, &world->service.command), 0);
        world->service.lookup.kind = LOOKUP_KIND_SOCKET;
        strcpy(world->service.lookup.path, world->path);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        carrier_table_collect(&world->table);
        carrier_table_deinit(&world->table);
        watch_set_deinit(&world->watches);
        fd_close(world->status_fd);
        fd_close(world->stdin_fd);
        fd_close(world->stdout_fd);
        fd_close(world->listener);
        fd_close(world->null_fd);
        unlink(world->path);
        rmdir(world->folder);
        free(world);
        return 0;
}

static void listen_here(World *world, int backlog) {
        struct sockaddr_un address;
        socklen_t n;

        world->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(socket_address(world->path, &address, &n), 0);
        assert_int_equal(bind(world->listener, (struct sockaddr *)&address, n), 0);
        assert_int_equal(listen(world->listener, backlog), 0);
}

static int start_at(World *world, bool just_exec, uint64_t now_usec) {
        int status[2], in[2], out[2], r;
        Channel channel;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status), 0);
        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(pipe2(out, O_CLOEXEC), 0);
        world->status_fd = status[0];
        world->stdin_fd = in[1];
        world->stdout_fd = out[0];
        channel = (Channel){ status[1], in[0], out[1] };
        r = carrier_start(&world->table, &world->service, &channel, just_exec, now_usec, &world->carrier,
                          &world->outcome);
        assert_int_equal(channel.status_fd, -1);
        assert_int_equal(channel.stdin_fd, -1);
        assert_int_equal(channel.stdout_fd, -1);
        return r;
}

static int start(World *world) {
        return start_at(world, false, clock_now());
}

/* Everything that can be done without anybody else doing something. */
static void settle(World *world) {
        struct epoll_event events[8];
        int n;

        do {
                carrier_table_run(&world->table, 0);
                n = epoll_wait(world->watches.epoll_fd, events, 8, 0);
                for (int i = 0; i < n; ++i)
                        carrier_on_event(&world->table, events[i].data.ptr, events[i].events);
        } while (n > 0 || world->table.ready_first);
        carrier_table_collect(&world->table);
}

static int accept_one(World *world) {
        int fd = accept4(world->listener, NULL, NULL, SOCK_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void expect(int fd, const void *data, size_t n) {
        char got[256];

        assert_int_equal(fd_read_full(fd, got, n), 0);
        assert_memory_equal(got, data, n);
}

static void expect_end(int fd) {
        char byte;

        assert_int_equal(read(fd, &byte, 1), 0);
}

/* HELLO, the exit code, the end. */
static void expect_exit(World *world, uint8_t status) {
        const uint8_t data[] = { 0, 3, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0x93, 1, 0, 0, 4, 0, 0, 0, status, 0, 0, 0 };

        expect(world->status_fd, data, sizeof(data));
        expect_end(world->status_fd);
}

static void expect_ended(const World *world, CallHow how, int status) {
        assert_int_equal(world->n_ended, 1);
        assert_int_equal(world->call_id, TEST_CALL_ID);
        assert_int_equal(world->outcome.how, how);
        assert_int_equal(world->outcome.status, status);
        assert_true(carrier_table_is_empty(&world->table));
}

static void test_both_ways(void **state) {
        World *world = *state;
        int fd;

        listen_here(world, 1);
        assert_int_equal(start(world), 0);
        assert_int_equal(write(world->stdin_fd, "in", 2), 2);
        settle(world);
        fd = accept_one(world);
        expect(fd, "svc+arg work\0in", 15);
        assert_int_equal(write(fd, "out", 3), 3);
        settle(world);
        expect(world->stdout_fd, "out", 3);
        assert_int_equal(carrier_table_deadline(&world->table), UINT64_MAX);

        world->stdin_fd = fd_close(world->stdin_fd);
        settle(world);
        expect_end(fd);
        assert_int_equal(world->n_ended, 0);
        fd_close(fd);
        settle(world);
        expect_end(world->stdout_fd);
        expect_exit(world, 0);
        expect_ended(world, CALL_HOW_EXITED, 0);
}

static void test_options(void **state) {
        World *world = *state;
        int fd;

        listen_here(world, 1);
        world->service.config.skip_service_descriptor = world->service.config.exit_on_client_eof = true;
        assert_int_equal(start(world), 0);
        assert_int_equal(write(world->stdin_fd, "in", 2), 2);
        world->stdin_fd = fd_close(world->stdin_fd);
        settle(world);
        fd = accept_one(world);
        expect(fd, "in", 2);
        expect_end(fd);
        expect_exit(world, 0);
        expect_ended(world, CALL_HOW_EXITED, 0);
        fd_close(fd);
}

static void test_exit_on_service_eof(void **state) {
        World *world = *state;
        int fd;

        listen_here(world, 1);
        world->service.config.exit_on_service_eof = true;
        assert_int_equal(start(world), 0);
        fd = accept_one(world);
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        settle(world);
        expect_exit(world, 0);
        expect_ended(world, CALL_HOW_EXITED, 0);
        fd_close(fd);
}

static void test_just_exec(void **state) {
        World *world = *state;
        int fd;

        listen_here(world, 1);
        assert_int_equal(start_at(world, true, 0), CARRIER_E_ENDED);
        assert_int_equal(world->outcome.how, CALL_HOW_DETACHED);
        expect_exit(world, 0);
        expect_end(world->stdout_fd);
        fd = accept_one(world);
        expect(fd, "svc+arg work", 13);
        expect_end(fd);
        fd_close(fd);
        assert_int_equal(world->n_ended, 0);
}

static void test_nobody_there(void **state) {
        World *world = *state;

        assert_int_equal(start(world), CARRIER_E_ENDED);
        assert_int_equal(world->outcome.how, CALL_HOW_NOT_STARTED);
        expect_exit(world, 125);
        assert_int_equal(world->n_ended, 0);
}

static void test_kill(void **state) {
        World *world = *state;
        DataOutcome outcome;
        int fd;

        listen_here(world, 1);
        assert_int_equal(start(world), 0);
        fd = accept_one(world);
        carrier_kill(&world->table, world->carrier, &outcome);
        assert_int_equal(outcome.how, CALL_HOW_KILLED);
        assert_int_equal(outcome.status, 143);
        expect_exit(world, 143);
        expect(fd, "svc+arg work", 13);
        expect_end(fd);
        fd_close(fd);
        /* Events that were on their way are nobody's. */
        settle(world);
        assert_int_equal(world->n_ended, 0);
        assert_true(carrier_table_is_empty(&world->table));
}

static void test_caller_vanishes(void **state) {
        World *world = *state;
        int fd;

        listen_here(world, 1);
        assert_int_equal(start(world), 0);
        fd = accept_one(world);
        world->status_fd = fd_close(world->status_fd);
        settle(world);
        expect_ended(world, CALL_HOW_ABANDONED, 0);
        expect(fd, "svc+arg work", 13);
        expect_end(fd);
        fd_close(fd);
}

/* A full backlog is asked again, after waits that grow, and given up in the end. */
static void test_full_backlog(void **state) {
        World *world = *state;
        uint64_t now_usec = 1000000, before_usec = 0, waited_usec = 0;
        int filler, fd;

        listen_here(world, 0);
        assert_int_equal(socket_connect(world->path, SOCK_STREAM, &filler), 0);
        assert_int_equal(start_at(world, false, now_usec), 0);
        for (int i = 0; i < 20; ++i) {
                before_usec = now_usec;
                now_usec = carrier_table_deadline(&world->table);
                assert_true(now_usec - before_usec >= waited_usec);
                waited_usec = now_usec - before_usec;
                carrier_table_run(&world->table, now_usec);
                assert_int_equal(world->n_ended, 0);
        }
        assert_int_equal(waited_usec, CARRIER_RETRY_MAX_USEC);

        fd_close(accept_one(world));
        carrier_table_run(&world->table, carrier_table_deadline(&world->table));
        assert_int_equal(carrier_table_deadline(&world->table), UINT64_MAX);
        assert_int_equal(write(world->stdin_fd, "in", 2), 2);
        settle(world);
        fd = accept_one(world);
        expect(fd, "svc+arg work\0in", 15);
        fd_close(fd);
        settle(world);
        expect_exit(world, 0);
        expect_ended(world, CALL_HOW_EXITED, 0);
        fd_close(filler);
}

static void test_no_answer_in_time(void **state) {
        World *world = *state;
        uint64_t now_usec = 1000000;
        int filler;

        listen_here(world, 0);
        assert_int_equal(socket_connect(world->path, SOCK_STREAM, &filler), 0);
        assert_int_equal(start_at(world, false, now_usec), 0);
        carrier_table_run(&world->table, now_usec + DIAL_LIMIT_USEC - 1);
        assert_int_equal(world->n_ended, 0);
        assert_int_equal(carrier_table_deadline(&world->table), now_usec + DIAL_LIMIT_USEC);
        carrier_table_run(&world->table, now_usec + DIAL_LIMIT_USEC);
        expect_exit(world, 125);
        expect_ended(world, CALL_HOW_NOT_STARTED, 125);
        fd_close(filler);
}

/* A call that cannot be waited for must not stay. */
static void test_no_events(void **state) {
        World *world = *state;

        listen_here(world, 1);
        world->watches.epoll_fd = fd_close(world->watches.epoll_fd);
        assert_int_equal(start(world), CARRIER_E_ENDED);
        assert_int_equal(world->outcome.status, 125);
        expect_exit(world, 125);
}

/* Input that nobody takes is dropped, a turn at a time: more than that has to wait for the others. */
static void test_turns(void **state) {
        static const uint8_t data[1024 * 1024];
        World *world = *state;
        struct epoll_event event;
        int fd;

        listen_here(world, 1);
        world->service.config.skip_service_descriptor = true;
        assert_int_equal(start(world), 0);
        fd = accept_one(world);
        assert_int_equal(shutdown(fd, SHUT_RD), 0);
        assert_int_equal(write(world->stdin_fd, "x", 1), 1);
        settle(world);

        assert_int_equal(fcntl(world->stdin_fd, F_SETPIPE_SZ, sizeof(data)), sizeof(data));
        assert_int_equal(write(world->stdin_fd, data, sizeof(data)), sizeof(data));
        assert_int_equal(epoll_wait(world->watches.epoll_fd, &event, 1, 0), 1);
        carrier_on_event(&world->table, event.data.ptr, event.events);
        assert_int_equal(carrier_table_deadline(&world->table), 0);
        /* One that is ended meanwhile is no longer anybody's turn. */
        fd_close(fd);
        settle(world);
        assert_int_equal(carrier_table_deadline(&world->table), UINT64_MAX);
        expect_exit(world, 0);
        expect_ended(world, CALL_HOW_EXITED, 0);
}

/* What a process that was forked to carry on does. */
static void test_resume(void **state) {
        World *world = *state;
        WatchSet watches;
        int fd;

        listen_here(world, 1);
        assert_int_equal(start(world), 0);
        fd = accept_one(world);
        expect(fd, "svc+arg work", 13);
        watch_set_deinit(&world->watches);
        assert_int_equal(watch_set_init(&watches), 0);
        carrier_table_resume(&world->table, &watches);
        world->watches = watches;
        assert_int_equal(write(fd, "out", 3), 3);
        fd_close(fd);
        world->table.watches = &world->watches;
        settle(world);
        expect(world->stdout_fd, "out", 3);
        expect_exit(world, 0);
        expect_ended(world, CALL_HOW_EXITED, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define TEST(_name) cmocka_unit_test_setup_teardown(_name, setup, teardown)
                TEST(test_both_ways),       TEST(test_options),      TEST(test_exit_on_service_eof),
                TEST(test_just_exec),       TEST(test_nobody_there), TEST(test_kill),
                TEST(test_caller_vanishes), TEST(test_full_backlog), TEST(test_no_answer_in_time),
                TEST(test_no_events),       TEST(test_turns),        TEST(test_resume),
#undef TEST
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
