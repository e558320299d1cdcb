/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names across hosts: what a relay calls its domains is not what we call them, and a relay may itself be on another host
 * (doc/architecture.md, "Other hosts"). Pure functions over the inventory, for the broker and for what explains it.
 */
#pragma once

#include <stdbool.h>

#include "base/name.h"
#include "inventory/inventory.h"

/** What is said of REMOTE_E_AMBIGUOUS. */
#define REMOTE_AMBIGUOUS_TEXT                                                                                       \
        "two RemoteVMs behind this relay have the requested source's name, one here and one over there: give each " \
        "remote_name once"

enum {
        _REMOTE_E_SUCCESS,
        REMOTE_E_AMBIGUOUS, /* two RemoteVMs behind the relay have that name, here or over there */
        REMOTE_E_TOO_LONG,  /* the wrapped service */
};

/**
 * remote_find_source() - whom a relay means
 * @relay:          who says so
 * @requested:      whom it claims to speak for; not empty
 * @ret_source:     the RemoteVM behind @relay whose name or remote_name that is; else, if nothing here has that name and
 *                  the relay has an `unknown_source`, that one; else NULL: what was claimed is the policy's to refuse
 * @ret_is_unknown: it is the one for unknown sources, and was not named itself
 *
 * Return: 0 or REMOTE_E_AMBIGUOUS; both are untouched then.
 */
int remote_find_source(const Inventory *inventory, const InventoryDomain *relay, const RequestName *requested,
                       const InventoryDomain **ret_source, bool *ret_is_unknown);

/**
 * remote_wrap() - where a call goes whose target's relay is itself on another host
 * @target:  what the policy found; becomes a domain of this host
 * @service: TRANSPORT+REMOTE+…; wrapped once more for each relay on the way; room for SERVICE_DESCRIPTOR_MAX + 1
 *
 * Return: 0 or REMOTE_E_TOO_LONG; both are untouched then.
 */
int remote_wrap(const Inventory *inventory, DomainName *target, char service[static SERVICE_DESCRIPTOR_MAX + 1]);
