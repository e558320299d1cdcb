/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inventory and policy as they are in force. Both are read as a whole and swapped as a whole: a request sees the old
 * ones or the new ones. What cannot be read is not read in part: until it is mended, every call that needs it is
 * refused, and each refusal's record says what is wrong.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/name.h"
#include "base/sha256.h"

typedef struct Config Config;
typedef struct QubesdbStore QubesdbStore;

enum {
        _CONFIG_E_SUCCESS,
        CONFIG_E_BROKEN,  /* refused until it is mended */
        CONFIG_E_MISSING, /* there is no such folder */
};
typedef struct PolicyQuestion PolicyQuestion;

typedef struct ConfigPaths {
        const char *domains;       /* /etc/qubes/domains.d */
        const char *policy_run;    /* /run/qubes/policy.d */
        const char *policy_etc;    /* /etc/qubes/policy.d */
        const char *policy_legacy; /* /etc/qubes-rpc/policy */
        const char *ask;           /* /etc/qubes/ask.conf */
        bool is_user;              /* no domain has an account of its own */
} ConfigPaths;

/** Longest explanation of a decision, for the log. */
#define CONFIG_WHY_MAX 1024
/** Longest place of a rule, FILE:LINE. */
#define CONFIG_RULE_MAX 256

typedef struct ConfigDecision ConfigDecision;

struct ConfigDecision {
        bool allowed;
        bool is_error; /* not allowed, because the policy or the inventory cannot be used */
        bool is_ask;   /* not allowed yet: a person is to be asked */
        bool autostart;
        bool is_relayed;              /* the caller speaks for the source */
        bool is_unknown_source;       /* … which has no name here: the relay\'s `unknown_source` stands for it */
        bool is_remote;               /* the target is on another host, and @target is its relay */
        DomainName source;            /* the caller, or the remote domain that it speaks for */
        DomainName target;            /* if allowed: where the service runs; for a remote target, its relay */
        const char *user;             /* NULL: the target's own account; borrowed until the next call of this object */
        const char *service;          /* if not NULL: what is called instead; borrowed likewise */
        RequestName requested_target; /* normalised */
        RequestName allowed_to;       /* whom the rules allow it to; it may be refused all the same (5.8) */
        char rule[CONFIG_RULE_MAX];   /* FILE:LINE of the rule that decided, or "" */
        char asks
                [SHA256_TEXT_SIZE]; /* if is_ask: what the rule says and in which file; two decisions that have the same
                                          here were made by the same rule */
        bool is_relays_guivm;       /* that one is not the source's own */
        DomainName guivm;           /* if is_ask or is_notify: where the person sits; "": nowhere */
        bool was_asked;             /* that person was asked */
        unsigned grant;             /* number of the grant by which it was decided; 0: by none */
        bool is_notify;             /* tell that person what was decided (5.8) */
        char why[CONFIG_WHY_MAX];   /* if not allowed: "denied: …" or the like (policy specification, 5.8) */
        char warnings[CONFIG_WHY_MAX]; /* to be logged, each with a newline behind it: after the caller was answered,
                                          who could else measure whether there was one */
};

/** config_new() - read both, and watch for changes. Broken files are no error here. Return: 0 or a negative error */
int config_new(const ConfigPaths *paths, Config **ret_config);
/** config_free() - accepts NULL. Return: NULL */
Config *config_free(Config *config);
DEFINE_CLEANUP(Config *, config_free)

/** config_reload() - read both again. Return: 0 or a negative error */
int config_reload(Config *config);

/**
 * config_decide() - may @source call @service in @requested_target?
 * @requested_source: whom a relay speaks for; empty: for itself
 *
 * Changes that were saved before are in force. Return: 0 (also for a refusal), or a negative error.
 */
int config_decide(Config *config, const DomainName *source, const RequestName *requested_source,
                  const RequestName *requested_target, const char *service, ConfigDecision *ret_decision);

