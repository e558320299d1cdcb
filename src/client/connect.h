/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-client -c: connect a caller in one domain, whose request waits at its daemon, with a command in another or a
 * service of the host, as the daemon's own worker would have done (protocol specification, 7.4 modes 2 and 3, 7.7).
 */
#pragma once

#include "client/host-options.h"

/** What failed, with a domain as target. */
#define CONNECT_STATUS_FAILED 137

/** connect_domain() - with a command in a domain; nothing is started that does not run. Return: the status to exit with */
int connect_domain(const HostOptions *options);

/**
 * connect_host() - with a service of the host, which this process becomes
 *
 * Return: only after a failure: the status to exit with.
 */
int connect_host(const HostOptions *options);
