/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small process that stands between the supervisor and one domain's agent: it holds the session of the domain's
 * account open for as long as the agent lives, and carries the agent's words to the log. It is a program of its own,
 * since there is one for each domain that runs: it has nothing of the supervisor's in its memory.
 *
 *   qair-supervisor (root) ── qair-monitor (root) ── qrexec-agent (the domain's account)
 *
 * Each thing it does for the domain is done because it cannot enlarge the domain's rights:
 *   - the session is that of the account in root-owned configuration, opened before a byte of the domain is read;
 *   - the agent's standard error is a pipe to us: the domain gets no descriptor of a terminal, file or journal of
 *     ours; its lines are cut, escaped and counted, never parsed;
 *   - the agent is held by pidfd, so that no signal of ours can hit another process.
 *
 * It also runs the commands that start and stop containers and virtual machines: as the supervisor's own account, with a
 * time limit, without a session.
 *
 * SIGTERM is passed on; we end as our child does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/** Our own exit status when nothing could be started, and when the time was up. */
#define MONITOR_EXIT_FAILED 125
#define MONITOR_EXIT_LATE   124
/** How long a command that is told to end may take, before it is killed. */
#define MONITOR_KILL_MSEC 5000

typedef struct MonitorOptions {
        const char *domain;  /* its name, for the log */
        const char *account; /* the account that is this domain: its session is opened, and it is become; NULL: stay */
        uid_t uid;           /* that account's, when the configuration was read */
        const char *service_path; /* where the agent looks for services; NULL: it is no agent */
        const char *sandbox;      /* the domain's run directory, to run the agent in a sandbox with; NULL: in none */
        const char *config_path;  /* where services have their configuration; NULL: where agents look anyway */
        const char *home;         /* without @account: the sandbox's home on the host */
        uint64_t limit_usec;      /* how long the command may take; 0: for ever */
        char **command;           /* the agent, or a command: an absolute path, arguments, and NULL behind the last */
} MonitorOptions;

/** monitor_run() - be the monitor. Return: exit status for this process */
int monitor_run(const MonitorOptions *options);
