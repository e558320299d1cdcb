/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/evaluate.h"

#include "base/cleanup.h"
#include "base/name.h"
#include "policy/find.h"

/* What a text turns into as a request target (4.4). */
static PolicyReason policy_target_resolve(const PolicyFacts *facts, PolicyTokenKind kind, PolicySlice value,
                                          PolicyTarget *ret_target, bool *ret_unknown) {
        PolicyTarget target = { .kind = kind };

        if (kind == POLICY_TOKEN_DISPVM_BASE) {
                target.party = policy_party(facts, value);
                *ret_target = target;
                if (!target.party.domain || target.party.domain->is_base == POLICY_FACT_NO)
                        return POLICY_REASON_NOT_A_BASE;
                if (target.party.domain->is_base == POLICY_FACT_UNKNOWN)
                        return POLICY_REASON_FAULT;
        } else if (kind == POLICY_TOKEN_NAME) {
                target.party = policy_party(facts, value);
                if (!target.party.domain) {
                        *ret_unknown = true;
                        target = (PolicyTarget){ .kind = POLICY_TOKEN_DEFAULT };
                }
        }
        *ret_target = target;
        return POLICY_REASON_NONE;
}

static void policy_resolution_refuse(PolicyResolution *resolution, PolicyReason reason) {
        if (reason == POLICY_REASON_FAULT)
                policy_resolution_fault(resolution, "template_for_dispvms of the target is not known");
        else
                policy_resolution_deny(resolution, reason);
}

/* 4.4. Return: is there a request target? */
static bool policy_evaluate_target(const PolicyFacts *facts, PolicyResolution *resolution) {
        PolicyTokenKind kind = POLICY_TOKEN_DEFAULT;
        PolicySlice value = {};
        PolicyReason reason;
        bool unknown = false;

        if (resolution->request.target.n > 0 &&
            policy_token_parse(POLICY_PLACE_REQUESTED, resolution->request.target, &kind, &value)) {
                policy_resolution_deny(resolution, POLICY_REASON_TOKEN);
                return false;
        }
        reason = policy_target_resolve(facts, kind, value, &resolution->requested, &unknown);
        if (reason != POLICY_REASON_NONE) {
                resolution->target = resolution->requested;
                policy_resolution_refuse(resolution, reason);
                return false;
        }
        if (unknown)
                resolution->warnings |= BIT(POLICY_WARNING_TARGET_UNKNOWN);
        return true;
}

/* 5.2. Return: is the source whom it says it speaks for? */
static bool policy_evaluate_source(const PolicyFacts *facts, PolicyResolution *resolution) {
        const PolicyRequest *request = &resolution->request;
        const PolicyDomain *domain;

        resolution->source = policy_party(facts, request->source);
        if (request->requested_source.n == 0)
                return true;

        domain = policy_facts_lookup(facts, request->requested_source);
        if (!domain) {
                policy_resolution_deny(resolution, POLICY_REASON_UNKNOWN_SOURCE);
                return false;
        }
        if (!domain->type) {
                policy_resolution_fault(resolution, "type of the requested source is not known");
                return false;
        }
        if (!domain->is_remote) {
                policy_resolution_deny(resolution, POLICY_REASON_SOURCE_NOT_REMOTE);
                return false;
        }
        if (!domain->relayvm || !policy_slice_equal(policy_atom_slice(domain->relayvm), request->source)) {
                policy_resolution_deny(resolution, POLICY_REASON_NOT_A_RELAY);
                return false;
        }
        resolution->source = policy_party(facts, request->requested_source);
        resolution->is_relayed = true;
        return true;
}

PolicyQuery policy_query(const Policy *policy, const PolicyFacts *facts, const PolicyResolution *resolution) {
        return (PolicyQuery){
                .facts = facts,
                .service = policy_atoms_lookup(&policy->atoms, resolution->service, policy_hash(resolution->service)),
                .argument =
                        policy_atoms_lookup(&policy->atoms, resolution->argument, policy_hash(resolution->argument)),
                .source = resolution->source,
                .target = resolution->requested,
        };
}

