/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/medium.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"

static void test_has(void **state) {
        static const struct {
                const char *name;
                ExecParams params;
                bool over_vsock;
        } cases[] = {
                { "the first of both", { 1, 513 }, true },
                { "the last of both", { 511, 768 }, true },
                { "no listener", { 0, 513 }, false },
                { "the control connection's", { 512, 513 }, false },
                { "a port that anybody may have", { 1024, 513 }, false },
                { "a mode of ours", { 0x7fff0001, 513 }, false },
                { "the port of our control connection", { 1, 512 }, false },
                { "behind the last", { 1, 769 }, false },
                { "which looks like the first", { 1, 65536 + 513 }, false },
                { "the largest of both", { 4294967295, 4294967295 }, false },
        };
        Medium vchan = { .kind = MEDIUM_KIND_VCHAN, .place = { "/nonexistent", 42 } },
               vsock = { .kind = MEDIUM_KIND_VSOCK };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                if (medium_has(&vsock, &cases[i].params) != cases[i].over_vsock)
                        fail_msg("%s: over vsock, want %d", cases[i].name, cases[i].over_vsock);
                if (!medium_has(&vchan, &cases[i].params))
                        fail_msg("%s: not over vchan", cases[i].name);
        }
}

static void test_dial_vchan(void **state) {
        Medium medium = { .kind = MEDIUM_KIND_VCHAN, .place = { "/nonexistent", 42 } };
        ExecParams params = { 43, 513 };
        int error = 0, fd = -7;

        assert_int_equal(medium_dial_wait(&medium, &params, 0, &error, &fd), MEDIUM_E_FAILED);
        assert_int_equal(error, ETIMEDOUT);
        assert_int_equal(fd, -7);
}

/* Who is not root has no port of root's: so nobody is dialled here, not even where this machine is a guest itself. */
static void test_dial_vsock(void **state) {
        Medium medium = { .kind = MEDIUM_KIND_VSOCK };
        ExecParams params = { 1, 768 };
        bool is_root = geteuid() == 0;
        int error = 0, fd = -7, r;

        if (is_root)
                assert_int_equal(seteuid(65534), 0);
        r = medium_dial_wait(&medium, &params, UINT64_MAX, &error, &fd);
        if (is_root)
                assert_int_equal(seteuid(0), 0);
        assert_int_equal(r, MEDIUM_E_FAILED);
        assert_true(error == EACCES || error == EAFNOSUPPORT);
        assert_int_equal(fd, -7);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_has),
                cmocka_unit_test(test_dial_vchan),
                cmocka_unit_test(test_dial_vsock),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
