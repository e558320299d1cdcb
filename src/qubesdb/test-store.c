/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "qubesdb/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static char listing[4096];

static const char *list(const QubesdbStore *store) {
        size_t n = 0;

        listing[0] = '\0';
        for (size_t i = 0; i < store->n_entries; ++i)
                n += (size_t)snprintf(listing + n, sizeof(listing) - n, "%s=%s ", store->entries[i].path.text,
                                      store->entries[i].value);
        return listing;
}

static QubesdbStore *make(const char *const *entries) {
        QubesdbStore *store;

        assert_int_equal(qubesdb_store_new(&store), 0);
        for (; *entries; entries += 2)
                assert_int_equal(qubesdb_store_put(store, entries[0], entries[1]), 0);
        return store;
}
#define MAKE(...) make((const char *const[]){ __VA_ARGS__, NULL })

static void test_order(void **state) {
        _cleanup_(qubesdb_store_freep) QubesdbStore *store = MAKE("/b", "2", "/a/b", "3", "/ab", "4", "/a", "1");

        assert_string_equal(list(store), "/a=1 /a/b=3 /ab=4 /b=2 ");
        assert_int_equal(qubesdb_store_put(store, "/ab", ""), 0);
        assert_string_equal(list(store), "/a=1 /a/b=3 /ab= /b=2 ");
        assert_null(qubesdb_store_get(store, &(QubesdbPath){ "/a/" }));
        assert_string_equal(qubesdb_store_get(store, &(QubesdbPath){ "/b" })->value, "2");
}

static void test_remove(void **state) {
        static const struct {
                const char *name, *path, *left;
                int expect;
        } cases[] = {
                { "one", "/a", "/a/b=3 /a/c=5 /ab=4 ", 0 },
                { "a folder", "/a/", "/a=1 /ab=4 ", 0 },
                { "all", "/", "", 0 },
                { "none", "/b", "/a=1 /a/b=3 /a/c=5 /ab=4 ", QUBESDB_STORE_E_NONE },
                { "an empty folder", "/ab/", "/a=1 /a/b=3 /a/c=5 /ab=4 ", QUBESDB_STORE_E_NONE },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(qubesdb_store_freep) QubesdbStore *store =
                        MAKE("/a", "1", "/a/b", "3", "/a/c", "5", "/ab", "4");
                QubesdbPath path;

                assert_true(qubesdb_path_parse(cases[i].path, &path));
                if (qubesdb_store_remove(store, &path) != cases[i].expect || strcmp(list(store), cases[i].left) != 0)
                        fail_msg("%s: left is %s", cases[i].name, list(store));
        }
}

static void test_limits(void **state) {
        _cleanup_(qubesdb_store_freep) QubesdbStore *store = NULL;
        char value[QUBESDB_VALUE_MAX + 1];
        QubesdbPath path = { "/v" };

        assert_int_equal(qubesdb_store_new(&store), 0);
        memset(value, 'v', sizeof(value));
        assert_int_equal(qubesdb_store_write(store, &path, value, QUBESDB_VALUE_MAX), 0);
        assert_int_equal(qubesdb_store_write(store, &path, value, QUBESDB_VALUE_MAX + 1), QUBESDB_STORE_E_VALUE);
        assert_int_equal(qubesdb_store_write(store, &path, "a\0b", 3), QUBESDB_STORE_E_VALUE);
        assert_int_equal(qubesdb_store_write(store, &(QubesdbPath){ "/v/" }, "x", 1), QUBESDB_STORE_E_PATH);
        assert_int_equal(qubesdb_store_get(store, &path)->n_value, QUBESDB_VALUE_MAX);

        for (unsigned i = 1; i < QUBESDB_ENTRIES_MAX; ++i) {
                snprintf(path.text, sizeof(path.text), "/%u", i);
                assert_int_equal(qubesdb_store_write(store, &path, "", 0), 0);
        }
        assert_int_equal(qubesdb_store_write(store, &(QubesdbPath){ "/w" }, "", 0), QUBESDB_STORE_E_FULL);
        assert_int_equal(qubesdb_store_write(store, &(QubesdbPath){ "/v" }, "", 0), 0);
}

static void test_change(void **state) {
        _cleanup_(qubesdb_store_freep) QubesdbStore *store = MAKE("/same", "1", "/old", "1", "/new-value", "1");
        _cleanup_(qubesdb_store_freep) QubesdbStore *from = MAKE("/same", "1", "/old", "1", "/new-value", "1");
        _cleanup_(qubesdb_store_freep) QubesdbStore *to = MAKE("/same", "1", "/new", "1", "/new-value", "2");

        /* The host's own writing: one that the view knows nothing of, one that it has nothing new to say about. */
        assert_int_equal(qubesdb_store_put(store, "/host", "h"), 0);
        assert_int_equal(qubesdb_store_put(store, "/same", "h"), 0);
        assert_int_equal(qubesdb_store_change(store, from, to), 0);
        assert_string_equal(list(store), "/host=h /new=1 /new-value=2 /same=h ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_remove),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_change),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