PolicyFact policy_target_needs_start(const PolicyTarget *target) {
        if (policy_target_is_dom0(target))
                return POLICY_FACT_NO;
        if (target->kind == POLICY_TOKEN_DISPVM || target->kind == POLICY_TOKEN_DISPVM_BASE)
                return POLICY_FACT_YES;
        if (!target->party.domain)
                return POLICY_FACT_UNKNOWN;
        switch (target->party.domain->running) {
        case POLICY_FACT_YES:
                return POLICY_FACT_NO;
        case POLICY_FACT_NO:
                return POLICY_FACT_YES;
        case POLICY_FACT_UNKNOWN:
                break;
        }
        return POLICY_FACT_UNKNOWN;
}

/* 5.5 */
static void policy_allow(const PolicyFacts *facts, PolicyResolution *resolution) {
        const PolicyRule *rule = resolution->rule;
        PolicyTarget *target = &resolution->target;
        bool unknown = false;

        *target = resolution->requested;
        if (rule->redirect.kind != POLICY_TOKEN_NONE) {
                PolicySlice value = rule->redirect.value ? policy_atom_slice(rule->redirect.value) : (PolicySlice){};
                PolicyReason reason = policy_target_resolve(facts, rule->redirect.kind, value, target, &unknown);

                if (reason != POLICY_REASON_NONE) {
                        policy_resolution_refuse(resolution, reason);
                        return;
                }
                if (unknown)
                        resolution->warnings |= BIT(POLICY_WARNING_REDIRECT_UNKNOWN);
        }
        if (target->kind == POLICY_TOKEN_DEFAULT) {
                policy_resolution_deny(resolution, POLICY_REASON_NO_TARGET);
                return;
        }
        if (target->kind == POLICY_TOKEN_DISPVM) {
                const PolicyDomain *source = resolution->source.domain;

                if (!source || !source->default_dispvm) {
                        policy_resolution_deny(resolution, POLICY_REASON_NO_DEFAULT_BASE);
                        return;
                }
                target->kind = POLICY_TOKEN_DISPVM_BASE;
                target->party = policy_party(facts, policy_atom_slice(source->default_dispvm));
        }
        if (target->kind == POLICY_TOKEN_ADMINVM) {
                target->kind = POLICY_TOKEN_NAME;
                target->party = policy_party(facts, POLICY_SLICE(DOM0_NAME));
        }
        if (!rule->autostart) {
                PolicyFact needs_start = policy_target_needs_start(target);

                if (needs_start == POLICY_FACT_UNKNOWN) {
                        policy_resolution_fault(resolution, "power_state of the target is not known");
                        return;
                }
                if (needs_start == POLICY_FACT_YES) {
                        policy_resolution_deny(resolution, POLICY_REASON_AUTOSTART);
                        return;
                }
        }
        resolution->outcome = POLICY_OUTCOME_ALLOW;
        resolution->reason = POLICY_REASON_NONE;
        resolution->notify = rule->notify;
}

static void policy_apply(const PolicyFacts *facts, PolicyResolution *resolution) {
        switch (resolution->rule->action) {
        case POLICY_ACTION_DENY:
                policy_resolution_deny(resolution, POLICY_REASON_RULE);
                break;
        case POLICY_ACTION_ASK:
                resolution->outcome = POLICY_OUTCOME_ASK;
                resolution->reason = POLICY_REASON_NONE;
                resolution->notify = resolution->rule->notify;
                break;
        case POLICY_ACTION_ALLOW:
                policy_allow(facts, resolution);
                break;
        }
}

static void policy_resolution_init(PolicyResolution *resolution, const PolicyRequest *request) {
        const char *plus = request->service.n > 0 ? memchr(request->service.text, '+', request->service.n) : NULL;

        *resolution = (PolicyResolution){ .request = *request };
        policy_resolution_fault(resolution, NULL); /* until something else is decided */
        resolution->service = request->service;
        resolution->argument = POLICY_SLICE("+");
        if (plus) {
                resolution->service.n = (size_t)(plus - request->service.text);
                resolution->argument = policy_slice_skip(request->service, resolution->service.n);
        }
}

