/* SPDX-License-Identifier: Apache-2.0 */
#include "qubesdb/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

int qubesdb_session_new(QubesdbStore *store, bool may_write, QubesdbSession **ret_session) {
        QubesdbSession *session;

        session = malloc(sizeof(*session));
        if (!session)
                return error_origin(-ENOMEM);
        *session = (QubesdbSession){ .store = store, .may_write = may_write, .next = store->sessions };
        if (session->next)
                session->next->place = &session->next;
        session->place = &store->sessions;
        store->sessions = session;
        *ret_session = session;
        return 0;
}

QubesdbSession *qubesdb_session_free(QubesdbSession *session) {
        if (!session)
                return NULL;
        *session->place = session->next;
        if (session->next)
                session->next->place = session->place;
        free(session->watches);
        free(session->events);
        free(session);
        return NULL;
}

static void qubesdb_session_answer(QubesdbSession *session, QubesdbType type) {
        session->reply = (QubesdbMessage){ .type = (uint8_t)type, .path = session->reply.path };
        session->is_answering = true;
}

/* Does a change of @path concern who watches @watch (QubesDB specification, 3.4)? */
static bool qubesdb_watch_matches(const QubesdbPath *watch, const QubesdbPath *path) {
        return strcmp(watch->text, path->text) == 0 ||
               (qubesdb_path_is_folder(watch) && qubesdb_path_begins(path, watch));
}

static int qubesdb_session_push_event(QubesdbSession *session, const QubesdbPath *path) {
        if (session->n_events == session->n_events_allocated) {
                size_t n = session->n_events_allocated > 0 ? session->n_events_allocated * 2 : 16;
                QubesdbPath *larger = calloc(n, sizeof(*larger));

                if (!larger)
                        return error_origin(-ENOMEM);
                for (size_t i = 0; i < session->n_events; ++i)
                        larger[i] = session->events[(session->first_event + i) % session->n_events_allocated];
                free(session->events);
                session->events = larger;
                session->n_events_allocated = n;
                session->first_event = 0;
        }
        session->events[(session->first_event + session->n_events) % session->n_events_allocated] = *path;
        ++session->n_events;
        return 0;
}

int qubesdb_session_on_change(QubesdbSession *session, const QubesdbPath *path) {
        for (size_t i = session->n_watches; i-- > 0;) {
                int r;

                if (!qubesdb_watch_matches(&session->watches[i], path))
                        continue;
                if (session->n_events >= QUBESDB_EVENTS_MAX) {
                        session->is_closing = true; /* rather than leave one out and say nothing */
                        return 0;
                }
                r = qubesdb_session_push_event(session, path);
                if (r)
                        return error_trace(r);
        }
        return 0;
}

static int qubesdb_session_watch(QubesdbSession *session, const QubesdbPath *path) {
        QubesdbPath *larger;

        if (session->n_watches >= QUBESDB_WATCHES_MAX) {
                qubesdb_session_answer(session, QUBESDB_TYPE_RESP_ERROR);
                return 0;
        }
        larger = reallocarray(session->watches, session->n_watches + 1, sizeof(*larger));
        if (!larger)
                return error_origin(-ENOMEM);
        session->watches = larger;
        session->watches[session->n_watches++] = *path;
        qubesdb_session_answer(session, QUBESDB_TYPE_RESP_OK);
        return 0;
}

static void qubesdb_session_unwatch(QubesdbSession *session, const QubesdbPath *path) {
        for (size_t i = 0; i < session->n_watches; ++i) {
                if (strcmp(session->watches[i].text, path->text) != 0)
                        continue;
                memmove(&session->watches[i], &session->watches[i + 1],
                        (session->n_watches - i - 1) * sizeof(*session->watches));
                --session->n_watches;
                qubesdb_session_answer(session, QUBESDB_TYPE_RESP_OK);
                return;
        }
        qubesdb_session_answer(session, QUBESDB_TYPE_RESP_NOENT);
}

