/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler: the process that owns one call. It finds the service, starts it or connects to it, carries the data of a
 * framed connection, and knows how the call ended. It is forked from the agent and shares nothing with other calls, so
 * that none of their descriptors can reach its service.
 *
 * What a call may do is decided here, with the rights of the domain's account and no others:
 *   - a service: only a name found in the service directories, never a path from the wire (agent/lookup.h);
 *   - its argument: one word of argv and variables of the environment, never text that a shell reads;
 *   - a user: only the account that the agent runs as; there is no way to another one;
 *   - a shell command: only if the administrator said so (HandlerSettings.shell).
 */
#pragma once

#include <stdbool.h>
#include <sys/resource.h>

#include "agent/order.h"
#include "data/callee.h"

/** After CALL_KILL has sent SIGTERM, a service has this long before SIGKILL. */
#define HANDLER_KILL_SEC 5
/** After SIGKILL, what still holds the streams open (another session's process) has this long. */
#define HANDLER_KILLED_SEC 1

/** How this agent was started: the same for all its calls. Nothing of it is owned. */
typedef struct HandlerSettings {
        const char *account;                    /* whom USER of a command must name */
        const char *home;                       /* working directory of programs; NULL: the agent's */
        const char *service_path, *config_path; /* colon lists, agent/lookup.h */
        const char *journal, *syslog;           /* agent/servicelog.h */
        char *const *environment;               /* agent/environment.h */
        const struct rlimit *files;             /* limit of open files for programs; NULL: ours */
        bool shell;                             /* shell commands are allowed */
} HandlerSettings;

/**
 * handler_run() - carry a call to its end
 * @order:       ORDER_TYPE_EXEC in mode WIRE_DOMAIN_FRAMED
 * @stream_fd:   the connected stream; owned, closed on return
 * @ret_outcome: how the service ended, for CALL_ENDED
 *
 * The process must be good for nothing else: signals are taken over, children are waited for. SIGTERM ends the call
 * (CALL_KILL): it kills this process while there is no program yet, or none at all (sockets); later it is passed on
 * to the program's process group, as SIGTERM first and as SIGKILL after HANDLER_KILL_SEC.
 */
void handler_run(const HandlerSettings *settings, const Order *order, int stream_fd, DataOutcome *ret_outcome);
