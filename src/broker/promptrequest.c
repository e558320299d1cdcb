/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/promptrequest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "policy/lexer.h"

/* The first character. What is no UTF-8 is shown as such; policy files and names are checked long before. */
static uint32_t request_decode(PolicySlice text, size_t *ret_n) {
        uint32_t character;

        *ret_n = policy_utf8_decode(text, &character);
        if (*ret_n > 0)
                return character;
        *ret_n = 1;
        return 0xfffd;
}

static void request_put_character(FILE *stream, uint32_t character) {
        static const char *const shorts[] = {
                ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n",  ['\f'] = "\\f",
                ['\r'] = "\\r", ['"'] = "\\\"", ['\\'] = "\\\\",
        };

        if (character < ARRAY_SIZE(shorts) && shorts[character])
                fputs(shorts[character], stream);
        else if (character >= 0x20 && character < 0x80)
                fputc((int)character, stream);
        else if (character < 0x10000)
                fprintf(stream, "\\u%04x", character);
        else
                fprintf(stream, "\\u%04x\\u%04x", 0xd800 + ((character - 0x10000) >> 10),
                        0xdc00 + ((character - 0x10000) & 0x3ff));
}

static void request_put_text(FILE *stream, PolicySlice text) {
        fputc('"', stream);
        for (size_t n; text.n > 0; text = policy_slice_skip(text, n))
                request_put_character(stream, request_decode(text, &n));
        fputc('"', stream);
}

static void request_put(FILE *stream, const char *key, PolicySlice text) {
        fprintf(stream, "\"%s\": ", key);
        request_put_text(stream, text);
}

static void request_put_durations(FILE *stream, const char *key, const AskDurations *durations) {
        fprintf(stream, ", \"%s\": [", key);
        for (size_t i = 0; i < durations->n; ++i)
                fprintf(stream, "%s%u", i > 0 ? ", " : "", durations->sec[i]);
        fputc(']', stream);
}

/* `appvm-red` is `dispvm-red` of a disposable made from it (7.2). */
static void request_put_disposable_icon(FILE *stream, PolicySlice icon) {
        fputc('"', stream);
        for (size_t n; icon.n > 0; icon = policy_slice_skip(icon, n)) {
                if (policy_slice_begins(icon, POLICY_SLICE("app"))) {
                        fputs("disp", stream);
                        n = 3;
                } else {
                        request_put_character(stream, request_decode(icon, &n));
                }
        }
        fputc('"', stream);
}

static void request_put_icons(FILE *stream, const PolicyFacts *facts) {
        const char *separator = "";

        fputs("\"icons\": {", stream);
        for (size_t i = 0; i < facts->n_domains; ++i) {
                const PolicyDomain *domain = &facts->domains[i];
                PolicySlice icon = domain->icon ? policy_atom_slice(domain->icon) : POLICY_SLICE("");

                fputs(separator, stream);
                separator = ", ";
                request_put_text(stream, policy_atom_slice(domain->name));
                fputs(": ", stream);
                request_put_text(stream, icon);
                if (domain->is_base != POLICY_FACT_YES)
                        continue;
                /* A name has nothing to escape: it is the inventory's. */
                fprintf(stream, ", \"@dispvm:%s\": ", domain->name->text);
                request_put_disposable_icon(stream, icon);
        }
        fputc('}', stream);
}

/* What was written, or -ENOMEM. */
int prompt_request_format(const PromptRequest *request, char **ret_text, size_t *ret_n) {
        const PolicyQuestion *question = request->question;
        const PolicyResolution *resolution = &question->resolution;
        const PolicyDomain *source = resolution->source.domain;
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        FILE *stream;
        int r;

        stream = open_memstream(&text, &n);
        if (!stream)
                return error_origin(-ENOMEM);
        fputc('{', stream);
        request_put(stream, "source", source ? policy_atom_slice(source->name) : resolution->source.text);
        fputs(", ", stream);
        request_put(stream, "service", resolution->service);
        fputs(", ", stream);
        request_put(stream, "argument", resolution->argument);
        fputs(", \"targets\": [", stream);
        for (size_t i = 0; i < question->n_choices; ++i) {
                fputs(i > 0 ? ", " : "", stream);
                request_put_text(stream, policy_slice(question->choices[i]));
        }
        fputs("], ", stream);
        request_put(stream, "default_target", policy_slice(question->default_choice ?: ""));
        fputs(", ", stream);
        request_put_icons(stream, question->facts);
        fputs(", ", stream);
        request_put(stream, "prompt", policy_slice(request->prompt));
        request_put_durations(stream, "allow_for", request->allow_for);
        request_put_durations(stream, "quiet_for", request->quiet_for);
        fprintf(stream, ", \"timeout\": %u}", request->timeout_sec);
        r = text_close(stream, &text);
        if (r)
                return r;
        *ret_text = steal_ptr(&text);
        *ret_n = n;
        return 0;
}

int prompt_notice_format(const PromptNotice *notice, char **ret_text, size_t *ret_n) {
        size_t n_name = strcspn(notice->service, "+");
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        FILE *stream;
        int r;

        stream = open_memstream(&text, &n);
        if (!stream)
                return error_origin(-ENOMEM);
        fputc('{', stream);
        request_put(stream, "resolution", policy_slice(notice->resolution));
        fputs(", ", stream);
        request_put(stream, "service", (PolicySlice){ notice->service, n_name });
        fputs(", ", stream);
        request_put(stream, "argument", policy_slice(notice->service[n_name] ? notice->service + n_name : "+"));
        fputs(", ", stream);
        request_put(stream, "source", policy_slice(notice->source));
        fputs(", ", stream);
        request_put(stream, "target", policy_slice(notice->target));
        if (notice->count > 1)
                fprintf(stream, ", \"count\": %u", notice->count);
        fputc('}', stream);
        r = text_close(stream, &text);
        if (r)
                return r;
        *ret_text = steal_ptr(&text);
        *ret_n = n;
        return 0;
}
