/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/keylist.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Numbers of fields, as doc/DETAILS counts them. */
#define FIELD_TYPE   1
#define FIELD_USER   10 /* and fingerprint, and keygrip */
#define FIELD_SECRET 15

typedef struct Field {
        const char *text;
        size_t n;
} Field;

/** The key whose lines come in. */
typedef struct Pending {
        FilterKey key;
        bool is_subkey, has_secret;
} Pending;

typedef struct Parser {
        KeyList list;
        size_t n_allocated;
        Pending pending;
        char primary[sizeof(((FilterKey *)NULL)->fingerprint)];
        char user[KEYLIST_USER_MAX + 1];
        size_t i_certificate; /* where the keys of this one begin in the list */
        bool subkeys_alone;
} Parser;

void keylist_deinit(KeyList *list) {
        free(list->keys);
        free(list->are_subkeys);
        *list = (KeyList){};
}

static void parser_deinit(Parser *parser) {
        keylist_deinit(&parser->list);
}

static Field field_get(const char *line, size_t n, unsigned number) {
        for (unsigned i = 1;; ++i) {
                const char *end = memchr(line, ':', n);
                size_t n_field = end ? (size_t)(end - line) : n;

                if (i == number)
                        return (Field){ line, n_field };
                if (!end)
                        return (Field){ "", 0 };
                line = end + 1;
                n -= n_field + 1;
        }
}

static bool field_is(Field field, const char *text) {
        return field.n == strlen(text) && memcmp(field.text, text, field.n) == 0;
}

static bool field_is_hex(Field field) {
        for (size_t i = 0; i < field.n; ++i)
                if (!((field.text[i] >= '0' && field.text[i] <= '9') || (field.text[i] >= 'A' && field.text[i] <= 'F')))
                        return false;
        return field.n > 0;
}

static int parser_add(Parser *parser, const Pending *pending) {
        KeyList *list = &parser->list;

        if (list->n_keys == KEYLIST_KEYS_MAX)
                return KEYLIST_E_LIMIT;
        if (list->n_keys == parser->n_allocated) {
                size_t n = parser->n_allocated == 0 ? 8 : 2 * parser->n_allocated;
                FilterKey *keys = reallocarray(list->keys, n, sizeof(*keys));
                bool *are_subkeys;

                if (!keys)
                        return error_origin(-ENOMEM);
                list->keys = keys;
                are_subkeys = reallocarray(list->are_subkeys, n, sizeof(*are_subkeys));
                if (!are_subkeys)
                        return error_origin(-ENOMEM);
                list->are_subkeys = are_subkeys;
                parser->n_allocated = n;
        }
        list->keys[list->n_keys] = pending->key;
        list->are_subkeys[list->n_keys++] = pending->is_subkey;
        return 0;
}

/* The key whose lines have ended. */
static int parser_finish_key(Parser *parser) {
        Pending pending = parser->pending;

        parser->pending = (Pending){};
        if (pending.key.grip[0] == '\0' || !pending.has_secret || (parser->subkeys_alone && !pending.is_subkey))
                return 0;
        return parser_add(parser, &pending);
}

/* All lines of one certificate are in: its user ID, which comes after its primary key, is known. */
static void parser_finish_certificate(Parser *parser) {
        for (size_t i = parser->i_certificate; i < parser->list.n_keys; ++i) {
                FilterKey *key = &parser->list.keys[i];

                (void)snprintf(key->description, sizeof(key->description), "%s\nkey %s%s%s",
                               parser->user[0] != '\0' ? parser->user : "(no user ID)", key->fingerprint,
                               parser->list.are_subkeys[i] ? "\nof " : "",
                               parser->list.are_subkeys[i] ? parser->primary : "");
        }
        parser->i_certificate = parser->list.n_keys;
}

static void copy_user(Field field, char *buffer, size_t n_buffer) {
        size_t n = 0;

        for (size_t i = 0; i < field.n && n < n_buffer - 1; ++i)
                buffer[n++] = field.text[i] >= ' ' && field.text[i] <= '~' ? field.text[i] : '?';
        buffer[n] = '\0';
}

static int parser_on_line(Parser *parser, const char *line, size_t n) {
        Field type = field_get(line, n, FIELD_TYPE), value = field_get(line, n, FIELD_USER);
        bool is_primary = field_is(type, "sec");
        Pending *pending = &parser->pending;
        int r;

        if (is_primary || field_is(type, "ssb")) {
                r = parser_finish_key(parser);
                if (r)
                        return r;
                if (is_primary) {
                        parser_finish_certificate(parser);
                        parser->user[0] = parser->primary[0] = '\0';
                }
                pending->is_subkey = !is_primary;
                pending->has_secret = !field_is(field_get(line, n, FIELD_SECRET), "#");
        } else if (field_is(type, "fpr")) {
                if (!field_is_hex(value) || value.n >= sizeof(pending->key.fingerprint))
                        return KEYLIST_E_MALFORMED;
                memcpy(pending->key.fingerprint, value.text, value.n);
                pending->key.fingerprint[value.n] = '\0';
                if (!pending->is_subkey)
                        memcpy(parser->primary, pending->key.fingerprint, sizeof(parser->primary));
        } else if (field_is(type, "grp")) {
                if (!field_is_hex(value) || value.n != GPG2_GRIP_SIZE)
                        return KEYLIST_E_MALFORMED;
                memcpy(pending->key.grip, value.text, value.n);
        } else if (field_is(type, "uid") && parser->user[0] == '\0') {
                copy_user(value, parser->user, sizeof(parser->user));
        }
        return 0;
}

int keylist_parse(const char *text, bool subkeys_alone, KeyList *ret_list) {
        _cleanup_(parser_deinit) Parser parser = { .subkeys_alone = subkeys_alone };
        int r;

        while (*text != '\0') {
                size_t n = strcspn(text, "\n");

                r = parser_on_line(&parser, text, n);
                if (r)
                        return r;
                text += n + (text[n] == '\n');
        }
        r = parser_finish_key(&parser);
        if (r)
                return r;
        parser_finish_certificate(&parser);
        *ret_list = parser.list;
        parser.list = (KeyList){};
        return 0;
}
