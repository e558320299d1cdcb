/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/domainfacts.h"

void domain_facts(const InventoryDomain *domain, PolicyFact running, char icon[static DOMAIN_ICON_SIZE],
                  PolicyDomainInput *ret_input) {
        domain_icon(domain, icon);
        *ret_input = (PolicyDomainInput){
                .name = domain->name.text,
                .uuid = domain->uuid.text,
                .type = domain_type_text(domain->type),
                .tags = (const char *const *)domain->tags,
                .n_tags = domain->n_tags,
                .has_tags = true,
                .template_for_dispvms = domain->template_for_dispvms ? POLICY_FACT_YES : POLICY_FACT_NO,
                .running = domain->type == DOMAIN_TYPE_REMOTEVM ? POLICY_FACT_YES : running,
                .internal = domain->internal,
                .default_dispvm = domain->default_dispvm ? domain->default_dispvm->name.text : NULL,
                .relayvm = domain->relayvm ? domain->relayvm->name.text : NULL,
                .transport_rpc = domain->transport_rpc,
                .guivm = domain->guivm ? domain->guivm->name.text : NULL,
                .icon = icon,
        };
}
