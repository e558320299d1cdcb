/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "qubesdb/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

#define P62 "/2345678901234567890123456789012345678901234567890123456789012"

static void test_layout(void **state) {
        QubesdbMessage message = { .type = QUBESDB_TYPE_WRITE, .path = { "/a/b" }, .n_data = 0x01020304 }, again;
        uint8_t data[QUBESDB_HEADER_SIZE];

        qubesdb_message_encode(&message, data);
        assert_int_equal(data[0], 1);
        assert_string_equal((char *)data + 1, "/a/b");
        assert_memory_equal(data + 68, "\x04\x03\x02\x01", 4);
        for (size_t i = 6; i < 68; ++i)
                assert_int_equal(data[i], 0);

        /* What means nothing does not matter. */
        memset(data + 6, 0xff, 62);
        qubesdb_message_decode(data, &again);
        assert_memory_equal(&again, &message, sizeof(message));
}

static void test_unterminated(void **state) {
        uint8_t data[QUBESDB_HEADER_SIZE];
        QubesdbMessage message;

        memset(data, 'x', sizeof(data));
        qubesdb_message_decode(data, &message);
        assert_int_equal(strlen(message.path.text), QUBESDB_PATH_MAX);
}

static void test_paths(void **state) {
        static const struct {
                const char *name, *text;
                bool parses, is_entry;
        } cases[] = {
                { "plain", "/name", true, true },
                { "empty", "", true, false },
                { "every character", "/AZaz09._-/:@", true, true },
                { "two slashes", "/a//b", true, true },
                { "a folder", "/a/", true, false },
                { "no slash", "name", true, false },
                { "a minus first", "-name", false, false },
                { "a blank", "/a b", false, false },
                { "eight bits", "/\xc3\xa9", false, false },
                { "63 bytes", P62 "3", true, true },
                { "64 bytes", P62 "34", false, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                QubesdbPath path;

                if (qubesdb_path_parse(cases[i].text, &path) != cases[i].parses)
                        fail_msg("%s: parses: %d", cases[i].name, !cases[i].parses);
                if (cases[i].parses && qubesdb_path_is_entry(&path) != cases[i].is_entry)
                        fail_msg("%s: is an entry: %d", cases[i].name, !cases[i].is_entry);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_layout),
                cmocka_unit_test(test_unterminated),
                cmocka_unit_test(test_paths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
