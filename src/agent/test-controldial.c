/* SPDX-License-Identifier: Apache-2.0 */
/* A connection is made in test/vsock/, by a guest; here is the time between attempts, and what is said of them. */
#include "agent/controldial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test-capture.h"
#include "vchan/vsock.h"

#define SEC UINT64_C(1000000)

static void test_pauses(void **state) {
        static const uint64_t pauses[] = { 100000, 200000, 400000, 800000, 1600000, 2000000, 2000000 };
        ControlDial dial;
        int fd = -7;

        control_dial_init(&dial);
        assert_true(dial.next_usec == 0);
        for (unsigned round = 0; round < 2; ++round) {
                for (size_t i = 0; i < ARRAY_SIZE(pauses); ++i) {
                        control_dial_pause(&dial, i * SEC, ECONNRESET);
                        if (dial.next_usec != i * SEC + pauses[i])
                                fail_msg("pause %zu: until %llu", i, (unsigned long long)dial.next_usec);
                        assert_int_equal(control_dial_run(&dial, dial.next_usec - 1, &fd), CONTROL_DIAL_E_AGAIN);
                        assert_int_equal(dial.fd, -1);
                        assert_true(dial.next_usec == i * SEC + pauses[i]);
                }
                /* The daemon was there, and went away again. */
                control_dial_done(&dial);
        }
        assert_int_equal(fd, -7);
        control_dial_deinit(&dial);
        control_dial_deinit(&dial);
}

static void test_said(void **state) {
        static const struct {
                const char *name;
                int why;
                const char *expect; /* NULL: nothing is said */
        } steps[] = {
                { "no device", ENODEV, "no vsock device" },
                { "still none", ENODEV, NULL },
                { "a host without vsock domains", ECONNRESET, "no domain of that host" },
                { "it is none of ours", CONTROL_DIAL_CLOSED, "it closed the connection" },
                { "still", CONTROL_DIAL_CLOSED, NULL },
                { "it was there for a moment, which is said elsewhere", 0, NULL },
                { "what else there is", EACCES, "Permission denied" },
                { "no family", EAFNOSUPPORT, "no vsock device" },
        };
        ControlDial dial;

        control_dial_init(&dial);
        for (size_t i = 0; i < ARRAY_SIZE(steps); ++i) {
                Capture capture;

                capture_begin(&capture);
                control_dial_pause(&dial, 0, steps[i].why);
                capture_end(&capture);
                if (steps[i].expect ? !strstr(capture.text, steps[i].expect) : capture.text[0] != '\0')
                        fail_msg("%s: said \"%s\"", steps[i].name, capture.text);
        }
}

/* Who is not root has no port of root's: so nobody is dialled here, not even where this machine is a guest itself. */
static void test_not_root(void **state) {
        bool is_root = geteuid() == 0;
        ControlDial dial;
        Capture capture;
        int fd = -7, r;

        control_dial_init(&dial);
        if (is_root)
                assert_int_equal(seteuid(65534), 0);
        capture_begin(&capture);
        r = control_dial_run(&dial, SEC, &fd);
        capture_end(&capture);
        if (is_root)
                assert_int_equal(seteuid(0), 0);
        assert_int_equal(r, CONTROL_DIAL_E_AGAIN);
        assert_int_equal(fd, -7);
        assert_int_equal(dial.fd, -1);
        assert_true(dial.next_usec == SEC + CONTROL_DIAL_PAUSE_MIN_USEC);
        assert_non_null(strstr(capture.text, "cannot reach the daemon, at port 512 of the host: "));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_pauses),
                cmocka_unit_test(test_said),
                cmocka_unit_test(test_not_root),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
