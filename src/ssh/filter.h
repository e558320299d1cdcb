/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call of the service: the client's stream on two descriptors, one connection to the real agent, and a session between
 * them (split-ssh specification, 5.4). One request is handled to its answer before the next is looked at; while it is, the
 * client's end of file is noticed without reading on.
 */
#pragma once

#include "ssh/consent.h"
#include "ssh/session.h"
#include "ssh/state.h"

/** Exit statuses: specification, 5.3. */
typedef enum SshFilterExit {
        SSH_FILTER_EXIT_DONE = 0,
        SSH_FILTER_EXIT_REFUSED = 1,
        SSH_FILTER_EXIT_POLICY = 2,
        SSH_FILTER_EXIT_FRAME = 3,
        SSH_FILTER_EXIT_AGENT = 4,
} SshFilterExit;

typedef struct SshFilterSetup {
        const SshRules *rules;
        const SshState *state;
        const char *helper;
        int in_fd, out_fd; /* the client; may be the same socket */
        int agent_fd;      /* non-blocking */
} SshFilterSetup;

/**
 * ssh_filter_run() - serve until the client, the agent or time ends it; logs to syslog
 *
 * Return: one of SshFilterExit, or a negative error.
 */
int ssh_filter_run(const SshFilterSetup *setup);
