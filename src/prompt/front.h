/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's end of one front end (prompt/agent.h). It frees itself when the front end is gone. */
#pragma once

#include <stdbool.h>

#include "prompt/agent.h"

/**
 * front_new() - show it all that is open
 * @fd:        a connected, non-blocking stream socket; owned from here on, also on failure
 * @is_window: we started it
 *
 * Return: 0 or a negative error.
 */
int front_new(Agent *agent, int fd, bool is_window);

/** front_free() - hang up; tells nobody. Accepts NULL. Return: NULL */
Front *front_free(Front *front);

/** front_next() - in the agent's list */
Front *front_next(const Front *front);

/** front_show() - a question, and how many wait for it. Return: 0 or a negative error */
int front_show(Front *front, const Request *request);

/** front_tell() - anything else; likewise */
int front_tell(Front *front, const Message *message);
