/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client's bytes, in pieces whose lengths the input says, against a store with a few entries and two sessions. What is
 * sent is whole messages of a daemon, whose paths and lengths are such; what was taken is never asked for again.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "qubesdb/session.h"

#define ROUNDS_MAX 256

static void check_output(const uint8_t *data, size_t n) {
        uint8_t again[QUBESDB_HEADER_SIZE];

        while (n > 0) {
                QubesdbMessage message;

                fuzz_check(n >= QUBESDB_HEADER_SIZE);
                qubesdb_message_decode(data, &message);
                fuzz_check(message.type >= QUBESDB_TYPE_RESP_OK && message.type <= QUBESDB_TYPE_RESP_WATCH);
                fuzz_check(message.n_data <= QUBESDB_VALUE_MAX && message.n_data <= n - QUBESDB_HEADER_SIZE);
                qubesdb_message_encode(&message, again);
                fuzz_check(memcmp(again, data, sizeof(again)) == 0);
                data += QUBESDB_HEADER_SIZE + message.n_data;
                n -= QUBESDB_HEADER_SIZE + message.n_data;
        }
}

/* Return: whether the connection goes on. */
static bool drain(QubesdbSession *session) {
        uint8_t data[2 * QUBESDB_MESSAGE_MAX];
        size_t n;
        int r;

        do {
                r = qubesdb_session_send(session, data, sizeof(data), &n);
                fuzz_check(n <= sizeof(data));
                check_output(data, n);
        } while (r == 0 && n > 0);
        return r == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        QubesdbStore *store;
        QubesdbSession *writer, *reader;
        size_t at = 1;

        if (n == 0)
                return 0;
        fuzz_check(!qubesdb_store_new(&store) && !qubesdb_session_new(store, true, &writer) &&
                   !qubesdb_session_new(store, false, &reader));
        fuzz_check(!qubesdb_store_put(store, "/a", "1") && !qubesdb_store_put(store, "/a/b", "") &&
                   !qubesdb_store_put(store, "/ab", "3"));
        for (unsigned round = 0; round < ROUNDS_MAX && at < n; ++round) {
                size_t n_piece = n - at < (size_t)data[0] + 1 ? n - at : (size_t)data[0] + 1, n_taken;
                QubesdbSession *session = round % 8 == 7 ? reader : writer;

                if (qubesdb_session_receive(session, data + at, n_piece, &n_taken))
                        break;
                fuzz_check(n_taken <= n_piece && (n_taken == n_piece || !qubesdb_session_wants_input(session)));
                at += n_taken;
                if (!drain(session))
                        break;
        }
        for (size_t i = 1; i < store->n_entries; ++i)
                fuzz_check(strcmp(store->entries[i - 1].path.text, store->entries[i].path.text) < 0);
        for (size_t i = 0; i < store->n_entries; ++i)
                fuzz_check(qubesdb_path_is_entry(&store->entries[i].path));
        qubesdb_session_free(reader);
        qubesdb_session_free(writer);
        qubesdb_store_free(store);
        return 0;
}