/* The reply comes before the event of the same change, since events wait for the reply in progress. */
static int qubesdb_session_write(QubesdbSession *session, const QubesdbMessage *command) {
        int r;

        if (!qubesdb_path_is_entry(&command->path)) {
                session->is_closing = true;
                qubesdb_session_answer(session, QUBESDB_TYPE_RESP_ERROR);
                return 0;
        }
        r = qubesdb_store_write(session->store, &command->path, (const char *)session->input + QUBESDB_HEADER_SIZE,
                                command->n_data);
        if (r < 0)
                return error_trace(r);
        qubesdb_session_answer(session, r ? QUBESDB_TYPE_RESP_ERROR : QUBESDB_TYPE_RESP_OK);
        return 0;
}

static int qubesdb_session_remove(QubesdbSession *session, const QubesdbPath *path) {
        int r = qubesdb_store_remove(session->store, path);

        if (r < 0)
                return error_trace(r);
        qubesdb_session_answer(session, r ? QUBESDB_TYPE_RESP_NOENT : QUBESDB_TYPE_RESP_OK);
        return 0;
}

static void qubesdb_session_list(QubesdbSession *session, const QubesdbMessage *command) {
        qubesdb_session_answer(session, command->type == QUBESDB_TYPE_LIST ? QUBESDB_TYPE_RESP_LIST
                                                                           : QUBESDB_TYPE_RESP_MULTIREAD);
        session->is_descending = command->type == QUBESDB_TYPE_MULTIREAD && command->path.text[0] == '\0';
        session->after = (QubesdbPath){};
}

static int qubesdb_session_execute(QubesdbSession *session, const QubesdbMessage *command) {
        session->reply.path = command->path;
        switch (command->type) {
        case QUBESDB_TYPE_READ:
                qubesdb_session_answer(session, qubesdb_store_get(session->store, &command->path)
                                                        ? QUBESDB_TYPE_RESP_READ
                                                        : QUBESDB_TYPE_RESP_NOENT);
                return 0;
        case QUBESDB_TYPE_WRITE:
                return error_trace(qubesdb_session_write(session, command));
        case QUBESDB_TYPE_RM:
                return error_trace(qubesdb_session_remove(session, &command->path));
        case QUBESDB_TYPE_LIST:
        case QUBESDB_TYPE_MULTIREAD:
                qubesdb_session_list(session, command);
                return 0;
        case QUBESDB_TYPE_WATCH:
                return error_trace(qubesdb_session_watch(session, &command->path));
        default: /* qubesdb_session_admits() let no other pass */
                qubesdb_session_unwatch(session, &command->path);
                return 0;
        }
}

/* The general checks (QubesDB specification, 3.2), which need no more than the header. */
static bool qubesdb_session_admits(const QubesdbSession *session, const QubesdbMessage *command) {
        bool is_write = command->type == QUBESDB_TYPE_WRITE;

        return command->type <= QUBESDB_TYPE_UNWATCH && qubesdb_path_is_sane(&command->path) &&
               command->n_data <= (is_write ? QUBESDB_VALUE_MAX : 0) &&
               (session->may_write || (!is_write && command->type != QUBESDB_TYPE_RM));
}

static void qubesdb_session_refuse(QubesdbSession *session, const QubesdbMessage *command) {
        session->n_discard = command->n_data;
        session->reply.path = command->path;
        qubesdb_session_answer(session, QUBESDB_TYPE_RESP_ERROR);
}

bool qubesdb_session_wants_input(const QubesdbSession *session) {
        return !session->is_answering && session->n_events == 0 && !session->is_closing;
}

/* Collect up to @n_wanted bytes of the command in hand. Return: whether they are there */
static bool qubesdb_session_collect(QubesdbSession *session, const uint8_t *data, size_t n, size_t *taken,
                                    size_t n_wanted) {
        size_t n_missing = n_wanted - session->n_input, n_more = n - *taken < n_missing ? n - *taken : n_missing;

        if (n_more > 0)
                memcpy(session->input + session->n_input, data + *taken, n_more);
        session->n_input += n_more;
        *taken += n_more;
        return session->n_input == n_wanted;
}

