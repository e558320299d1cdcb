/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "inventory/inventory.h"
#include "inventory/remote.h"
#include "policy/evaluate.h"
#include "policy-tools/domainfacts.h"
#include "policy/question.h"
#include "qubesdb/view.h"

/* A completed write, a rename in or out, a removal, another mode or owner; and the folder itself going away. */
#define CONFIG_EVENTS                                                                                        \
        (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
         IN_MOVE_SELF | IN_ONLYDIR)

/*
 * What is broken is read again for the next call, since a broken policy does not tell which included files to watch;
 * but not more often than this: a caller must not make us read all day.
 */
#define CONFIG_RETRY_USEC USEC_PER_SEC

struct Config {
        ConfigPaths paths;
        int inotify_fd;
        struct stat root; /* the folder of all, as it was when we were confined to it */

        Inventory *inventory; /* NULL: broken */
        PolicyFacts *facts;   /* of the inventory; domains in the same order */
        Policy *policy;       /* NULL: broken */
        char *inventory_problem;
        char *policy_problem;          /* the first finding, for the record of each call that it refuses */
        uint64_t tried_usec;           /* when both were read last */
        uint64_t inventory_generation; /* counts the inventories */
        unsigned generation;           /* how often */

        /* what the last decision's texts, and the last resolution, point into */
        RequestName speaks_for;
        char service[SERVICE_DESCRIPTOR_MAX + 1];
        char user[256];
};

Config *config_free(Config *config) {
        if (!config)
                return NULL;
        fd_close(config->inotify_fd);
        policy_unref(config->policy);
        policy_facts_unref(config->facts);
        inventory_free(config->inventory);
        free(config->inventory_problem);
        free(config->policy_problem);
        free(config);
        return NULL;
}

static int config_note_problem(char **problem, const Diagnostics *diagnostics) {
        *problem = diagnostics->n_entries > 0 ? diagnostic_format(&diagnostics->entries[0]) : strdup("unknown error");
        return *problem ? 0 : error_origin(-ENOMEM);
}

static PolicyFact config_is_running(const PolicyFacts *facts, const char *name) {
        const PolicyDomain *domain = facts ? policy_facts_lookup(facts, policy_slice(name)) : NULL;

        return domain ? domain->running : POLICY_FACT_NO;
}

static int config_make_facts(const Inventory *inventory, const PolicyFacts *old_facts, PolicyFacts **ret_facts) {
        _cleanup_free_ PolicyDomainInput *inputs = NULL;
        _cleanup_free_ char(*icons)[DOMAIN_ICON_SIZE] = NULL;
        int r;

        inputs = calloc(inventory->n_domains, sizeof(*inputs));
        icons = calloc(inventory->n_domains, sizeof(*icons));
        if (!inputs || !icons)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < inventory->n_domains; ++i)
                domain_facts(&inventory->domains[i], config_is_running(old_facts, inventory->domains[i].name.text),
                             icons[i], &inputs[i]);
        r = policy_facts_new(inputs, inventory->n_domains, ret_facts);
        return error_fold(r); /* names and UUIDs are valid and unique: the inventory saw to it */
}

static int config_load_inventory(Config *config) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = NULL;
        char *problem = NULL;
        int r;

        r = inventory_load(config->paths.domains, &diagnostics, &inventory);
        if (r == INVENTORY_E_INVALID) {
                diagnostics_log(&diagnostics);
                log_error("the inventory is broken: every call is refused until it is mended (qair domain check)");
                r = config_note_problem(&problem, &diagnostics);
        } else if (r == -EMFILE || r == -ENFILE || r == -ENOMEM) {
                /* Of the machine's: it is read again, and refuses meanwhile. */
                problem = strdup("out of descriptors or memory");
                r = problem ? 0 : error_origin(-ENOMEM);
        } else if (!r) {
                r = config_make_facts(inventory, config->facts, &facts);
        }
        if (r)
                return error_fold(r);

        inventory_free(config->inventory);
        config->inventory = steal_ptr(&inventory);
        ++config->inventory_generation;
        if (facts) {
                /* While an inventory is broken the old facts stay: they remember which domains run. */
                policy_facts_unref(config->facts);
                config->facts = steal_ptr(&facts);
        }
        free(config->inventory_problem);
        config->inventory_problem = problem;
        return 0;
}

