/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/types.h>

#include "wire/command.h"

/** environment_free() - free a list from environment_new(); accepts NULL. Return: NULL */
char **environment_free(char **environment);

/**
 * environment_new() - the environment of a service (protocol specification, 6.8)
 * @base:      the environment to start from, NULL-terminated; copied
 * @command:   a service call, or a shell command (which gets no QREXEC_… variables of a call)
 * @agent_pid: QREXEC_AGENT_PID, the process that takes SIGUSR1 (5.7); 0: none, and an inherited one is removed
 *
 * Every QREXEC… variable of @base but QREXEC_SERVICE_PATH is removed first: a service must not take what its agent
 * was started with for facts about its caller.
 *
 * Return: 0 or a negative error.
 */
int environment_new(char *const *base, const Command *command, pid_t agent_pid, char ***ret_environment);
