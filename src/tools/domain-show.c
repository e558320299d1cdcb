/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "tools/command.h"
#include "tools/domain.h"

static void put_json(json_object **object) {
        if (*object)
                json_object_put(*object);
}
#define _cleanup_json_ _cleanup_(put_json)

/* Hands @value over to @object; either may be NULL for want of memory. */
static int json_add(json_object *object, const char *key, json_object *value) {
        if (!object || !value || json_object_object_add(object, key, value) < 0) {
                put_json(&value);
                return error_origin(-ENOMEM);
        }
        return 0;
}

static int json_add_text(json_object *object, const char *key, const char *text) {
        if (!text) /* a null, which json-c writes as a NULL pointer */
                return json_object_object_add(object, key, NULL) < 0 ? error_origin(-ENOMEM) : 0;
        return json_add(object, key, json_object_new_string(text));
}

static int json_add_tags(json_object *object, const InventoryDomain *domain) {
        _cleanup_json_ json_object *tags = json_object_new_array();

        if (!tags)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < domain->n_tags; ++i) {
                json_object *tag = json_object_new_string(domain->tags[i]);

                if (!tag || json_object_array_add(tags, tag) < 0) {
                        put_json(&tag);
                        return error_origin(-ENOMEM);
                }
        }
        return json_add(object, property_info(PROPERTY_TAGS)->key, steal_ptr(&tags));
}

static bool is_number(PropertyKind kind) {
        return kind == PROPERTY_KIND_SECONDS || kind == PROPERTY_KIND_COUNT;
}

/* What holds, as a person would say it: "none" is no domain, not one of that name. */
static const char *shown_text(const InventoryDomain *domain, Property property) {
        const char *text = domain_property_text(domain, property);

        if (text && property_info(property)->kind == PROPERTY_KIND_DOMAIN && strcmp(text, DOMAIN_NONE) == 0)
                return NULL;
        return text;
}

static int json_add_property(json_object *object, const InventoryDomain *domain, Property property) {
        const PropertyInfo *info = property_info(property);
        const char *text = shown_text(domain, property);
        PropertyValue value = {};
        char problem[PROPERTY_PROBLEM_MAX];
        int r;

        if (property == PROPERTY_TAGS)
                return json_add_tags(object, domain);
        if (!text || (info->kind != PROPERTY_KIND_BOOLEAN && !is_number(info->kind)))
                return json_add_text(object, info->key, text);

        r = property_value_parse(property, text, &value, problem);
        if (r)
                return error_fold(r);
        r = json_add(object, info->key,
                     info->kind == PROPERTY_KIND_BOOLEAN ? json_object_new_boolean(value.number != 0)
                                                         : json_object_new_int64((int64_t)value.number));
        property_value_deinit(&value);
        return r;
}

static bool applies(const InventoryDomain *domain, Property property) {
        return property_info(property)->types & BIT(domain->type);
}

static int json_add_properties(json_object *object, const InventoryDomain *domain) {
        int r = 0;

        for (size_t i = 0; i < _PROPERTY_N && r == 0; ++i)
                if (applies(domain, (Property)i))
                        r = json_add_property(object, domain, (Property)i);
        return r;
}

static int print_json(json_object *object) {
        const char *text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                                          JSON_C_TO_STRING_NOSLASHESCAPE);

        if (!text)
                return error_origin(-ENOMEM);
        printf("%s\n", text);
        return COMMAND_STATUS_DONE;
}

static int show_json(const InventoryDomain *domain, const char *services) {
        _cleanup_json_ json_object *object = json_object_new_object(), *properties = json_object_new_object(),
                                   *inherited = json_object_new_object();
        int r;

        if (!object || !properties || !inherited)
                return error_origin(-ENOMEM);
        r = json_add_text(object, "name", domain->name.text);
        r = r ?: json_add_text(object, "file", domain->path);
        r = r ?: json_add_text(object, "services", services);
        r = r ?: json_add_properties(properties, domain);
        for (size_t i = 0; i < _PROPERTY_N && r == 0; ++i)
                if (domain->origin[i] && domain->origin[i] != domain)
                        r = json_add_text(inherited, property_info((Property)i)->key, domain->origin[i]->name.text);
        r = r ?: json_add(object, "properties", steal_ptr(&properties));
        r = r ?: json_add(object, "inherited", steal_ptr(&inherited));
        return r < 0 ? r : print_json(object);
}

/* Where a value comes from that its own file does not set. */
static void print_origin(const InventoryDomain *domain, Property property) {
        const InventoryDomain *origin = domain->origin[property];

        if (origin && origin != domain)
                printf("  (from %s)", origin->name.text);
        else if (!origin && property == PROPERTY_UUID && domain->type != DOMAIN_TYPE_ADMINVM)
                printf("  (derived from the name)");
        else if (!origin)
                printf("  (default)");
}

