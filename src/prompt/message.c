/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/number.h"

static const char *const message_words[_MESSAGE_KIND_N] = {
        [MESSAGE_KIND_READY] = "ready", [MESSAGE_KIND_ASK] = "ask",       [MESSAGE_KIND_COUNT] = "count",
        [MESSAGE_KIND_GONE] = "gone",   [MESSAGE_KIND_ANSWER] = "answer",
};

static int message_take_number(const char **text, size_t n, uint32_t *ret_number) {
        uint64_t number;

        if (number_parse(*text, n, 1, UINT32_MAX, &number))
                return MESSAGE_E_MALFORMED;
        *ret_number = (uint32_t)number;
        *text += n;
        return 0;
}

int message_decode(const char *untrusted_line, Message *ret_message) {
        const char *text = untrusted_line;
        size_t n_word = strcspn(text, " ");
        Message message = { .kind = _MESSAGE_KIND_N };

        for (unsigned kind = 0; kind < _MESSAGE_KIND_N; ++kind)
                if (strlen(message_words[kind]) == n_word && memcmp(message_words[kind], text, n_word) == 0)
                        message.kind = (MessageKind)kind;
        if (message.kind == _MESSAGE_KIND_N || text[n_word] != ' ')
                return MESSAGE_E_MALFORMED;
        text += n_word + 1;
        if (message_take_number(&text, strcspn(text, " "), &message.number) || *text != ' ')
                return MESSAGE_E_MALFORMED;
        ++text;
        if (message.kind == MESSAGE_KIND_COUNT) {
                if (message_take_number(&text, strlen(text), &message.count))
                        return MESSAGE_E_MALFORMED;
        } else {
                message.text = text;
        }
        *ret_message = message;
        return 0;
}

int message_encode(const Message *message, char **ret_line) {
        int n;

        if (message->kind == MESSAGE_KIND_COUNT)
                n = asprintf(ret_line, "%s %u %u", message_words[message->kind], message->number, message->count);
        else
                n = asprintf(ret_line, "%s %u %s", message_words[message->kind], message->number, message->text);
        return n < 0 ? error_origin(-ENOMEM) : 0;
}
