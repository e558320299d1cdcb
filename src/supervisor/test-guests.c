/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/guests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_route(void **state) {
        Guest third = { .cid = 4294967294, .link_fd = 0 }, second = { .cid = 4, .link_fd = -1, .next = &third },
              first = { .cid = 3, .link_fd = 7, .next = &second };
        const struct {
                const char *name;
                VsockPeer peer;
                int expect;
                const Guest *guest;
        } cases[] = {
                { "its agent", { 3, 512 }, 0, &first },
                { "from a port below", { 3, 511 }, 0, &first },
                { "from port 0", { 3, 0 }, 0, &first },
                { "from the last of root's ports", { 3, 1023 }, 0, &first },
                { "the last one that there can be", { 4294967294, 512 }, 0, &third },
                { "from anybody's port", { 3, 1024 }, GUESTS_E_PURPOSE, NULL },
                { "from the first port for data", { 3, 513 }, GUESTS_E_PURPOSE, NULL },
                { "from the last port for data", { 3, 768 }, GUESTS_E_PURPOSE, NULL },
                { "its link is not there", { 4, 512 }, GUESTS_E_ABSENT, NULL },
                { "no domain", { 5, 512 }, GUESTS_E_UNKNOWN, NULL },
                { "no domain, from anybody's port", { 5, 1024 }, GUESTS_E_PURPOSE, NULL },
                { "this host", { 2, 512 }, GUESTS_E_PURPOSE, NULL },
                { "this machine", { 1, 512 }, GUESTS_E_PURPOSE, NULL },
                { "the hypervisor", { 0, 512 }, GUESTS_E_PURPOSE, NULL },
                { "anybody", { 4294967295, 512 }, GUESTS_E_PURPOSE, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Guest *guest = NULL;
                int r = guests_route(&first, &cases[i].peer, &guest);

                if (r != cases[i].expect || guest != cases[i].guest)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
        }
}

static void test_nobody(void **state) {
        Guest *guest = NULL;

        assert_int_equal(guests_route(NULL, &(VsockPeer){ 3, 512 }, &guest), GUESTS_E_UNKNOWN);
        assert_null(guest);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_route),
                cmocka_unit_test(test_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
