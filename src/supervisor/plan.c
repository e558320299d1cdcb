/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "inventory/inventory.h"

/* The same as in the monitor, which is another program. */
#define SANDBOX_BWRAP "/usr/bin/bwrap"

Plan *plan_free(Plan *plan) {
        if (!plan)
                return NULL;
        for (size_t i = 0; i < plan->n_domains; ++i) {
                free(plan->domains[i].start);
                free(plan->domains[i].stop);
                free(plan->domains[i].service_path);
        }
        free(plan->domains);
        free(plan);
        return NULL;
}

/* A container or virtual machine has no account: that it is one is said by how it starts, or how it is reached. */
static bool plan_is_container(const InventoryDomain *domain) {
        return domain->start || domain->file.values[PROPERTY_LINK].text;
}

/*
 * Which domains get sockets. dom0 is always there, since root calls from it; without a usable account it has no agent,
 * so nothing can be called in it. A user's domains have no accounts: what is no container is a sandbox.
 */
static bool plan_wants(const Paths *paths, const InventoryDomain *domain) {
        if (domain_name_is_dom0(&domain->name))
                return true;
        if (!domain_is_local(domain))
                return false;
        if (domain->link != DOMAIN_LINK_LOCAL && (paths->is_user || domain->user.text[0] == '\0'))
                return false;
        if (domain->user.text[0] != '\0')
                return !paths->is_user && domain->account_fault == ACCOUNT_FAULT_NONE;
        if (paths->is_user && domain->sandbox == DOMAIN_SANDBOX_BWRAP)
                return true;
        return plan_is_container(domain);
}

static int plan_note(const InventoryDomain *domain, Property property, const char *consequence, Diagnostics *reterr) {
        return error_trace(diagnostics_add(reterr, domain->origin[property]->path, domain->effective[property]->line, 0,
                                           "domain %s: %s", domain->name.text, consequence));
}

/* What the inventory may say already and nobody acts on yet: said aloud, lest somebody rely on it. */
static int plan_note_ignored(const Paths *paths, const InventoryDomain *domain, Diagnostics *reterr) {
        int r = 0;

        if (domain->link != DOMAIN_LINK_LOCAL && (paths->is_user || domain->user.text[0] == '\0'))
                r = plan_note(domain, PROPERTY_LINK,
                              "a vchan or vsock link needs an account of this host (user): the domain is not started",
                              reterr);
        else if (domain->link != DOMAIN_LINK_LOCAL && (domain->start || domain->sandbox != DOMAIN_SANDBOX_NONE))
                r = plan_note(domain, domain->start ? PROPERTY_START : PROPERTY_SANDBOX,
                              "it is ignored: a domain over vchan or vsock is started by other means", reterr);
        if (!r && domain->link != DOMAIN_LINK_LOCAL)
                return 0;
        if (!r && domain->sandbox != DOMAIN_SANDBOX_NONE && domain->start)
                r = plan_note(domain, PROPERTY_SANDBOX,
                              "it has a start command, which makes its own: no sandbox is made", reterr);
        else if (!r && domain->sandbox != DOMAIN_SANDBOX_NONE && access(SANDBOX_BWRAP, X_OK) < 0)
                r = plan_note(domain, PROPERTY_SANDBOX,
                              SANDBOX_BWRAP
                              " is not there: install the package bubblewrap; until then it is not started",
                              reterr);
        if (!r && paths->is_user && domain->effective[PROPERTY_USER] && !domain_name_is_dom0(&domain->name))
                r = plan_note(domain, PROPERTY_USER, "a user's domains have no accounts: set sandbox = bwrap instead",
                              reterr);
        return r;
}

static int plan_copy(const char *text, char **ret_copy) {
        if (!text)
                return 0;
        *ret_copy = strdup(text);
        return *ret_copy ? 0 : error_origin(-ENOMEM);
}

