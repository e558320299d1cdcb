/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of the QubesDB specification, section 6, as far as they are the daemon's. */
#undef NDEBUG
#include "qubesdb/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

typedef struct Fixture {
        QubesdbStore *store;
        QubesdbSession *session;
        char heard[65536];
        bool closed;
} Fixture;

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        return !f || qubesdb_store_new(&f->store) || qubesdb_session_new(f->store, true, &f->session) ||
                               qubesdb_store_put(f->store, "/a", "1") || qubesdb_store_put(f->store, "/a/b", "2") ||
                               qubesdb_store_put(f->store, "/ab", "3")
                       ? -1
                       : (*state = f, 0);
}

static int teardown(void **state) {
        Fixture *f = *state;

        qubesdb_session_free(f->session);
        qubesdb_store_free(f->store);
        free(f);
        return 0;
}

/* What a session has to say, in words: "LIST /a; READ /a=1; …" */
static const char *hear(Fixture *f, QubesdbSession *session) {
        static const char *const words[] = { [QUBESDB_TYPE_RESP_OK] = "OK",
                                             [QUBESDB_TYPE_RESP_NOENT] = "NOENT",
                                             [QUBESDB_TYPE_RESP_ERROR] = "ERROR",
                                             [QUBESDB_TYPE_RESP_READ] = "READ",
                                             [QUBESDB_TYPE_RESP_LIST] = "LIST",
                                             [QUBESDB_TYPE_RESP_WATCH] = "WATCH",
                                             [QUBESDB_TYPE_RESP_MULTIREAD] = "MULTIREAD" };
        uint8_t data[2 * QUBESDB_MESSAGE_MAX];
        size_t n, n_heard = 0;

        f->heard[0] = '\0';
        do {
                f->closed = qubesdb_session_send(session, data, sizeof(data), &n) == QUBESDB_SESSION_E_CLOSE;
                for (size_t at = 0; at < n;) {
                        QubesdbMessage message;

                        assert_true(n - at >= QUBESDB_HEADER_SIZE);
                        qubesdb_message_decode(data + at, &message);
                        at += QUBESDB_HEADER_SIZE;
                        n_heard += (size_t)snprintf(f->heard + n_heard, sizeof(f->heard) - n_heard, "%s %s%s%.*s; ",
                                                    words[message.type], message.path.text, message.n_data ? "=" : "",
                                                    (int)message.n_data, (char *)data + at);
                        at += message.n_data;
                }
        } while (n > 0 && !f->closed);
        return f->heard;
}

static size_t put(uint8_t *data, QubesdbType type, const char *path, const char *value, size_t n_value) {
        QubesdbMessage message = { .type = (uint8_t)type, .n_data = (uint32_t)n_value };

        snprintf(message.path.text, sizeof(message.path.text), "%s", path);
        qubesdb_message_encode(&message, data);
        if (n_value > 0)
                memcpy(data + QUBESDB_HEADER_SIZE, value, n_value);
        return QUBESDB_HEADER_SIZE + n_value;
}

/* One command, and what is said to it. */
static const char *say_to(Fixture *f, QubesdbSession *session, QubesdbType type, const char *path, const char *value) {
        uint8_t data[QUBESDB_MESSAGE_MAX];
        size_t n = put(data, type, path, value, strlen(value)), n_taken;

        f->closed = false;
        if (qubesdb_session_receive(session, data, n, &n_taken) == QUBESDB_SESSION_E_CLOSE) {
                f->closed = true;
                return "";
        }
        hear(f, session);
        if (n_taken < n && !f->closed) { /* data that nobody wants */
                assert_int_equal(qubesdb_session_receive(session, data + n_taken, n - n_taken, &n), 0);
                assert_true(qubesdb_session_wants_input(session));
        }
        return f->heard;
}

static const char *say(Fixture *f, QubesdbType type, const char *path, const char *value) {
        return say_to(f, f->session, type, path, value);
}

