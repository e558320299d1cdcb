/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/notice.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "prompt/json.h"

#define NOTICE_TEXT_MAX (256 * 1024)

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

static int notice_take(struct json_object *object, const char *key, char **ret_text) {
        int r = json_take_text(object, key, ret_text);

        return r == JSON_E_MALFORMED ? NOTICE_E_MALFORMED : error_fold(r);
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
        _cleanup_json_ object = NULL;
        _cleanup_(notice_freep) Notice *notice = NULL;
        int r;

        r = json_parse(untrusted_text, n, NOTICE_TEXT_MAX, &object);
        if (r)
                return r == JSON_E_MALFORMED ? NOTICE_E_MALFORMED : error_fold(r);
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
        int r;

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
        r = text_close(stream, &body);
        if (r)
                return error_trace(r);
        *ret_summary = steal_ptr(&summary);
        *ret_body = steal_ptr(&body);
        *ret_icon = texts[notice->resolution].icon;
        return 0;
}
