/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/nearest.h"

static InventoryDomain *lookup(Inventory *inventory, const char *name) {
        return (InventoryDomain *)inventory_lookup(inventory, name);
}

static const char *get_name(const void *userdata, size_t i) {
        const Inventory *inventory = userdata;

        return i < inventory->n_domains ? inventory->domains[i].name.text : NULL;
}

/* A reference to @name found in @domain's own file. */
static int complain_dangling(const Inventory *inventory, const InventoryDomain *domain, Property property,
                             const char *name, Diagnostics *reterr) {
        const char *meant = nearest(name, strlen(name), get_name, inventory), *key = property_info(property)->key;
        unsigned line = domain->file.values[property].line;

        if (meant)
                return diagnostics_add(reterr, domain->path, line, 0, "%s: there is no domain '%s': did you mean '%s'?",
                                       key, name, meant);
        return diagnostics_add(reterr, domain->path, line, 0,
                               "%s: there is no domain '%s': add it (qair domain add %s …) or remove the line", key,
                               name, name);
}

static void resolve_type(InventoryDomain *domain) {
        const PropertyValue *value = &domain->file.values[PROPERTY_TYPE];

        if (domain_name_is_dom0(&domain->name))
                domain->type = DOMAIN_TYPE_ADMINVM;
        else if (value->text && value->number != DOMAIN_TYPE_ADMINVM) /* which inventory_check() refuses */
                domain->type = (DomainType)value->number;
        else
                domain->type = DOMAIN_TYPE_APPVM;
}

static bool type_is_known(const InventoryDomain *domain) {
        const PropertyValue *value = &domain->file.values[PROPERTY_TYPE];

        return domain->type == DOMAIN_TYPE_ADMINVM || !value->line ||
               (value->text && (DomainType)value->number == domain->type);
}

