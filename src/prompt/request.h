/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the agent's socket (policy specification, 7.1, 7.2): a header, NUL, JSON, end of input; then, for
 * policy.Ask, the answer.
 *
 *   READING -- policy.Ask --> SHOWN -- an answer, hang-up --> freed
 *      '-- policy.Notify, policy.AskCount, nonsense, 10 s --> freed
 */
#pragma once

#include "prompt/agent.h"

/** request_new() - @fd is owned from here on, also on failure. Return: 0 or a negative error */
int request_new(Agent *agent, int fd);

/** request_free() - close it without an answer, and take it away from front ends. Accepts NULL. Return: NULL */
Request *request_free(Request *request);

/** request_next() - in the agent's list */
Request *request_next(const Request *request);

/** request_number() - of a question that is shown; 0: it is not. request_set_number() - it is now */
uint32_t request_number(const Request *request);
void request_set_number(Request *request, uint32_t number);

/** request_question() - of one that is shown. Return: borrowed */
const Question *request_question(const Request *request);

/** request_count() - how many wait for its answer */
uint32_t request_count(const Request *request);

/** request_is_called() - is this the name that its sender gave it? */
bool request_is_called(const Request *request, const char *name);

/** request_set_count() - so many wait now. Return: 0 or a negative error */
int request_set_count(Request *request, uint32_t count);

/** request_answer() - send it, and tell all front ends; the request is freed. Return: 0 or a negative error */
int request_answer(Request *request, const char *answer);
