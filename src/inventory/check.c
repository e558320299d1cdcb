/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "inventory/resolve.h"

/* Complain of the line that sets @property, or of the file if none does. */
#define complain(_domain, _property, _reterr, ...) \
        diagnostics_add((_reterr), (_domain)->path, (_domain)->file.values[(_property)].line, 0, __VA_ARGS__)

static bool is_set(const InventoryDomain *domain, Property property) {
        return domain->file.values[property].line > 0;
}

static int check_type(const InventoryDomain *domain, Diagnostics *reterr) {
        const PropertyValue *value = &domain->file.values[PROPERTY_TYPE];
        bool dom0 = domain_name_is_dom0(&domain->name);

        if (value->text && dom0 && value->number != DOMAIN_TYPE_ADMINVM)
                return complain(domain, PROPERTY_TYPE, reterr, "type: dom0 is always the AdminVM: remove the line");
        if (value->text && !dom0 && value->number == DOMAIN_TYPE_ADMINVM)
                return complain(domain, PROPERTY_TYPE, reterr,
                                "type: only dom0 is an AdminVM: write another type, or remove the line");
        return 0;
}

static int check_account_name(const InventoryDomain *domain, Property property, const char *name, Diagnostics *reterr) {
        static const struct {
                const char *name, *why;
        } refused[] = {
                { "root", "is root: whoever takes it over has the host" },
                { "nobody", "stands for every id that is not mapped" },
                { "nfsnobody", "stands for every id that is not mapped" },
                { INVENTORY_ACCOUNT_BROKER, "is the broker's" },
                { INVENTORY_ACCOUNT_DOM0, "is dom0's" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(refused); ++i)
                if (strcmp(name, refused[i].name) == 0 &&
                    (domain->type != DOMAIN_TYPE_ADMINVM || strcmp(name, INVENTORY_ACCOUNT_DOM0) != 0))
                        return complain(domain, property, reterr,
                                        "%s: the account '%s' %s: give the domain an account of its own (useradd "
                                        "--create-home %s)",
                                        property_info(property)->key, name, refused[i].why,
                                        property == PROPERTY_DOM0_USER ? INVENTORY_ACCOUNT_DOM0 : domain->name.text);
        return 0;
}

static int check_account(const InventoryDomain *domain, Diagnostics *reterr) {
        Property property = domain->type == DOMAIN_TYPE_ADMINVM ? PROPERTY_DOM0_USER : PROPERTY_USER;
        int r;

        if (!domain->user.text[0])
                return 0;
        r = check_account_name(domain, property, domain->user.text, reterr);
        if (r < 0)
                return r;
        /* Over vchan and vsock the account here is the link's, and what runs in the domain has accounts of its own. */
        if (domain->link == DOMAIN_LINK_LOCAL && is_set(domain, PROPERTY_DEFAULT_USER) &&
            domain->default_user.text[0] && strcmp(domain->default_user.text, domain->user.text) != 0)
                return complain(domain, PROPERTY_DEFAULT_USER, reterr,
                                "default_user: the services of an account's domain run as that account ('%s'): remove "
                                "the line",
                                domain->user.text);
        return 0;
}

static int check_remote(const InventoryDomain *domain, Diagnostics *reterr) {
        int r = 0;

        if (domain->type != DOMAIN_TYPE_REMOTEVM)
                return 0;
        if (!domain->effective[PROPERTY_RELAYVM] && !is_set(domain, PROPERTY_RELAYVM))
                r = diagnostics_add(reterr, domain->path, 0, 0,
                                    "a RemoteVM needs a relay: write relayvm = NAME, the domain that reaches its host");
        else if (domain->effective[PROPERTY_RELAYVM] &&
                 strcmp(domain->effective[PROPERTY_RELAYVM]->text, DOMAIN_NONE) == 0)
                r = complain(domain, PROPERTY_RELAYVM, reterr,
                             "relayvm: a RemoteVM needs a relay: name the domain that reaches its host");
        else if (domain->relayvm && domain->relayvm->type == DOMAIN_TYPE_ADMINVM)
                r = complain(domain, PROPERTY_RELAYVM, reterr,
                             "relayvm: dom0 must not talk to other hosts: make a domain for that");
        if (r < 0)
                return r;
        if (!is_set(domain, PROPERTY_TRANSPORT_RPC))
                return diagnostics_add(reterr, domain->path, 0, 0,
                                       "a RemoteVM needs a transport: write transport_rpc = SERVICE, such as "
                                       "qubesair.SSHProxy");
        return 0;
}

static int check_references(const InventoryDomain *domain, Diagnostics *reterr) {
        const InventoryDomain *base = domain->default_dispvm, *unknown = domain->unknown_source;
        int r = 0;

        if (base && domain->origin[PROPERTY_DEFAULT_DISPVM] == domain && !base->template_for_dispvms)
                r = complain(domain, PROPERTY_DEFAULT_DISPVM, reterr,
                             "default_dispvm: no disposables can be made from '%s': write template_for_dispvms = yes "
                             "in %s, or name another domain",
                             base->name.text, base->path);
        if (r < 0)
                return r;
        if (unknown && (unknown->type != DOMAIN_TYPE_REMOTEVM || unknown->relayvm != domain))
                return complain(domain, PROPERTY_UNKNOWN_SOURCE, reterr,
                                "unknown_source: '%s' is no RemoteVM whose relay is '%s': name one that is",
                                unknown->name.text, domain->name.text);
        return 0;
}

static const InventoryDomain *next_template(const InventoryDomain *domain) {
        return domain->template;
}

/* From one domain on another host to the one that must be reached first, if that is on another host too. */
static const InventoryDomain *next_relay(const InventoryDomain *domain) {
        return domain->type == DOMAIN_TYPE_REMOTEVM ? domain->relayvm : NULL;
}

/* "a -> b -> a", or its beginning. */
#define CHAIN_TEXT_SIZE ((INVENTORY_DEPTH_MAX + 3) * (DOMAIN_NAME_MAX + 5))

static void chain_format(const InventoryDomain *domain, const InventoryDomain *(*next)(const InventoryDomain *domain),
                         char ret_text[static CHAIN_TEXT_SIZE]) {
        const InventoryDomain *at = next(domain);
        int n = snprintf(ret_text, CHAIN_TEXT_SIZE, "%s", domain->name.text);

        for (size_t i = 0; at && i <= INVENTORY_DEPTH_MAX; ++i) {
                n += snprintf(ret_text + n, CHAIN_TEXT_SIZE - (size_t)n, " -> %s", at->name.text);
                at = at == domain ? NULL : next(at);
        }
        if (at)
                (void)snprintf(ret_text + n, CHAIN_TEXT_SIZE - (size_t)n, " -> …");
}

/*
 * A chain that comes back to where it began is told once, by the first of its members by name; a chain that only
 * leads into a circle not at all: it is mended with the circle.
 */
static int check_chain(const Inventory *inventory, const InventoryDomain *domain, Property property,
                       const InventoryDomain *(*next)(const InventoryDomain *domain), Diagnostics *reterr) {
        const char *key = property_info(property)->key;
        char text[CHAIN_TEXT_SIZE];
        bool first = true;
        size_t n = 0;

        chain_format(domain, next, text);
        for (const InventoryDomain *at = next(domain); at; at = next(at)) {
                if (at == domain)
                        return first ? complain(domain, property, reterr, "%s: %s is a circle: cut it somewhere", key,
                                                text)
                                     : 0;
                if (++n > inventory->n_domains)
                        return 0;
                first = first && at > domain;
        }
        if (n > INVENTORY_DEPTH_MAX)
                return complain(domain, property, reterr, "%s: %s is too long: at most %d in a row", key, text,
                                INVENTORY_DEPTH_MAX);
        return 0;
}

/* Of domains that must differ in something. */
typedef struct Unique {
        const InventoryDomain *domain;
        const char *text;
} Unique;

static int compare_unique(const void *a, const void *b) {
        const Unique *one = a, *two = b;
        int r = strcmp(one->text, two->text);

        return r ?: (one->domain > two->domain) - (one->domain < two->domain);
}

static const char *unique_account(const InventoryDomain *domain) {
        return domain->user.text[0] ? domain->user.text : NULL;
}

static const char *unique_uuid(const InventoryDomain *domain) {
        return domain->uuid.text;
}

static const char *unique_link(const InventoryDomain *domain) {
        return domain->link == DOMAIN_LINK_VSOCK ? domain->effective[PROPERTY_LINK]->text : NULL;
}

static int check_unique(const Inventory *inventory, Property property,
                        const char *(*get)(const InventoryDomain *domain), const char *what, Diagnostics *reterr) {
        _cleanup_free_ Unique *all = NULL;
        size_t n = 0;

        all = calloc(inventory->n_domains, sizeof(*all));
        if (!all)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < inventory->n_domains; ++i) {
                const char *text = get(&inventory->domains[i]);

                if (text)
                        all[n++] = (Unique){ .domain = &inventory->domains[i], .text = text };
        }
        qsort(all, n, sizeof(*all), compare_unique);
        for (size_t i = 1; i < n; ++i) {
                const InventoryDomain *domain = all[i].domain;
                bool dom0 = property == PROPERTY_USER && domain->type == DOMAIN_TYPE_ADMINVM;
                Property key = dom0 ? PROPERTY_DOM0_USER : property;
                int r;

                if (strcmp(all[i].text, all[i - 1].text) != 0)
                        continue;
                r = complain(domain, key, reterr, "%s: '%s' is the %s of '%s' already: each domain needs its own",
                             property_info(key)->key, all[i].text, what, all[i - 1].domain->name.text);
                if (r < 0)
                        return r;
        }
        return 0;
}

int inventory_check(const Inventory *inventory, Diagnostics *reterr) {
        int r = 0;

        for (size_t i = 0; i < inventory->n_domains && r == 0; ++i) {
                const InventoryDomain *domain = &inventory->domains[i];

                r = check_type(domain, reterr);
                r = r ?: check_account(domain, reterr);
                r = r ?: check_remote(domain, reterr);
                r = r ?: check_references(domain, reterr);
                r = r ?: check_chain(inventory, domain, PROPERTY_TEMPLATE, next_template, reterr);
                r = r ?: check_chain(inventory, domain, PROPERTY_RELAYVM, next_relay, reterr);
        }
        r = r ?: check_unique(inventory, PROPERTY_USER, unique_account, "account", reterr);
        r = r ?: check_unique(inventory, PROPERTY_UUID, unique_uuid, "UUID", reterr);
        r = r ?: check_unique(inventory, PROPERTY_LINK, unique_link, "link", reterr);
        return error_trace(r);
}
