/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy engine and its tools know of the domains, and the three places it can come from: this host's
 * inventory, a file with system information as JSON, or a socket that answers internal.GetSystemInfo with the same
 * (policy specification, section 6).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "inventory/inventory.h"
#include "policy/facts.h"

struct json_object;

/** Size of system information: 4096 domains with long lists of tags stay well below. */
#define POLICY_SYSTEM_SIZE_MAX ((size_t)16 << 20)
/** Nesting: the object, `domains`, a domain, its tags, a tag, and room for members that we do not know. */
#define POLICY_SYSTEM_DEPTH_MAX 16

enum {
        _POLICY_SYSTEM_E_SUCCESS,
        POLICY_SYSTEM_E_INVALID, /* diagnostics say what is wrong, and where */
};

/** Domains in the order in which their source has them. Read-only outside of system.c. */
typedef struct PolicySystem {
        PolicyFacts *facts;
        char **labels; /* by index: `0xRRGGBB`; NULL: not known */
        size_t n_labels;
        Inventory *
                inventory; /* where it came from; NULL: not from one, and then names across hosts are as Qubes has them */
} PolicySystem;

/** policy_system_free() - accepts NULL. Return: NULL */
PolicySystem *policy_system_free(PolicySystem *system);
DEFINE_CLEANUP(PolicySystem *, policy_system_free)

/**
 * policy_system_parse() - JSON text (6.2)
 * @path:       what diagnostics call it
 * @ret_system: the caller frees it
 *
 * Members that are not needed may be missing, unknown ones are ignored; a member of the wrong type is an error, and so
 * is a name or a UUID that cannot be one, or that two domains have. Return: 0, POLICY_SYSTEM_E_INVALID, or a negative error.
 */
int policy_system_parse(const char *path, const char *untrusted_text, size_t n, Diagnostics *reterr,
                        PolicySystem **ret_system);

/** policy_system_from_json() - the same, parsed already; @object stays the caller's. Return: as policy_system_parse() */
int policy_system_from_json(const char *path, struct json_object *object, Diagnostics *reterr,
                            PolicySystem **ret_system);

/**
 * policy_system_load() - from a file, or, if @path is a socket, by asking there (6.1)
 *
 * An error that the socket reports is POLICY_SYSTEM_E_INVALID too. Return: as policy_system_parse().
 */
int policy_system_load(const char *path, Diagnostics *reterr, PolicySystem **ret_system);

/**
 * policy_system_load_host() - what programs with the names of Qubes' take the domains from
 * @system_info: a file or a socket; NULL: not told
 * @inventory:   a folder; NULL: not told, and then qubesd is asked where there is one (QUBESD_SOCKET_INTERNAL)
 * @usual:       the host's own folder of domains, if nothing else is to be had
 *
 * Return: as policy_system_parse().
 */
int policy_system_load_host(const char *system_info, const char *inventory, const char *usual, Diagnostics *reterr,
                            PolicySystem **ret_system);

/** policy_system_host_folder() - the folder that policy_system_load_host() would read; NULL: none, it would ask elsewhere */
const char *policy_system_host_folder(const char *system_info, const char *inventory, const char *usual);

/**
 * policy_system_from_inventory() - from a folder of domains (inventory/inventory.h)
 *
 * Nothing is known of which domains run: all count as halted, except dom0 and those of other hosts.
 * Return: as policy_system_parse().
 */
int policy_system_from_inventory(const char *directory, Diagnostics *reterr, PolicySystem **ret_system);
