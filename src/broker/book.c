/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/book.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "wire/supervise.h"

/* Changes whenever the layout does: a broker of another version leaves such places alone. */
#define BOOK_MAGIC UINT32_C(0x31304251)

enum {
        BOOK_STATE_FREE = 0,
        BOOK_STATE_OPEN = 1,
        BOOK_STATE_SENT = 2,
        BOOK_STATE_SERVED = 3,
};

typedef struct BookPlace {
        uint32_t magic;
        uint32_t state; /* written last, and first when it is freed: half an entry is none */
        uint32_t call;
        uint32_t n_argument;
        uint64_t start_usec;
        char source[DOMAIN_NAME_MAX + 1], relay[DOMAIN_NAME_MAX + 1], target[DOMAIN_NAME_MAX + 1];
        char target_name[REQUEST_NAME_MAX + 1];
        char service[BOOK_SERVICE_SIZE];
        char reserved[4];
} BookPlace;

#define BOOK_PLACES_N ((uint32_t)((SUPERVISE_BOOK_SIZE - SPOOL_SIZE) / sizeof(BookPlace)))

struct Book {
        BookPlace *places; /* SUPERVISE_BOOK_SIZE bytes, shared; the last are the spool */
        Spool spool;
        uint32_t n_begun; /* places from here on were never used by this broker */
        uint32_t *freed;  /* places below that are free again */
        uint32_t n_freed, n_freed_max;
};

Book *book_free(Book *book) {
        if (!book)
                return NULL;
        if (book->places)
                (void)munmap(book->places, SUPERVISE_BOOK_SIZE);
        free(book->freed);
        free(book);
        return NULL;
}

Spool *book_spool(Book *book) {
        return &book->spool;
}

uint32_t book_n_places(const Book *book) {
        return book->n_begun;
}

/* A field that ends in its bytes; "" is a name only where @may_be_empty. */
static bool book_read_name(const char field[static DOMAIN_NAME_MAX + 1], bool may_be_empty, DomainName *ret_name) {
        size_t n = strnlen(field, DOMAIN_NAME_MAX + 1);

        if (n == 0)
                return may_be_empty;
        return n <= DOMAIN_NAME_MAX && domain_name_parse(field, n, ret_name) == 0;
}

static bool book_read_service(const char *field, BookEntry *entry) {
        static const char others[] = "(shell command)"; /* of dom0's own calls, which are no service's name */
        size_t n = strnlen(field, BOOK_SERVICE_SIZE), n_name;

        if (n == 0 || n == BOOK_SERVICE_SIZE)
                return false;
        memcpy(entry->service, field, n + 1);
        return strcmp(entry->service, others) == 0 ||
               service_descriptor_parse(entry->service, n, entry->service, &n_name) == 0;
}

bool book_read(const Book *book, uint32_t place, BookEntry *ret_entry) {
        const BookPlace *untrusted = &book->places[place];
        BookEntry entry = {
                .call = untrusted->call,
                .is_sent = untrusted->state == BOOK_STATE_SENT,
                .is_served = untrusted->state == BOOK_STATE_SERVED,
                .start_usec = untrusted->start_usec,
                .n_argument = untrusted->n_argument,
        };

        if (untrusted->magic != BOOK_MAGIC ||
            (untrusted->state != BOOK_STATE_OPEN && !entry.is_sent && !entry.is_served) || entry.call == 0 ||
            entry.call > SUPERVISE_IDS_MAX || entry.n_argument > SERVICE_DESCRIPTOR_MAX)
                return false;
        if (!book_read_name(untrusted->source, false, &entry.source) ||
            !book_read_name(untrusted->relay, true, &entry.relay) ||
            !book_read_name(untrusted->target, false, &entry.target) || !book_read_service(untrusted->service, &entry))
                return false;
        request_name_parse(untrusted->target_name, sizeof(untrusted->target_name), &entry.target_name);
        *ret_entry = entry;
        return true;
}

