/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small process that stands between the supervisor and one domain's agent: it holds the domain's PAM session open
 * for as long as the agent lives, so that every service of the domain runs in a proper session at no cost per call.
 *
 * Each thing it does for the domain is done because it cannot enlarge the domain's rights:
 *   - the session is that of the account in root-owned configuration, opened before a byte of the domain is read;
 *   - the agent's standard error is a pipe to us: the domain gets no descriptor of a terminal, file or journal of
 *     ours; its lines are cut, escaped and counted, never parsed;
 *   - the agent is held by pidfd, so that no signal of ours can hit another process.
 */
#pragma once

#include "supervisor/plan.h"

/** monitor_run() - be the monitor; @agent: path of the program. Return: exit status for this process */
int monitor_run(const PlanDomain *domain, const char *run_dir, const char *agent);
