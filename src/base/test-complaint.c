/* SPDX-License-Identifier: Apache-2.0 */
#include "base/complaint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/cleanup.h"

static void test_steps(void **state) {
        static const struct {
                const char *name;
                uint64_t now_usec;
                bool expect;
                unsigned n_unsaid;
        } steps[] = {
                { "the first", 5, true, 0 },
                { "at once", 5, false, 0 },
                { "just too soon", 5 + COMPLAINT_USEC - 1, false, 0 },
                { "in time, with those before", 5 + COMPLAINT_USEC, true, 2 },
                { "counted from the last that was said", 5 + 2 * COMPLAINT_USEC - 1, false, 0 },
                { "once more", 5 + 2 * COMPLAINT_USEC, true, 1 },
                { "none in between", 5 + 4 * COMPLAINT_USEC, true, 0 },
        };
        Complaint complaint = {};

        for (size_t i = 0; i < ARRAY_SIZE(steps); ++i) {
                unsigned n = 0;

                if (complaint_is_due(&complaint, steps[i].now_usec, &n) != steps[i].expect || n != steps[i].n_unsaid)
                        fail_msg("%s: %u were not said", steps[i].name, n);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_steps),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
