/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Consent: may this source use the keys? Remembered in files (split-gpg specification, 8.2), in /run/qubes-gpg-split
 * where that is ours to write, as in a domain of its own on Qubes; else in the account's own run directory, since here
 * several accounts share a host.
 *
 *   stat.SOURCE    touched with a yes: it counts from then on, is not made longer by use, and can be made by hand
 *   no.SOURCE      touched with a no, which answers for a few seconds
 *   lock.SOURCE    held while somebody is asked: so there is one question at a time, and who waited looks again
 *   slots.SOURCE   a byte is locked by each call that runs
 *   notice.SOURCE  what has been told already
 */
#pragma once

#include <stdint.h>

#include "gpg/person.h"

/** Calls of one source that run at a time (11.2). */
#define CONSENT_SLOTS_MAX 16
/** How long a no answers for all that follow. */
#define CONSENT_REFUSAL_SEC 10

enum {
        _CONSENT_E_SUCCESS,
        CONSENT_E_REFUSED,   /* a person said no, or nothing */
        CONSENT_E_NOBODY,    /* there is no way to ask */
        CONSENT_E_CALLER,    /* the caller is gone */
        CONSENT_E_BUSY,      /* too many calls of this source */
        CONSENT_E_DIRECTORY, /* there is no place to remember anything */
};

/** consent_open() - the folder of all those files; the caller's. Return: 0, CONSENT_E_DIRECTORY, or a negative error */
int consent_open(int *ret_dir_fd);

/**
 * consent_take_slot() - one of the source's CONSENT_SLOTS_MAX
 * @ret_fd: inherited by programs that are executed: the slot is free when the last of them has closed it
 *
 * Return: 0, CONSENT_E_BUSY, or a negative error.
 */
int consent_take_slot(int dir_fd, const char *source, int *ret_fd);

/**
 * consent_obtain() - a remembered yes, or ask
 * @name:     of the grant: the source, or more where there are several kinds; gpg_source_is_valid()'s characters
 * @question: asked if there is none; its for_sec is also how long a remembered yes counts
 *
 * Return: 0: yes; CONSENT_E_…; or a negative error.
 */
int consent_obtain(int dir_fd, const char *name, const PersonQuestion *question);

/**
 * consent_notice() - may a notification be shown now? 10 at once, then one a second
 * @ret_n_more: if so, how many were not since the last one
 *
 * Where it cannot be found out, it may. Return: whether.
 */
bool consent_notice(int dir_fd, const char *source, unsigned *ret_n_more);

/** consent_error_text() - words for the caller */
const char *consent_error_text(int r);
