/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking qubesd, or a program that answers as it does: one request and one reply for each connection to its socket
 * (policy specification, 6.1).
 */
#pragma once

#include <stddef.h>

#include "base/diagnostic.h"

/** Where qubesd answers on Qubes OS: about the system, to dom0 alone; and the Admin API. */
#define QUBESD_SOCKET_INTERNAL "/var/run/qubesd.internal.sock"
#define QUBESD_SOCKET          "/var/run/qubesd.sock"

/** How long the socket may stay silent. It is a local service, and somebody waits. */
#define QUBESD_TIMEOUT_SEC 10

enum {
        _QUBESD_E_SUCCESS,
        QUBESD_E_FAILED, /* diagnostics say why: not reachable, an error, or a reply that makes no sense */
};

/**
 * qubesd_call() - `METHOD+ dom0 name DESTINATION` NUL PAYLOAD, and the reply without its status
 * @path:      the socket
 * @what:      begins the message about an error that qubesd reports, such as "error getting system info"
 * @payload:   NUL-terminated text
 * @ret_reply: at most @n_max bytes, followed by a NUL that is not counted; the caller frees it
 *
 * Return: 0, QUBESD_E_FAILED, or a negative error.
 */
int qubesd_call(const char *path, const char *what, const char *method, const char *destination, const char *payload,
                size_t n_max, Diagnostics *reterr, char **ret_reply, size_t *ret_n);
