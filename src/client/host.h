/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "client/host-options.h"

/** Exit statuses of qrexec-client that no service is the source of (protocol specification, 7.4). */
#define HOST_STATUS_INVALID 1
#define HOST_STATUS_USAGE   2
#define HOST_STATUS_FAILED  125

/** host_run() - make the call. Return: the status to exit with; whatever went wrong has been said */
int host_run(const HostOptions *options);
