/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/launch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/test-capture.h"

static void test_parse(void **state) {
#define NAME_31 "a234567890123456789012345678901"
        static const struct {
                const char *name, *text;
                int expect;
                LaunchKind kind;
                const char *domain;
        } cases[] = {
                { "an agent", "agent work", 0, LAUNCH_KIND_AGENT, "work" },
                { "a start", "start box", 0, LAUNCH_KIND_START, "box" },
                { "a stop", "stop box", 0, LAUNCH_KIND_STOP, "box" },
                { "the longest name", "agent " NAME_31, 0, LAUNCH_KIND_AGENT, NAME_31 },
                { "a longer one", "agent " NAME_31 "2", LAUNCH_E_MALFORMED, 0, NULL },
                { "nothing", "", LAUNCH_E_MALFORMED, 0, NULL },
                { "no name", "agent ", LAUNCH_E_MALFORMED, 0, NULL },
                { "no blank", "agent", LAUNCH_E_MALFORMED, 0, NULL },
                { "two blanks", "agent  work", LAUNCH_E_MALFORMED, 0, NULL },
                { "another word", "agents work", LAUNCH_E_MALFORMED, 0, NULL },
                { "no domain's name", "agent ../work", LAUNCH_E_MALFORMED, 0, NULL },
                { "a line", "agent work\n", LAUNCH_E_MALFORMED, 0, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char again[LAUNCH_REQUEST_MAX + 1];
                DomainName domain;
                LaunchKind kind;
                int r = launch_parse(cases[i].text, strlen(cases[i].text), &kind, &domain);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r)
                        continue;
                if (kind != cases[i].kind || strcmp(domain.text, cases[i].domain) != 0)
                        fail_msg("%s: got %d %s", cases[i].name, kind, domain.text);
                assert_int_equal(launch_format(kind, &domain, again), strlen(cases[i].text));
                assert_string_equal(again, cases[i].text);
        }
}

static void test_receive(void **state) {
        uint32_t want = 7, status = 0;
        int fds[2], pidfd = -1, sent;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        assert_int_equal(launch_receive(fds[0], &pidfd, &status), LAUNCH_E_AGAIN);
        sent = pidfd_open(getpid(), 0);
        assert_true(sent >= 0);
        assert_int_equal(socket_send(fds[1], "R", 1, &sent, 1, NULL), 0);
        assert_int_equal(launch_receive(fds[0], &pidfd, &status), 0);
        assert_true(pidfd >= 0);
        assert_int_equal(pidfd_send_signal(pidfd, 0, NULL, 0), 0);
        fd_close(pidfd);
        fd_close(sent);

        assert_int_equal(socket_send(fds[1], &want, sizeof(want), NULL, 0, NULL), 0);
        assert_int_equal(launch_receive(fds[0], &pidfd, &status), LAUNCH_E_ENDED);
        assert_int_equal(status, 7);
        /* what is neither, and an end without a word */
        assert_int_equal(socket_send(fds[1], "R", 1, NULL, 0, NULL), 0);
        assert_int_equal(launch_receive(fds[0], &pidfd, &status), LAUNCH_E_ENDED);
        assert_int_equal(status, LAUNCH_STATUS_FAILED);
        fd_close(fds[1]);
        status = 0;
        assert_int_equal(launch_receive(fds[0], &pidfd, &status), LAUNCH_E_ENDED);
        assert_int_equal(status, LAUNCH_STATUS_FAILED);
        fd_close(fds[0]);
}

static void test_nobody_listens(void **state) {
        DomainName domain;
        Capture capture;
        int fd, r;

        assert_int_equal(domain_name_parse("work", 4, &domain), 0);
        capture_begin(&capture);
        r = launch_request("/nowhere/socket", LAUNCH_KIND_AGENT, &domain, &fd);
        capture_end(&capture);
        assert_int_equal(r, LAUNCH_E_FAILED);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_receive),
                cmocka_unit_test(test_nobody_listens),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
