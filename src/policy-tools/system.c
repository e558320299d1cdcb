/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/system.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/file.h"
#include "policy-tools/domainfacts.h"
#include "policy-tools/qubesd.h"

/** `0xRRGGBB` and a NUL. */
#define LABEL_SIZE 9

PolicySystem *policy_system_free(PolicySystem *system) {
        if (!system)
                return NULL;
        for (size_t i = 0; i < system->n_labels; ++i)
                free(system->labels[i]);
        free(system->labels);
        policy_facts_unref(system->facts);
        inventory_free(system->inventory);
        free(system);
        return NULL;
}

/* Return: POLICY_SYSTEM_E_INVALID or a negative error */
static int system_fail(Diagnostics *reterr, const char *path, const char *text) {
        int r = diagnostics_add(reterr, path, 0, 0, "%s", text);

        return r < 0 ? error_trace(r) : POLICY_SYSTEM_E_INVALID;
}

/*
 * JSON
 */

/** A domain's entry being read; the texts belong to the JSON. */
typedef struct SystemEntry {
        const char *path;
        const char *name;
        struct json_object *object;
        Diagnostics *reterr;
        const char **tags; /* the caller frees it */
        const char *label;
        PolicyDomainInput input;
} SystemEntry;

static int system_entry_fail(const SystemEntry *entry, const char *member, const char *expected) {
        int r = diagnostics_add(entry->reterr, entry->path, 0, 0, "domain %s: %s should be %s",
                                ESCAPED(entry->name, strlen(entry->name)), member, expected);

        return r < 0 ? error_trace(r) : POLICY_SYSTEM_E_INVALID;
}

/* A text of ours ends at its first NUL, so it must have none. */
static bool system_is_text(struct json_object *value) {
        return json_object_is_type(value, json_type_string) &&
               strlen(json_object_get_string(value)) == (size_t)json_object_get_string_len(value);
}

/* *@ret_text: NULL if the member is missing or null */
static int system_entry_text(const SystemEntry *entry, const char *member, const char **ret_text) {
        struct json_object *value = NULL;

        *ret_text = NULL;
        if (!json_object_object_get_ex(entry->object, member, &value) || !value)
                return 0;
        if (!system_is_text(value))
                return system_entry_fail(entry, member, "a text or null");
        *ret_text = json_object_get_string(value);
        return 0;
}

static int system_entry_bool(const SystemEntry *entry, const char *member, PolicyFact *ret_fact) {
        struct json_object *value = NULL;

        *ret_fact = POLICY_FACT_UNKNOWN;
        if (!json_object_object_get_ex(entry->object, member, &value))
                return 0;
        if (!json_object_is_type(value, json_type_boolean))
                return system_entry_fail(entry, member, "true or false");
        *ret_fact = json_object_get_boolean(value) ? POLICY_FACT_YES : POLICY_FACT_NO;
        return 0;
}

/* `internal` hides a domain unless it is null, empty, false or missing (6.2). */
static void system_entry_internal(SystemEntry *entry) {
        struct json_object *value = NULL;

        if (!json_object_object_get_ex(entry->object, "internal", &value) || !value)
                return;
        if (json_object_is_type(value, json_type_boolean))
                entry->input.internal = json_object_get_boolean(value);
        else
                entry->input.internal =
                        !json_object_is_type(value, json_type_string) || json_object_get_string_len(value) > 0;
}

static int system_entry_tags(SystemEntry *entry) {
        struct json_object *value = NULL;
        size_t n;

        if (!json_object_object_get_ex(entry->object, "tags", &value))
                return 0;
        if (!json_object_is_type(value, json_type_array))
                return system_entry_fail(entry, "tags", "a list of texts");
        n = json_object_array_length(value);
        entry->tags = calloc(n ?: 1, sizeof(*entry->tags));
        if (!entry->tags)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n; ++i) {
                struct json_object *tag = json_object_array_get_idx(value, i);

                if (!system_is_text(tag))
                        return system_entry_fail(entry, "tags", "a list of texts");
                entry->tags[i] = json_object_get_string(tag);
        }
        entry->input.tags = entry->tags;
        entry->input.n_tags = n;
        entry->input.has_tags = true;
        return 0;
}

