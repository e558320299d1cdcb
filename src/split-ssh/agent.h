/* SPDX-License-Identifier: Apache-2.0 */
/* An ssh-agent of the vault, as start-agent runs it. */
#pragma once

#include <stdbool.h>

#include "ssh/name.h"
#include "split-ssh/account.h"

/** How long the agent may take to listen, and how often it is looked at (split-ssh specification, 3.3). */
#define AGENT_START_USEC UINT64_C(5000000)
#define AGENT_LOOK_MSEC  25

/** agent_is_running() - does somebody listen at @socket? */
bool agent_is_running(const char *socket);

/**
 * agent_run() - make the folders, start ssh-agent, load its keys, and wait for its end
 * @account:  whose it is; root becomes it
 * @ready_fd: is written a byte when the keys are loaded, and closed; what is complained about later goes nowhere. -1: none
 *
 * SIGTERM, SIGINT and SIGHUP end the agent. Return: its exit status, or 1 if it was not started (logged); or negative.
 */
int agent_run(const AgentName *agent, const Account *account, int ready_fd);
