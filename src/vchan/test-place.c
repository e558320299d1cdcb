/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_place_init(void **state) {
        static const struct {
                const char *name, *directory, *domain;
                int expect;
                const char *expect_directory;
                uint32_t expect_domain;
        } cases[] = {
                { "nothing is set", NULL, NULL, 0, "/var/run/vchan", 0 },
                { "both are", "/tmp/x", "42", 0, "/tmp/x", 42 },
                { "the host by number", NULL, "0", 0, "/var/run/vchan", 0 },
                { "largest id", NULL, "2147483647", 0, "/var/run/vchan", 2147483647 },
                { "above it", NULL, "2147483648", VCHAN_PLACE_E_DOMAIN, NULL, 0 },
                { "negative", NULL, "-1", VCHAN_PLACE_E_DOMAIN, NULL, 0 },
                { "empty", NULL, "", VCHAN_PLACE_E_DOMAIN, NULL, 0 },
                { "a name", NULL, "work", VCHAN_PLACE_E_DOMAIN, NULL, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                VchanPlace place = { .directory = "untouched", .domain = 4711 };
                int r = vchan_place_init(cases[i].directory, cases[i].domain, &place);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (strcmp(place.directory, r ? "untouched" : cases[i].expect_directory) != 0 ||
                    place.domain != (r ? 4711 : cases[i].expect_domain))
                        fail_msg("%s: %s, %u", cases[i].name, place.directory, place.domain);
        }
}

/* A2: the first number is the listener's. */
static void test_place_path(void **state) {
        static const struct {
                const char *name;
                uint32_t server, client, port;
                const char *expect;
        } cases[] = {
                { "A02: control of domain 42", 42, 0, 512, "/v/vchan.42.0.512.sock" },
                { "the host calls domain 42", 0, 42, 513, "/v/vchan.0.42.513.sock" },
                { "A02: domain 42 calls domain 43", 42, 43, 514, "/v/vchan.42.43.514.sock" },
                { "numbers are not padded, and unsigned", 1, 4294967295, 7, "/v/vchan.1.4294967295.7.sock" },
        };
        VchanPlace place = { .directory = "/v" };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char path[VCHAN_PATH_MAX];

                assert_int_equal(vchan_place_path(&place, cases[i].server, cases[i].client, cases[i].port, path), 0);
                if (strcmp(path, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].name, path);
        }
}

static void test_place_path_limit(void **state) {
        static const char file[] = "/vchan.42.0.512.sock";
        char directory[VCHAN_PATH_MAX + 1] = {}, path[VCHAN_PATH_MAX] = "untouched";
        VchanPlace place = { .directory = directory };

        memset(directory, 'd', VCHAN_PATH_MAX - sizeof(file));
        assert_int_equal(vchan_place_path(&place, 42, 0, 512, path), 0);
        assert_int_equal(strlen(path), VCHAN_PATH_MAX - 1);

        memcpy(path, "untouched", sizeof("untouched"));
        directory[VCHAN_PATH_MAX - sizeof(file)] = 'd';
        assert_int_equal(vchan_place_path(&place, 42, 0, 512, path), VCHAN_PLACE_E_PATH);
        assert_string_equal(path, "untouched");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_place_init),
                cmocka_unit_test(test_place_path),
                cmocka_unit_test(test_place_path_limit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
