/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this client sign, or decrypt, now? A yes is remembered for as long as the configuration says, per client and kind of
 * operation (split-gpg specification, 12), where split-gpg remembers its own (gpg/consent.h), in a folder for each kind:
 * gpg2-PKSIGN and gpg2-PKDECRYPT. Else a person is asked, and no answer in time means no.
 */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "gpg2/filter.h"

/** The service, as the person is told and the log has it. */
#define GPG2_SERVICE "qubes.Gpg2"

typedef enum Permission {
        PERMISSION_NEVER_ASKS, /* allowed: autoaccept=yes */
        PERMISSION_GRANTED,    /* allowed: somebody says yes, or said so lately */
        PERMISSION_REFUSED,    /* somebody said no, or nothing */
        PERMISSION_NOBODY,     /* there is nobody to ask, or no place to remember it */
        PERMISSION_CALLER,     /* the client went away */
        _PERMISSION_N,
} Permission;

/**
 * permission_get() - ask, unless somebody has said yes before; it watches standard output for the client's hang-up
 * @source:     the client's name, which is a valid one
 * @key:        NULL: one that is not listed
 * @accept_sec: how long a yes counts; 0: for this once; GPG2_ACCEPT_ALWAYS: nobody is asked
 *
 * Return: 0 or a negative error.
 */
int permission_get(const char *source, FilterOperation operation, const FilterKey *key, uint32_t accept_sec,
                   Permission *ret_permission);

/** permission_is_yes() - one of the first two */
bool permission_is_yes(Permission permission);

/** permission_text() - a word for the log */
const char *permission_text(Permission permission);

/** permission_tell() - tell the person, not too often, without waiting for it; @what: letters alone, such as "sign" */
void permission_tell(const char *source, const char *what);
