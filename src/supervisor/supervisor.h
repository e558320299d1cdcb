/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: the small privileged parent. It binds the sockets and keeps them, starts the broker and starts it
 * again when it dies, starts and stops the agents of domains, and does nothing else. Nothing that a domain can
 * influence is parsed here: from the broker come the names of domains to start or stop, and both are looked up in the
 * plan that root-owned configuration gave.
 *
 * SIGHUP reads the configuration again; SIGTERM stops the broker and the agents (services that run go on).
 */
#pragma once

#include "base/cleanup.h"
#include "supervisor/auditsink.h"
#include "supervisor/spawn.h"

typedef struct Supervisor Supervisor;

typedef struct SupervisorOptions {
        SpawnPaths paths;
        AuditPaths audit;
        const char *account; /* the broker's; NULL: our own (a user's supervisor) */
} SupervisorOptions;

/**
 * supervisor_new() - read the configuration, make the run directory, bind the sockets
 *
 * A broken inventory is logged and leaves dom0 alone served, every call refused, until it is mended and reloaded.
 * Return: 0 or a negative error, which has been explained in the log.
 */
int supervisor_new(const SupervisorOptions *options, Supervisor **ret_supervisor);

/** supervisor_free() - close everything and remove the sockets; accepts NULL. Return: NULL */
Supervisor *supervisor_free(Supervisor *supervisor);
DEFINE_CLEANUP(Supervisor *, supervisor_free)

/** supervisor_run() - start the broker and serve until told to stop. Return: 0 or a negative error */
int supervisor_run(Supervisor *supervisor);
