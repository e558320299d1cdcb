/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person said for longer than once: "allow for an hour", "be quiet for five minutes".
 *
 * A grant is looked at only after policy has said `ask`, so it can never let through what the rules deny. It holds for the
 * very same question: the same rule, word for word; the same source and target, with all that the inventory says of
 * them; the same requested target, service and argument. What it lets through is decided anew, and its record names it.
 * A denial holds for every question of that source about that service: a domain must not get at the person by asking
 * about something a little different.
 *
 * Grants live in this process: a broker that starts knows none. A rule or a domain that changes ends those about it, and
 * so does `qair grants`; those that a person gave end with the agent of the GUI domain where that person sat, unless
 * another agent takes its place. Time is counted while the machine sleeps, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/name.h"
#include "base/sha256.h"
#include "broker/askconfig.h"
#include "broker/call.h"
#include "broker/config.h"

typedef struct Broker Broker;
typedef struct Grants Grants;

/** Grants about one source; what is granted beyond that holds once. */
#define GRANT_SOURCE_MAX 64

typedef struct Grant {
        struct Grant *next;
        uint32_t id;
        bool allow;
        DomainName caller; /* who asked: the source, or the relay that spoke for it */
        DomainName source;
        DomainName guivm;             /* where the person sat */
        RequestName requested_target; /* allow: as the policy understood it */
        char *choice;                 /* allow: the target that was chosen */
        char *service;                /* allow: NAME or NAME+ARGUMENT; deny: NAME */
        char rule[CONFIG_RULE_MAX];
        char asks[SHA256_TEXT_SIZE];
        char source_hash[SHA256_TEXT_SIZE], target_hash[SHA256_TEXT_SIZE];
        uint64_t expires_usec; /* of clock_boottime() */
        uint64_t n_used;
} Grant;

/** grants_new() - none. Return: 0 or a negative error */
int grants_new(Grants **ret_grants);
/** grants_free() - accepts NULL. Return: NULL */
Grants *grants_free(Grants *grants);

/**
 * grant_add() - remember
 * @asked:  the decision that asked
 * @choice: a target that policy allows; NULL: no, to all questions about this service
 * @ret_id: its number; untouched if it is not remembered
 *
 * Return: 0 or a negative error.
 */
int grant_add(Broker *broker, const CallRequest *request, const ConfigDecision *asked, const char *choice, uint32_t sec,
              uint32_t *ret_id);

/** grant_consult() - @decision asks: is there an answer? Then it is one. Return: 0 or a negative error */
int grant_consult(Broker *broker, const CallRequest *request, ConfigDecision *decision);

/** grant_first() - all that are in force, by number. Return: 0 or a negative error */
int grant_first(Broker *broker, const Grant **ret_grant);

/** grant_revoke() - @id 0: all. Return: how many */
size_t grant_revoke(Broker *broker, uint32_t id);

/** grant_on_domain_removed() - the account of this domain is no longer what it was: grants about it end */
void grant_on_domain_removed(Broker *broker, const DomainName *domain);

/** grant_on_agent_gone() - the agent of this GUI domain is gone, and not replaced: what was answered there ends with it */
void grant_on_agent_gone(Broker *broker, const DomainName *domain);

/** grant_config() - ask.conf as it is now; if it is broken, what permits the least. Return: borrowed until the next call */
const AskConfig *grant_config(Broker *broker);

/** grant_config_problem() - what is wrong with it, or NULL. Return: borrowed likewise */
const char *grant_config_problem(Broker *broker);