static int config_load_policy(Config *config) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        const char *const directories[] = { config->paths.policy_run, config->paths.policy_etc };
        const PolicySources sources = {
                .directories = directories,
                .n_directories = ARRAY_SIZE(directories),
                .legacy = config->paths.policy_legacy,
        };
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        char *problem = NULL;
        int r;

        r = policy_load(&sources, &diagnostics, &policy);
        if (r == POLICY_E_SYNTAX || r == POLICY_E_LOAD) {
                diagnostics_log(&diagnostics);
                log_error("the policy is broken: every call is refused until it is mended");
                r = config_note_problem(&problem, &diagnostics);
        } else if (!r) {
                diagnostics_log(&policy->warnings);
        }
        if (r)
                return error_fold(r);

        policy_unref(config->policy);
        config->policy = steal_ptr(&policy);
        free(config->policy_problem);
        config->policy_problem = problem;
        return 0;
}

/* Return: 0 (also where it cannot be watched), CONFIG_E_MISSING, or a negative error. */
static int config_watch(Config *config, const char *path) {
        if (inotify_add_watch(config->inotify_fd, path, CONFIG_EVENTS) >= 0)
                return 0;
        switch (errno) {
        case ENOENT:
        case ENOTDIR:
                return CONFIG_E_MISSING;
        case EACCES:
                return 0;
        case ENOSPC:
        case ENOMEM:
                log_warning("cannot watch %s: %m: changes there come into force with `systemctl reload qair`", path);
                return 0;
        default:
                return error_origin(-errno);
        }
}

/* Watch the folder that @path is in; where that one is missing, the one that it is missing in, and so on. */
static int config_watch_parent(Config *config, const char *path) {
        _cleanup_free_ char *folder = strdup(path);
        int r = CONFIG_E_MISSING;

        if (!folder)
                return error_origin(-ENOMEM);
        while (r == CONFIG_E_MISSING) {
                char *slash = strrchr(folder, '/');

                if (!slash || slash == folder)
                        return 0;
                *slash = '\0';
                r = config_watch(config, folder);
        }
        return r;
}

