/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains that the service manager starts for us. What starts the sessions of accounts cannot be confined, since all that it is
 * confined to they inherit. So where there is a service manager that listens on a socket for it (qair-domain.socket), the supervisor
 * starts nothing but the broker itself. It connects, and says what is wanted; the service manager starts a process that is no child of
 * ours (qair-supervisor --launch), which looks the domain up in root-owned configuration and becomes its monitor:
 *
 *   supervisor to launcher    "agent NAME", "start NAME", "stop NAME": its agent, its `start` or its `stop` command
 *   launcher to supervisor    "R", with a pidfd of itself: it is about to run
 *   monitor to supervisor     LAUNCH_STATUS_SIZE bytes, its exit status; an end without that is LAUNCH_STATUS_FAILED
 *
 * Each is a packet. Who closes before "R" wants it no longer, and then nothing is run. Later it makes no difference: a domain
 * outlives its supervisor. Whoever can reach the socket can start and stop the domains that root has configured, and do nothing else
 * with it; it is root's alone.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/name.h"
#include "supervisor/spawn.h"

/** What could not be started: as a shell says it. */
#define LAUNCH_STATUS_FAILED 125
#define LAUNCH_STATUS_SIZE   4

typedef enum LaunchKind {
        LAUNCH_KIND_AGENT,
        LAUNCH_KIND_START,
        LAUNCH_KIND_STOP,
        _LAUNCH_KIND_N,
} LaunchKind;

/** Of a request, without a NUL. */
#define LAUNCH_REQUEST_MAX (6 + DOMAIN_NAME_MAX)

enum {
        _LAUNCH_E_SUCCESS,
        LAUNCH_E_MALFORMED,
        LAUNCH_E_FAILED, /* nobody is there, or takes it: explained in the log */
        LAUNCH_E_AGAIN,  /* nothing there yet */
        LAUNCH_E_ENDED,  /* it has ended: see *ret_status */
};

/** launch_format() - write a request. Return: its length */
size_t launch_format(LaunchKind kind, const DomainName *domain, char ret_text[static LAUNCH_REQUEST_MAX + 1]);

/** launch_parse() - read a request. Return: 0 or LAUNCH_E_MALFORMED */
int launch_parse(const char *text, size_t n, LaunchKind *ret_kind, DomainName *ret_domain);

/**
 * launch_request() - ask for a start
 * @path:   the service manager's socket
 * @ret_fd: where the answers come, non-blocking; the caller's
 *
 * Return: 0, LAUNCH_E_FAILED, or a negative error.
 */
int launch_request(const char *path, LaunchKind kind, const DomainName *domain, int *ret_fd);

/**
 * launch_receive() - one answer
 * @ret_pidfd:  set with 0: it runs; the caller's
 * @ret_status: set with LAUNCH_E_ENDED
 *
 * Return: 0, LAUNCH_E_AGAIN, LAUNCH_E_ENDED, or a negative error.
 */
int launch_receive(int fd, int *ret_pidfd, uint32_t *ret_status);

/**
 * launch_serve() - be the launcher: become the monitor that is asked for
 * @fd: the connection
 *
 * Return: if it comes to nothing, the exit status of this process.
 */
int launch_serve(const SpawnPaths *paths, int fd);
