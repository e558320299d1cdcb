/* SPDX-License-Identifier: Apache-2.0 */
/* What the policy engine is to know of a domain of the inventory: neither of the two knows of the other. */
#pragma once

#include "inventory/inventory.h"
#include "policy/facts.h"

/**
 * domain_facts() - what the inventory says of @domain, in the words of the policy engine
 * @running:   whether it runs, for a domain of this host. A remote domain is another host's business: it always counts
 *             as running (policy specification, 5.7)
 * @icon:      receives its icon, which @ret_input borrows as it does the domain's texts
 */
void domain_facts(const InventoryDomain *domain, PolicyFact running, char icon[static DOMAIN_ICON_SIZE],
                  PolicyDomainInput *ret_input);
