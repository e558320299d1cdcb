/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "wire/supervise.h"

static int make_memory(off_t size, int seals) {
        int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0 && ftruncate(fd, size) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
        return fd;
}

static int good_memory(void) {
        return make_memory(SUPERVISE_BOOK_SIZE, F_SEAL_SHRINK | F_SEAL_GROW);
}

static BookEntry make_entry(uint32_t call) {
        BookEntry entry = { .call = call, .start_usec = call * 10, .n_argument = 300 };

        strcpy(entry.source.text, "far");
        strcpy(entry.relay.text, "net");
        strcpy(entry.target.text, "vault");
        strcpy(entry.target_name.text, "@dispvm:x");
        snprintf(entry.service, sizeof(entry.service), "my.Svc+%u", call);
        return entry;
}

/* What one broker wrote, the next one reads. */
static void test_successor(void **state) {
        int fd = good_memory();
        BookEntry entry, read;
        Book *book;
        uint32_t first, second, third, fourth;

        assert_int_equal(book_new(dup(fd), &book), 0);
        assert_int_equal(book_n_places(book), 0);
        entry = make_entry(1);
        first = book_put(book, &entry);
        entry = make_entry(2);
        second = book_put(book, &entry);
        entry = make_entry(3);
        third = book_put(book, &entry);
        book_set_sent(book, third);
        entry = make_entry(4);
        entry.is_served = true;
        fourth = book_put(book, &entry);
        entry = make_entry(5);
        assert_int_equal(book_put(book, &entry), 4);
        book_remove(book, second);
        book_free(book); /* as when it dies: nothing else is written */

        assert_int_equal(book_new(fd, &book), 0);
        assert_int_equal(book_n_places(book), 5);
        assert_true(book_read(book, first, &read));
        assert_int_equal(read.call, 1);
        assert_false(read.is_sent);
        assert_int_equal(read.start_usec, 10);
        assert_int_equal(read.n_argument, 300);
        assert_string_equal(read.source.text, "far");
        assert_string_equal(read.relay.text, "net");
        assert_string_equal(read.target.text, "vault");
        assert_string_equal(read.target_name.text, "@dispvm:x");
        assert_string_equal(read.service, "my.Svc+1");
        assert_false(book_read(book, second, &read));
        assert_true(book_read(book, third, &read));
        assert_true(read.is_sent && !read.is_served);
        assert_true(book_read(book, fourth, &read));
        assert_true(read.is_served && !read.is_sent);
        assert_int_equal(book_put(book, &entry), second); /* what was free is free again */
        assert_int_equal(book_put(book, &entry), 5);

        /* Of whose end there is a record already. */
        assert_true(book_read(book, 5, &read));
        book_forget(book, 5);
        assert_false(book_read(book, 4, &read));
        assert_false(book_read(book, 5, &read));
        book_forget(book, 5);
        assert_true(book_read(book, first, &read));
        book_free(book);
}

static void test_places_are_used_again(void **state) {
        BookEntry entry = make_entry(1);
        uint32_t places[1000];
        Book *book;

        assert_int_equal(book_new(good_memory(), &book), 0);
        for (unsigned round = 0; round < 3; ++round) {
                for (unsigned i = 0; i < 1000; ++i)
                        assert_in_range(places[i] = book_put(book, &entry), 0, 999);
                for (unsigned i = 0; i < 1000; ++i)
                        book_remove(book, places[i]);
        }
        assert_int_equal(book_n_places(book), 1000);
        book_free(book);
}

static void test_full(void **state) {
        BookEntry entry = make_entry(1);
        uint32_t place, n = 0;
        Book *book;

        assert_int_equal(book_new(good_memory(), &book), 0);
        while ((place = book_put(book, &entry)) != BOOK_NONE)
                assert_int_equal(place, n++);
        assert_true(n > 16000);
        book_set_sent(book, BOOK_NONE);
        book_remove(book, BOOK_NONE);
        book_remove(book, 5);
        assert_int_equal(book_put(book, &entry), 5);
        book_free(book);

        /* And none at all. */
        assert_int_equal(book_put(NULL, &entry), BOOK_NONE);
        book_remove(NULL, 0);
        book_set_sent(NULL, 0);
}

static void test_memory(void **state) {
        Book *book;
        int fds[2];

        assert_int_equal(book_new(make_memory(SUPERVISE_BOOK_SIZE - 1, F_SEAL_SHRINK), &book), BOOK_E_INVALID);
        assert_int_equal(book_new(make_memory(SUPERVISE_BOOK_SIZE, F_SEAL_GROW), &book), BOOK_E_INVALID);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(book_new(fds[0], &book), BOOK_E_INVALID);
        close(fds[1]);
}

/* Any byte of an entry changed to anything: it is dropped, or it is still names. */
static void test_nonsense(void **state) {
        BookEntry entry = make_entry(7), read;
        int fd = good_memory();
        unsigned n_dropped = 0;
        Book *book;

        assert_int_equal(book_new(dup(fd), &book), 0);
        assert_int_equal(book_put(book, &entry), 0);
        for (off_t at = 0; at < 700; ++at) {
                static const char values[] = { 0, 1, '/', '\n', 'a', '\xff' };
                char before;

                assert_int_equal(pread(fd, &before, 1, at), 1);
                for (size_t i = 0; i < sizeof(values); ++i) {
                        DomainName name;

                        assert_int_equal(pwrite(fd, &values[i], 1, at), 1);
                        if (!book_read(book, 0, &read)) {
                                ++n_dropped;
                                continue;
                        }
                        assert_in_range(read.call, 1, SUPERVISE_IDS_MAX);
                        assert_int_equal(domain_name_parse(read.source.text, strlen(read.source.text), &name), 0);
                        assert_int_equal(domain_name_parse(read.target.text, strlen(read.target.text), &name), 0);
                        assert_null(strpbrk(read.service, "/\n\xff"));
                }
                assert_int_equal(pwrite(fd, &before, 1, at), 1);
        }
        assert_true(n_dropped > 100);
        book_free(book);
        close(fd);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_successor), cmocka_unit_test(test_places_are_used_again),
                cmocka_unit_test(test_full),      cmocka_unit_test(test_memory),
                cmocka_unit_test(test_nonsense),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
