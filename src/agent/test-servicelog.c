/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a service, received on real sockets in the places of the journal's and syslog's. */
#include "agent/servicelog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"

typedef struct World {
        char folder[32];
        char journal[64], syslog[64];
        int fd;
        ServicelogSink sink;
} World;

static int setup(void **state) {
        World *world = calloc(1, sizeof(*world));

        world->fd = -1;
        strcpy(world->folder, "/tmp/test-servicelog.XXXXXX");
        assert_non_null(mkdtemp(world->folder));
        snprintf(world->journal, sizeof(world->journal), "%s/journal", world->folder);
        snprintf(world->syslog, sizeof(world->syslog), "%s/syslog", world->folder);
        *state = world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        fd_close(world->fd);
        unlink(world->journal);
        unlink(world->syslog);
        assert_int_equal(rmdir(world->folder), 0);
        free(world);
        return 0;
}

static void world_listen(World *world, const char *path) {
        struct sockaddr_un address;
        socklen_t n_address;

        world->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(socket_address(path, &address, &n_address), 0);
        assert_int_equal(bind(world->fd, (struct sockaddr *)&address, n_address), 0);
}

static Servicelog world_log(World *world) {
        Command command;
        Servicelog log;

        assert_int_equal(command_parse("u:QUBESRPC my.svc+arg work", true, &command), 0);
        servicelog_sink_init(&world->sink, world->journal, world->syslog);
        servicelog_init(&log, &world->sink, &command, 17);
        return log;
}

static void expect_record(const World *world, const char *expect) {
        char record[8192];
        ssize_t n = recv(world->fd, record, sizeof(record) - 1, 0);

        if (n < 0)
                fail_msg("no record, want \"%s\"", expect);
        record[n] = '\0';
        if (strcmp(record, expect) != 0)
                fail_msg("got \"%s\", want \"%s\"", record, expect);
}

static void expect_no_record(const World *world) {
        char record[8192];

        assert_int_equal(recv(world->fd, record, sizeof(record), 0), -1);
        assert_int_equal(errno, EAGAIN);
}

#define JOURNAL(_text) "PRIORITY=6\nSYSLOG_IDENTIFIER=my.svc+arg-work\nQAIR_CALL_ID=17\nMESSAGE=" _text "\n"

static void test_journal(void **state) {
        World *world = *state;
        Servicelog log = world_log(world);

        world_listen(world, world->journal);
        servicelog_write(&log, "one\ntw", 6);
        expect_record(world, JOURNAL("one"));
        expect_no_record(world);
        servicelog_write(&log, "o\n\n", 3);
        expect_record(world, JOURNAL("two"));
        expect_record(world, JOURNAL(""));
        /* Nobody forges a field, a record or a colour. */
        servicelog_write(&log, "a\rPRIORITY=0\0\033[1m\\\n", 19);
        expect_record(world, JOURNAL("a\\rPRIORITY=0\\x00\\x1b[1m\\\\"));
        servicelog_write(&log, "end", 3);
        expect_no_record(world);
        servicelog_deinit(&log);
        servicelog_sink_deinit(&world->sink);
        expect_record(world, JOURNAL("end"));
        expect_no_record(world);
}

static void test_long_lines(void **state) {
        World *world = *state;
        Servicelog log = world_log(world);
        char line[SERVICELOG_LINE_MAX + 2], expect[SERVICELOG_LINE_MAX + 128];

        world_listen(world, world->journal);
        memset(line, 'x', sizeof(line));
        line[SERVICELOG_LINE_MAX] = '\n';
        snprintf(expect, sizeof(expect), JOURNAL("%.*s"), SERVICELOG_LINE_MAX, line);

        /* exactly as long as fits, in one piece and byte by byte: one record */
        servicelog_write(&log, line, SERVICELOG_LINE_MAX + 1);
        expect_record(world, expect);
        for (size_t i = 0; i <= SERVICELOG_LINE_MAX; ++i)
                servicelog_write(&log, line + i, 1);
        expect_record(world, expect);
        expect_no_record(world);

        /* one byte more: two */
        line[SERVICELOG_LINE_MAX] = 'y';
        line[SERVICELOG_LINE_MAX + 1] = '\n';
        servicelog_write(&log, line, SERVICELOG_LINE_MAX + 2);
        expect_record(world, expect);
        expect_record(world, JOURNAL("y"));
        expect_no_record(world);
        servicelog_deinit(&log);
        servicelog_sink_deinit(&world->sink);
        expect_no_record(world);
}

