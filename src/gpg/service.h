/* SPDX-License-Identifier: Apache-2.0 */
/* What the services of the keys' domain have in common: who called, and what is written down about it. */
#pragma once

#include "base/cleanup.h"
#include "gpg/command.h"

/** Statuses of our own. */
#define GPG_SERVICE_FAILED 1

/** gpg_service_source() - QREXEC_REMOTE_DOMAIN, checked (8.2). Return: borrowed; NULL, and it has been said, if it is none */
const char *gpg_service_source(void);

/** gpg_service_program() - the GnuPG that is run: gpg2 where there is one (8.4) */
const char *gpg_service_program(void);

/** gpg_service_log() - a line for whoever administers this domain, where frontends cannot see it (syslog(3)) */
void gpg_service_log(const char *service, int priority, const char *format, ...) _printf_(3, 4);

/**
 * gpg_service_on_use() - a use of the keys: written down, and told to the person, if not too often
 * @key: foreign; NULL: none was named
 */
void gpg_service_on_use(const char *service, const char *source, GpgOperation operation, const char *key);
