/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/spool.h"

#include <string.h>

/* Changes whenever the layout does. */
#define SPOOL_MAGIC UINT32_C(0x31535141)

/* What begins and ends where, in units of 8 bytes of the body, and a number that changes whenever something is dropped. */
#define SPOOL_UNIT            8
#define SPOOL_POSITION_BITS   17
#define SPOOL_GENERATION_BITS (64 - 2 * SPOOL_POSITION_BITS)
#define SPOOL_NO_GENERATION   UINT64_MAX

typedef struct SpoolHeader {
        uint32_t magic;
        uint32_t reserved;
        uint64_t state; /* generation, first, end */
        /* where the first record begins, valid in one generation */
        uint64_t place_generation;
        uint64_t device, inode, begin, size;
} SpoolHeader;

typedef struct SpoolEntry {
        uint32_t kind, ends;
        uint64_t n; /* bytes that follow, filled up to a unit */
} SpoolEntry;

#define SPOOL_END ((uint32_t)((SPOOL_SIZE - sizeof(SpoolHeader)) / SPOOL_UNIT))

_Static_assert(sizeof(SpoolHeader) % SPOOL_UNIT == 0 && sizeof(SpoolEntry) % SPOOL_UNIT == 0, "entries are aligned");
_Static_assert(SPOOL_END < UINT32_C(1) << SPOOL_POSITION_BITS, "a position fits");

typedef struct SpoolState {
        uint64_t generation;
        uint32_t first, end;
} SpoolState;

static SpoolHeader *spool_header(const Spool *spool) {
        return spool->memory;
}

static SpoolState spool_state(const Spool *spool) {
        uint64_t word = __atomic_load_n(&spool_header(spool)->state, __ATOMIC_ACQUIRE);
        uint64_t mask = (UINT64_C(1) << SPOOL_POSITION_BITS) - 1;

        return (SpoolState){ word >> (2 * SPOOL_POSITION_BITS), (uint32_t)(word >> SPOOL_POSITION_BITS & mask),
                             (uint32_t)(word & mask) };
}

static void spool_set_state(Spool *spool, SpoolState state) {
        uint64_t word = state.generation << (2 * SPOOL_POSITION_BITS) | (uint64_t)state.first << SPOOL_POSITION_BITS |
                        state.end;

        __atomic_store_n(&spool_header(spool)->state, word, __ATOMIC_RELEASE);
}

static SpoolEntry *spool_entry(const Spool *spool, uint32_t at) {
        uint64_t *body = (uint64_t *)(spool_header(spool) + 1);

        return (SpoolEntry *)(body + at);
}

/* In units, with its entry. */
static uint32_t spool_length(uint64_t n) {
        return (uint32_t)((sizeof(SpoolEntry) + n + SPOOL_UNIT - 1) / SPOOL_UNIT);
}

/* Whatever was written there by another broker, this one never leaves its memory. */
static bool spool_is_sound(const Spool *spool) {
        SpoolState state = spool_state(spool);
        uint32_t at = state.first;

        if (spool_header(spool)->magic != SPOOL_MAGIC || state.first > state.end || state.end > SPOOL_END)
                return false;
        while (at < state.end) {
                uint64_t n;

                if ((size_t)(state.end - at) * SPOOL_UNIT < sizeof(SpoolEntry))
                        return false;
                n = spool_entry(spool, at)->n;
                if (n > SPOOL_SIZE || spool_length(n) > state.end - at)
                        return false;
                at += spool_length(n);
        }
        return true;
}

void spool_open(Spool *spool, void *memory) {
        spool->memory = memory;
        if (spool_is_sound(spool))
                return;
        memset(memory, 0, sizeof(SpoolHeader));
        spool_header(spool)->place_generation = SPOOL_NO_GENERATION;
        spool_header(spool)->magic = SPOOL_MAGIC;
}

bool spool_read(const Spool *spool, uint32_t *at, SpoolRecord *ret_record) {
        SpoolState state = spool_state(spool);
        const SpoolEntry *entry;

        if (*at == state.end - state.first)
                return false;
        entry = spool_entry(spool, state.first + *at);
        *ret_record = (SpoolRecord){
                .kind = entry->kind, .ends = entry->ends, .data = (const char *)(entry + 1), .n = entry->n
        };
        *at += spool_length(entry->n);
        return true;
}

bool spool_put(Spool *spool, const SpoolRecord *record) {
        SpoolState state = spool_state(spool);
        SpoolEntry *entry = spool_entry(spool, state.end);

        if (record->n > SPOOL_SIZE || spool_length(record->n) > SPOOL_END - state.end)
                return false;
        *entry = (SpoolEntry){ .kind = record->kind, .ends = record->ends, .n = record->n };
        memcpy(entry + 1, record->data, record->n);
        state.end += spool_length(record->n);
        spool_set_state(spool, state);
        return true;
}

void spool_drop(Spool *spool, size_t n) {
        SpoolState state = spool_state(spool);

        for (; n > 0 && state.first < state.end; --n)
                state.first += spool_length(spool_entry(spool, state.first)->n);
        if (state.first == state.end)
                state.first = state.end = 0;
        state.generation = (state.generation + 1) & ((UINT64_C(1) << SPOOL_GENERATION_BITS) - 1);
        spool_set_state(spool, state);
}

void spool_set_place(Spool *spool, const struct stat *status, uint64_t begin) {
        SpoolHeader *header = spool_header(spool);

        __atomic_store_n(&header->place_generation, SPOOL_NO_GENERATION, __ATOMIC_RELEASE);
        if (!status)
                return;
        header->device = status->st_dev;
        header->inode = status->st_ino;
        header->begin = begin;
        header->size = (uint64_t)status->st_size;
        __atomic_store_n(&header->place_generation, spool_state(spool).generation, __ATOMIC_RELEASE);
}

uint64_t spool_written(const Spool *spool, const struct stat *status, bool *ret_is_exact) {
        const SpoolHeader *header = spool_header(spool);
        uint64_t size = (uint64_t)status->st_size;

        *ret_is_exact = false;
        if (header->place_generation != spool_state(spool).generation || header->device != status->st_dev ||
            header->inode != status->st_ino || size < header->begin)
                return 0;
        *ret_is_exact = size == header->size;
        return size - header->begin;
}
