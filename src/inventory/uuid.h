/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The UUIDs of domains: text, lower case, with hyphens; compared as text (policy specification, 4.1).
 */
#pragma once

#define UUID_TEXT_SIZE 37
/** dom0's (policy specification, 4.2). */
#define UUID_DOM0 "00000000-0000-0000-0000-000000000000"

typedef struct Uuid {
        char text[UUID_TEXT_SIZE];
} Uuid;

enum {
        _UUID_E_SUCCESS,
        UUID_E_MALFORMED, /* not 8-4-4-4-12 lower-case hexadecimal digits */
};

/** uuid_check() - is this a UUID in its one canonical spelling? Return: 0 or UUID_E_MALFORMED */
int uuid_check(const char *untrusted_text);

/** uuid_of_name() - the UUID that follows from @name alone: version 8 (RFC 9562), FNV-1a of 128 bits */
void uuid_of_name(const char *name, Uuid *ret_uuid);

/**
 * uuid_derive() - the UUID of the domain @name on this machine
 *
 * The name's hash, keyed with the machine id so that the one does not give away the other
 * (sd_id128_get_machine_app_specific(3)); on a machine without an id, uuid_of_name(). It need not be hard to forge: who
 * writes the inventory may set any UUID. That two domains never have the same is checked by the inventory.
 */
void uuid_derive(const char *name, Uuid *ret_uuid);
