/* SPDX-License-Identifier: Apache-2.0 */
/* How a daemon was started; the same for all its parts, and nothing of it is owned. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "vchan/place.h"

#define DAEMON_SOCKET_DIRECTORY "/var/run/qubes"
#define DAEMON_POLICY_PROGRAM   "/usr/bin/qrexec-policy-exec"
#define DAEMON_POLICY_SOCKET    "/run/qubes/policy.sock"

typedef struct DaemonSettings {
        VchanPlace place; /* the host's */
        uint32_t domain;  /* whom we serve */
        const char *name; /* its name */
        const char *uuid; /* its uuid */
        const char *user; /* what DEFAULT means */
        const char *policy_program;
        const char *host_call; /* the program that runs a service of the host for a worker */
        uint64_t startup_usec; /* how long the agent may take at first; 0: without limit */
} DaemonSettings;