/* Anew each time, so that no folder is watched that was renamed, replaced or is no longer included. */
static int config_watch_all(Config *config) {
        const char *const folders[] = { config->paths.domains, config->paths.policy_run, config->paths.policy_etc,
                                        config->paths.policy_legacy };

        int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

        if (fd >= 0) {
                fd_close(config->inotify_fd);
                config->inotify_fd = fd;
        } else if (config->inotify_fd < 0) {
                return error_origin(-errno); /* at the start; later the old one does */
        }
        for (size_t i = 0; i < ARRAY_SIZE(folders); ++i) {
                int r = config_watch_parent(config, folders[i]) ?: config_watch(config, folders[i]);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* The folder that holds the inventory and most of the policy. Return: 0, CONFIG_E_MISSING, or a negative error. */
static int config_stat_root(const Config *config, struct stat *ret_status) {
        const char *slash = strrchr(config->paths.domains, '/');
        _cleanup_free_ char *root =
                slash ? strndup(config->paths.domains, (size_t)(slash - config->paths.domains)) : NULL;

        if (!root)
                return error_origin(-ENOMEM);
        if (stat(root, ret_status) < 0)
                return CONFIG_E_MISSING;
        return 0;
}

bool config_is_out_of_reach(const Config *config) {
        struct stat now;

        if (config->inventory && config->policy)
                return false;
        return config_stat_root(config, &now) == 0 &&
               (now.st_dev != config->root.st_dev || now.st_ino != config->root.st_ino);
}

int config_reload(Config *config) {
        int r;

        config->tried_usec = clock_now();
        ++config->generation;
        /* Watch before reading: a change that comes in between is read again, not missed. */
        r = config_watch_all(config);
        r = r ?: config_load_inventory(config);
        r = r ?: config_load_policy(config);
        for (size_t i = 0; !r && config->policy && i < config->policy->n_files; ++i)
                r = config_watch_parent(config, config->policy->files[i]->text);
        return error_trace(r);
}

int config_new(const ConfigPaths *paths, Config **ret_config) {
        _cleanup_(config_freep) Config *config = NULL;
        int r;

        config = calloc(1, sizeof(*config));
        if (!config)
                return error_origin(-ENOMEM);
        config->paths = *paths;
        config->inotify_fd = -1;
        r = config_stat_root(config, &config->root);
        if (r < 0)
                return error_trace(r);
        r = config_reload(config);
        if (r)
                return error_trace(r);
        *ret_config = steal_ptr(&config);
        return 0;
}

/* Has anything been saved since? What exactly does not matter: all is read again. */
int config_refresh(Config *config) {
        _Alignas(struct inotify_event) char events[16384];
        bool changed = false;

        for (;;) {
                ssize_t n = read(config->inotify_fd, events, sizeof(events));

                if (n > 0) {
                        changed = true;
                        continue;
                }
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno != EAGAIN)
                        return error_origin(-errno);
                break;
        }
        if ((!config->policy || !config->inventory) && clock_now() - config->tried_usec > CONFIG_RETRY_USEC)
                changed = true;
        return changed ? error_trace(config_reload(config)) : 0;
}

static void config_refuse(ConfigDecision *decision, const char *what, const char *problem) {
        decision->is_error = true;
        snprintf(decision->why, sizeof(decision->why), "%s: %s", what, problem);
}

/* Names in facts are those of the inventory: domain names, all of them. */
static void config_copy_name(const PolicyAtom *atom, DomainName *ret_name) {
        if (domain_name_parse(atom->text, atom->n, ret_name))
                *ret_name = (DomainName){};
}

static int config_take_allowed(Config *config, const PolicyResolution *resolution, ConfigDecision *decision) {
        if (resolution->target.kind == POLICY_TOKEN_DISPVM_BASE) {
                strcpy(decision->why, "denied: disposables are not supported yet");
                return 0;
        }
        if (resolution->is_dom0)
                strcpy(decision->target.text, DOM0_NAME);
        else
                config_copy_name(resolution->destination->name, &decision->target);
        if (policy_resolution_service(resolution, config->service, sizeof(config->service)))
                goto too_long;
        if (resolution->is_remote && remote_wrap(config->inventory, &decision->target, config->service))
                goto too_long;
        decision->service = config->service;
        if (!policy_slice_equal(resolution->user, POLICY_SLICE("DEFAULT"))) {
                if (resolution->user.n >= sizeof(config->user))
                        goto too_long;
                memcpy(config->user, resolution->user.text, resolution->user.n);
                config->user[resolution->user.n] = '\0';
                decision->user = config->user;
        }
        decision->autostart = resolution->autostart;
        decision->is_remote = resolution->is_remote;
        decision->allowed = true;
        return 0;

too_long:
        strcpy(decision->why, "denied: the service wrapped for its relay, or the rule's user, is too long");
        return 0;
}

static void config_take_warnings(const PolicyResolution *resolution, ConfigDecision *decision) {
        size_t n = 0;

        for (unsigned warning = 0; warning < _POLICY_WARNING_N; ++warning) {
                char text[CONFIG_WHY_MAX];
                int more;

                if (!(resolution->warnings & BIT(warning)))
                        continue;
                policy_resolution_warning(resolution, (PolicyWarning)warning, text, sizeof(text));
                more = snprintf(decision->warnings + n, sizeof(decision->warnings) - n, "%s\n", text);
                if (more < 0 || (size_t)more >= sizeof(decision->warnings) - n) {
                        decision->warnings[n] = '\0';
                        return;
                }
                n += (size_t)more;
        }
}

/* "denied: …", but for what went wrong on our side (policy specification, 5.8 and 5.9). */
static void config_take_denied(const PolicyResolution *resolution, ConfigDecision *decision) {
        size_t n = 0;

        decision->is_error = resolution->reason == POLICY_REASON_TOKEN || resolution->reason == POLICY_REASON_FAULT;
        if (resolution->reason != POLICY_REASON_FAULT) {
                const char *word = resolution->reason == POLICY_REASON_TOKEN ? "error loading policy: " : "denied: ";

                n = strlen(word);
                memcpy(decision->why, word, n);
        }
        (void)policy_resolution_message(resolution, decision->why + n, sizeof(decision->why) - n);
}

static void config_take_rule(const PolicyResolution *resolution, ConfigDecision *decision) {
        const PolicyRule *rule = resolution->rule;

        if (!rule)
                return;
        if (rule->line > 0)
                snprintf(decision->rule, sizeof(decision->rule), "%s:%u", rule->path->text, rule->line);
        else
                snprintf(decision->rule, sizeof(decision->rule), "%s:None", rule->path->text);
}

/* What the rule says, wherever in its file it stands. Return: 0 or a negative error */
static int config_hash_rule(const PolicyRule *rule, char ret_hash[static SHA256_TEXT_SIZE]) {
        _cleanup_free_ char *text = NULL, *whole = NULL;
        size_t n, n_path = strlen(rule->path->text);

        text = policy_rule_format(rule, &n);
        if (!text)
                return error_origin(-ENOMEM);
        whole = malloc(n_path + 1 + n);
        if (!whole)
                return error_origin(-ENOMEM);
        memcpy(whole, rule->path->text, n_path + 1);
        memcpy(whole + n_path + 1, text, n);
        sha256_text(whole, n_path + 1 + n, ret_hash);
        return 0;
}

/* The GUI domain of the source (policy specification, 7.1); for a domain elsewhere that has none, its relay's. */
static void config_take_guivm(const Config *config, const PolicyResolution *resolution, ConfigDecision *decision) {
        const PolicyDomain *source = resolution->source.domain;

        decision->is_relays_guivm = source && !source->guivm && source->is_remote && source->relayvm;
        if (decision->is_relays_guivm)
                source = policy_facts_lookup(config->facts, policy_atom_slice(source->relayvm));
        if (source && source->guivm)
                config_copy_name(source->guivm, &decision->guivm);
}

/* What policy said, as the broker takes it. */
static int config_take(Config *config, PolicyResolution *resolution, ConfigDecision *decision) {
        decision->is_notify = resolution->notify;
        if (resolution->outcome == POLICY_OUTCOME_ALLOW)
                (void)policy_target_format(&resolution->target, decision->allowed_to.text,
                                           sizeof(decision->allowed_to.text));
        policy_route(config->facts, resolution);
        config_take_warnings(resolution, decision);
        config_take_rule(resolution, decision);
        config_take_guivm(config, resolution, decision);
        decision->is_notify = decision->is_notify || resolution->notify;
        decision->is_relayed = resolution->is_relayed;
        if (resolution->source.domain)
                config_copy_name(resolution->source.domain->name, &decision->source);
        (void)policy_target_format(&resolution->requested, decision->requested_target.text,
                                   sizeof(decision->requested_target.text));
        switch (resolution->outcome) {
        case POLICY_OUTCOME_ALLOW:
                return error_trace(config_take_allowed(config, resolution, decision));
        case POLICY_OUTCOME_ASK:
                decision->is_ask = true;
                return error_trace(config_hash_rule(resolution->rule, decision->asks));
        case POLICY_OUTCOME_DENY:
                config_take_denied(resolution, decision);
                return 0;
        }
        return 0;
}

/* *@ret_usable: there is a resolution; else @decision refuses. */
static int config_evaluate(Config *config, const DomainName *source, const RequestName *requested_source,
                           const RequestName *requested_target, const char *service, ConfigDecision *decision,
                           PolicyResolution *resolution, bool *ret_usable) {
        const InventoryDomain *relay, *speaks_for = NULL;
        PolicyRequest request;
        int r;

        *decision = (ConfigDecision){ .source = *source, .requested_target = *requested_target };
        *ret_usable = false;
        r = config_refresh(config);
        if (r)
                return error_trace(r);
        if (!config->inventory) {
                config_refuse(decision, "error getting system info", config->inventory_problem);
                return 0;
        }
        if (!config->policy) {
                config_refuse(decision, "error loading policy", config->policy_problem);
                return 0;
        }
        relay = inventory_lookup(config->inventory, source->text);
        if (!relay) {
                config_refuse(decision, "internal error",
                              "the caller is no longer in the inventory: reload the configuration");
                return 0;
        }
        config->speaks_for = *requested_source;
        if (requested_source->text[0] != '\0' &&
            remote_find_source(config->inventory, relay, requested_source, &speaks_for, &decision->is_unknown_source)) {
                strcpy(decision->why, "denied: " REMOTE_AMBIGUOUS_TEXT);
                return 0;
        }
        if (speaks_for) {
                config->speaks_for = (RequestName){};
                memcpy(config->speaks_for.text, speaks_for->name.text, sizeof(speaks_for->name.text));
        }
        request = (PolicyRequest){
                .source = policy_slice(source->text),
                .requested_source = policy_slice(config->speaks_for.text),
                .target = policy_slice(requested_target->text),
                .service = policy_slice(service),
        };
        policy_evaluate(config->policy, config->facts, &request, resolution);
        *ret_usable = true;
        return 0;
}

int config_decide(Config *config, const DomainName *source, const RequestName *requested_source,
                  const RequestName *requested_target, const char *service, ConfigDecision *ret_decision) {
        PolicyResolution resolution;
        bool usable;
        int r;

        r = config_evaluate(config, source, requested_source, requested_target, service, ret_decision, &resolution,
                            &usable);
        if (!r && usable)
                r = config_take(config, &resolution, ret_decision);
        return error_trace(r);
}

int config_ask(Config *config, const DomainName *source, const RequestName *requested_source,
               const RequestName *requested_target, const char *service, ConfigDecision *decision,
               PolicyQuestion **ret_question) {
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        PolicyResolution resolution;
        bool usable;
        int r;

        *ret_question = NULL;
        r = config_evaluate(config, source, requested_source, requested_target, service, decision, &resolution,
                            &usable);
        if (r || !usable)
                return error_trace(r);
        if (resolution.outcome == POLICY_OUTCOME_ASK) {
                r = policy_question_new(config->policy, config->facts, &resolution, &question);
                if (r < 0)
                        return error_trace(r);
        }
        r = config_take(config, &resolution, decision);
        if (r)
                return error_trace(r);
        if (question && question->dropped_default) {
                _cleanup_free_ char *text = policy_question_warning(question);

                if (!text)
                        return error_origin(-ENOMEM);
                snprintf(decision->warnings, sizeof(decision->warnings), "%s\n", text);
        }
        *ret_question = steal_ptr(&question);
        return 0;
}

int config_decide_chosen(Config *config, const DomainName *source, const RequestName *requested_source,
                         const RequestName *requested_target, const char *service, const char *untrusted_choice,
                         const char *asks, ConfigDecision *ret_decision) {
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        PolicyResolution resolution, chosen;
        char now_asks[SHA256_TEXT_SIZE] = "";
        bool usable;
        int r;

        r = config_evaluate(config, source, requested_source, requested_target, service, ret_decision, &resolution,
                            &usable);
        if (!r && usable && resolution.outcome == POLICY_OUTCOME_ASK)
                r = config_hash_rule(resolution.rule, now_asks);
        if (r || !usable)
                return error_trace(r);
        if (strcmp(now_asks, asks) != 0) {
                config_take_rule(&resolution, ret_decision);
                strcpy(ret_decision->why, "denied: the policy changed after a person had been asked");
                return 0;
        }
        r = policy_question_new(config->policy, config->facts, &resolution, &question);
        if (r < 0)
                return error_trace(r);
        if (question)
                policy_question_answer(question, policy_slice(untrusted_choice), &chosen);
        else
                chosen = resolution; /* nothing is left to choose from */
        return error_trace(config_take(config, &chosen, ret_decision));
}

bool config_reach(const Config *config, const DomainName *domain, const char *service, DomainName *ret_via,
                  char ret_service[static SERVICE_DESCRIPTOR_MAX + 1]) {
        const InventoryDomain *known = config->inventory ? inventory_lookup(config->inventory, domain->text) : NULL;
        int n;

        if (!known)
                return false;
        if (known->type != DOMAIN_TYPE_REMOTEVM) {
                *ret_via = known->name;
                n = snprintf(ret_service, SERVICE_DESCRIPTOR_MAX + 1, "%s", service);
                return n > 0 && n <= SERVICE_DESCRIPTOR_MAX;
        }
        if (!known->relayvm || !known->transport_rpc)
                return false;
        *ret_via = known->relayvm->name;
        n = snprintf(ret_service, SERVICE_DESCRIPTOR_MAX + 1, "%s+%s+%s+", known->transport_rpc, known->name.text,
                     service);
        return n > 0 && n <= SERVICE_DESCRIPTOR_MAX && !remote_wrap(config->inventory, ret_via, ret_service);
}

bool config_fingerprint(const Config *config, const char *domain, char ret_hash[static SHA256_TEXT_SIZE]) {
        const InventoryDomain *known = config->inventory ? inventory_lookup(config->inventory, domain) : NULL;
        char hashes[_PROPERTY_N + 1][SHA256_TEXT_SIZE] = {};

        if (!known)
                return false;
        for (unsigned property = 0; property < _PROPERTY_N; ++property) {
                const PropertyValue *value = known->effective[property];

                if (value && value->text)
                        sha256_text(value->text, strlen(value->text), hashes[property]);
        }
        sha256_text(known->name.text, strlen(known->name.text), hashes[_PROPERTY_N]);
        sha256_text(hashes, sizeof(hashes), ret_hash);
        return true;
}

DomainName config_guivm(const Config *config, const DomainName *domain) {
        const InventoryDomain *known = config->inventory ? inventory_lookup(config->inventory, domain->text) : NULL;

        return known && known->guivm ? known->guivm->name : (DomainName){};
}

const char *config_ask_path(const Config *config) {
        return config->paths.ask;
}

unsigned config_generation(const Config *config) {
        return config->generation;
}

bool config_rule_exists(const Config *config, const char *asks) {
        for (size_t i = 0; config->policy && i < config->policy->n_rules; ++i) {
                char hash[SHA256_TEXT_SIZE];

                if (config->policy->rules[i].action == POLICY_ACTION_ASK &&
                    config_hash_rule(&config->policy->rules[i], hash) == 0 && strcmp(hash, asks) == 0)
                        return true;
        }
        return false;
}

const char *config_policy_problem(const Config *config) {
        return config->policy_problem;
}

const char *config_inventory_problem(const Config *config) {
        return config->inventory_problem;
}

void config_set_running(Config *config, const DomainName *domain, bool running) {
        const PolicyDomain *known =
                config->facts ? policy_facts_lookup(config->facts, policy_slice(domain->text)) : NULL;

        if (known)
                policy_facts_set_running(config->facts, known->index, running ? POLICY_FACT_YES : POLICY_FACT_NO);
}

static const InventoryDomain *config_find(const Config *config, const DomainName *domain) {
        return config->inventory ? inventory_lookup(config->inventory, domain->text) : NULL;
}

uint64_t config_inventory_generation(const Config *config) {
        return config->inventory_generation;
}

int config_fill_view(const Config *config, const DomainName *domain, QubesdbStore *store) {
        const InventoryDomain *known = config->inventory ? inventory_lookup(config->inventory, domain->text) : NULL;

        return known ? error_trace(qubesdb_view_fill(config->inventory, known, store)) : CONFIG_E_BROKEN;
}

const char *config_account(Config *config, const DomainName *domain) {
        const InventoryDomain *known = config_find(config, domain);

        if (!known)
                return NULL;
        if (config->paths.is_user)
                return "DEFAULT";
        /* Over vchan the accounts are the domain's own: the one here is its link's. */
        if (known->user.text[0] != '\0' && known->link == DOMAIN_LINK_LOCAL)
                return known->user.text;
        return known->default_user.text[0] != '\0' ? known->default_user.text : "DEFAULT";
}

unsigned config_max_calls(Config *config, const DomainName *domain) {
        const InventoryDomain *known = config_find(config, domain);

        return known ? known->max_calls : 0;
}

uint64_t config_idle_usec(Config *config, const DomainName *domain) {
        const InventoryDomain *known = config_find(config, domain);

        return known ? known->idle_timeout_usec : 0;
}

bool config_has_start_command(Config *config, const DomainName *domain) {
        const InventoryDomain *known = config_find(config, domain);

        return known && known->start;
}