static void book_free_place(Book *book, uint32_t place) {
        if (book->n_freed == book->n_freed_max) {
                uint32_t n = book->n_freed_max ? book->n_freed_max * 2 : 64;
                uint32_t *larger = reallocarray(book->freed, n, sizeof(*larger));

                if (!larger)
                        return; /* the place stays unused until the next broker */
                book->freed = larger;
                book->n_freed_max = n;
        }
        book->freed[book->n_freed++] = place;
}

int book_new(int fd, Book **ret_book) {
        _cleanup_(book_freep) Book *book = NULL;
        _cleanup_fd_ int owned_fd = fd;
        struct stat st;
        void *memory;
        int seals;

        /* Memory that somebody could make smaller would kill us when we touch it. */
        seals = fcntl(owned_fd, F_GET_SEALS);
        if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(owned_fd, &st) < 0 || st.st_size != SUPERVISE_BOOK_SIZE)
                return BOOK_E_INVALID;
        book = calloc(1, sizeof(*book));
        if (!book)
                return error_origin(-ENOMEM);
        memory = mmap(NULL, SUPERVISE_BOOK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, owned_fd, 0);
        if (memory == MAP_FAILED)
                return error_origin(-errno);
        book->places = memory;
        spool_open(&book->spool, (char *)memory + SUPERVISE_BOOK_SIZE - SPOOL_SIZE);
        /* Up to the first place that was never used: places are taken from the lowest up, so none is behind it. */
        while (book->n_begun < BOOK_PLACES_N && book->places[book->n_begun].magic == BOOK_MAGIC)
                ++book->n_begun;
        for (uint32_t place = 0; place < book->n_begun; ++place) {
                BookEntry entry;

                if (!book_read(book, place, &entry))
                        book_free_place(book, place);
        }
        *ret_book = steal_ptr(&book);
        return 0;
}

static uint32_t book_take_place(Book *book) {
        if (book->n_freed > 0)
                return book->freed[--book->n_freed];
        if (book->n_begun == BOOK_PLACES_N)
                return BOOK_NONE;
        return book->n_begun++;
}

uint32_t book_put(Book *book, const BookEntry *entry) {
        uint32_t number = book ? book_take_place(book) : BOOK_NONE;
        BookPlace *place;

        if (number == BOOK_NONE)
                return BOOK_NONE;
        place = &book->places[number];
        place->call = entry->call;
        place->n_argument = (uint32_t)entry->n_argument;
        place->start_usec = entry->start_usec;
        memcpy(place->source, entry->source.text, sizeof(place->source));
        memcpy(place->relay, entry->relay.text, sizeof(place->relay));
        memcpy(place->target, entry->target.text, sizeof(place->target));
        memcpy(place->target_name, entry->target_name.text, sizeof(place->target_name));
        memcpy(place->service, entry->service, sizeof(place->service));
        place->magic = BOOK_MAGIC;
        __atomic_store_n(&place->state,
                         entry->is_served ? BOOK_STATE_SERVED
                         : entry->is_sent ? BOOK_STATE_SENT
                                          : BOOK_STATE_OPEN,
                         __ATOMIC_RELEASE);
        return number;
}

void book_set_sent(Book *book, uint32_t place) {
        if (book && place != BOOK_NONE)
                __atomic_store_n(&book->places[place].state, BOOK_STATE_SENT, __ATOMIC_RELEASE);
}

void book_remove(Book *book, uint32_t place) {
        if (!book || place == BOOK_NONE)
                return;
        __atomic_store_n(&book->places[place].state, BOOK_STATE_FREE, __ATOMIC_RELEASE);
        book_free_place(book, place);
}

void book_forget(Book *book, uint32_t call) {
        for (uint32_t place = 0; place < book->n_begun; ++place) {
                BookEntry entry;

                /* A spool may have the ends of thousands: only the place that may be it is read. */
                if (book->places[place].call == call && book_read(book, place, &entry) && entry.call == call)
                        book_remove(book, place);
        }
}