static void test_commands(void **state) {
        static const struct {
                const char *name;
                QubesdbType type;
                const char *path, *value, *expect;
                bool closes;
        } cases[] = {
                { "read", QUBESDB_TYPE_READ, "/a", "", "READ /a=1; " },
                { "read what is not there", QUBESDB_TYPE_READ, "/c", "", "NOENT /c; " },
                { "read a prefix", QUBESDB_TYPE_READ, "/a/", "", "NOENT /a/; " },
                { "read with data", QUBESDB_TYPE_READ, "/a", "x", "", true },
                { "list a prefix", QUBESDB_TYPE_LIST, "/a", "", "LIST /a; LIST /a/b; LIST /ab; LIST ; " },
                { "list a folder", QUBESDB_TYPE_LIST, "/a/", "", "LIST /a/b; LIST ; " },
                { "list all", QUBESDB_TYPE_LIST, "", "", "LIST /a; LIST /a/b; LIST /ab; LIST ; " },
                { "list nothing", QUBESDB_TYPE_LIST, "/absent", "", "LIST ; " },
                { "list with data", QUBESDB_TYPE_LIST, "/a", "x", "ERROR /a; " },
                { "multiread", QUBESDB_TYPE_MULTIREAD, "/a", "",
                  "MULTIREAD /a=1; MULTIREAD /a/b=2; MULTIREAD /ab=3; MULTIREAD ; " },
                { "multiread all", QUBESDB_TYPE_MULTIREAD, "", "",
                  "MULTIREAD /ab=3; MULTIREAD /a/b=2; MULTIREAD /a=1; MULTIREAD ; " },
                { "write", QUBESDB_TYPE_WRITE, "/c", "4", "OK /c; " },
                { "write nothing", QUBESDB_TYPE_WRITE, "/c", "", "OK /c; " },
                { "write to a folder", QUBESDB_TYPE_WRITE, "/z/", "1", "ERROR /z/; ", true },
                { "write without a slash", QUBESDB_TYPE_WRITE, "z", "1", "ERROR z; ", true },
                { "write to no path", QUBESDB_TYPE_WRITE, "/bad char", "1", "ERROR /bad char; " },
                { "a minus first", QUBESDB_TYPE_LIST, "-a", "", "ERROR -a; " },
                { "remove", QUBESDB_TYPE_RM, "/a", "", "OK /a; " },
                { "remove nothing", QUBESDB_TYPE_RM, "/x", "", "NOENT /x; " },
                { "unwatch what is not watched", QUBESDB_TYPE_UNWATCH, "/a", "", "NOENT /a; " },
                { "a reply", QUBESDB_TYPE_RESP_OK, "/a", "xy", "ERROR /a; " },
                { "no type", (QubesdbType)200, "/a", "", "ERROR /a; " },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                void *fresh;
                Fixture *f;
                const char *heard;

                assert_int_equal(setup(&fresh), 0);
                f = fresh;
                heard = say(f, cases[i].type, cases[i].path, cases[i].value);
                if (strcmp(heard, cases[i].expect) != 0 || f->closed != cases[i].closes)
                        fail_msg("%s: heard \"%s\"%s", cases[i].name, heard, f->closed ? ", closed" : "");
                if (!f->closed)
                        assert_string_equal(say(f, QUBESDB_TYPE_READ, "/ab", ""), "READ /ab=3; ");
                teardown(&fresh);
        }
}

static void test_value_limits(void **state) {
        Fixture *f = *state;
        uint8_t data[QUBESDB_MESSAGE_MAX + 1];
        char value[QUBESDB_VALUE_MAX + 1];
        size_t n, n_taken;

        memset(value, 'v', sizeof(value));
        n = put(data, QUBESDB_TYPE_WRITE, "/v", value, QUBESDB_VALUE_MAX);
        assert_int_equal(qubesdb_session_receive(f->session, data, n, &n_taken), 0);
        assert_string_equal(hear(f, f->session), "OK /v; ");
        n = put(data, QUBESDB_TYPE_WRITE, "/v", value, QUBESDB_VALUE_MAX + 1);
        assert_int_equal(qubesdb_session_receive(f->session, data, n, &n_taken), 0);
        assert_int_equal(n_taken, QUBESDB_HEADER_SIZE);
        assert_string_equal(hear(f, f->session), "ERROR /v; ");
        assert_int_equal(qubesdb_session_receive(f->session, data + n_taken, n - n_taken, &n_taken), 0);
        assert_int_equal(n_taken, QUBESDB_VALUE_MAX + 1);
        n = put(data, QUBESDB_TYPE_WRITE, "/w", "a\0b", 3);
        assert_int_equal(qubesdb_session_receive(f->session, data, n, &n_taken), 0);
        assert_string_equal(hear(f, f->session), "ERROR /w; ");
}

