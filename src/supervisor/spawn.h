/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the broker, and starting a domain's agent under its account. Both happen in a forked child; all that they
 * need was looked up before.
 *
 *   supervisor (root)
 *     ├─ qrexecd                    account qrexec, no capability
 *     └─ qair-monitor of domain NAME    root: holds the PAM session, relays the agent's log, waits
 *          └─ qrexec-agent          the domain's account
 *
 * A user's supervisor is that user, and so is all that it starts.
 */
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include "base/paths.h"
#include "supervisor/plan.h"

typedef struct SpawnPaths {
        const Paths *where;
        const char *broker;   /* /usr/lib/qubes/qrexecd */
        const char *monitor;  /* /usr/lib/qubes/qair-monitor */
        const char *agent;    /* /usr/lib/qubes/qrexec-agent */
        const char *daemon;   /* /usr/sbin/qrexec-daemon: in an agent's place, over vchan or vsock */
        const char *launcher; /* a socket: who starts domains for us (supervisor/launch.h); NULL: we ourselves */
        struct rlimit files;  /* RLIMIT_NOFILE of monitors, and so of domains; all 0: ours */
} SpawnPaths;

/** spawn_raise_files() - as many descriptors as we may have, for the sockets of all domains; a domain gets as many as before */
void spawn_raise_files(SpawnPaths *paths);

/**
 * spawn_broker() - start the broker
 * @uid, @gid: its account; our own, if this is a user's
 * @parent_fd: its end of the socket pair; stays the caller's
 *
 * Return: 0 or a negative error (fork failed; what fails in the child shows as its exit).
 */
int spawn_broker(const SpawnPaths *paths, uid_t uid, gid_t gid, int parent_fd, pid_t *ret_pid);

/**
 * spawn_agent() - start a domain's agent, through its monitor
 *
 * SIGTERM to the monitor stops the agent (running services go on); it exits as the agent did.
 * Return: 0 or a negative error (fork failed; what fails in the child shows as its exit).
 */
int spawn_agent(const SpawnPaths *paths, const PlanDomain *domain, pid_t *ret_pid);

/** How long a command that starts or stops a domain may take. */
#define SPAWN_COMMAND_SEC 60

/**
 * spawn_command() - run a command that starts or stops a domain, through a monitor
 * @command: its words
 *
 * It runs as we do, without a shell, with QAIR_DOMAIN and QAIR_RUN_DIR (what is to be mounted at /run/qubes) in its
 * environment; what it says is in the log. It exits as the command did, with 124 when that took too long, with 125 when
 * it could not be run.
 * Return: 0 or a negative error.
 */
int spawn_command(const SpawnPaths *paths, const PlanDomain *domain, char *const *command, pid_t *ret_pid);

/**
 * spawn_become_agents_monitor() - be the monitor that spawn_agent() starts
 * @report_fd: where it sends its exit status at the end, and which alone stays open beside the standard ones; -1: nowhere
 */
__attribute__((noreturn)) void spawn_become_agents_monitor(const SpawnPaths *paths, const PlanDomain *domain,
                                                           int report_fd);

/** spawn_become_commands_monitor() - be the monitor that spawn_command() starts. Likewise */
__attribute__((noreturn)) void spawn_become_commands_monitor(const SpawnPaths *paths, const PlanDomain *domain,
                                                             char *const *command, int report_fd);
