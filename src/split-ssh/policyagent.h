/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy agent of our own account (qrexec-policy-agent(1)) as whoever asks it: one connection, a header, JSON, the
 * answer (policy specification, 7.1 and 7.2).
 */
#pragma once

#include <stdbool.h>

#include "split-ssh/record.h"

enum {
        _POLICY_AGENT_E_SUCCESS,
        POLICY_AGENT_E_NONE, /* none runs, or it reaches nobody */
};

/** policy_agent_ask() - and wait for the answer. Return: 0, POLICY_AGENT_E_NONE, or a negative error */
int policy_agent_ask(const Record *record, bool *ret_yes);

/** policy_agent_notify() - have a use shown. Return: likewise */
int policy_agent_notify(const Record *record);
