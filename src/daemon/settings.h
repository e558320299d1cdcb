/* SPDX-License-Identifier: Apache-2.0 */
/* How a daemon was started; the same for all its parts, and nothing of it is owned. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "vchan/place.h"

#define DAEMON_SOCKET_DIRECTORY "/var/run/qubes"
#define DAEMON_POLICY_PROGRAM   "/usr/bin/qrexec-policy-exec"
#define DAEMON_POLICY_SOCKET    "/run/qubes/policy.sock"

/** A domain of the inventory, whose link at the broker we are (doc/architecture.md, "Domains over vchan and vsock"). */
typedef struct Brokered {
        const char *trigger;      /* the broker's socket for requests of the domain */
        const char *link;         /* its socket for the domain's agent */
        const char *agent;        /* the program of that agent */
        const char *stop_timeout; /* for it: seconds; NULL: none */
        bool shell;               /* it takes shell commands */
} Brokered;

typedef struct DaemonSettings {
        VchanPlace place; /* the host's */
        uint32_t domain;  /* whom we serve */
        const char *name; /* its name */
        const char *uuid; /* its uuid */
        const char *user; /* what DEFAULT means */
        const char *policy_program;
        const char *host_call;    /* the program that runs a service of the host for a worker */
        uint64_t startup_usec;    /* how long the agent may take at first; 0: without limit */
        const char *vsock;        /* the supervisor's socket for connections of a virtual machine; NULL: over vchan */
        const Brokered *brokered; /* NULL: as upstream's, beside other daemons */
} DaemonSettings;
