/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the policy, from a worker: its socket, or the program where nobody answers there (protocol specification, 7.6).
 */
#pragma once

#include "daemon/policyanswer.h"
#include "daemon/settings.h"
#include "wire/trigger.h"

enum {
        _POLICY_QUERY_E_SUCCESS,
        POLICY_QUERY_E_DENIED, /* it said no, or what nobody understands */
        POLICY_QUERY_E_FAILED, /* it could not be asked */
};

/**
 * policy_query() - wait for the answer, without limit: a person may be asked
 * @ret_answer: one that allows; must not be moved
 *
 * A request on somebody else's behalf is not put to the program, which could not be told about whom: it fails.
 * Return: 0 or POLICY_QUERY_E_… (logged).
 */
int policy_query(const DaemonSettings *settings, const Trigger *trigger, PolicyAnswer *ret_answer);
