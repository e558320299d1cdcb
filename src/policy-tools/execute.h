/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a call that policy has allowed, as qrexec-policy-exec does when it is given five arguments: start the target,
 * and run qrexec-client (policy specification, 9.1). Deprecated; our own broker makes its calls itself.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "policy/resolution.h"

/** What the caller's daemon has told, as it stands on the command line. Texts belong to the caller. */
typedef struct PolicyExecution {
        const char *id, *source, *target, *service, *ident;
        const char *qubesd; /* the socket */
        const char *client; /* qrexec-client */
} PolicyExecution;

/** Most words of a command, with the final NULL. */
#define POLICY_EXECUTION_WORDS_MAX 9

typedef struct PolicyExecutionCommand {
        char *words[POLICY_EXECUTION_WORDS_MAX]; /* from the program to the last; ends with NULL */
} PolicyExecutionCommand;

enum {
        _POLICY_EXECUTION_E_SUCCESS,
        POLICY_EXECUTION_E_FAILED, /* diagnostics say why */
};

/** policy_execution_command_deinit() - harmless on an all-zero one */
void policy_execution_command_deinit(PolicyExecutionCommand *command);

/**
 * policy_execution_prepare() - from the answer of policy to a command; starts the target, or makes a disposable
 * @answer:      the lines of 5.6, allowed
 * @ret_command: the caller deinitialises it
 *
 * What this form cannot do is refused: a service at a relay, another source, a target that must not be started.
 * Return: 0, POLICY_EXECUTION_E_FAILED, or a negative error.
 */
int policy_execution_prepare(const PolicyExecution *execution, const char *answer, Diagnostics *reterr,
                             PolicyExecutionCommand *ret_command);

/** policy_execution_run() - run it to its end. Return: its exit status, 255 if it was killed, or a negative error */
int policy_execution_run(const PolicyExecutionCommand *command);
