/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/json.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/error.h"

/* Of json-c: an object in an object is what there is; a little more is harmless. */
#define JSON_DEPTH_MAX 8

int json_parse(const char *untrusted_text, size_t n, size_t n_max, struct json_object **ret_object) {
        struct json_tokener *tokener;
        struct json_object *object;
        enum json_tokener_error error;

        if (n > n_max || n > INT_MAX)
                return JSON_E_MALFORMED;
        tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
        if (!tokener)
                return error_origin(-ENOMEM);
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        object = json_tokener_parse_ex(tokener, untrusted_text, (int)n);
        error = json_tokener_get_error(tokener);
        json_tokener_free(tokener);
        if (error != json_tokener_success || !json_object_is_type(object, json_type_object)) {
                json_object_put(object);
                return JSON_E_MALFORMED;
        }
        *ret_object = object;
        return 0;
}

const char *json_text(struct json_object *value) {
        const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;

        return text && strlen(text) == (size_t)json_object_get_string_len(value) ? text : NULL;
}

int json_take_text(struct json_object *object, const char *key, char **ret_text) {
        struct json_object *value;
        const char *text = json_object_object_get_ex(object, key, &value) ? json_text(value) : NULL;

        if (!text)
                return JSON_E_MALFORMED;
        *ret_text = strdup(text);
        return *ret_text ? 0 : error_origin(-ENOMEM);
}
