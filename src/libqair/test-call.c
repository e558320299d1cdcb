/* SPDX-License-Identifier: Apache-2.0 */
/* The library against a broker that is played here, in the same process: what it sends, what it makes of each answer. */
#undef NDEBUG
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/socket.h"
#include "libqair/qair.h"
#include "wire/header.h"
#include "wire/refusal.h"
#include "wire/reply.h"
#include "wire/trigger.h"

#define HELLO      "\x00\x03\0\0\x04\0\0\0\x04\0\0\0"
#define EXIT(_n)   "\x93\x01\0\0\x04\0\0\0" _n "\0\0\0"
#define STDERR(_t) "\x92\x01\0\0\x03\0\0\0" _t

static char broker_path[] = "/tmp/test-libqair.XXXXXX/agent";
static int broker_fd = -1;

static void broker_listen(int backlog) {
        struct sockaddr_un address;
        socklen_t n;

        (void)unlink(broker_path);
        assert_int_equal(socket_address(broker_path, &address, &n), 0);
        broker_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_return_code(bind(broker_fd, (struct sockaddr *)&address, n), errno);
        assert_return_code(listen(broker_fd, backlog), errno);
}

static bool broker_is_asked(void) {
        struct pollfd poll_fd = { .fd = broker_fd, .events = POLLIN };

        return poll(&poll_fd, 1, 0) == 1;
}

static int broker_accept(void) {
        int fd = -1;

        assert_true(broker_is_asked());
        fd = accept4(broker_fd, NULL, NULL, SOCK_CLOEXEC);
        assert_return_code(fd, errno);
        return fd;
}

/* Read one request, which must be this. */
static void broker_expect(int fd, const char *source, const char *ident, const char *target, const char *service) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        uint8_t data[4096], field[IDENT_SIZE];
        WireHeader header;
        size_t n;

        assert_int_equal(socket_receive(fd, data, sizeof(data), &n, NULL, 0, NULL), 0);
        assert_int_equal(wire_header_decode(data, n, &header), 0);
        assert_int_equal(header.length, n - WIRE_HEADER_SIZE);
        assert_int_equal(trigger_decode(header.type, data + WIRE_HEADER_SIZE, header.length, field, &trigger), 0);
        assert_string_equal(trigger->source.text, source);
        assert_string_equal(trigger->ident.text, ident);
        assert_string_equal(trigger->target.text, target);
        assert_string_equal(trigger->service, service);
}

/* The service's ends of a call. */
typedef struct Service {
        int status_fd, stdin_fd, stdout_fd;
} Service;

static Service broker_allow(int fd, uint32_t id) {
        uint8_t data[REPLY_REFUSED_SIZE];
        int status[2], in[2], out[2];
        size_t n = reply_encode(&(Reply){ .connect_domain = WIRE_DOMAIN_DIRECT, .connect_port = id }, data);

        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, status), errno);
        assert_true(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        assert_int_equal(socket_send(fd, data, n, (int[]){ status[1], in[1], out[0] }, 3, NULL), 0);
        fd_close(status[1]);
        fd_close(in[1]);
        fd_close(out[0]);
        return (Service){ .status_fd = status[0], .stdin_fd = in[0], .stdout_fd = out[1] };
}

static void broker_refuse(int fd, uint32_t id, int reason) {
        uint8_t data[REPLY_REFUSED_SIZE];
        size_t n = reply_encode(
                &(Reply){ .connect_domain = WIRE_DOMAIN_REFUSED, .connect_port = id, .reason = (ReplyReason)reason },
                data);

        assert_int_equal(socket_send(fd, data, n, NULL, 0, NULL), 0);
}

static void service_end(Service *service, const char *said, size_t n_said) {
        service->stdin_fd = fd_close(service->stdin_fd);
        service->stdout_fd = fd_close(service->stdout_fd);
        if (n_said > 0)
                assert_int_equal(socket_send(service->status_fd, said, n_said, NULL, 0, NULL), 0);
        service->status_fd = fd_close(service->status_fd);
}

#define SERVICE_END(_service, _said) service_end(_service, _said, sizeof(_said) - 1)

static qair_client *client_new(unsigned flags) {
        qair_client *client = NULL;

        assert_int_equal(qair_client_new(broker_path, flags, &client), 0);
        return client;
}

static qair_call *call_new(qair_client *client) {
        qair_call *call = NULL;

        assert_int_equal(qair_call_new(client, "vault", "my.Svc+arg", &call), 0);
        assert_int_equal(qair_call_state(call), QAIR_STATE_ASKING);
        return call;
}