void policy_evaluate(const Policy *policy, const PolicyFacts *facts, const PolicyRequest *request,
                     PolicyResolution *ret_resolution) {
        PolicyResolution resolution;
        PolicyQuery query;

        policy_resolution_init(&resolution, request);
        if (policy_evaluate_target(facts, &resolution) && policy_evaluate_source(facts, &resolution)) {
                query = policy_query(policy, facts, &resolution);
                switch (policy_find(policy, &query, &resolution.rule)) {
                case POLICY_MATCH_YES:
                        policy_apply(facts, &resolution);
                        break;
                case POLICY_MATCH_NO:
                        policy_resolution_deny(&resolution, POLICY_REASON_NO_MATCH);
                        break;
                case POLICY_MATCH_FAULT:
                        policy_resolution_fault(&resolution, "a rule needs a fact that the inventory lacks");
                        break;
                }
        }
        *ret_resolution = resolution;
}

/* 5.7 */
static void policy_route_remote(const PolicyFacts *facts, PolicyResolution *resolution) {
        const PolicyDomain *domain = resolution->target.party.domain, *relay;

        if (resolution->rule->user)
                resolution->warnings |= BIT(POLICY_WARNING_USER_IGNORED);
        resolution->user = POLICY_SLICE("DEFAULT");
        if (!domain->relayvm) {
                policy_resolution_deny(resolution, POLICY_REASON_NO_RELAY);
                return;
        }
        if (!domain->transport_rpc) {
                policy_resolution_deny(resolution, POLICY_REASON_NO_TRANSPORT);
                return;
        }
        relay = policy_facts_lookup(facts, policy_atom_slice(domain->relayvm));
        if (!relay || !relay->uuid) {
                policy_resolution_fault(resolution, "the target's relay is not in the inventory or has no uuid");
                return;
        }
        resolution->destination = relay;
        resolution->is_remote = true;
        resolution->is_routed = true;
}

void policy_route(const PolicyFacts *facts, PolicyResolution *resolution) {
        const PolicyTarget *target = &resolution->target;
        const PolicyRule *rule = resolution->rule;

        if (resolution->outcome != POLICY_OUTCOME_ALLOW)
                return;
        if (target->kind == POLICY_TOKEN_NAME && policy_slice_equal(target->party.text, resolution->source.text)) {
                policy_resolution_deny(resolution, POLICY_REASON_LOOPBACK);
                return;
        }

        resolution->autostart = rule->autostart;
        resolution->user = POLICY_SLICE("DEFAULT");
        if (rule->user && rule->user->n > 0) {
                /* A NUL is an ordinary character in a policy file, but no account's name, and would cut this one. */
                if (memchr(rule->user->text, '\0', rule->user->n)) {
                        policy_resolution_fault(resolution, "user= of the rule contains NUL");
                        return;
                }
                resolution->user = policy_atom_slice(rule->user);
        }

        if (policy_target_is_dom0(target)) {
                resolution->is_dom0 = true;
                resolution->is_routed = true;
                resolution->destination = target->party.domain;
                return;
        }
        if (!target->party.domain || (target->kind != POLICY_TOKEN_NAME && target->kind != POLICY_TOKEN_DISPVM_BASE)) {
                policy_resolution_fault(resolution, "the target is not in the inventory");
                return;
        }
        if (target->kind == POLICY_TOKEN_NAME && !target->party.domain->type) {
                policy_resolution_fault(resolution, "type of the target is not known");
                return;
        }
        if (target->kind == POLICY_TOKEN_NAME && target->party.domain->is_remote) {
                policy_route_remote(facts, resolution);
                return;
        }
        if (!target->party.domain->uuid) {
                policy_resolution_fault(resolution, "the target has no uuid");
                return;
        }
        resolution->destination = target->party.domain;
        resolution->is_routed = true;
}
