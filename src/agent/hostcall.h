/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call from a domain to a service of the host: what a daemon's worker becomes (protocol specification, 7.7 "Host", 5.3).
 * The service is started first, and the caller dialled then; the service's standard error is ours, and not the caller's.
 */
#pragma once

#include <stdint.h>

#include "agent/service.h"
#include "vchan/place.h"

/** How long the caller may take to listen (1.5). */
#define HOST_CALL_DIAL_USEC UINT64_C(5000000)

enum {
        _HOST_CALL_E_SUCCESS,
        HOST_CALL_E_UNREACHABLE, /* the caller was not there in time, or broke off; it has been logged */
};

/**
 * host_call_run() - carry it to its end
 * @settings: of the host: without an account
 * @source:   the caller's domain, which listens at @port
 * @command:  without a user
 *
 * The process must be good for nothing else. Blocks until the call is over and the service has ended; how it ended is
 * told to the caller alone. Return: 0, HOST_CALL_E_UNREACHABLE, or a negative error.
 */
int host_call_run(const ServiceSettings *settings, const VchanPlace *place, uint32_t source, uint32_t port,
                  const char *command);