static void test_read_only(void **state) {
        Fixture *f = *state;
        _cleanup_(qubesdb_session_freep) QubesdbSession *session = NULL;

        assert_int_equal(qubesdb_session_new(f->store, false, &session), 0);
        assert_string_equal(say_to(f, session, QUBESDB_TYPE_RM, "/a", ""), "ERROR /a; ");
        assert_string_equal(say_to(f, session, QUBESDB_TYPE_READ, "/a", ""), "READ /a=1; ");
        assert_int_equal(qubesdb_session_wants_input(session), true);
        {
                uint8_t data[QUBESDB_MESSAGE_MAX];
                size_t n = put(data, QUBESDB_TYPE_WRITE, "/a", "2", 1), n_taken;

                assert_int_equal(qubesdb_session_receive(session, data, n, &n_taken), 0);
                assert_string_equal(hear(f, session), "ERROR /a; ");
                n = put(data, QUBESDB_TYPE_READ, "/a", "", 0);
                assert_int_equal(qubesdb_session_receive(session, (uint8_t *)"2", 1, &n_taken), 0);
                assert_int_equal(qubesdb_session_receive(session, data, n, &n_taken), 0);
                assert_string_equal(hear(f, session), "READ /a=1; ");
        }
}

static void test_watches(void **state) {
        static const struct {
                const char *name, *watch;
                QubesdbType type;
                const char *path, *expect;
        } cases[] = {
                { "the same path", "/w", QUBESDB_TYPE_WRITE, "/w", "OK /w; WATCH /w; " },
                { "a path below", "/w", QUBESDB_TYPE_WRITE, "/w/x", "OK /w/x; " },
                { "a folder, a path in it", "/w/", QUBESDB_TYPE_WRITE, "/w/x", "OK /w/x; WATCH /w/x; " },
                { "a folder, its name", "/w/", QUBESDB_TYPE_WRITE, "/w", "OK /w; " },
                { "a folder that is removed", "/a/", QUBESDB_TYPE_RM, "/a/", "OK /a/; WATCH /a/; " },
                { "an entry of a folder that is removed", "/a/b", QUBESDB_TYPE_RM, "/a/", "OK /a/; " },
                { "what is above", "/", QUBESDB_TYPE_RM, "/a/", "OK /a/; WATCH /a/; " },
                { "an unchanged value", "/a", QUBESDB_TYPE_WRITE, "/a", "OK /a; WATCH /a; " },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                void *fresh;
                Fixture *f;
                const char *heard;

                assert_int_equal(setup(&fresh), 0);
                f = fresh;
                say(f, QUBESDB_TYPE_WATCH, cases[i].watch, "");
                heard = say(f, cases[i].type, cases[i].path, cases[i].type == QUBESDB_TYPE_WRITE ? "1" : "");
                if (strcmp(heard, cases[i].expect) != 0)
                        fail_msg("%s: heard \"%s\"", cases[i].name, heard);
                teardown(&fresh);
        }
}

