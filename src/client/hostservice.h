/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of the host itself, which qrexec-host-call runs: as the target of qrexec-client (protocol specification, 7.4,
 * mode 4), and as its local command (-l QUBESRPC …).
 */
#pragma once

#include <stdbool.h>

#include "client/host-options.h"

/** Words behind the program's name, with the NULL at their end. */
#define HOST_SERVICE_WORDS_MAX 8

/** host_service_is() - is this command a service, rather than something for a shell? */
bool host_service_is(const char *command);

/**
 * host_service_become() - run qrexec-host-call in the place of this process
 * @words: what follows its name, and NULL
 *
 * Return: only after a failure: the status to exit with.
 */
int host_service_become(const HostOptions *options, const char *const words[static HOST_SERVICE_WORDS_MAX]);

/** host_service_run() - the service of the host that the command line asks for. Return: the status to exit with */
int host_service_run(const HostOptions *options);

/**
 * host_service_check() - could @command be started here?
 *
 * Return: 0, or what it would end with: 127: there is no such service; 125: anything else.
 */
int host_service_check(const HostOptions *options, const char *command);
