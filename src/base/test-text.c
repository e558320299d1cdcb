/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

static int format(char **ret_text, const char *format, ...) _printf_(2, 3);
static int format(char **ret_text, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = text_format_list(format, arguments, ret_text);
        va_end(arguments);
        return r;
}

static void test_format(void **state) {
        char *text = NULL, *untouched;

        assert_int_equal(format(&text, "%s %d", "a", 7), 0);
        assert_string_equal(text, "a 7");
        untouched = text;
        /* No character: the one thing besides memory that it fails of. */
        assert_int_equal(format(&text, "%lc", (wint_t)0x110000), -ENOMEM);
        assert_ptr_equal(text, untouched);
        free(text);
}

static void test_close(void **state) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);

        assert_non_null(stream);
        assert_int_equal(fputs("all", stream) < 0, 0);
        assert_int_equal(text_close(stream, &text), 0);
        assert_string_equal(text, "all");
        assert_int_equal(n, 3);
        free(text);
}

static void test_close_after_failure(void **state) {
        char *text = strdup("with a gap");
        FILE *stream = fopen("/dev/full", "we"); /* there is no such thing for memory */

        assert_non_null(stream);
        assert_non_null(text);
        assert_int_equal(setvbuf(stream, NULL, _IONBF, 0), 0);
        assert_int_equal(fputs("lost", stream), EOF);
        assert_int_equal(text_close(stream, &text), -ENOMEM);
        assert_null(text);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_close),
                cmocka_unit_test(test_close_after_failure),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
