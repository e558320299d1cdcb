/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/facts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/name.h"

static uint64_t policy_tag_bit(const PolicyAtom *tag) {
        return UINT64_C(1) << (tag->hash & 63);
}

PolicyFacts *policy_facts_ref(PolicyFacts *facts) {
        ++facts->n_refs;
        return facts;
}

PolicyFacts *policy_facts_unref(PolicyFacts *facts) {
        if (!facts || --facts->n_refs > 0)
                return NULL;
        for (size_t i = 0; i < facts->n_domains; ++i)
                free(facts->domains[i].tags);
        free(facts->domains);
        free(facts->slots);
        policy_atoms_deinit(&facts->atoms);
        free(facts);
        return NULL;
}

/* The slot of the domain with this name or UUID, or the free one where it belongs; at most half of them are used. */
static PolicyFactsSlot *policy_facts_slot(const PolicyFacts *facts, PolicySlice name, uint64_t hash) {
        for (size_t i = hash & (facts->n_slots - 1);; i = (i + 1) & (facts->n_slots - 1)) {
                PolicyFactsSlot *slot = &facts->slots[i];

                if (!slot->domain ||
                    (slot->hash == hash && (policy_atom_is(slot->domain->name, name, hash) ||
                                            (slot->domain->uuid && policy_atom_is(slot->domain->uuid, name, hash)))))
                        return slot;
        }
}

const PolicyDomain *policy_facts_lookup(const PolicyFacts *facts, PolicySlice name) {
        return policy_facts_slot(facts, name, policy_hash(name))->domain;
}

static int policy_facts_insert(PolicyFacts *facts, PolicyDomain *domain, const PolicyAtom *key) {
        PolicyFactsSlot *slot = policy_facts_slot(facts, policy_atom_slice(key), key->hash);

        if (slot->domain)
                return POLICY_FACTS_E_DUPLICATE;
        *slot = (PolicyFactsSlot){ key->hash, domain };
        return 0;
}

static bool policy_facts_name_is_usable(PolicySlice name) {
        return name.n > 0 && name.text[0] != '@' && !policy_slice_equal(name, POLICY_SLICE("*")) &&
               !policy_slice_begins(name, POLICY_SLICE(POLICY_UUID_PREFIX));
}

static int policy_facts_intern(PolicyFacts *facts, const char *text, const PolicyAtom **ret_atom) {
        if (!text) {
                *ret_atom = NULL;
                return 0;
        }
        return error_trace(policy_atoms_intern(&facts->atoms, policy_slice(text), ret_atom));
}

static int policy_facts_set_uuid(PolicyFacts *facts, PolicyDomain *domain, const char *uuid) {
        _cleanup_free_ char *text = NULL;
        size_t n_prefix = strlen(POLICY_UUID_PREFIX), n_uuid;

        if (!uuid)
                return 0;
        n_uuid = strlen(uuid);
        text = malloc(n_prefix + n_uuid + 1);
        if (!text)
                return error_origin(-ENOMEM);
        memcpy(text, POLICY_UUID_PREFIX, n_prefix);
        memcpy(text + n_prefix, uuid, n_uuid + 1);
        return policy_facts_intern(facts, text, &domain->uuid);
}

static int policy_facts_set_tags(PolicyFacts *facts, PolicyDomain *domain, const PolicyDomainInput *input) {
        int r;

        domain->has_tags = input->has_tags;
        if (!input->has_tags || input->n_tags == 0)
                return 0;
        domain->tags = calloc(input->n_tags, sizeof(*domain->tags));
        if (!domain->tags)
                return error_origin(-ENOMEM);
        domain->n_tags = input->n_tags;
        for (size_t i = 0; i < input->n_tags; ++i) {
                r = policy_facts_intern(facts, input->tags[i], &domain->tags[i]);
                if (r < 0)
                        return r;
                domain->tag_bits |= policy_tag_bit(domain->tags[i]);
        }
        return 0;
}

static int policy_facts_add(PolicyFacts *facts, PolicyDomain *domain, const PolicyDomainInput *input) {
        const struct {
                const char *text;
                const PolicyAtom **atom;
        } texts[] = {
                { input->name, &domain->name },
                { input->type, &domain->type },
                { input->default_dispvm, &domain->default_dispvm },
                { input->relayvm, &domain->relayvm },
                { input->transport_rpc, &domain->transport_rpc },
                { input->guivm, &domain->guivm },
                { input->icon, &domain->icon },
        };
        int r;

        if (!policy_facts_name_is_usable(policy_slice(input->name)))
                return POLICY_FACTS_E_NAME;
        for (size_t i = 0; i < ARRAY_SIZE(texts); ++i) {
                r = policy_facts_intern(facts, texts[i].text, texts[i].atom);
                if (r < 0)
                        return r;
        }
        r = policy_facts_set_uuid(facts, domain, input->uuid);
        if (r < 0)
                return r;
        r = policy_facts_set_tags(facts, domain, input);
        if (r < 0)
                return r;
        domain->is_base = input->template_for_dispvms;
        domain->running = input->running;
        domain->internal = input->internal;
        domain->is_remote = input->type && strcmp(input->type, "RemoteVM") == 0;

        r = policy_facts_insert(facts, domain, domain->name);
        if (r == 0 && domain->uuid)
                r = policy_facts_insert(facts, domain, domain->uuid);
        return r;
}

int policy_facts_new(const PolicyDomainInput *domains, size_t n_domains, PolicyFacts **ret_facts) {
        _cleanup_(policy_facts_unrefp) PolicyFacts *facts = NULL;
        int r;

        facts = calloc(1, sizeof(*facts));
        if (!facts)
                return error_origin(-ENOMEM);
        facts->n_refs = 1;

        /* Two keys for each domain, and never more than half of the slots used. */
        facts->n_slots = 4;
        while (facts->n_slots / 4 < n_domains)
                facts->n_slots *= 2;
        facts->slots = calloc(facts->n_slots, sizeof(*facts->slots));
        facts->domains = calloc(n_domains ?: 1, sizeof(*facts->domains));
        if (!facts->slots || !facts->domains)
                return error_origin(-ENOMEM);

        for (size_t i = 0; i < n_domains; ++i) {
                facts->domains[i].index = i;
                facts->n_domains = i + 1;
                r = policy_facts_add(facts, &facts->domains[i], &domains[i]);
                if (r)
                        return r;
        }
        *ret_facts = steal_ptr(&facts);
        return 0;
}

void policy_facts_set_running(PolicyFacts *facts, size_t index, PolicyFact running) {
        facts->domains[index].running = running;
}

PolicyFact policy_domain_has_tag(const PolicyDomain *domain, const PolicyAtom *tag) {
        if (!domain->has_tags)
                return POLICY_FACT_UNKNOWN;
        if (!(domain->tag_bits & policy_tag_bit(tag)))
                return POLICY_FACT_NO;
        for (size_t i = 0; i < domain->n_tags; ++i)
                if (policy_atom_equal(domain->tags[i], tag))
                        return POLICY_FACT_YES;
        return POLICY_FACT_NO;
}

PolicyFact policy_domain_has_type(const PolicyDomain *domain, const PolicyAtom *type) {
        if (!domain->type)
                return POLICY_FACT_UNKNOWN;
        return policy_atom_equal(domain->type, type) ? POLICY_FACT_YES : POLICY_FACT_NO;
}

bool policy_name_is_dom0(PolicySlice name) {
        return policy_slice_equal(name, POLICY_SLICE(DOM0_NAME)) ||
               policy_slice_equal(name, POLICY_SLICE(POLICY_UUID_DOM0));
}