/**
 * config_ask() - what a person is to be asked, after config_decide() had is_ask for the same request
 * @decision:     its decision; becomes a refusal if there is nothing to ask
 * @ret_question: the caller's; NULL if there is nothing to ask. The request's texts must outlive it
 *
 * Return: 0 or a negative error.
 */
int config_ask(Config *config, const DomainName *source, const RequestName *requested_source,
               const RequestName *requested_target, const char *service, ConfigDecision *decision,
               PolicyQuestion **ret_question);

/**
 * config_decide_chosen() - decide anew, now that a person has chosen
 * @untrusted_choice: the target that they chose
 * @asks:             of the decision that they were asked about
 *
 * Inventory and policy may have changed since: it is allowed only if the same rule still asks, and still offers that
 * target. Return: as config_decide().
 */
int config_decide_chosen(Config *config, const DomainName *source, const RequestName *requested_source,
                         const RequestName *requested_target, const char *service, const char *untrusted_choice,
                         const char *asks, ConfigDecision *ret_decision);

/**
 * config_reach() - where a call to @domain goes that is not decided by policy
 * @ret_via:     the domain that has an account here: itself, or the relay on the way to it
 * @ret_service: what is called there
 *
 * Return: whether there is such a domain, and a way to it.
 */
bool config_reach(const Config *config, const DomainName *domain, const char *service, DomainName *ret_via,
                  char ret_service[static SERVICE_DESCRIPTOR_MAX + 1]);

/**
 * config_fingerprint() - all that inventory says of a domain, as a hash: it changes when any of that does
 *
 * Return: whether there is such a domain.
 */
bool config_fingerprint(const Config *config, const char *domain, char ret_hash[static SHA256_TEXT_SIZE]);

/** config_guivm() - where the person sits who is told of calls of @domain; "": nowhere */
DomainName config_guivm(const Config *config, const DomainName *domain);

/** config_ask_path() - where ask.conf is. Return: borrowed */
const char *config_ask_path(const Config *config);

/** config_generation() - a number that changes whenever policy or inventory were read again */
unsigned config_generation(const Config *config);

/** config_rule_exists() - has the policy in force a rule with this @asks? */
bool config_rule_exists(const Config *config, const char *asks);

/** config_refresh() - read again what was saved since. Return: 0 or a negative error */
int config_refresh(Config *config);

/**
 * config_is_out_of_reach() - can it not be read because its folder was replaced by another?
 *
 * A broker is confined to the folder that was there when it began (broker/sandbox.h). Another one may read what is there
 * now.
 */
bool config_is_out_of_reach(const Config *config);

/** config_policy_problem(), config_inventory_problem() - what is wrong with it, or NULL. Return: borrowed */
const char *config_policy_problem(const Config *config);
const char *config_inventory_problem(const Config *config);

/** config_set_running() - for `autostart=no` rules: does the domain run? */
void config_set_running(Config *config, const DomainName *domain, bool running);

/** config_inventory_generation() - another number each time that an inventory was read */
uint64_t config_inventory_generation(const Config *config);

/**
 * config_fill_view() - what a domain may know of itself (qubesdb/view.h), written into an empty store
 *
 * Return: 0, CONFIG_E_BROKEN: the inventory cannot be used, or has no such domain; or a negative error.
 */
int config_fill_view(const Config *config, const DomainName *domain, QubesdbStore *store);

/**
 * config_account() - the account that a domain's services run as: for a container, and for one over vchan, its `default_user`,
 * or "DEFAULT", which its agent knows better. Return: borrowed until the next change, or NULL
 */
const char *config_account(Config *config, const DomainName *domain);

/** config_max_calls() - the domain's `max_calls`, or 0 if it says nothing */
unsigned config_max_calls(Config *config, const DomainName *domain);

/** config_idle_usec() - the domain's `idle_timeout`, or 0 if it has none */
uint64_t config_idle_usec(Config *config, const DomainName *domain);

/** config_has_start_command() - has the domain a `start`? */
bool config_has_start_command(Config *config, const DomainName *domain);
