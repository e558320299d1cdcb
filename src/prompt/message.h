/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policy agent and front ends say to each other, a line each:
 *
 *   ready 1 WORDS          agent: it listens; 1 is the version of all this
 *   ask NUMBER JSON        agent: show this (prompt/question.h)
 *   count NUMBER N         agent: so many requests wait for its answer
 *   gone NUMBER WORDS      agent: take it away, and why
 *   answer NUMBER ANSWER   front end: what the person said (wire/answer.h)
 *
 * Pure.
 */
#pragma once

#include <stdint.h>

typedef enum MessageKind {
        MESSAGE_KIND_READY,
        MESSAGE_KIND_ASK,
        MESSAGE_KIND_COUNT,
        MESSAGE_KIND_GONE,
        MESSAGE_KIND_ANSWER,
        _MESSAGE_KIND_N,
} MessageKind;

typedef struct Message {
        MessageKind kind;
        uint32_t number;  /* of the question; from 1 */
        uint32_t count;   /* COUNT: from 1 */
        const char *text; /* the others: the rest of the line; borrowed */
} Message;

enum {
        _MESSAGE_E_SUCCESS,
        MESSAGE_E_MALFORMED,
};

/** message_decode() - @untrusted_line has no newline. Return: 0 or MESSAGE_E_MALFORMED */
int message_decode(const char *untrusted_line, Message *ret_message);

/** message_encode() - the caller frees it. Return: 0 or a negative error */
int message_encode(const Message *message, char **ret_line);