static int system_entry_read(SystemEntry *entry) {
        const char *power_state = NULL;
        const struct {
                const char *member;
                const char **text;
        } texts[] = {
                { "uuid", &entry->input.uuid },
                { "type", &entry->input.type },
                { "default_dispvm", &entry->input.default_dispvm },
                { "relayvm", &entry->input.relayvm },
                { "transport_rpc", &entry->input.transport_rpc },
                { "guivm", &entry->input.guivm },
                { "icon", &entry->input.icon },
                { "label", &entry->label },
                { "power_state", &power_state },
        };
        int r;

        if (!json_object_is_type(entry->object, json_type_object))
                return system_entry_fail(entry, "its entry", "an object");
        entry->input.name = entry->name;
        for (size_t i = 0; i < ARRAY_SIZE(texts); ++i) {
                r = system_entry_text(entry, texts[i].member, texts[i].text);
                if (r)
                        return r;
        }
        if (power_state)
                entry->input.running = strcmp(power_state, "Running") == 0 ? POLICY_FACT_YES : POLICY_FACT_NO;
        r = system_entry_bool(entry, "template_for_dispvms", &entry->input.template_for_dispvms);
        if (r)
                return r;
        system_entry_internal(entry);
        return system_entry_tags(entry);
}

/** What is collected before there are facts. */
typedef struct SystemBuilder {
        PolicyDomainInput *inputs;
        const char ***tags;
        PolicySystem *system;
        size_t n;
} SystemBuilder;

static void system_builder_deinit(SystemBuilder *builder) {
        for (size_t i = 0; i < builder->n; ++i)
                free(builder->tags[i]);
        free(builder->tags);
        free(builder->inputs);
        policy_system_free(builder->system);
}

static int system_builder_init(SystemBuilder *builder, size_t n) {
        builder->inputs = calloc(n ?: 1, sizeof(*builder->inputs));
        builder->tags = calloc(n ?: 1, sizeof(*builder->tags));
        builder->system = calloc(1, sizeof(*builder->system));
        if (!builder->inputs || !builder->tags || !builder->system)
                return error_origin(-ENOMEM);
        builder->system->labels = calloc(n ?: 1, sizeof(*builder->system->labels));
        return builder->system->labels ? 0 : error_origin(-ENOMEM);
}

static int system_builder_add_label(SystemBuilder *builder, const char *label) {
        char *copy = NULL;

        if (label) {
                copy = strdup(label);
                if (!copy)
                        return error_origin(-ENOMEM);
        }
        builder->system->labels[builder->system->n_labels++] = copy;
        return 0;
}

static int system_builder_finish(SystemBuilder *builder, const char *path, Diagnostics *reterr,
                                 PolicySystem **ret_system) {
        int r = policy_facts_new(builder->inputs, builder->n, &builder->system->facts);

        switch (r) {
        case 0:
                *ret_system = steal_ptr(&builder->system);
                return 0;
        case POLICY_FACTS_E_NAME:
                return system_fail(reterr, path,
                                   "a domain's name is empty, '*', or begins with '@' or 'uuid:', which mean something "
                                   "else");
        case POLICY_FACTS_E_DUPLICATE:
                return system_fail(reterr, path, "two domains have the same name or the same uuid");
        default:
                return error_fold(r);
        }
}

int policy_system_from_json(const char *path, struct json_object *object, Diagnostics *reterr,
                            PolicySystem **ret_system) {
        _cleanup_(system_builder_deinit) SystemBuilder builder = {};
        struct json_object *domains = NULL;
        int r;

        if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, "domains", &domains) ||
            !json_object_is_type(domains, json_type_object))
                return system_fail(reterr, path, "system information is an object with a member 'domains', an object");
        r = system_builder_init(&builder, (size_t)json_object_object_length(domains));
        if (r < 0)
                return r;
        json_object_object_foreach(domains, name, value) {
                SystemEntry entry = { .path = path, .name = name, .object = value, .reterr = reterr };

                r = system_entry_read(&entry);
                builder.inputs[builder.n] = entry.input;
                builder.tags[builder.n++] = entry.tags;
                if (r)
                        return r;
                r = system_builder_add_label(&builder, entry.label);
                if (r < 0)
                        return r;
        }
        return system_builder_finish(&builder, path, reterr, ret_system);
}

static void json_tokener_freep(struct json_tokener **tokener) {
        if (*tokener)
                json_tokener_free(*tokener);
}

