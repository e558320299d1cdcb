/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the broker's audit records go. The broker may open nothing and connect to nothing, so the supervisor does it:
 * to the journal if there is one, else to a file of lines of JSON.
 */
#pragma once

#include "wire/supervise.h"

typedef struct AuditPaths {
        const char *journal; /* /run/systemd/journal/socket; NULL: not to the journal */
        const char *dir;     /* /var/log/qubes; made if need be */
        const char *file;    /* audit.jsonl, in it */
} AuditPaths;

/**
 * auditsink_open() - open it anew
 * @ret_fd: non-blocking if it is a socket; the caller's to close
 *
 * Return: 0 or a negative error, which has been explained in the log.
 */
int auditsink_open(const AuditPaths *paths, SuperviseAudit *ret_kind, int *ret_fd);
