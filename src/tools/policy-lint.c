/* SPDX-License-Identifier: Apache-2.0 */
/* `qair policy lint`: what surprises people in the rules of this host. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "inventory/inventory.h"
#include "policy-tools/review.h"
#include "tools/command.h"
#include "tools/policy.h"

/** Names of services that any domain has a file for. */
typedef struct Services {
        char **names; /* sorted */
        size_t n;
} Services;

static void services_deinit(Services *services) {
        for (size_t i = 0; i < services->n; ++i)
                free(services->names[i]);
        free(services->names);
}

static int services_add(Services *services, const char *file) {
        char **larger = reallocarray(services->names, services->n + 1, sizeof(*larger));

        if (!larger)
                return error_origin(-ENOMEM);
        services->names = larger;
        /* SERVICE or SERVICE+ARGUMENT */
        services->names[services->n] = strndup(file, strcspn(file, "+"));
        if (!services->names[services->n])
                return error_origin(-ENOMEM);
        ++services->n;
        return 0;
}

static void close_directory(DIR **directory) {
        if (*directory)
                closedir(*directory);
}

/* A folder that is not there, or may not be read, has no services. */
static int services_add_folder(Services *services, const char *folder) {
        _cleanup_(close_directory) DIR *directory = opendir(folder);
        const struct dirent *entry;

        while (directory && (entry = readdir(directory))) {
                int r = entry->d_name[0] == '.' ? 0 : services_add(services, entry->d_name);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int services_compare(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int services_collect(Services *services, const Inventory *inventory) {
        for (size_t i = 0; i < inventory->n_domains; ++i) {
                _cleanup_free_ char *path = NULL;
                char *rest, *folder;
                int r;

                /* What a domain on another host has cannot be known: its own folder is empty, and that says nothing. */
                r = inventory_service_path(inventory, &inventory->domains[i], &path);
                if (r < 0)
                        return error_trace(r);
                rest = path;
                while ((folder = strsep(&rest, ":"))) {
                        r = services_add_folder(services, folder);
                        if (r < 0)
                                return r;
                }
        }
        if (services->n > 1)
                qsort(services->names, services->n, sizeof(*services->names), services_compare);
        return 0;
}

static bool services_have(const char *service, void *userdata) {
        const Services *services = userdata;

        return services->n > 0 &&
               bsearch(&service, services->names, services->n, sizeof(*services->names), services_compare);
}

/* The services of the inventory's domains. Return: COMMAND_STATUS_…, or a negative error */
static int load_services(const PolicyOptions *options, Services *services) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        r = inventory_load(options->inventory, &diagnostics, &inventory);
        if (r < 0)
                return error_trace(r);
        command_print_diagnostics(&diagnostics);
        if (r > 0)
                return COMMAND_STATUS_FAILED;
        return services_collect(services, inventory);
}

static void print_findings(const Diagnostics *findings) {
        for (size_t i = 0; i < findings->n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&findings->entries[i]);

                printf("%s\n", text ?: findings->entries[i].text);
        }
        if (findings->n_dropped > 0)
                printf("… and %zu more\n", findings->n_dropped);
}

int policy_verb_lint(const PolicyOptions *options) {
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_(services_deinit) Services services = {};
        _cleanup_(diagnostics_deinit) Diagnostics findings = DIAGNOSTICS_INIT;
        PolicyReviewOptions review = {};
        int status, r;

        status = policy_options_load_system(options, &system);
        status = status ?: policy_options_load_policy(options, NULL, &policy);
        if (status == 0 && !options->system_info) { /* whose services are elsewhere */
                status = load_services(options, &services);
                review = (PolicyReviewOptions){ .has_service = services_have,
                                                .userdata = &services,
                                                .inventory = system->inventory };
        }
        if (status)
                return status;
        r = policy_review(policy, system->facts, &review, &findings);
        if (r < 0)
                return error_trace(r);
        print_findings(&findings);
        return findings.n_entries > 0 ? COMMAND_STATUS_FAILED : COMMAND_STATUS_DONE;
}