static int check_applicable(const InventoryDomain *domain, Diagnostics *reterr) {
        for (size_t i = 0; i < _PROPERTY_N; ++i) {
                const PropertyInfo *info = property_info((Property)i);
                const PropertyValue *value = &domain->file.values[i];
                int r = 0;

                /* With a type that is not known, or not allowed, the other keys cannot be judged. */
                if (!value->line || (info->types & BIT(domain->type)) || !type_is_known(domain))
                        continue;
                if (domain->type == DOMAIN_TYPE_ADMINVM)
                        r = diagnostics_add(reterr, domain->path, value->line, 0,
                                            "%s: not for dom0, which is the host itself: remove the line%s", info->key,
                                            i == PROPERTY_USER ? " (dom0_user says what its services run as)" : "");
                else if (info->types == BIT(DOMAIN_TYPE_REMOTEVM))
                        r = diagnostics_add(reterr, domain->path, value->line, 0,
                                            "%s: only for a RemoteVM: write type = RemoteVM, or remove the line",
                                            info->key);
                else if (info->types == BIT(DOMAIN_TYPE_ADMINVM))
                        r = diagnostics_add(reterr, domain->path, value->line, 0, "%s: only for dom0: remove the line",
                                            info->key);
                else
                        r = diagnostics_add(reterr, domain->path, value->line, 0, "%s: not for a %s: remove the line",
                                            info->key, domain_type_text(domain->type));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int resolve_template(Inventory *inventory, InventoryDomain *domain, Diagnostics *reterr) {
        const PropertyValue *value = &domain->file.values[PROPERTY_TEMPLATE];
        const InventoryDomain *template;

        if (!value->text || strcmp(value->text, DOMAIN_NONE) == 0 ||
            !(property_info(PROPERTY_TEMPLATE)->types & BIT(domain->type)))
                return 0;
        template = lookup(inventory, value->text);
        if (!template)
                return complain_dangling(inventory, domain, PROPERTY_TEMPLATE, value->text, reterr);
        if (!domain_is_local(template))
                return diagnostics_add(
                        reterr, domain->path, value->line, 0,
                        "template: '%s' is of type %s, which has nothing to inherit: name another domain", value->text,
                        domain_type_text(template->type));
        domain->template = template;
        return 0;
}

/* A chain of templates is at most INVENTORY_DEPTH_MAX long, or inventory_check() complains; in one that is too long,
 * or a circle, we look no farther. */
static void resolve_effective(InventoryDomain *domain) {
        for (size_t i = 0; i < _PROPERTY_N; ++i) {
                const PropertyInfo *info = property_info((Property)i);
                const InventoryDomain *from = domain;

                if (!(info->types & BIT(domain->type)))
                        continue;
                for (size_t depth = 0; from && depth <= INVENTORY_DEPTH_MAX; ++depth) {
                        const PropertyValue *value = &from->file.values[i];

                        if (value->line) {
                                if (value->text) {
                                        domain->effective[i] = value;
                                        domain->origin[i] = from;
                                }
                                break;
                        }
                        from = info->inherited ? from->template : NULL;
                }
        }
}

static int resolve_reference(Inventory *inventory, InventoryDomain *domain, Property property, Diagnostics *reterr,
                             const InventoryDomain **ret_domain) {
        const PropertyValue *value = domain->effective[property];
        const InventoryDomain *found;

        if (!value || strcmp(value->text, DOMAIN_NONE) == 0)
                return 0;
        found = lookup(inventory, value->text);
        if (found)
                *ret_domain = found;
        else if (domain->origin[property] == domain) /* else the template's own file is complained of */
                return complain_dangling(inventory, domain, property, value->text, reterr);
        return 0;
}

static int resolve_references(Inventory *inventory, InventoryDomain *domain, Diagnostics *reterr) {
        int r;

        /* As in Qubes: who has no other GUI domain is dom0's; a domain elsewhere has its windows elsewhere. */
        if (!domain->effective[PROPERTY_GUIVM] && domain_is_local(domain))
                domain->guivm = inventory_dom0(inventory);

        r = resolve_reference(inventory, domain, PROPERTY_GUIVM, reterr, &domain->guivm);
        r = r ?: resolve_reference(inventory, domain, PROPERTY_DEFAULT_DISPVM, reterr, &domain->default_dispvm);
        r = r ?: resolve_reference(inventory, domain, PROPERTY_RELAYVM, reterr, &domain->relayvm);
        r = r ?: resolve_reference(inventory, domain, PROPERTY_UNKNOWN_SOURCE, reterr, &domain->unknown_source);
        return r;
}

/* The values are well formed here: property_value_parse() made them. */
static int get_account(const InventoryDomain *domain, Property property, AccountName *ret_name) {
        const PropertyValue *value = domain->effective[property];
        int r;

        if (!value)
                return 0;
        r = account_name_parse(value->text, strlen(value->text), ret_name);
        return error_fold(r);
}

static uint64_t get_number(const InventoryDomain *domain, Property property, uint64_t otherwise) {
        return domain->effective[property] ? domain->effective[property]->number : otherwise;
}

static const char *get_text(const InventoryDomain *domain, Property property) {
        return domain->effective[property] ? domain->effective[property]->text : NULL;
}

static int resolve_names(InventoryDomain *domain) {
        const PropertyValue *remote_name = domain->effective[PROPERTY_REMOTE_NAME];
        int r;

        r = get_account(domain, PROPERTY_USER, &domain->user);
        r = r ?: get_account(domain, PROPERTY_DEFAULT_USER, &domain->default_user);
        if (domain->type == DOMAIN_TYPE_ADMINVM) {
                r = r
                            ?: error_fold(account_name_parse(INVENTORY_ACCOUNT_DOM0, strlen(INVENTORY_ACCOUNT_DOM0),
                                                             &domain->user));
                r = r ?: get_account(domain, PROPERTY_DOM0_USER, &domain->user);
        }
        if (domain->type == DOMAIN_TYPE_REMOTEVM)
                domain->remote_name = domain->name;
        if (remote_name)
                r = r
                            ?: error_fold(domain_name_parse(remote_name->text, strlen(remote_name->text),
                                                            &domain->remote_name));
        return r;
}

static void resolve_values(InventoryDomain *domain) {
        const PropertyValue *uuid = domain->effective[PROPERTY_UUID];
        DomainLabel label = domain->type == DOMAIN_TYPE_ADMINVM ? DOMAIN_LABEL_BLACK : DOMAIN_LABEL_RED;
        const char *vchan = domain_link_text(DOMAIN_LINK_VCHAN);
        const char *link = get_text(domain, PROPERTY_LINK) ?: domain_link_text(DOMAIN_LINK_LOCAL);

        if (domain->type == DOMAIN_TYPE_ADMINVM)
                memcpy(domain->uuid.text, UUID_DOM0, sizeof(UUID_DOM0));
        else if (uuid)
                memcpy(domain->uuid.text, uuid->text, sizeof(domain->uuid.text));
        else
                uuid_derive(domain->name.text, &domain->uuid);

        domain->label = (DomainLabel)get_number(domain, PROPERTY_LABEL, label);
        domain->transport_rpc = get_text(domain, PROPERTY_TRANSPORT_RPC);
        domain->remote_host = get_text(domain, PROPERTY_REMOTE_HOST);
        domain->start = get_text(domain, PROPERTY_START);
        domain->stop = get_text(domain, PROPERTY_STOP);
        domain->sandbox = (DomainSandbox)get_number(domain, PROPERTY_SANDBOX, DOMAIN_SANDBOX_NONE);
        domain->link = strcmp(link, domain_link_text(DOMAIN_LINK_LOCAL)) == 0 ? DOMAIN_LINK_LOCAL
                       : strncmp(link, vchan, strlen(vchan)) == 0             ? DOMAIN_LINK_VCHAN
                                                                              : DOMAIN_LINK_VSOCK;
        if (domain->link == DOMAIN_LINK_VSOCK)
                domain->vsock_cid = (uint32_t)get_number(domain, PROPERTY_LINK, 0);
        if (domain->link == DOMAIN_LINK_VCHAN)
                domain->vchan_id = (uint32_t)get_number(domain, PROPERTY_LINK, 0) ?: DOMAIN_VCHAN_ID_DEFAULT;
        domain->idle_timeout_usec = get_number(domain, PROPERTY_IDLE_TIMEOUT, 0) * USEC_PER_SEC;
        domain->max_calls = (unsigned)get_number(domain, PROPERTY_MAX_CALLS, DOMAIN_MAX_CALLS_DEFAULT);
        domain->template_for_dispvms = get_number(domain, PROPERTY_TEMPLATE_FOR_DISPVMS, false);
        domain->autostart = get_number(domain, PROPERTY_AUTOSTART, false);
        domain->internal = get_number(domain, PROPERTY_INTERNAL, false);
        domain->stop_timeout_sec = (unsigned)get_number(domain, PROPERTY_STOP_TIMEOUT, 0);
        domain->shell = get_number(domain, PROPERTY_SHELL, false);
}

static int add_tag(InventoryDomain *domain, char *tag) {
        if (!tag)
                return error_origin(-ENOMEM);
        domain->tags[domain->n_tags++] = tag;
        return 0;
}

static int compare_tags(const void *a, const void *b) {
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static int resolve_tags(InventoryDomain *domain) {
        const char *text = get_text(domain, PROPERTY_TAGS) ?: "";
        char *tag;
        int r;

        domain->tags = calloc(DOMAIN_TAGS_MAX + 2, sizeof(*domain->tags));
        if (!domain->tags)
                return error_origin(-ENOMEM);

        while (*text != '\0') {
                size_t n = strcspn(text, " ");

                r = add_tag(domain, strndup(text, n));
                if (r < 0)
                        return r;
                text += n + (text[n] == ' ');
        }

        /* As in Qubes: policies say @tag:relayvm-NAME, and a GUI domain may ask about the domains it shows. */
        if (domain->relayvm) {
                if (asprintf(&tag, "relayvm-%s", domain->relayvm->name.text) < 0)
                        tag = NULL;
                r = add_tag(domain, tag);
                if (r < 0)
                        return r;
        }
        if (domain->guivm && domain->guivm->type != DOMAIN_TYPE_ADMINVM) {
                if (asprintf(&tag, "guivm-%s", domain->guivm->name.text) < 0)
                        tag = NULL;
                r = add_tag(domain, tag);
                if (r < 0)
                        return r;
        }
        qsort(domain->tags, domain->n_tags, sizeof(*domain->tags), compare_tags);
        return 0;
}

int inventory_resolve(Inventory *inventory, Diagnostics *reterr) {
        int r = 0;

        for (size_t i = 0; i < inventory->n_domains; ++i)
                resolve_type(&inventory->domains[i]);
        for (size_t i = 0; i < inventory->n_domains && r == 0; ++i) {
                r = check_applicable(&inventory->domains[i], reterr);
                r = r ?: resolve_template(inventory, &inventory->domains[i], reterr);
        }
        for (size_t i = 0; i < inventory->n_domains && r == 0; ++i) {
                InventoryDomain *domain = &inventory->domains[i];

                resolve_effective(domain);
                resolve_values(domain);
                r = resolve_names(domain);
                r = r ?: resolve_references(inventory, domain, reterr);
                r = r ?: resolve_tags(domain);
        }
        return error_trace(r);
}