static void show_text(const InventoryDomain *domain, const char *services) {
        printf("%s\n", domain->name.text);
        for (size_t i = 0; i < _PROPERTY_N; ++i) {
                const char *text = shown_text(domain, (Property)i);

                if (!applies(domain, (Property)i))
                        continue;
                printf("  %-21s ", property_info((Property)i)->key);
                if (i == PROPERTY_TAGS)
                        for (size_t k = 0; k < domain->n_tags; ++k)
                                printf("%s%s", k > 0 ? " " : "", domain->tags[k]);
                if (i == PROPERTY_TAGS ? domain->n_tags == 0 : !text)
                        printf("-");
                else if (i != PROPERTY_TAGS)
                        printf("%s", ESCAPED(text, strlen(text)));
                if (text)
                        print_origin(domain, (Property)i);
                printf("\n");
        }
        printf("  %-21s %s%s\n", "file", domain->path, domain_name_is_dom0(&domain->name) ? "  (need not exist)" : "");
        printf("  %-21s %s\n", "services", services);
}

/* Return: COMMAND_STATUS_DONE, or what to leave with. */
static int load(const DomainOptions *options, Inventory **ret_inventory) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        r = inventory_load(options->dir, &diagnostics, ret_inventory);
        if (r < 0)
                return error_trace(r);
        command_print_diagnostics(&diagnostics);
        return r ? COMMAND_STATUS_FAILED : COMMAND_STATUS_DONE;
}

int domain_show(const DomainOptions *options) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_free_ char *services = NULL;
        const InventoryDomain *domain;
        int r;

        r = load(options, &inventory);
        if (r)
                return r;
        domain = inventory_lookup(inventory, options->name);
        if (!domain) {
                command_complain("there is no domain '%s' in %s: 'qair domain list' shows those there are",
                                 options->name, options->dir);
                return COMMAND_STATUS_FAILED;
        }
        r = inventory_service_path(inventory, domain, &services);
        if (r < 0)
                return error_trace(r);
        if (options->json)
                return show_json(domain, services);
        show_text(domain, services);
        return COMMAND_STATUS_DONE;
}

/* Domains of other hosts are those hosts' business. */
static const char *list_state(const InventoryDomain *domain, json_object *states) {
        json_object *state;

        if (!json_object_object_get_ex(states, domain->name.text, &state))
                return NULL;
        return json_object_get_string(state);
}

static int list_json(const Inventory *inventory, json_object *states) {
        _cleanup_json_ json_object *object = json_object_new_object(), *domains = json_object_new_object();
        int r = 0;

        if (!object || !domains)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < inventory->n_domains && r == 0; ++i) {
                _cleanup_json_ json_object *properties = json_object_new_object();

                if (!properties)
                        return error_origin(-ENOMEM);
                r = json_add_properties(properties, &inventory->domains[i]);
                /* no property: known only while there is a broker to say it */
                if (!r && list_state(&inventory->domains[i], states))
                        r = json_add_text(properties, "state", list_state(&inventory->domains[i], states));
                r = r ?: json_add(domains, inventory->domains[i].name.text, steal_ptr(&properties));
        }
        r = r ?: json_add(object, "domains", steal_ptr(&domains));
        return r < 0 ? r : print_json(object);
}

static const char *list_user(const InventoryDomain *domain) {
        /* A user's dom0 is he himself, whatever its file would say on a host. */
        if (domain->type == DOMAIN_TYPE_REMOTEVM || command_paths()->is_user)
                return "-";
        return domain->user.text[0] ? domain->user.text : "-";
}

static void list_text(const Inventory *inventory, json_object *states) {
        int width = 4, width_user = 4;

        for (size_t i = 0; i < inventory->n_domains; ++i) {
                int n = (int)strlen(inventory->domains[i].name.text);
                int n_user = (int)strlen(list_user(&inventory->domains[i]));

                width = n > width ? n : width;
                width_user = n_user > width_user ? n_user : width_user;
        }
        printf("%-*s  %-12s  %-*s  %-8s  %-6s  %s\n", width, "NAME", "TYPE", width_user, "USER", "STATE", "LABEL",
               "TAGS");
        for (size_t i = 0; i < inventory->n_domains; ++i) {
                const InventoryDomain *domain = &inventory->domains[i];

                printf("%-*s  %-12s  %-*s  %-8s  %-6s  ", width, domain->name.text, domain_type_text(domain->type),
                       width_user, list_user(domain), list_state(domain, states) ?: "-",
                       domain_label_text(domain->label));
                for (size_t k = 0; k < domain->n_tags; ++k)
                        printf("%s%s", k > 0 ? " " : "", domain->tags[k]);
                printf("%s\n", domain->n_tags == 0 ? "-" : "");
        }
}

int domain_list(const DomainOptions *options) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_json_ json_object *states = NULL;
        int r;

        r = load(options, &inventory);
        r = r ?: domain_states(options, &states);
        if (r)
                return r;
        if (options->json)
                return list_json(inventory, states);
        list_text(inventory, states);
        return COMMAND_STATUS_DONE;
}

int domain_check(const DomainOptions *options) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        r = load(options, &inventory);
        if (r)
                return r;
        if (!options->no_accounts) {
                r = inventory_check_accounts(inventory, &diagnostics);
                if (r < 0)
                        return error_trace(r);
                command_print_diagnostics(&diagnostics);
                if (r)
                        return COMMAND_STATUS_FAILED;
        }
        printf("%s: %zu domain%s, no errors\n", options->dir, inventory->n_domains,
               inventory->n_domains == 1 ? "" : "s");
        return COMMAND_STATUS_DONE;
}
