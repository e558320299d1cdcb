/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `qair prompts` shows of a question, and what is typed about it. Pure.
 *
 *   NUMBER [for SECONDS]   allow this target; once, or for a while
 *   y [for SECONDS]        the one that is suggested
 *   n [for SECONDS]        deny; and do not ask again for a while
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "prompt/question.h"
#include "wire/answer.h"

/** Longest line that is typed. */
#define TERMINAL_LINE_MAX 256

enum {
        _TERMINAL_E_SUCCESS,
        TERMINAL_E_EMPTY,    /* nothing was said */
        TERMINAL_E_UNKNOWN,  /* what is that? */
        TERMINAL_E_TARGET,   /* no such number, or none is suggested */
        TERMINAL_E_DURATION, /* not offered */
};

/**
 * terminal_show() - the question, with every text escaped
 * @count:  how many requests ask it
 * @colour: labels in their colours
 */
void terminal_show(FILE *stream, const Question *question, uint32_t number, uint32_t count, bool colour);

/** terminal_parse() - @ret_answer points into @question. Return: 0 or TERMINAL_E_… */
int terminal_parse(const Question *question, const char *line, Answer *ret_answer);

/** terminal_error_text() - words for a TERMINAL_E_… code */
const char *terminal_error_text(int r);
