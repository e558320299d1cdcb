/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory that a broker leaves to the next one: open calls and records that are not written yet. The input is what a broken one
 * has left there: two bytes say how much of it is at the beginning, where the calls are; the rest is where the records are.
 *
 * What is read is what could have been written: names are names, texts have an end, and records are inside of the memory; and what is
 * put there afterwards is found again, and nothing once it was taken away.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/book.h"
#include "wire/supervise.h"

#define INPUT_MAX 8192

static int open_memory(uint8_t **ret_memory) {
        int fd = memfd_create("book", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        fuzz_check(fd >= 0 && ftruncate(fd, SUPERVISE_BOOK_SIZE) == 0);
        fuzz_check(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
        *ret_memory = mmap(NULL, SUPERVISE_BOOK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        fuzz_check(*ret_memory != MAP_FAILED);
        return fd;
}

static Book *open_book(int memory_fd) {
        Book *book;

        fuzz_check(book_new(fcntl(memory_fd, F_DUPFD_CLOEXEC, 3), &book) == 0);
        return book;
}

static void check_name(const DomainName *name, bool may_be_empty) {
        DomainName again;
        size_t n = strnlen(name->text, sizeof(name->text));

        fuzz_check(n < sizeof(name->text));
        fuzz_check(n == 0 ? may_be_empty : domain_name_parse(name->text, n, &again) == 0);
}

static void check_entry(const BookEntry *entry) {
        fuzz_check(entry->call > 0 && entry->call <= SUPERVISE_IDS_MAX);
        check_name(&entry->source, false);
        check_name(&entry->relay, true);
        check_name(&entry->target, false);
        fuzz_check(memchr(entry->target_name.text, '\0', sizeof(entry->target_name.text)));
        fuzz_check(entry->service[0] != '\0' && memchr(entry->service, '\0', sizeof(entry->service)));
}

static void check_entries(Book *book, int memory_fd) {
        const BookEntry one = {
                .call = 17, .source = { "work" }, .target = { "vault" }, .start_usec = 1, .service = "my.Echo+x"
        };
        BookEntry found;
        uint32_t place;
        Book *next;

        for (uint32_t i = 0; i < book_n_places(book); ++i)
                if (book_read(book, i, &found))
                        check_entry(&found);
        place = book_put(book, &one);
        fuzz_check(place != BOOK_NONE);
        book_set_sent(book, place);
        next = open_book(memory_fd);
        fuzz_check(book_read(next, place, &found) && found.call == 17 && found.is_sent);
        fuzz_check(strcmp(found.source.text, "work") == 0 && strcmp(found.target.text, "vault") == 0);
        fuzz_check(found.relay.text[0] == '\0' && strcmp(found.service, "my.Echo+x") == 0);
        book_free(next);
        book_remove(book, place);
        fuzz_check(!book_read(book, place, &found));
}

static size_t count_records(const Spool *spool, SpoolRecord *ret_last) {
        const char *end = (const char *)spool->memory + SPOOL_SIZE;
        uint32_t at = 0;
        size_t n = 0;

        while (spool_read(spool, &at, ret_last)) {
                fuzz_check(ret_last->data > (const char *)spool->memory && ret_last->n <= SPOOL_SIZE);
                fuzz_check(ret_last->data + ret_last->n <= end);
                ++n;
        }
        fuzz_check(n <= SPOOL_SIZE / 16);
        return n;
}

static void check_records(Spool *spool) {
        const SpoolRecord one = { .kind = 2, .ends = 17, .data = "a record", .n = 8 };
        SpoolRecord last = {};
        size_t n = count_records(spool, &last);

        if (!spool_put(spool, &one)) {
                spool_drop(spool, n);
                n = 0;
                fuzz_check(count_records(spool, &last) == 0 && spool_put(spool, &one));
        }
        fuzz_check(count_records(spool, &last) == n + 1);
        fuzz_check(last.kind == 2 && last.ends == 17 && last.n == 8 && memcmp(last.data, "a record", 8) == 0);
        spool_drop(spool, n + 1);
        fuzz_check(count_records(spool, &last) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t *memory;
        static int fd = -1;
        size_t n_book, spool_at;
        Book *book;

        if (n < 2 || n > INPUT_MAX)
                return 0;
        if (fd < 0)
                fd = open_memory(&memory);
        spool_at = SUPERVISE_BOOK_SIZE - SPOOL_SIZE;
        memset(memory, 0, 2 * INPUT_MAX);
        memset(memory + spool_at, 0, SPOOL_SIZE);
        n_book = (size_t)(data[0] | data[1] << 8);
        n_book = n_book < n - 2 ? n_book : n - 2;
        memcpy(memory, data + 2, n_book);
        memcpy(memory + spool_at, data + 2 + n_book, n - 2 - n_book);

        book = open_book(fd);
        check_entries(book, fd);
        check_records(book_spool(book));
        book_free(book);
        return 0;
}
