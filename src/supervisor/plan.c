/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "inventory/inventory.h"

Plan *plan_free(Plan *plan) {
        if (!plan)
                return NULL;
        for (size_t i = 0; i < plan->n_domains; ++i)
                free(plan->domains[i].service_path);
        free(plan->domains);
        free(plan);
        return NULL;
}

/*
 * Containers, virtual machines and the like have no account here, and are not started by us yet. dom0 is always
 * there, since root calls from it; without a usable account it has no agent, so nothing can be called in it.
 */
static bool plan_wants(const InventoryDomain *domain) {
        if (domain_name_is_dom0(&domain->name))
                return true;
        return domain->user.text[0] != '\0' && domain->account_fault == ACCOUNT_FAULT_NONE &&
               domain->link == DOMAIN_LINK_LOCAL && domain->sandbox == DOMAIN_SANDBOX_NONE;
}

/* What the inventory may say already and nobody acts on yet: said aloud, lest somebody rely on it. */
static int plan_note_ignored(const InventoryDomain *domain, Diagnostics *reterr) {
        static const struct {
                Property property;
                const char *consequence;
        } ignored[] = {
                { PROPERTY_SANDBOX, "sandboxes are not supported yet: the domain is not started" },
                { PROPERTY_LINK, "only local links are supported yet: the domain is not started" },
                { PROPERTY_START,
                  "start commands are not supported yet: the agent is started as the domain's account" },
                { PROPERTY_STOP, "stop commands are not supported yet: the agent is stopped and nothing else" },
                { PROPERTY_IDLE_TIMEOUT, "idle timeouts are not supported yet: the domain is not stopped" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(ignored); ++i) {
                const PropertyValue *value = domain->effective[ignored[i].property];
                int r;

                /* 0 is the default of each that is a number: none, local, never. */
                if (!value || !value->text ||
                    (value->number == 0 && ignored[i].property != PROPERTY_START &&
                     ignored[i].property != PROPERTY_STOP))
                        continue;
                r = diagnostics_add(reterr, domain->origin[ignored[i].property]->path, value->line, 0, "domain %s: %s",
                                    domain->name.text, ignored[i].consequence);
                if (r)
                        return error_trace(r);
        }
        return 0;
}

static int plan_add(Plan *plan, const Inventory *inventory, const InventoryDomain *domain) {
        PlanDomain *planned = &plan->domains[plan->n_domains];
        int r;

        *planned = (PlanDomain){
                .name = domain->name,
                .account = domain->user,
                .uid = domain->account_fault == ACCOUNT_FAULT_NONE ? domain->uid : (uid_t)-1,
                .gid = domain->account_fault == ACCOUNT_FAULT_NONE ? domain->gid : (gid_t)-1,
                .autostart = domain->autostart,
                .shell = domain->shell,
        };
        r = inventory_service_path(inventory, domain, &planned->service_path);
        if (r)
                return error_fold(r);
        ++plan->n_domains;
        return 0;
}

int plan_new_dom0(Plan **ret_plan) {
        _cleanup_(plan_freep) Plan *plan = NULL;

        plan = calloc(1, sizeof(*plan));
        if (!plan)
                return error_origin(-ENOMEM);
        plan->domains = calloc(1, sizeof(*plan->domains));
        if (!plan->domains)
                return error_origin(-ENOMEM);
        plan->domains[0] = (PlanDomain){ .name = { DOM0_NAME }, .uid = (uid_t)-1, .gid = (gid_t)-1 };
        plan->domains[0].service_path = strdup("");
        if (!plan->domains[0].service_path)
                return error_origin(-ENOMEM);
        plan->n_domains = 1;
        *ret_plan = steal_ptr(&plan);
        return 0;
}

int plan_load(const char *dir, Diagnostics *reterr, Plan **ret_plan) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL;
        int r;

        r = inventory_load(dir, reterr, &inventory);
        if (r == INVENTORY_E_INVALID)
                return PLAN_E_INVALID;
        if (r)
                return error_fold(r);
        /* A domain whose account will not do is left out, and said so; the others must not suffer for it. */
        r = inventory_check_accounts(inventory, reterr);
        if (r && r != INVENTORY_E_INVALID)
                return error_fold(r);

        plan = calloc(1, sizeof(*plan));
        if (!plan)
                return error_origin(-ENOMEM);
        plan->domains = calloc(inventory->n_domains, sizeof(*plan->domains));
        if (!plan->domains)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < inventory->n_domains; ++i) {
                const InventoryDomain *domain = &inventory->domains[i];

                r = plan_note_ignored(domain, reterr);
                if (r)
                        return error_trace(r);
                if (!plan_wants(domain))
                        continue;
                r = plan_add(plan, inventory, domain);
                if (r)
                        return error_trace(r);
        }
        *ret_plan = steal_ptr(&plan);
        return 0;
}

const PlanDomain *plan_find(const Plan *plan, const DomainName *name) {
        for (size_t i = 0; i < plan->n_domains; ++i)
                if (strcmp(plan->domains[i].name.text, name->text) == 0)
                        return &plan->domains[i];
        return NULL;
}
