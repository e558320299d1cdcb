/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

static uint64_t memory[SPOOL_SIZE / 8];

static Spool empty_spool(void) {
        Spool spool;

        memset(memory, 0, sizeof(memory));
        spool_open(&spool, memory);
        return spool;
}

static bool put(Spool *spool, const char *text) {
        return spool_put(spool,
                         &(SpoolRecord){ .kind = 2, .ends = (uint32_t)strlen(text), .data = text, .n = strlen(text) });
}

/* All that is in it, with a space behind each. */
static const char *contents(const Spool *spool) {
        static char text[1024];
        SpoolRecord record;
        uint32_t at = 0;
        size_t n = 0;

        while (spool_read(spool, &at, &record)) {
                assert_int_equal(record.kind, 2);
                assert_int_equal(record.ends, record.n);
                memcpy(text + n, record.data, record.n);
                n += record.n;
                text[n++] = ' ';
        }
        text[n] = '\0';
        return text;
}

/* What one broker puts there, the next one reads. */
static void test_successor(void **state) {
        Spool spool = empty_spool(), next;

        assert_string_equal(contents(&spool), "");
        assert_true(put(&spool, "one"));
        assert_true(put(&spool, "seventeen"));
        assert_true(put(&spool, ""));
        assert_true(put(&spool, "12345678"));
        spool_drop(&spool, 1);

        spool_open(&next, memory);
        assert_string_equal(contents(&next), "seventeen  12345678 ");
        assert_true(put(&next, "more"));
        spool_drop(&next, 2);
        assert_string_equal(contents(&next), "12345678 more ");
        spool_drop(&next, SIZE_MAX);
        assert_string_equal(contents(&next), "");
        spool_drop(&next, 1);
        assert_true(put(&next, "again"));
        assert_string_equal(contents(&next), "again ");
}

/* It is full at its end, and begins anew when it is empty. */
static void test_full(void **state) {
        static char large[SPOOL_SIZE];
        Spool spool = empty_spool();
        SpoolRecord record = { .kind = 2, .data = large, .n = sizeof(large) };
        uint32_t at = 0;

        assert_false(spool_put(&spool, &record));
        record.n = SIZE_MAX;
        assert_false(spool_put(&spool, &record));
        for (unsigned round = 0; round < 3; ++round) {
                unsigned n = 0;

                record.n = 1000;
                while (spool_put(&spool, &record))
                        ++n;
                assert_in_range(n, 500, SPOOL_SIZE / 1000);
                /* What is smaller may still have room: to the last byte. */
                for (record.n = 999; record.n > 0; --record.n)
                        (void)spool_put(&spool, &record);
                assert_false(spool_put(&spool, &record));
                spool_drop(&spool, 1);
                assert_false(spool_put(&spool, &record)); /* not empty: nothing moves */
                spool_drop(&spool, SIZE_MAX);
        }
        /* The largest that there is. */
        for (record.n = sizeof(large); !spool_put(&spool, &record); --record.n)
                ;
        assert_in_range(sizeof(large) - record.n, 32, 128);
        assert_true(spool_read(&spool, &at, &record));
        assert_false(spool_read(&spool, &at, &record));
}

static void test_place(void **state) {
        struct stat file = { .st_dev = 1, .st_ino = 2, .st_size = 100 }, other = file;
        Spool spool = empty_spool(), next;
        bool is_exact;

        assert_int_equal(spool_written(&spool, &file, &is_exact), 0); /* nothing was noted */
        assert_true(put(&spool, "one"));
        assert_true(put(&spool, "two"));
        spool_set_place(&spool, &file, 90); /* ten bytes of the first are there */
        assert_int_equal(spool_written(&spool, &file, &is_exact), 10);
        assert_true(is_exact);
        file.st_size = 120;
        spool_open(&next, memory);
        assert_int_equal(spool_written(&next, &file, &is_exact), 30);
        assert_false(is_exact);

        other.st_ino = 3;
        assert_int_equal(spool_written(&next, &other, &is_exact), 0);
        other = file;
        other.st_dev = 3;
        assert_int_equal(spool_written(&next, &other, &is_exact), 0);
        other = file;
        other.st_size = 89; /* somebody made it shorter */
        assert_int_equal(spool_written(&next, &other, &is_exact), 0);

        /* More records change nothing; other first records do, whatever is where it was. */
        assert_true(put(&next, "three"));
        assert_int_equal(spool_written(&next, &file, &is_exact), 30);
        spool_drop(&next, 1);
        assert_int_equal(spool_written(&next, &file, &is_exact), 0);
        spool_drop(&next, 2);
        assert_true(put(&next, "one"));
        assert_int_equal(spool_written(&next, &file, &is_exact), 0);

        spool_set_place(&next, &file, 120);
        file.st_size = 121;
        assert_int_equal(spool_written(&next, &file, &is_exact), 1);
        spool_set_place(&next, NULL, 0);
        assert_int_equal(spool_written(&next, &file, &is_exact), 0);
}

/* Any byte changed to anything: it is empty, or what is read is in it. */
static void test_nonsense(void **state) {
        static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
        uint8_t *bytes = (uint8_t *)memory;
        unsigned n_empty = 0;

        for (size_t at = 0; at < 256; ++at) {
                for (size_t i = 0; i < sizeof(values); ++i) {
                        Spool spool = empty_spool();
                        SpoolRecord record;
                        uint32_t place = 0;
                        size_t n = 0;

                        for (unsigned n_put = 0; n_put < 8; ++n_put)
                                assert_true(put(&spool, "something"));
                        bytes[at] = values[i];
                        spool_open(&spool, memory);
                        for (; spool_read(&spool, &place, &record); ++n) {
                                assert_true((const uint8_t *)record.data >= bytes &&
                                            record.n <=
                                                    sizeof(memory) - (size_t)((const uint8_t *)record.data - bytes));
                        }
                        n_empty += n == 0;
                        assert_true(put(&spool, "behind"));
                        spool_drop(&spool, SIZE_MAX);
                        assert_string_equal(contents(&spool), "");
                }
        }
        assert_in_range(n_empty, 20, 1000);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_successor),
                cmocka_unit_test(test_full),
                cmocka_unit_test(test_place),
                cmocka_unit_test(test_nonsense),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
