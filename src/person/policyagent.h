/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy agent of our own account (qrexec-policy-agent(1)), as a service that has something to ask or to show: one
 * connection, a header, an object of JSON, the end of input, the answer (policy specification, 7.1 and 7.2; doc/protocol.md,
 * 14). What is asked about is a use of something in this domain, so the target is this domain itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
        _POLICY_AGENT_E_SUCCESS,
        POLICY_AGENT_E_NONE,   /* none runs, or it reaches nobody */
        POLICY_AGENT_E_CALLER, /* the caller did not wait for the answer */
};

/** All texts may be anything that is UTF-8; none of them is owned. */
typedef struct PolicyAgentQuestion {
        const char *source;   /* a domain's name */
        const char *service;  /* such as "qubes.Gpg" */
        const char *argument; /* what stands behind its "+" */
        const char *text;     /* what it is about, in lines */
        uint32_t for_sec;     /* how long a yes can be given for; 0, or above ANSWER_SEC_MAX: for once alone */
        uint32_t timeout_sec; /* when it is too late; 0: never */
        int caller_fd;        /* whose hang-up says that nobody waits any more; -1: none */
} PolicyAgentQuestion;

typedef struct PolicyAgentNotice {
        const char *source, *service, *argument; /* as above */
        bool refused;
        unsigned n_uses; /* that it stands for, at least 1 */
} PolicyAgentNotice;

typedef struct PolicyAgentAnswer {
        bool yes;
        bool for_long; /* for question->for_sec, not for once */
} PolicyAgentAnswer;

/**
 * policy_agent_ask() - and wait for the answer
 *
 * Only what was offered is a yes; no answer in time is a no. Not asked is about a source that is called as we are, since a
 * person could not tell who is who. Return: 0, POLICY_AGENT_E_…, or a negative error.
 */
int policy_agent_ask(const PolicyAgentQuestion *question, PolicyAgentAnswer *ret_answer);

/** policy_agent_notify() - have it shown. Return: 0, POLICY_AGENT_E_NONE, or a negative error */
int policy_agent_notify(const PolicyAgentNotice *notice);
