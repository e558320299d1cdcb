/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policy says to one request, all the way to where the call would go, as text that can be compared:
 *
 *   allow target=vault user=keys
 *   ask targets=mail,web default_target=mail
 *   deny
 *
 * Fields with their usual value are left out of the text, but can be looked up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "policy-tools/system.h"
#include "policy/evaluate.h"
#include "policy/question.h"

/** The keys of a decision, in the order in which they are written. */
typedef enum PolicyField {
        POLICY_FIELD_TARGET,         /* allow: whom the call goes to; ask: the only choice of a rule with target= */
        POLICY_FIELD_TARGETS,        /* ask: the choices, with commas between them */
        POLICY_FIELD_DEFAULT_TARGET, /* ask: the choice that is preselected; empty: none */
        POLICY_FIELD_USER,           /* allow, ask: the account; usually DEFAULT, the target's own */
        POLICY_FIELD_AUTOSTART,      /* allow, ask: is the target started if need be? usually yes */
        POLICY_FIELD_NOTIFY,         /* is a person told? usually no, for deny yes */
        POLICY_FIELD_RELAY,          /* allow: the local domain that carries it to a remote target */
        POLICY_FIELD_SERVICE,        /* allow: the service that is started at the relay */
        _POLICY_FIELD_N,
} PolicyField;

/** What is said of POLICY_DECISION_E_TOO_LONG. */
#define POLICY_DECISION_TOO_LONG_TEXT "the service wrapped for its relay is too long"

enum {
        _POLICY_DECISION_E_SUCCESS,
        POLICY_DECISION_E_TOO_LONG, /* the service, as the relay would be told it: such a call is refused */
};

typedef struct PolicyDecision {
        PolicyOutcome outcome;
        PolicyResolution resolution;   /* routed, if it is allowed */
        PolicyQuestion *question;      /* of ASK */
        char *fields[_POLICY_FIELD_N]; /* NULL: the outcome has none */
        bool is_usual[_POLICY_FIELD_N];
        char *message; /* why it is refused; NULL: it is not */
        const InventoryDomain
                *speaks_for;    /* whom the relay means by the requested source; NULL: nobody, or as written */
        bool is_unknown_source; /* the one that stands for those that are not known here */
} PolicyDecision;

/** policy_field_name() - the key as it is written, such as "default_target" */
const char *policy_field_name(PolicyField field);

/** policy_decision_deinit() - harmless on an all-zero one */
void policy_decision_deinit(PolicyDecision *decision);

/**
 * policy_decide() - evaluate, compose the question if there is one, route (policy specification, 5)
 * @system:       if it is from an inventory, names across hosts are what the broker makes of them (inventory/remote.h)
 * @ret_decision: the caller deinitialises it; points into the policy, the system and the request's texts
 *
 * Return: 0 or a negative error.
 */
int policy_decide(Policy *policy, const PolicySystem *system, const PolicyRequest *request,
                  PolicyDecision *ret_decision);

/**
 * policy_decision_carriage() - who carries an allowed call to a target on another host, and as which service
 * @resolution:  routed, and is_remote
 * @ret_relay:   a domain of this host; points into the system
 * @ret_service: what is started there; the caller frees it
 *
 * Return: 0, POLICY_DECISION_E_TOO_LONG, or a negative error.
 */
int policy_decision_carriage(const PolicySystem *system, const PolicyResolution *resolution, PolicySlice *ret_relay,
                             char **ret_service);

/** policy_decision_format() - one line; the caller frees it. Return: NULL if there is no memory */
char *policy_decision_format(const PolicyDecision *decision);

/** policy_rule_show() - "PATH:LINE: TEXT" in printable ASCII; the caller frees it. Return: NULL if there is no memory */
char *policy_rule_show(const PolicyRule *rule);

/** policy_outcome_name() - "allow", "ask" or "deny" */
const char *policy_outcome_name(PolicyOutcome outcome);
