/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

#define X64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X255 X64 X64 X64 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_decode(void **state) {
        static const struct {
                const char *name, *data;
                size_t n;
                int expect;
                const char *service, *source;
                size_t n_header;
        } cases[] = {
#define GOOD(_name, _data, ...) { _name, _data, sizeof(_data) - 1, 0, __VA_ARGS__ }
#define BAD(_name, _data) \
        { _name, _data, sizeof(_data) - 1, HEADER_E_MALFORMED, NULL, NULL, 0 }
                GOOD("upstream's, in dom0", "policy.Ask dom0 name dom0\0{}", "policy.Ask", "dom0", 26),
                GOOD("ours", "policy.Ask+ dom0\0", "policy.Ask", "dom0", 17),
                GOOD("more spaces", " policy.Ask  dom0 \0", "policy.Ask", "dom0", 19),
                GOOD("words of 255 bytes", X255 " " X255 "\0", X255, X255, 512),
                BAD("nothing", ""),
                BAD("no NUL", "policy.Ask dom0"),
                BAD("one word", "policy.Ask\0"),
                BAD("one word and a space", "policy.Ask \0"),
                BAD("a NUL before the source", "policy.Ask\0 dom0\0"),
                BAD("a word of 256 bytes", X255 "x dom0\0"),
#undef GOOD
#undef BAD
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Header header;
                int r = header_decode(cases[i].data, cases[i].n, &header);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d", cases[i].name, r);
                if (r)
                        continue;
                if (strcmp(header.service, cases[i].service) != 0 || strcmp(header.source, cases[i].source) != 0 ||
                    header.n != cases[i].n_header)
                        fail_msg("%s: got %s, %s, %zu", cases[i].name, header.service, header.source, header.n);
        }
}

static void test_length(void **state) {
        static char data[HEADER_MAX + 1];
        Header header;

        memset(data, ' ', sizeof(data));
        memcpy(data, "a b", 3);
        data[HEADER_MAX - 1] = '\0';
        assert_int_equal(header_decode(data, sizeof(data), &header), 0);
        assert_int_equal(header.n, HEADER_MAX);
        data[HEADER_MAX - 1] = ' ';
        data[HEADER_MAX] = '\0';
        assert_int_equal(header_decode(data, sizeof(data), &header), HEADER_E_MALFORMED);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_decode), cmocka_unit_test(test_length) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
