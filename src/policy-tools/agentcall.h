/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the policy agent, which asks and tells a person (policy specification, section 7): what it is sent, and how. The
 * broker has its own way; this is for the programs that answer on their own.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "policy/question.h"

/** Size of an answer: a target, and the word before it. */
#define POLICY_AGENT_ANSWER_MAX 4096

enum {
        _POLICY_AGENT_E_SUCCESS,
        POLICY_AGENT_E_FAILED, /* not there, or it has failed */
};

/** What policy.Notify is told (7.2). Texts may be cut nowhere, and are foreign. */
typedef struct PolicyNotice {
        const char *resolution; /* "allow" or "deny" */
        PolicySlice service;    /* without argument */
        PolicySlice argument;   /* with its `+` */
        PolicySlice source, target;
} PolicyNotice;

/** policy_agent_question() - the JSON of policy.Ask, in ASCII; the caller frees it. Return: 0 or a negative error */
int policy_agent_question(const PolicyQuestion *question, char **ret_text);

/** policy_agent_notice() - the JSON of policy.Notify, in ASCII; the caller frees it. Return: 0 or a negative error */
int policy_agent_notice(const PolicyNotice *notice, char **ret_text);

/** Where agents are reached. Paths. */
typedef struct PolicyAgentPaths {
        const char *services;  /* /etc/qubes-rpc: sockets of dom0's agent */
        const char *client;    /* qrexec-client; used if it exists */
        const char *client_vm; /* qrexec-client-vm, otherwise */
} PolicyAgentPaths;

/**
 * policy_agent_call() - call @service of the agent in @guivm, and wait for its answer; there is no time limit (7.1)
 * @params:     JSON
 * @ret_answer: as it came, cut at a NUL; the caller frees it
 *
 * SIGPIPE must be ignored. Return: 0, POLICY_AGENT_E_FAILED, or a negative error.
 */
int policy_agent_call(const PolicyAgentPaths *paths, const char *guivm, const char *service, const char *params,
                      char **ret_answer);
