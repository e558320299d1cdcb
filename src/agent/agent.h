/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent of one domain on a `local` link (doc/architecture.md, "Links"): it takes orders from the broker, forks a
 * handler for each call, and tells the broker how each call ended.
 *
 * It blocks on nothing but its own epoll. Whatever needs time (finding, connecting, starting, data) is the handler's,
 * so one call cannot hold up another. Calls outlive the link.
 *
 * Told to stop, it takes no more calls, says so to the broker (CALL_DRAIN), and ends with the last of those that run here, so
 * that each caller gets its exit code; if they were given a time limit, it ends those that run for longer. Told twice, it
 * ends at once.
 */
#pragma once

#include "agent/handler.h"

typedef struct Agent Agent;

/**
 * agent_new() - make an agent
 * @settings:  for its handlers; must outlive it
 * @link_path: the socket to connect to; must outlive it
 * @stop_usec: how long calls may run on when it is told to stop; 0: as long as they like
 * @notify:    where to say READY=1 when the link is up for the first time (agent/notify.h); NULL: nowhere
 *
 * Blocks SIGTERM and SIGINT, which end agent_run().
 * Return: 0 or a negative error.
 */
int agent_new(const ServiceSettings *settings, const char *link_path, uint64_t stop_usec, const char *notify,
              Agent **ret_agent);

/** agent_free() - accepts NULL. Running handlers and services are left alone. Return: NULL */
Agent *agent_free(Agent *agent);

/** agent_run() - serve until SIGTERM or SIGINT, and what runs then to its end. Return: 0 or a negative error */
int agent_run(Agent *agent);
