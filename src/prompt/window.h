/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question as a window on the desktop (policy specification, 7.3).
 *
 * The texts of a question are data: shown escaped, in labels that neither interpret markup of theirs nor grow with them.
 * What a person does counts only while the guard says so (prompt/guard.h): until then the buttons are insensitive, and
 * Enter and Escape do nothing.
 */
#pragma once

#include <stdint.h>

#include "prompt/question.h"
#include "wire/answer.h"

typedef struct Window Window;

/**
 * window_new() - show it
 * @question:  owned from here on
 * @on_answer: what the person said, or closing the window, which is a denial; called once. The window is hidden then,
 *             and stays the caller's to free
 *
 * Return: the window; GTK ends the process where there is no memory.
 */
Window *window_new(Question *question, void (*on_answer)(Window *window, const Answer *answer, void *userdata),
                   void *userdata);

/** window_free() - take it away; tells nobody. Accepts NULL. Return: NULL */
Window *window_free(Window *window);

/** window_set_count() - so many requests wait for the answer */
void window_set_count(Window *window, uint32_t count);
