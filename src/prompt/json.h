/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of JSON from elsewhere, read strictly: one object, valid UTF-8, texts without NUL. */
#pragma once

#include <json-c/json.h>
#include <stddef.h>

#include "base/cleanup.h"

enum {
        _JSON_E_SUCCESS,
        JSON_E_MALFORMED, /* no object, or something behind it; a member that is missing, or no text */
};

static inline struct json_object *json_unref(struct json_object *object) {
        json_object_put(object);
        return NULL;
}
DEFINE_CLEANUP(struct json_object *, json_unref)
/** An object that is put when its variable goes out of scope. */
#define _cleanup_json_ _cleanup_(json_unrefp) struct json_object *

/** json_parse() - @n bytes, at most @n_max; *@ret_object is the caller's. Return: 0, JSON_E_MALFORMED, or -errno */
int json_parse(const char *untrusted_text, size_t n, size_t n_max, struct json_object **ret_object);

/** json_text() - a text, borrowed; NULL: it is none, or has a NUL, which JSON can say and nobody means */
const char *json_text(struct json_object *value);

/** json_take_text() - a copy of the member that is a text; the caller frees it. Return: 0, JSON_E_MALFORMED, or -errno */
int json_take_text(struct json_object *object, const char *key, char **ret_text);
