/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of the host, in processes of their own. For a caller in a domain: what a daemon's worker, or qrexec-client -c,
 * becomes (protocol specification, 7.7 "Host", 5.3): the service is started first, and the caller dialled then; the service's
 * standard error is ours, and not the caller's. For a caller on the host (7.4, mode 4): the service is run right here.
 */
#pragma once

#include <stdint.h>

#include "agent/service.h"
#include "vchan/place.h"

/** How long the caller may take to listen, where nobody says otherwise (1.5). */
#define HOST_CALL_DIAL_SEC 5

enum {
        _HOST_CALL_E_SUCCESS,
        HOST_CALL_E_UNREACHABLE, /* the caller was not there in time, or broke off; it has been logged */
};

/**
 * host_call_run() - carry it to its end
 * @settings: of the host: without an account
 * @source:   the caller's domain, which listens at @port
 * @dial_usec: how long it may take to do so; 0: without limit
 * @command:  without a user
 * @ret_status: what the caller was told: the service's exit code; 127: there is none; 125: it could not be started
 *
 * The process must be good for nothing else. Blocks until the call is over and the service has ended.
 * Return: 0, HOST_CALL_E_UNREACHABLE, or a negative error.
 */
int host_call_run(const ServiceSettings *settings, const VchanPlace *place, uint32_t source, uint32_t port,
                  uint64_t dial_usec, const char *command, int *ret_status);

/** What becomes of a service that is run right here. */
typedef enum HostCallHere {
        HOST_CALL_HERE_BECOME, /* it takes the place of this process */
        HOST_CALL_HERE_WAIT,   /* it is waited for, and its exit code is 0 whatever it says */
        HOST_CALL_HERE_CHECK,  /* nothing: could it be started, as far as that can be known before? */
} HostCallHere;

/**
 * host_call_here() - run a service for a caller on the host: a program, with our own standard input, output and error
 * @command: without a user
 *
 * Waits for the session before, if the service's configuration says so. Services that are sockets cannot be run so.
 * Return: the status to exit with: 127 if there is no such service, 125 for any other failure. For BECOME it only returns
 * after a failure.
 */
int host_call_here(const ServiceSettings *settings, const char *command, HostCallHere how);
