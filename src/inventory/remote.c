/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory/remote.h"

#include <stdio.h>
#include <string.h>

/* Keywords and UUIDs are no names that another host could have given to a domain. */
static bool remote_may_be_unknown(const Inventory *inventory, const RequestName *requested) {
        return requested->text[0] != '@' && !strchr(requested->text, ':') &&
               !inventory_lookup(inventory, requested->text);
}

int remote_find_source(const Inventory *inventory, const InventoryDomain *relay, const RequestName *requested,
                       const InventoryDomain **ret_source, bool *ret_is_unknown) {
        const InventoryDomain *found = NULL;

        for (size_t i = 0; i < inventory->n_domains; ++i) {
                const InventoryDomain *domain = &inventory->domains[i];

                if (domain->type != DOMAIN_TYPE_REMOTEVM || domain->relayvm != relay ||
                    (strcmp(domain->name.text, requested->text) != 0 &&
                     strcmp(domain->remote_name.text, requested->text) != 0))
                        continue;
                if (found)
                        return REMOTE_E_AMBIGUOUS;
                found = domain;
        }
        *ret_is_unknown = !found && relay->unknown_source && remote_may_be_unknown(inventory, requested);
        *ret_source = *ret_is_unknown ? relay->unknown_source : found;
        return 0;
}

int remote_wrap(const Inventory *inventory, DomainName *target, char service[static SERVICE_DESCRIPTOR_MAX + 1]) {
        char prefix[(SERVICE_NAME_MAX + DOMAIN_NAME_MAX + 2) * INVENTORY_DEPTH_MAX + 1] = "", more[sizeof(prefix)];
        const InventoryDomain *relay = inventory_lookup(inventory, target->text);
        size_t n_service = strlen(service), n_prefix;

        if (!relay || relay->type != DOMAIN_TYPE_REMOTEVM)
                return 0;
        for (unsigned depth = 0; relay->type == DOMAIN_TYPE_REMOTEVM; ++depth) {
                int n = snprintf(more, sizeof(more), "%s+%s+%s", relay->transport_rpc, relay->name.text, prefix);

                /* Circles and longer chains are errors of the inventory. */
                if (depth >= INVENTORY_DEPTH_MAX || n < 0 || (size_t)n >= sizeof(more))
                        return REMOTE_E_TOO_LONG;
                strcpy(prefix, more);
                relay = relay->relayvm;
        }
        n_prefix = strlen(prefix);
        if (n_prefix + n_service > SERVICE_DESCRIPTOR_MAX)
                return REMOTE_E_TOO_LONG;
        memmove(service + n_prefix, service, n_service + 1);
        memcpy(service, prefix, n_prefix);
        *target = relay->name;
        return 0;
}