static void test_full(void **state) {
        World *world = *state;
        Servicelog log = world_log(world);
        unsigned long n_sent = 0, n_dropped, n_told;
        char record[8192], *told;

        /* Nobody reads: the socket fills, and writing still returns. */
        world_listen(world, world->journal);
        while (log.n_dropped < 5)
                servicelog_write(&log, "x\n", 2), ++n_sent;
        n_dropped = log.n_dropped;
        n_sent -= n_dropped;
        for (unsigned long i = 0; i < n_sent; ++i)
                expect_record(world, JOURNAL("x"));
        expect_no_record(world);

        /* There is room again: first the number of the lost, then the line. */
        servicelog_write(&log, "after\n", 6);
        assert_true(recv(world->fd, record, sizeof(record), 0) > 0);
        told = strstr(record, "MESSAGE=");
        assert_non_null(told);
        assert_int_equal(sscanf(told, "MESSAGE=%lu lines were lost", &n_told), 1);
        assert_int_equal(n_told, n_dropped);
        expect_record(world, JOURNAL("after"));
        servicelog_deinit(&log);
        servicelog_sink_deinit(&world->sink);
        expect_no_record(world);
}

static void test_restart(void **state) {
        World *world = *state;
        Servicelog log = world_log(world);

        world_listen(world, world->journal);
        servicelog_write(&log, "before\n", 7);
        expect_record(world, JOURNAL("before"));
        world->fd = fd_close(world->fd);
        servicelog_write(&log, "lost\n", 5);
        unlink(world->journal);
        world_listen(world, world->journal);
        servicelog_write(&log, "after\n", 6);
        expect_record(world, JOURNAL("1 lines were lost: the log took no more"));
        expect_record(world, JOURNAL("after"));
        servicelog_deinit(&log);
        servicelog_sink_deinit(&world->sink);
}

static void test_syslog(void **state) {
        World *world = *state;
        Servicelog log = world_log(world);
        char record[256], *rest;
        ssize_t n;

        world_listen(world, world->syslog);
        servicelog_write(&log, "to syslog\n", 10);
        n = recv(world->fd, record, sizeof(record) - 1, 0);
        assert_true(n > 0);
        record[n] = '\0';
        assert_memory_equal(record, "<14>", 4);
        /* "Mmm dd hh:mm:ss " */
        rest = record + 4 + 16;
        assert_string_equal(rest, "my.svc+arg-work: to syslog");
        servicelog_deinit(&log);
        servicelog_sink_deinit(&world->sink);
}

static void test_stderr(void **state) {
        World *world = *state;
        Servicelog log = world_log(world);
        int pipe_fds[2], saved;
        char text[256];
        ssize_t n;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
        assert_int_equal(dup2(pipe_fds[1], STDERR_FILENO), STDERR_FILENO);
        log_open("test", true);
        servicelog_write(&log, "to us\n", 6);
        assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
        n = read(pipe_fds[0], text, sizeof(text) - 1);
        assert_true(n > 0);
        text[n] = '\0';
        assert_non_null(strstr(text, "call 17: my.svc+arg-work: to us\n"));
        servicelog_deinit(&log);
        servicelog_sink_deinit(&world->sink);
        fd_close(saved);
        fd_close(pipe_fds[0]);
        fd_close(pipe_fds[1]);
}

static void test_name(void **state) {
        World *world = *state;
        char text[2048], filler[1024];
        Command command;
        Servicelog log;

        /* A name that is far too long loses its middle, never the source. */
        memset(filler, 'a', sizeof(filler) - 1);
        filler[sizeof(filler) - 1] = '\0';
        snprintf(text, sizeof(text), "u:QUBESRPC svc+%s work", filler);
        assert_int_equal(command_parse(text, true, &command), 0);
        servicelog_sink_init(&world->sink, world->journal, world->syslog);
        servicelog_init(&log, &world->sink, &command, 1);
        assert_true(strlen(log.name) <= SERVICELOG_NAME_MAX);
        assert_memory_equal(log.name, "svc+aaa", 7);
        assert_string_equal(log.name + strlen(log.name) - 5, "-work");
        servicelog_deinit(&log);
        servicelog_sink_deinit(&world->sink);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_journal, setup, teardown),
                cmocka_unit_test_setup_teardown(test_long_lines, setup, teardown),
                cmocka_unit_test_setup_teardown(test_full, setup, teardown),
                cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
                cmocka_unit_test_setup_teardown(test_syslog, setup, teardown),
                cmocka_unit_test_setup_teardown(test_stderr, setup, teardown),
                cmocka_unit_test_setup_teardown(test_name, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
