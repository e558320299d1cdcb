/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/notice.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

#define NOTICE_TEXT_MAX (256 * 1024)

static struct json_object *notice_unref(struct json_object *object) {
        json_object_put(object);
        return NULL;
}
DEFINE_CLEANUP(struct json_object *, notice_unref)

Notice *notice_free(Notice *notice) {
        if (!notice)
                return NULL;
        free(notice->service);
        free(notice->argument);
        free(notice->source);
        free(notice->target);
        free(notice);
        return NULL;
}

static int notice_parse(const char *untrusted_text, size_t n, struct json_object **ret_object) {
        struct json_tokener *tokener = n <= NOTICE_TEXT_MAX ? json_tokener_new_ex(4) : NULL;
        struct json_object *object;
        bool done;

        if (!tokener)
                return n <= NOTICE_TEXT_MAX ? error_origin(-ENOMEM) : NOTICE_E_MALFORMED;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        object = json_tokener_parse_ex(tokener, untrusted_text, (int)n);
        done = json_tokener_get_error(tokener) == json_tokener_success && json_object_is_type(object, json_type_object);
        json_tokener_free(tokener);
        if (!done) {
                json_object_put(object);
                return NOTICE_E_MALFORMED;
        }
        *ret_object = object;
        return 0;
}

static int notice_take(struct json_object *object, const char *key, char **ret_text) {
        struct json_object *value;
        const char *text;

        if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_string))
                return NOTICE_E_MALFORMED;
        text = json_object_get_string(value);
        if (strlen(text) != (size_t)json_object_get_string_len(value))
                return NOTICE_E_MALFORMED;
        *ret_text = strdup(text);
        return *ret_text ? 0 : error_origin(-ENOMEM);
}

static int notice_take_resolution(struct json_object *object, NoticeResolution *ret_resolution) {
        static const char *const names[_NOTICE_RESOLUTION_N] = {
                [NOTICE_RESOLUTION_ALLOW] = "allow",
                [NOTICE_RESOLUTION_DENY] = "deny",
                [NOTICE_RESOLUTION_FAIL] = "fail",
        };
        _cleanup_free_ char *text = NULL;
        int r = notice_take(object, "resolution", &text);

        if (r)
                return r;
        for (unsigned i = 0; i < _NOTICE_RESOLUTION_N; ++i) {
                if (strcmp(names[i], text) != 0)
                        continue;
                *ret_resolution = (NoticeResolution)i;
                return 0;
        }
        return NOTICE_E_MALFORMED;
}

static int notice_take_count(struct json_object *object, uint32_t *ret_count) {
        struct json_object *value;
        int64_t count = 1;

        if (json_object_object_get_ex(object, "count", &value)) {
                if (!json_object_is_type(value, json_type_int))
                        return NOTICE_E_MALFORMED;
                count = json_object_get_int64(value);
        }
        if (count < 1 || count > UINT32_MAX)
                return NOTICE_E_MALFORMED;
        *ret_count = (uint32_t)count;
        return 0;
}

int notice_decode(const char *untrusted_text, size_t n, Notice **ret_notice) {
        _cleanup_(notice_unrefp) struct json_object *object = NULL;
        _cleanup_(notice_freep) Notice *notice = NULL;
        int r;

        r = notice_parse(untrusted_text, n, &object);
        if (r)
                return r;
        notice = calloc(1, sizeof(*notice));
        if (!notice)
                return error_origin(-ENOMEM);
        r = notice_take_resolution(object, &notice->resolution);
        r = r ?: notice_take(object, "service", &notice->service);
        r = r ?: notice_take(object, "argument", &notice->argument);
        r = r ?: notice_take(object, "source", &notice->source);
        r = r ?: notice_take(object, "target", &notice->target);
        r = r ?: notice_take_count(object, &notice->count);
        if (r)
                return r;
        *ret_notice = steal_ptr(&notice);
        return 0;
}

/* As text in markup. */
static void notice_put(FILE *stream, const char *untrusted_text) {
        static const char *const entities[] = {
                ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;",
        };

        for (; *untrusted_text; ++untrusted_text) {
                unsigned char byte = (unsigned char)*untrusted_text;

                if (byte < ARRAY_SIZE(entities) && entities[byte])
                        fputs(entities[byte], stream);
                else
                        fputc(byte < 0x20 || byte == 0x7f ? ' ' : byte, stream);
        }
}

static void notice_put_bold(FILE *stream, const char *untrusted_text, const char *untrusted_more) {
        fputs("<b>", stream);
        notice_put(stream, untrusted_text);
        notice_put(stream, untrusted_more);
        fputs("</b>", stream);
}

int notice_format(const Notice *notice, char **ret_summary, char **ret_body, const char **ret_icon) {
        static const struct {
                const char *word, *begin, *from, *end, *icon;
        } texts[_NOTICE_RESOLUTION_N] = {
                [NOTICE_RESOLUTION_ALLOW] = { "Allowed", "Allowed ", " from ", "", "" },
                [NOTICE_RESOLUTION_DENY] = { "Denied", "Denied ", " from ", "", "dialog-error" },
                [NOTICE_RESOLUTION_FAIL] = { "Failed", "Failed to execute ", " (from ", ")", "dialog-warning" },
        };
        _cleanup_free_ char *summary = NULL, *body = NULL;
        size_t n_body;
        FILE *stream;
        bool failed;

        if (asprintf(&summary, "%s: %s", texts[notice->resolution].word, notice->service) < 0) {
                summary = NULL;
                return error_origin(-ENOMEM);
        }
        stream = open_memstream(&body, &n_body);
        if (!stream)
                return error_origin(-ENOMEM);
        fputs(texts[notice->resolution].begin, stream);
        notice_put_bold(stream, notice->service, strcmp(notice->argument, "+") == 0 ? "" : notice->argument);
        fputs(texts[notice->resolution].from, stream);
        notice_put_bold(stream, notice->source, "");
        fputs(" to ", stream);
        notice_put_bold(stream, notice->target, "");
        fputs(texts[notice->resolution].end, stream);
        if (notice->count > 1)
                fprintf(stream, ", and the like: %u in all", notice->count);
        failed = ferror(stream) != 0;
        if (fclose(stream) != 0 || failed)
                return error_origin(-ENOMEM);
        *ret_summary = steal_ptr(&summary);
        *ret_body = steal_ptr(&body);
        *ret_icon = texts[notice->resolution].icon;
        return 0;
}
