/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the policy engine needs to know of the domains (policy specification, section 6), and where it comes from is
 * not its business. Made once for each state of the inventory; what changes often, whether a domain runs, has a setter.
 *
 * A fact may be unknown. Needing an unknown one is a fault: the call is refused (5.9), and no rule is guessed to match.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "policy/atom.h"
#include "policy/slice.h"

/** dom0's UUID, as it is written for `uuid:` (specification, 4.2). */
#define POLICY_UUID_PREFIX "uuid:"
#define POLICY_UUID_DOM0   "uuid:00000000-0000-0000-0000-000000000000"

typedef enum PolicyFact {
        POLICY_FACT_UNKNOWN,
        POLICY_FACT_NO,
        POLICY_FACT_YES,
} PolicyFact;

/** What policy_facts_new() is told of one domain. All texts are copied; NULL is: not set. */
typedef struct PolicyDomainInput {
        const char *name; /* required */
        const char *uuid; /* without `uuid:`, lower case with hyphens; NULL: cannot be called */
        const char *type; /* NULL: unknown */
        const char *const *tags;
        size_t n_tags;
        bool has_tags;                   /* false: its tags are unknown, which is not the same as none */
        PolicyFact template_for_dispvms; /* is it a base? */
        PolicyFact running;              /* is power_state "Running"? */
        bool internal;                   /* not offered in questions */
        const char *default_dispvm;      /* its default base */
        const char *relayvm;
        const char *transport_rpc;
        const char *guivm;
        const char *icon;
} PolicyDomainInput;

/** A domain, read-only outside of facts.c. Lives as long as its PolicyFacts. */
typedef struct PolicyDomain {
        size_t index; /* its place in the inventory as given, and in PolicyFacts */
        const PolicyAtom *name;
        const PolicyAtom *uuid; /* with its `uuid:`; NULL: none */
        const PolicyAtom *type; /* NULL: unknown */
        const PolicyAtom **tags;
        size_t n_tags;
        uint64_t tag_bits; /* one bit for each tag's hash: most tags that a domain lacks are seen at a glance */
        bool has_tags;
        PolicyFact is_base;
        PolicyFact running;
        bool is_remote; /* type is RemoteVM */
        bool internal;
        const PolicyAtom *default_dispvm; /* NULL: none, here and below */
        const PolicyAtom *relayvm;
        const PolicyAtom *transport_rpc;
        const PolicyAtom *guivm;
        const PolicyAtom *icon;
} PolicyDomain;

/** The hash is beside the domain, so that what is not meant costs no look at it. */
typedef struct PolicyFactsSlot {
        uint64_t hash;
        PolicyDomain *domain; /* NULL: free */
} PolicyFactsSlot;

typedef struct PolicyFacts {
        unsigned n_refs;
        PolicyDomain *domains;
        size_t n_domains;
        PolicyFactsSlot *slots; /* by name, and by `uuid:` and UUID: open addressing */
        size_t n_slots;
        PolicyAtoms atoms;
} PolicyFacts;

enum {
        _POLICY_FACTS_E_SUCCESS,
        POLICY_FACTS_E_NAME,      /* a name that is empty, `*`, or begins with `@` or `uuid:` means something else */
        POLICY_FACTS_E_DUPLICATE, /* two domains have the same name or the same UUID */
};

/**
 * policy_facts_new() - prepare facts
 * @ret_facts: with one reference, the caller's
 *
 * Names that other facts refer to (default_dispvm, relayvm) need not exist; using them is then a fault.
 * Return: 0, POLICY_FACTS_E_…, or a negative error.
 */
int policy_facts_new(const PolicyDomainInput *domains, size_t n_domains, PolicyFacts **ret_facts);

/** policy_facts_ref() - one more owner. Return: @facts */
PolicyFacts *policy_facts_ref(PolicyFacts *facts);

/** policy_facts_unref() - one owner less; the last frees them. Accepts NULL. Return: NULL */
PolicyFacts *policy_facts_unref(PolicyFacts *facts);
DEFINE_CLEANUP(PolicyFacts *, policy_facts_unref)

/** policy_facts_lookup() - the domain with this name, or `uuid:` and this UUID (specification, 4.1), or NULL */
const PolicyDomain *policy_facts_lookup(const PolicyFacts *facts, PolicySlice name);

/** policy_facts_set_running() - domain number @index (less than n_domains) has started or stopped */
void policy_facts_set_running(PolicyFacts *facts, size_t index, PolicyFact running);

/** policy_domain_has_tag() - POLICY_FACT_UNKNOWN if the domain's tags are */
PolicyFact policy_domain_has_tag(const PolicyDomain *domain, const PolicyAtom *tag);

/** policy_domain_has_type() - POLICY_FACT_UNKNOWN if the domain's type is */
PolicyFact policy_domain_has_type(const PolicyDomain *domain, const PolicyAtom *type);

/** policy_name_is_dom0() - `dom0` or `uuid:` and the zero UUID; with `@adminvm` this is isdom0 (specification, 4.2) */
bool policy_name_is_dom0(PolicySlice name);
