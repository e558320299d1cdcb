/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question that waits for a person (policy specification, 5.4 and 7): a call that we make of policy.Ask in the GUI
 * domain of the source, and the calls that wait for its answer. Requests that ask the very same thing wait together:
 * the person sees one window, which says how many they are, and the answer holds for as many as it said.
 *
 *   .--------------------- more came than the window said ---------------------.
 *   v                                                                          |
 *   ASKING -- answer --> each call is decided anew, with the choice ---------> freed
 *      |
 *      '-- no answer, nonsense, time is up: all are refused; nobody waits any more: the window is taken away --> freed
 *
 * The broker waits for nothing: a prompt is a struct, a stream, and a deadline.
 */
#pragma once

#include "broker/call.h"
#include "broker/config.h"

typedef struct Broker Broker;
typedef struct Prompt Prompt;

/** Questions of one domain that are open at a time: more than a person would look at. */
#define PROMPT_SOURCE_MAX 8

enum {
        _PROMPT_E_SUCCESS,
        PROMPT_E_REFUSED, /* nobody can be asked: @decision says why */
};

/**
 * prompt_join() - wait for a person's answer
 * @call:     in state ASKING; it is told by call_on_answer()
 * @request:  what it asked for; copied
 * @decision: is_ask; on PROMPT_E_REFUSED a refusal
 *
 * Return: 0, PROMPT_E_REFUSED, or a negative error.
 */
int prompt_join(Broker *broker, Call *call, const CallRequest *request, ConfigDecision *decision);

/** prompt_leave() - this call does not wait any more; the last one takes the window away. The prompt may be freed */
void prompt_leave(Call *call);

/** prompt_request() - what its calls have asked for. Return: borrowed from @prompt */
CallRequest prompt_request(const Prompt *prompt);

/** prompt_decision() - the decision that asks. Return: borrowed likewise */
const ConfigDecision *prompt_decision(const Prompt *prompt);

/** prompt_free_all() - at the end of the broker; the calls stay, and belong to no prompt */
void prompt_free_all(Broker *broker);
