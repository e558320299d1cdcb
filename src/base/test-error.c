/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/test-capture.h"

enum { ORIGIN, TRACE, FOLD };

static void test_wrappers(void **state) {
        static const struct {
                const char *name;
                int wrapper, r, expect;
                const char *expect_word; /* in the log; NULL: nothing is logged */
        } cases[] = {
                { "origin: success passes", ORIGIN, 0, 0, NULL },
                { "origin: an outcome passes", ORIGIN, 3, 3, NULL },
                { "origin: an error is noted", ORIGIN, -EIO, -EIO, "raised" },
                { "trace: success passes", TRACE, 0, 0, NULL },
                { "trace: an outcome passes", TRACE, 1, 1, NULL },
                { "trace: an error is noted", TRACE, -ENOMEM, -ENOMEM, "passed on" },
                { "fold: success passes", FOLD, 0, 0, NULL },
                { "fold: an outcome nobody handled", FOLD, 1, -ENOTRECOVERABLE, "folded" },
                { "fold: an error is noted", FOLD, -EPERM, -EPERM, "passed on" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Capture capture;
                const char *text;
                int r, kept;

                capture_begin(&capture);
                errno = EXDEV;
                r = cases[i].wrapper == ORIGIN  ? error_origin(cases[i].r)
                    : cases[i].wrapper == TRACE ? error_trace(cases[i].r)
                                                : error_fold(cases[i].r);
                kept = errno;
                text = capture_end(&capture);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (kept != EXDEV)
                        fail_msg("%s: errno was changed", cases[i].name);
                if (!cases[i].expect_word && *text)
                        fail_msg("%s: logged \"%s\"", cases[i].name, text);
                if (cases[i].expect_word && (!strstr(text, cases[i].expect_word) || !strstr(text, __func__) ||
                                             !strstr(text, __FILE__) || !strstr(text, strerror(-cases[i].expect))))
                        fail_msg("%s: logged \"%s\"", cases[i].name, text);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = { cmocka_unit_test(test_wrappers) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