/* A client, whose first call is over and whose connection, returned, is kept. */
static int kept_connection(qair_client *client) {
        qair_call *call = call_new(client);
        int fd = broker_accept();

        broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
        broker_refuse(fd, 1, 1);
        assert_int_equal(qair_call_open(call), -EACCES);
        qair_call_free(call);
        return fd;
}

static void expect_closed(int fd) {
        char byte;

        assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
        fd_close(fd);
}

static void on_stderr(void *userdata, const void *data, size_t n) {
        (void)strncat(userdata, data, n);
}

static void test_a_call(void **state) {
        qair_client *client = client_new(0);
        qair_call *call = call_new(client);
        char text[64] = "", said[64] = "";
        Service service;
        int fd = broker_accept(), status = -1;

        broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
        assert_int_equal(qair_call_dispatch(call), 0);
        assert_int_equal(qair_call_state(call), QAIR_STATE_ASKING);
        assert_int_equal(qair_call_stdin(call), -1);
        assert_int_equal(qair_call_stdout(call), -1);
        assert_int_equal(qair_call_id(call), 0);

        service = broker_allow(fd, 17);
        assert_int_equal(qair_call_dispatch(call), 0);
        assert_int_equal(qair_call_state(call), QAIR_STATE_RUNNING);
        assert_int_equal(qair_call_open(call), 0);
        assert_int_equal(qair_call_id(call), 17);
        assert_int_equal(qair_call_status(call), -1);
        assert_true(fcntl(qair_call_stdin(call), F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(qair_call_stdout(call), F_GETFD) & FD_CLOEXEC);
        assert_true(fcntl(qair_call_fd(call), F_GETFD) & FD_CLOEXEC);

        assert_int_equal(write(qair_call_stdin(call), "ping", 4), 4);
        assert_int_equal(read(service.stdin_fd, text, sizeof(text)), 4);
        qair_call_close_stdin(call);
        assert_int_equal(qair_call_stdin(call), -1);
        assert_int_equal(read(service.stdin_fd, text, sizeof(text)), 0);

        /* Messages and the exit code in pieces, as a stream may bring them. */
        qair_call_on_stderr(call, on_stderr, said);
        assert_int_equal(qair_call_dispatch(call), 0);
        assert_int_equal(write(service.status_fd, HELLO STDERR("abc"), 21), 21);
        assert_int_equal(qair_call_dispatch(call), 0);
        assert_string_equal(said, "a");
        assert_int_equal(write(service.status_fd, "bc" EXIT("\x2a"), 8), 8);
        assert_int_equal(qair_call_dispatch(call), 0);
        assert_int_equal(qair_call_state(call), QAIR_STATE_RUNNING);
        assert_int_equal(write(service.stdout_fd, "pong", 4), 4);
        service_end(&service, &EXIT("\x2a")[6], 6);
        assert_int_equal(qair_call_wait(call, &status), 0);
        assert_int_equal(status, 42);
        assert_int_equal(qair_call_status(call), 42);
        assert_int_equal(qair_call_state(call), QAIR_STATE_ENDED);
        assert_int_equal(qair_call_fd(call), -1);
        assert_string_equal(said, "abc");

        /* What it wrote is there as long as the call is, or longer. */
        assert_int_equal(read(qair_call_stdout(call), text, sizeof(text)), 4);
        status = qair_call_take_stdout(call);
        assert_int_equal(qair_call_stdout(call), -1);
        qair_call_free(call);
        assert_int_equal(read(status, text, sizeof(text)), 0);
        fd_close(status);
        qair_client_free(client);
        expect_closed(fd);
}

static void test_a_connection_is_kept(void **state) {
        qair_client *client = client_new(0);
        int fd = kept_connection(client), other;
        qair_call *first, *second;
        Service service;

        first = call_new(client);
        assert_false(broker_is_asked());
        broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");

        /* Two that are asked at once have one each, and one of both is kept. */
        assert_int_equal(qair_client_set_source(client, "remote"), 0);
        second = call_new(client);
        other = broker_accept();
        broker_expect(other, "remote", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
        service = broker_allow(other, 2);
        assert_int_equal(qair_call_open(second), 0);
        SERVICE_END(&service, "");
        qair_call_free(second);
        service = broker_allow(fd, 3);
        assert_int_equal(qair_call_open(first), 0);
        SERVICE_END(&service, "");
        qair_call_free(first);
        expect_closed(fd);
        qair_client_free(client);
        expect_closed(other);
}

static void test_once(void **state) {
        qair_client *client = client_new(QAIR_ONCE);
        qair_call *call = call_new(client);
        Service service;
        int fd = broker_accept();

        broker_expect(fd, "", IDENT_QAIR, "vault", "my.Svc+arg");
        service = broker_allow(fd, 1);
        assert_int_equal(qair_call_open(call), 0);
        expect_closed(fd);
        SERVICE_END(&service, "");
        qair_call_free(call);
        qair_client_free(client);
}

static void test_refusals(void **state) {
        qair_client *client = client_new(0);
        int fd = kept_connection(client);

        for (int reason = 1; reason <= 5; ++reason) {
                qair_call *call = call_new(client);
                int status = -1;

                broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
                broker_refuse(fd, 7, reason);
                assert_int_equal(qair_call_wait(call, &status), -EACCES);
                assert_int_equal(qair_call_open(call), -EACCES);
                assert_int_equal(qair_call_dispatch(call), -EACCES);
                assert_int_equal(status, -1);
                assert_int_equal(qair_call_state(call), QAIR_STATE_REFUSED);
                assert_int_equal(qair_call_reason(call), reason);
                assert_int_equal(qair_call_id(call), 7);
                assert_string_equal(qair_reason_text(qair_call_reason(call)), reply_reason_text((ReplyReason)reason));
                assert_int_equal(qair_call_fd(call), -1);
                qair_call_free(call);
        }
        assert_string_equal(qair_reason_text(QAIR_REASON_NONE), "refused");
        qair_client_free(client);
        expect_closed(fd);
}

static void test_a_service_that_is_none(void **state) {
        qair_client *client = client_new(0);
        qair_call *call = NULL;

        assert_int_equal(qair_call_new(client, "vault", "", &call), 0);
        assert_int_equal(qair_call_open(call), -EACCES);
        assert_int_equal(qair_call_reason(call), QAIR_REASON_NOT_UNDERSTOOD);
        assert_false(broker_is_asked());
        qair_call_free(call);
        qair_client_free(client);
}

/* A broker of upstream's closes to say no; one of ours that has served us is gone if it closes. */
static void test_a_close_without_a_word(void **state) {
        for (int kept = 0; kept <= 1; ++kept) {
                qair_client *client = client_new(0);
                int fd = kept ? kept_connection(client) : -1;
                qair_call *call = call_new(client);

                if (!kept)
                        fd = broker_accept();
                broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
                fd_close(fd);
                assert_int_equal(qair_call_open(call), kept ? -ECONNRESET : -EACCES);
                assert_int_equal(qair_call_state(call), kept ? QAIR_STATE_LOST : QAIR_STATE_REFUSED);
                assert_int_equal(qair_call_reason(call), QAIR_REASON_NONE);
                assert_int_equal(qair_call_error(call), kept ? -ECONNRESET : 0);
                assert_false(broker_is_asked());
                qair_call_free(call);
                qair_client_free(client);
        }
}

/* Closed while nothing was asked: nothing can have been served, so the next one asks elsewhere. */
static void test_a_broker_that_went_away_meanwhile(void **state) {
        qair_client *client = client_new(0);
        int fd = kept_connection(client);
        qair_call *call;

        fd_close(fd);
        call = call_new(client);
        fd = broker_accept();
        broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
        broker_refuse(fd, 1, 1);
        assert_int_equal(qair_call_open(call), -EACCES);
        qair_call_free(call);
        qair_client_free(client);
        expect_closed(fd);
}

/* A reset says that the request was not read: it may go to the next broker. */
static void test_a_request_that_nobody_read(void **state) {
        qair_client *client = client_new(0);
        int fd = kept_connection(client);
        qair_call *call = call_new(client);

        fd_close(fd);
        for (int i = 0; i < 2; ++i) {
                assert_int_equal(qair_call_dispatch(call), 0);
                assert_int_equal(qair_call_state(call), QAIR_STATE_ASKING);
                fd_close(broker_accept());
        }
        assert_int_equal(qair_call_dispatch(call), 0);
        fd = broker_accept();
        broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
        broker_refuse(fd, 9, 3);
        assert_int_equal(qair_call_open(call), -EACCES);
        assert_int_equal(qair_call_reason(call), QAIR_REASON_TOO_MANY);
        qair_call_free(call);
        qair_client_free(client);
        expect_closed(fd);
}

/* But not for ever: a broker for which we have too many connections does the same. */
static void test_a_request_that_nobody_reads(void **state) {
        qair_client *client = client_new(0);
        qair_call *call = call_new(client);

        for (int i = 0; i < 2; ++i) {
                fd_close(broker_accept());
                assert_int_equal(qair_call_dispatch(call), 0);
                assert_int_equal(qair_call_state(call), QAIR_STATE_ASKING);
        }
        fd_close(broker_accept());
        assert_int_equal(qair_call_open(call), -ECONNRESET);
        assert_int_equal(qair_call_state(call), QAIR_STATE_LOST);
        assert_false(broker_is_asked());
        qair_call_free(call);
        qair_client_free(client);
}

static void test_answers_that_are_none(void **state) {
        static const struct {
                const char *name, *data;
                size_t n_data;
                int n_fds, expect;
        } cases[] = {
#define CASE(_name, _data, _n_fds, _expect) { _name, _data, sizeof(_data) - 1, _n_fds, _expect }
                CASE("half an answer", "\x03\0\xff\x7f", 0, -EBADMSG),
                CASE("half a refusal", "\0\0\xff\x7f\1\0\0\0\1\0", 0, -EBADMSG),
                CASE("a domain and a port, upstream's way", "\x2b\0\0\0\x02\x02\0\0", 0, -EPROTO),
                CASE("direct, without descriptors", "\x03\0\xff\x7f\1\0\0\0", 0, -EPROTO),
                CASE("direct, with two", "\x03\0\xff\x7f\1\0\0\0", 2, -EPROTO),
                CASE("framed, with two", "\x01\0\xff\x7f\1\0\0\0", 2, -EPROTO),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                qair_client *client = client_new(0);
                qair_call *call = call_new(client);
                int fd = broker_accept(), status = -1, r;

                broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
                assert_int_equal(socket_send(fd, cases[i].data, cases[i].n_data, (int[]){ fd, fd },
                                             (size_t)cases[i].n_fds, NULL),
                                 0);
                assert_return_code(shutdown(fd, SHUT_WR), errno);
                r = qair_call_wait(call, &status);
                if (r != cases[i].expect || qair_call_state(call) != QAIR_STATE_LOST || qair_call_error(call) != r ||
                    qair_call_open(call) != r)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                assert_int_equal(qair_call_stdin(call), -1);
                qair_call_free(call);
                qair_client_free(client);
                expect_closed(fd);
        }
}

static void test_status_streams(void **state) {
        static const struct {
                const char *name, *data;
                size_t n_data;
                int expect, status;
        } cases[] = {
#define CASE(_name, _data, _expect, _status) { _name, _data, sizeof(_data) - 1, _expect, _status }
                CASE("success", HELLO EXIT("\0"), 0, 0),
                CASE("255", HELLO EXIT("\xff"), 0, 255),
                CASE("messages that nobody wants", HELLO STDERR("abc") EXIT("\1"), 0, 1),
                CASE("nothing", "", -ECONNRESET, -1),
                CASE("HELLO alone", HELLO, -ECONNRESET, -1),
                CASE("half an exit code", HELLO "\x93\x01\0\0\x04\0\0\0\0", -ECONNRESET, -1),
                CASE("no HELLO", EXIT("\0"), -EPROTO, -1),
                CASE("an unknown type", HELLO "\x99\x01\0\0\1\0\0\0x", -EPROTO, -1),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                qair_client *client = client_new(0);
                qair_call *call = call_new(client);
                int fd = broker_accept(), status = -1, r;
                Service service;

                broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
                service = broker_allow(fd, 1);
                service_end(&service, cases[i].data, cases[i].n_data);
                r = qair_call_wait(call, &status);
                if (r != cases[i].expect || status != cases[i].status)
                        fail_msg("%s: got %d and %d, want %d and %d", cases[i].name, r, status, cases[i].expect,
                                 cases[i].status);
                assert_int_equal(qair_call_state(call), r ? QAIR_STATE_LOST : QAIR_STATE_ENDED);
                qair_call_free(call);
                qair_client_free(client);
                expect_closed(fd);
        }
}

static void test_framed(void **state) {
        qair_client *client = client_new(0);
        qair_call *call = call_new(client);
        int fd = broker_accept(), fds[3], ends[2], status;

        assert_int_equal(qair_call_take_channel(call, fds), -EINVAL);
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), errno);
        assert_int_equal(socket_send(fd, "\x01\0\xff\x7f\5\0\0\0", 8, ends, 1, NULL), 0);
        assert_int_equal(qair_call_open(call), 0);
        assert_int_equal(qair_call_wait(call, &status), -EPROTONOSUPPORT);
        assert_int_equal(qair_call_stdin(call), -1);
        assert_int_equal(qair_call_take_channel(call, fds), 1);
        assert_int_equal(qair_call_take_channel(call, fds), -EINVAL);
        qair_call_free(call);
        qair_client_free(client);
        assert_int_equal(write(fds[0], "x", 1), 1);
        fd_close(fds[0]);
        fd_close(ends[0]);
        fd_close(ends[1]);
        fd_close(fd);
}