/* A user's own services stand between those of one domain and those of the host. */
static int plan_service_path(const Paths *paths, const Inventory *inventory, const InventoryDomain *domain,
                             char **ret_path) {
        _cleanup_free_ char *path = NULL;
        const char *hosts;
        int r;

        r = inventory_service_path(inventory, domain, &path);
        if (r || !paths->is_user) {
                *ret_path = steal_ptr(&path);
                return error_fold(r);
        }
        hosts = strstr(path, ":/usr/local/") ?: path + strlen(path);
        return asprintf(ret_path, "%.*s:%s%s", (int)(hosts - path), path, paths->rpc_dir, hosts) < 0
                       ? error_origin(-ENOMEM)
                       : 0;
}

static int plan_add(Plan *plan, const Paths *paths, const Inventory *inventory, const InventoryDomain *domain) {
        PlanDomain *planned = &plan->domains[plan->n_domains++];
        bool is_dom0 = domain_name_is_dom0(&domain->name), is_local = domain->link == DOMAIN_LINK_LOCAL;
        bool has_account =
                !paths->is_user && domain->user.text[0] != '\0' && domain->account_fault == ACCOUNT_FAULT_NONE;
        int r;

        *planned = (PlanDomain){
                .name = domain->name,
                .account = has_account ? domain->user : (AccountName){},
                .uid = has_account                 ? domain->uid
                       : is_dom0 && paths->is_user ? getuid()
                                                   : (uid_t)-1,
                .is_folder = !is_dom0 && domain->user.text[0] == '\0',
                .is_sandboxed = domain->sandbox == DOMAIN_SANDBOX_BWRAP && !domain->start && is_local,
                /* Over vsock a number is only a name: of sockets that are in a folder of the domain's own. */
                .vchan = domain->link == DOMAIN_LINK_VSOCK ? DOMAIN_VCHAN_ID_DEFAULT : domain->vchan_id,
                .cid = domain->vsock_cid,
                .uuid = domain->uuid,
                .inside = domain->default_user,
                .autostart = domain->autostart,
                .stop_sec = domain->stop_timeout_sec,
                .shell = domain->shell,
        };
        planned->has_agent = has_account || (paths->is_user && (is_dom0 || planned->is_sandboxed));
        r = is_local ? plan_copy(domain->start, &planned->start) : 0;
        r = r ?: plan_copy(domain->stop, &planned->stop);
        r = r ?: plan_service_path(paths, inventory, domain, &planned->service_path);
        return error_trace(r);
}

int plan_new_dom0(Plan **ret_plan) {
        _cleanup_(plan_freep) Plan *plan = NULL;

        plan = calloc(1, sizeof(*plan));
        if (!plan)
                return error_origin(-ENOMEM);
        plan->domains = calloc(1, sizeof(*plan->domains));
        if (!plan->domains)
                return error_origin(-ENOMEM);
        plan->domains[0] = (PlanDomain){ .name = { DOM0_NAME }, .uid = (uid_t)-1 };
        plan->domains[0].service_path = strdup("");
        if (!plan->domains[0].service_path)
                return error_origin(-ENOMEM);
        plan->n_domains = 1;
        *ret_plan = steal_ptr(&plan);
        return 0;
}

int plan_load(const Paths *paths, Diagnostics *reterr, Plan **ret_plan) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL;
        int r;

        r = inventory_load(paths->domains_dir, reterr, &inventory);
        if (r == INVENTORY_E_INVALID)
                return PLAN_E_INVALID;
        if (r)
                return error_fold(r);
        /* A domain whose account will not do is left out, and said so; the others must not suffer for it. */
        r = paths->is_user ? 0 : inventory_check_accounts(inventory, reterr);
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

                r = plan_note_ignored(paths, domain, reterr);
                if (r)
                        return error_trace(r);
                if (!plan_wants(paths, domain))
                        continue;
                r = plan_add(plan, paths, inventory, domain);
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