static void test_watch_counts(void **state) {
        Fixture *f = *state;
        _cleanup_(qubesdb_session_freep) QubesdbSession *other = NULL;

        assert_int_equal(qubesdb_session_new(f->store, false, &other), 0);
        assert_string_equal(say_to(f, other, QUBESDB_TYPE_WATCH, "/w", ""), "OK /w; ");
        assert_string_equal(say_to(f, other, QUBESDB_TYPE_WATCH, "/w", ""), "OK /w; ");
        assert_string_equal(say(f, QUBESDB_TYPE_WRITE, "/w", "1"), "OK /w; ");
        assert_string_equal(hear(f, other), "WATCH /w; WATCH /w; ");
        assert_string_equal(say_to(f, other, QUBESDB_TYPE_UNWATCH, "/w", ""), "OK /w; ");
        assert_string_equal(say(f, QUBESDB_TYPE_WRITE, "/w", "1"), "OK /w; ");
        assert_string_equal(hear(f, other), "WATCH /w; ");

        for (unsigned i = 1; i < QUBESDB_WATCHES_MAX; ++i)
                assert_string_equal(say_to(f, other, QUBESDB_TYPE_WATCH, "/w", ""), "OK /w; ");
        assert_string_equal(say_to(f, other, QUBESDB_TYPE_WATCH, "/w", ""), "ERROR /w; ");
        /* One who never reads does not make us keep events for ever. */
        for (unsigned i = 0; i < QUBESDB_EVENTS_MAX / QUBESDB_WATCHES_MAX; ++i)
                assert_string_equal(say(f, QUBESDB_TYPE_WRITE, "/w", "1"), "OK /w; ");
        assert_int_equal(other->is_closing, false);
        assert_int_equal(other->n_events, QUBESDB_EVENTS_MAX);
        assert_string_equal(say(f, QUBESDB_TYPE_WRITE, "/w", "1"), "OK /w; ");
        assert_int_equal(other->is_closing, true);
        assert_int_equal(other->n_events, QUBESDB_EVENTS_MAX);
}

/* Commands may come in pieces, and several at once; a second one waits for the first's answer to be sent. */
static void test_pieces(void **state) {
        Fixture *f = *state;
        uint8_t data[3 * QUBESDB_MESSAGE_MAX];
        size_t n, n_taken, at;

        n = put(data, QUBESDB_TYPE_WRITE, "/c", "hello", 5);
        for (at = 0; at < n; ++at) {
                assert_true(qubesdb_session_wants_input(f->session));
                assert_int_equal(qubesdb_session_receive(f->session, data + at, 1, &n_taken), 0);
                assert_int_equal(n_taken, 1);
        }
        assert_false(qubesdb_session_wants_input(f->session));
        assert_string_equal(hear(f, f->session), "OK /c; ");

        n = put(data, QUBESDB_TYPE_READ, "/c", "", 0);
        n += put(data + n, QUBESDB_TYPE_READ, "/a", "", 0);
        assert_int_equal(qubesdb_session_receive(f->session, data, n, &n_taken), 0);
        assert_int_equal(n_taken, QUBESDB_HEADER_SIZE);
        assert_string_equal(hear(f, f->session), "READ /c=hello; ");
        assert_int_equal(qubesdb_session_receive(f->session, data + n_taken, n - n_taken, &n_taken), 0);
        assert_string_equal(hear(f, f->session), "READ /a=1; ");
}

/* A list goes on where it was, whatever changes meanwhile. */
static void test_change_while_listing(void **state) {
        Fixture *f = *state;
        uint8_t data[QUBESDB_MESSAGE_MAX + QUBESDB_HEADER_SIZE];
        size_t n, n_taken;

        n = put(data, QUBESDB_TYPE_MULTIREAD, "", "", 0);
        assert_int_equal(qubesdb_session_receive(f->session, data, n, &n_taken), 0);
        assert_int_equal(qubesdb_session_send(f->session, data, QUBESDB_MESSAGE_MAX, &n), 0);
        assert_string_equal((char *)data + 1, "/ab");
        assert_int_equal(qubesdb_store_remove(f->store, &(QubesdbPath){ "/ab" }), 0);
        assert_int_equal(qubesdb_store_remove(f->store, &(QubesdbPath){ "/a/b" }), 0);
        assert_int_equal(qubesdb_store_put(f->store, "/a/a", "new"), 0);
        assert_int_equal(qubesdb_store_put(f->store, "/z", "new"), 0);
        assert_string_equal(hear(f, f->session), "MULTIREAD /a/a=new; MULTIREAD /a=1; MULTIREAD ; ");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commands),
                cmocka_unit_test_setup_teardown(test_value_limits, setup, teardown),
                cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
                cmocka_unit_test(test_watches),
                cmocka_unit_test_setup_teardown(test_watch_counts, setup, teardown),
                cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
                cmocka_unit_test_setup_teardown(test_change_while_listing, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
