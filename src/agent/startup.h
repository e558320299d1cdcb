/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent finds and settles before it does anything: its account, its environment, its limits. The same for both kinds
 * of link.
 */
#pragma once

#include <signal.h>
#include <sys/resource.h>

#include "agent/arguments.h"
#include "agent/service.h"

enum {
        STARTUP_EXIT_NO_STANDARD_FDS = 125, /* protocol specification, 7.1 */
};

typedef struct Startup {
        AgentArguments arguments;
        ServiceSettings settings; /* points into this: it must not move */
        char *account, *fork_server;
        Guest guest;
        char *notify; /* the service manager's socket; NULL: none */
        struct rlimit files;
        sigset_t signals;
} Startup;

/** startup_open() - standard descriptors, log and command line; the first thing of all. Return: 0, or what main() returns */
int startup_open(int argc, char **argv, Startup *startup);

/**
 * startup_init() - the rest: fill in what every service is started with
 *
 * Takes NOTIFY_SOCKET out of the environment, and raises the limit of open files.
 * Return: 0, or what main() returns (logged); call startup_deinit() in either case.
 */
int startup_init(Startup *startup);

/** startup_deinit() - harmless after startup_open() alone */
void startup_deinit(Startup *startup);