int qubesdb_session_receive(QubesdbSession *session, const uint8_t *untrusted_data, size_t n, size_t *ret_taken) {
        size_t taken = session->n_discard < n ? session->n_discard : n;

        session->n_discard -= (uint32_t)taken;
        while (qubesdb_session_wants_input(session)) {
                QubesdbMessage command;
                int r = 0;

                if (session->n_input < QUBESDB_HEADER_SIZE &&
                    !qubesdb_session_collect(session, untrusted_data, n, &taken, QUBESDB_HEADER_SIZE))
                        break;
                qubesdb_message_decode(session->input, &command);
                if (!qubesdb_session_admits(session, &command)) {
                        if (command.type == QUBESDB_TYPE_READ && command.n_data > 0 &&
                            command.n_data <= QUBESDB_VALUE_MAX && qubesdb_path_is_sane(&command.path))
                                return QUBESDB_SESSION_E_CLOSE; /* 3.2: not worth an answer */
                        qubesdb_session_refuse(session, &command);
                } else if (qubesdb_session_collect(session, untrusted_data, n, &taken,
                                                   QUBESDB_HEADER_SIZE + command.n_data)) {
                        r = qubesdb_session_execute(session, &command);
                } else {
                        break;
                }
                session->n_input = 0;
                if (r)
                        return error_trace(r);
        }
        *ret_taken = taken;
        return 0;
}

static void qubesdb_session_put(uint8_t *data, size_t *n, QubesdbType type, const QubesdbPath *path, const char *value,
                                size_t n_value) {
        qubesdb_message_encode(&(QubesdbMessage){ .type = (uint8_t)type, .path = *path, .n_data = (uint32_t)n_value },
                               data + *n);
        if (n_value > 0)
                memcpy(data + *n + QUBESDB_HEADER_SIZE, value, n_value);
        *n += QUBESDB_HEADER_SIZE + n_value;
}

/* The entry that a list goes on with, or NULL. */
static const QubesdbEntry *qubesdb_session_next(const QubesdbSession *session) {
        const QubesdbStore *store = session->store;
        bool has_begun = session->after.text[0] != '\0';
        const QubesdbPath *from = has_begun ? &session->after : &session->reply.path;
        size_t place = qubesdb_store_find(store, from);

        if (session->is_descending) {
                if (!has_begun)
                        place = store->n_entries;
                return place > 0 ? &store->entries[place - 1] : NULL;
        }
        if (has_begun && place < store->n_entries && strcmp(store->entries[place].path.text, from->text) == 0)
                ++place;
        if (place == store->n_entries || !qubesdb_path_begins(&store->entries[place].path, &session->reply.path))
                return NULL;
        return &store->entries[place];
}

/* The next piece of the reply. */
static void qubesdb_session_send_reply(QubesdbSession *session, uint8_t *data, size_t *n) {
        static const QubesdbPath none;
        QubesdbType type = (QubesdbType)session->reply.type;
        const QubesdbEntry *entry;

        if (type == QUBESDB_TYPE_RESP_LIST || type == QUBESDB_TYPE_RESP_MULTIREAD) {
                entry = qubesdb_session_next(session);
                if (entry) {
                        session->after = entry->path;
                        qubesdb_session_put(data, n, type, &entry->path, entry->value,
                                            type == QUBESDB_TYPE_RESP_LIST ? 0 : entry->n_value);
                        return;
                }
                qubesdb_session_put(data, n, type, &none, NULL, 0);
        } else if (type == QUBESDB_TYPE_RESP_READ) {
                entry = qubesdb_store_get(session->store, &session->reply.path);
                if (entry)
                        qubesdb_session_put(data, n, type, &entry->path, entry->value, entry->n_value);
                else
                        qubesdb_session_put(data, n, QUBESDB_TYPE_RESP_NOENT, &session->reply.path, NULL, 0);
        } else {
                qubesdb_session_put(data, n, type, &session->reply.path, NULL, 0);
        }
        session->is_answering = false;
}

int qubesdb_session_send(QubesdbSession *session, uint8_t *ret_data, size_t n_max, size_t *ret_n) {
        size_t n = 0;

        while (n_max - n >= QUBESDB_MESSAGE_MAX) {
                if (session->is_answering) {
                        qubesdb_session_send_reply(session, ret_data, &n);
                } else if (session->n_events > 0) {
                        qubesdb_session_put(ret_data, &n, QUBESDB_TYPE_RESP_WATCH,
                                            &session->events[session->first_event], NULL, 0);
                        session->first_event = (session->first_event + 1) % session->n_events_allocated;
                        --session->n_events;
                } else {
                        break;
                }
        }
        *ret_n = n;
        return session->is_closing && !session->is_answering && session->n_events == 0 ? QUBESDB_SESSION_E_CLOSE : 0;
}