static void json_object_putp(struct json_object **object) {
        if (*object)
                json_object_put(*object);
}

int policy_system_parse(const char *path, const char *untrusted_text, size_t n, Diagnostics *reterr,
                        PolicySystem **ret_system) {
        _cleanup_(json_tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(POLICY_SYSTEM_DEPTH_MAX);
        _cleanup_(json_object_putp) struct json_object *object = NULL;
        enum json_tokener_error error;

        if (!tokener)
                return error_origin(-ENOMEM);
        if (n > POLICY_SYSTEM_SIZE_MAX)
                return system_fail(reterr, path, "too large");
        /* strict: nothing but blanks may follow */
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        object = json_tokener_parse_ex(tokener, untrusted_text, (int)n);
        error = json_tokener_get_error(tokener);
        if (error != json_tokener_success) {
                char text[128];

                snprintf(text, sizeof(text), "not JSON: %s",
                         error == json_tokener_continue ? "it ends too early" : json_tokener_error_desc(error));
                return system_fail(reterr, path, text);
        }
        return policy_system_from_json(path, object, reterr, ret_system);
}

/*
 * Files and sockets
 */

/* Asks qubesd, or who speaks like it (6.1). */
static int system_ask(const char *path, Diagnostics *reterr, PolicySystem **ret_system) {
        _cleanup_free_ char *data = NULL;
        size_t n = 0;
        int r;

        r = qubesd_call(path, "error getting system info", "internal.GetSystemInfo", "dom0", "", POLICY_SYSTEM_SIZE_MAX,
                        reterr, &data, &n);
        if (r)
                return r < 0 ? error_trace(r) : POLICY_SYSTEM_E_INVALID;
        return policy_system_parse(path, data, n, reterr, ret_system);
}

int policy_system_load(const char *path, Diagnostics *reterr, PolicySystem **ret_system) {
        _cleanup_free_ char *data = NULL;
        struct stat st;
        size_t n;
        int r;

        if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
                return system_ask(path, reterr, ret_system);
        r = file_read(AT_FDCWD, path, POLICY_SYSTEM_SIZE_MAX, &data, &n);
        if (r < 0)
                return error_trace(r);
        if (r > 0)
                return system_fail(reterr, path, file_error_text(r));
        return policy_system_parse(path, data, n, reterr, ret_system);
}

/*
 * The inventory
 */

int policy_system_from_inventory(const char *directory, Diagnostics *reterr, PolicySystem **ret_system) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_(system_builder_deinit) SystemBuilder builder = {};
        _cleanup_free_ char(*icons)[DOMAIN_ICON_SIZE] = NULL;
        int r;

        r = inventory_load(directory, reterr, &inventory);
        if (r)
                return r == INVENTORY_E_INVALID ? POLICY_SYSTEM_E_INVALID : error_fold(r);
        r = system_builder_init(&builder, inventory->n_domains);
        if (r < 0)
                return r;
        icons = calloc(inventory->n_domains ?: 1, sizeof(*icons));
        if (!icons)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < inventory->n_domains; ++i) {
                const InventoryDomain *domain = &inventory->domains[i];
                char label[LABEL_SIZE];

                domain_facts(domain, domain_is_local(domain) ? POLICY_FACT_NO : POLICY_FACT_YES, icons[i],
                             &builder.inputs[i]);
                ++builder.n;
                snprintf(label, sizeof(label), "0x%06x", domain_label_colour(domain->label) & 0xffffff);
                r = system_builder_add_label(&builder, label);
                if (r < 0)
                        return r;
        }
        r = system_builder_finish(&builder, directory, reterr, ret_system);
        if (r == 0)
                (*ret_system)->inventory = steal_ptr(&inventory);
        return r;
}

const char *policy_system_host_folder(const char *system_info, const char *inventory, const char *usual) {
        if (system_info || (!inventory && access(QUBESD_SOCKET_INTERNAL, F_OK) == 0))
                return NULL;
        return inventory ?: usual;
}

int policy_system_load_host(const char *system_info, const char *inventory, const char *usual, Diagnostics *reterr,
                            PolicySystem **ret_system) {
        const char *folder = policy_system_host_folder(system_info, inventory, usual);

        if (folder)
                return policy_system_from_inventory(folder, reterr, ret_system);
        return policy_system_load(system_info ?: QUBESD_SOCKET_INTERNAL, reterr, ret_system);
}
