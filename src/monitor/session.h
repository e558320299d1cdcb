/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PAM session of a domain's account (protocol specification, 6.9): opened before a byte of the domain is read, held
 * open as long as the domain's agent lives, so that its services run in a proper session at no cost per call.
 *
 *   begin (who is it, may it?) -> open (credentials, session) -> close
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"

typedef struct Session Session;

/**
 * session_begin() - check the account, and set our groups to its; nothing that would have to be undone
 * @domain, @account: borrowed as long as the session lives
 *
 * Return: 0 or a negative error, which has been explained in the log.
 */
int session_begin(const char *domain, const char *account, gid_t gid, Session **ret_session);

/** session_open() - establish its credentials and open it. Return: 0 or a negative error, explained in the log */
int session_open(Session *session);

/** session_environment() - what the modules want in it; the caller's. Return: 0 or a negative error */
int session_environment(Session *session, char ***ret_environment);

/** session_close() - close it, if it is open, and free it; accepts NULL. Return: NULL */
Session *session_close(Session *session);
DEFINE_CLEANUP(Session *, session_close)
