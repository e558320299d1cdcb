/* SPDX-License-Identifier: Apache-2.0 */
#include "qubesdb/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "qubesdb/session.h"

#define QUBESDB_STORE_FIRST 32

int qubesdb_store_new(QubesdbStore **ret_store) {
        QubesdbStore *store = calloc(1, sizeof(*store));

        if (!store)
                return error_origin(-ENOMEM);
        *ret_store = store;
        return 0;
}

QubesdbStore *qubesdb_store_free(QubesdbStore *store) {
        if (!store)
                return NULL;
        for (size_t i = 0; i < store->n_entries; ++i)
                free(store->entries[i].value);
        free(store->entries);
        free(store);
        return NULL;
}

size_t qubesdb_store_find(const QubesdbStore *store, const QubesdbPath *path) {
        size_t low = 0, high = store->n_entries;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(store->entries[middle].path.text, path->text) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const QubesdbEntry *qubesdb_store_get(const QubesdbStore *store, const QubesdbPath *path) {
        size_t place = qubesdb_store_find(store, path);

        if (place == store->n_entries || strcmp(store->entries[place].path.text, path->text) != 0)
                return NULL;
        return &store->entries[place];
}

static int qubesdb_store_tell(QubesdbStore *store, const QubesdbPath *path) {
        for (QubesdbSession *session = store->sessions; session; session = session->next) {
                int r = qubesdb_session_on_change(session, path);

                if (r)
                        return error_trace(r);
        }
        return 0;
}

static int qubesdb_store_insert(QubesdbStore *store, size_t place, const QubesdbEntry *entry) {
        if (store->n_entries >= QUBESDB_ENTRIES_MAX)
                return QUBESDB_STORE_E_FULL;
        if (store->n_entries == store->n_allocated) {
                size_t n = store->n_allocated > 0 ? store->n_allocated * 2 : QUBESDB_STORE_FIRST;
                QubesdbEntry *larger = reallocarray(store->entries, n, sizeof(*larger));

                if (!larger)
                        return error_origin(-ENOMEM);
                store->entries = larger;
                store->n_allocated = n;
        }
        memmove(&store->entries[place + 1], &store->entries[place],
                (store->n_entries - place) * sizeof(*store->entries));
        store->entries[place] = *entry;
        ++store->n_entries;
        return 0;
}

int qubesdb_store_write(QubesdbStore *store, const QubesdbPath *path, const char *untrusted_value, size_t n_value) {
        size_t place = qubesdb_store_find(store, path);
        QubesdbEntry entry = { .path = *path, .n_value = n_value };
        int r = 0;

        if (!qubesdb_path_is_entry(path))
                return QUBESDB_STORE_E_PATH;
        if (n_value > QUBESDB_VALUE_MAX || memchr(untrusted_value, '\0', n_value))
                return QUBESDB_STORE_E_VALUE;
        entry.value = strndup(untrusted_value, n_value);
        if (!entry.value)
                return error_origin(-ENOMEM);
        if (place < store->n_entries && strcmp(store->entries[place].path.text, path->text) == 0) {
                free(store->entries[place].value);
                store->entries[place] = entry;
        } else {
                r = qubesdb_store_insert(store, place, &entry);
        }
        if (r) {
                free(entry.value);
                return r;
        }
        return error_trace(qubesdb_store_tell(store, path));
}

int qubesdb_store_put(QubesdbStore *store, const char *path, const char *value) {
        QubesdbPath parsed;

        if (!qubesdb_path_parse(path, &parsed))
                return error_origin(-EINVAL);
        return error_fold(qubesdb_store_write(store, &parsed, value, strlen(value)));
}

int qubesdb_store_remove(QubesdbStore *store, const QubesdbPath *path) {
        size_t first = qubesdb_store_find(store, path), end = first;

        if (qubesdb_path_is_folder(path))
                while (end < store->n_entries && qubesdb_path_begins(&store->entries[end].path, path))
                        ++end;
        else if (end < store->n_entries && strcmp(store->entries[end].path.text, path->text) == 0)
                ++end;
        if (end == first)
                return QUBESDB_STORE_E_NONE;
        for (size_t i = first; i < end; ++i)
                free(store->entries[i].value);
        memmove(&store->entries[first], &store->entries[end], (store->n_entries - end) * sizeof(*store->entries));
        store->n_entries -= end - first;
        return error_trace(qubesdb_store_tell(store, path));
}

int qubesdb_store_change(QubesdbStore *store, const QubesdbStore *from, const QubesdbStore *to) {
        for (size_t i = 0; i < from->n_entries; ++i) {
                int r;

                if (qubesdb_store_get(to, &from->entries[i].path))
                        continue;
                r = qubesdb_store_remove(store, &from->entries[i].path);
                if (r && r != QUBESDB_STORE_E_NONE)
                        return error_fold(r);
        }
        for (size_t i = 0; i < to->n_entries; ++i) {
                const QubesdbEntry *now = &to->entries[i], *before = qubesdb_store_get(from, &now->path);
                int r;

                if (before && strcmp(before->value, now->value) == 0)
                        continue;
                r = qubesdb_store_write(store, &now->path, now->value, now->n_value);
                if (r && r != QUBESDB_STORE_E_FULL)
                        return error_fold(r);
        }
        return 0;
}