static void test_cancel(void **state) {
        qair_client *client = client_new(0);
        qair_call *call = call_new(client);
        int fd = broker_accept();
        Service service;
        char byte;

        broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
        qair_call_free(call);
        expect_closed(fd);

        call = call_new(client);
        fd = broker_accept();
        broker_expect(fd, "", IDENT_QAIR_MORE, "vault", "my.Svc+arg");
        service = broker_allow(fd, 1);
        assert_int_equal(qair_call_open(call), 0);
        qair_call_free(call);
        assert_int_equal(read(service.stdin_fd, &byte, 1), 0);
        assert_int_equal(write(service.stdout_fd, "x", 1), -1);
        assert_int_equal(errno, EPIPE);
        service_end(&service, "", 0);
        qair_client_free(client);
        fd_close(fd);
}

static void test_nobody_listens(void **state) {
        qair_client *client = client_new(QAIR_NONBLOCK);
        qair_call *call = NULL, *calls[2];
        char path[200];

        /* One waits in a backlog of none, and one more does not. */
        fd_close(broker_fd);
        broker_listen(0);
        calls[0] = call_new(client);
        assert_int_equal(qair_call_new(client, "vault", "my.Svc", &calls[1]), -EAGAIN);
        qair_call_free(calls[0]);

        broker_fd = fd_close(broker_fd);
        assert_int_equal(qair_call_new(client, "vault", "my.Svc", &call), -ECONNREFUSED);
        (void)unlink(broker_path);
        assert_int_equal(qair_call_new(client, "vault", "my.Svc", &call), -ENOENT);
        qair_client_free(client);

        memset(path, 'x', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(qair_client_new(path, 0, &client), 0);
        assert_int_equal(qair_call_new(client, "vault", "my.Svc", &call), -ENAMETOOLONG);
        assert_string_equal(qair_client_path(client), path);
        qair_client_free(client);

        assert_int_equal(qair_client_new(NULL, 4, &client), -EINVAL);
        assert_null(call);
        qair_call_free(NULL);
        qair_client_free(NULL);
}

/* Nothing stays open: each test begins and ends with as many descriptors. */
static size_t count_fds(void) {
        DIR *folder = opendir("/proc/self/fd");
        size_t n = 0;

        assert_non_null(folder);
        while (readdir(folder))
                ++n;
        (void)closedir(folder);
        return n;
}

static int setup(void **state) {
        static size_t n_fds;

        broker_listen(8);
        n_fds = count_fds();
        *state = &n_fds;
        return 0;
}

static int teardown(void **state) {
        size_t n_fds = *(size_t *)*state - (broker_fd < 0 ? 1 : 0);

        if (count_fds() != n_fds)
                return -1;
        broker_fd = fd_close(broker_fd);
        return 0;
}

int main(void) {
        static const struct CMUnitTest tests[] = {
#define TEST(_function) cmocka_unit_test_setup_teardown(_function, setup, teardown)
                TEST(test_a_call),
                TEST(test_a_connection_is_kept),
                TEST(test_once),
                TEST(test_refusals),
                TEST(test_a_service_that_is_none),
                TEST(test_a_close_without_a_word),
                TEST(test_a_broker_that_went_away_meanwhile),
                TEST(test_a_request_that_nobody_read),
                TEST(test_a_request_that_nobody_reads),
                TEST(test_answers_that_are_none),
                TEST(test_status_streams),
                TEST(test_framed),
                TEST(test_cancel),
                TEST(test_nobody_listens),
#undef TEST
        };
        char *slash = strrchr(broker_path, '/');
        int r;

        /* A test's own: the library does not touch it, and must not need it but for writes of the test itself. */
        if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return 1;
        *slash = '\0';
        if (!mkdtemp(broker_path))
                return 1;
        *slash = '/';
        r = cmocka_run_group_tests(tests, NULL, NULL);
        (void)unlink(broker_path);
        *slash = '\0';
        (void)rmdir(broker_path);
        return r;
}
