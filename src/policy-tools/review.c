/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a rule can decide anything is found out by trying: every caller and every target that there is, with the
 * rule's service and argument, or with ones that no rule names where it says `*`. So tags, types and relays count as what
 * they are on this host, and no rule is called dead that is not.
 */
#include "policy-tools/review.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "base/text.h"
#include "policy/evaluate.h"
#include "policy/find.h"
#include "policy/quote.h"

/** Rules named in one finding. */
#define SHADOWS_MAX 3

#define SHOWN_MAX     256
#define SHOWN(_slice) policy_quote((char[SHOWN_MAX]){ 0 }, SHOWN_MAX, (_slice))

const char *const policy_review_shells[] = { "qubes.VMShell", "qubes.VMRootShell", "qubes.VMExec", "qubes.VMExecGUI",
                                             NULL };

typedef struct Review {
        const Policy *policy;
        PolicyFacts *facts;
        const PolicyReviewOptions *options;
        PolicyTarget *requested; /* what can be asked for */
        size_t n_requested;
        const PolicyDomain **sources; /* who can call, but for dom0 */
        size_t n_sources;
        Diagnostics *findings;
} Review;

/** What trying a rule has shown. */
typedef struct ReviewTrial {
        size_t n_matched; /* pairs that the rule matches */
        size_t n_decided; /* of those, pairs that no earlier rule decides */
        const PolicyRule *shadows[SHADOWS_MAX];
        size_t n_shadows;
        const PolicyRule *bypassed; /* an earlier denial of what the rule redirects to */
        const char *bypassed_source;
        bool decides_default; /* it decides a call for `@default` */
} ReviewTrial;

static int review_find(Review *review, const PolicyRule *rule, const char *format, ...) _printf_(3, 4);
static int review_find(Review *review, const PolicyRule *rule, const char *format, ...) {
        _cleanup_free_ char *path = policy_show_new(policy_atom_slice(rule->path));
        va_list arguments;
        int r;

        if (!path)
                return error_origin(-ENOMEM);
        va_start(arguments, format);
        r = diagnostics_add_list(review->findings, path, rule->line, 0, format, arguments);
        va_end(arguments);
        return error_trace(r);
}

/* PATH:LINE, or the line alone if it is in the same file; lives in @buffer. */
static const char *review_place(const PolicyRule *rule, const PolicyRule *from, char *buffer, size_t n_buffer) {
        if (rule->path == from->path)
                snprintf(buffer, n_buffer, "line %u", rule->line);
        else
                snprintf(buffer, n_buffer, "%s:%u", rule->path->text, rule->line);
        return buffer;
}
#define PLACE(_rule, _from) review_place((_rule), (_from), (char[SHOWN_MAX]){ 0 }, SHOWN_MAX)

/*
 * Trying
 */

/* Is the rule's redirection something that an earlier rule denies to the same caller? */
static void review_try_redirect(const Review *review, const PolicyRule *rule, PolicyQuery query, ReviewTrial *trial) {
        const PolicyRule *found = NULL;

        if (trial->bypassed || rule->redirect.kind == POLICY_TOKEN_NONE || rule->action == POLICY_ACTION_DENY)
                return;
        query.target = (PolicyTarget){ .kind = rule->redirect.kind };
        if (rule->redirect.value)
                query.target.party = policy_party(review->facts, policy_atom_slice(rule->redirect.value));
        if (policy_find(review->policy, &query, &found) == POLICY_MATCH_YES && found < rule &&
            found->action == POLICY_ACTION_DENY) {
                trial->bypassed = found;
                trial->bypassed_source = query.source.domain->name->text;
        }
}

static void review_note_shadow(ReviewTrial *trial, const PolicyRule *shadow) {
        for (size_t i = 0; i < trial->n_shadows; ++i)
                if (trial->shadows[i] == shadow)
                        return;
        if (trial->n_shadows < SHADOWS_MAX)
                trial->shadows[trial->n_shadows++] = shadow;
}

static void review_try_pair(const Review *review, const PolicyRule *rule, const PolicyQuery *query,
                            ReviewTrial *trial) {
        const PolicyRule *found = NULL;

        if (policy_match_target(rule, query) == POLICY_MATCH_NO)
                return;
        ++trial->n_matched;
        if (policy_find(review->policy, query, &found) != POLICY_MATCH_NO && found < rule) {
                review_note_shadow(trial, found);
                return;
        }
        ++trial->n_decided;
        if (query->target.kind == POLICY_TOKEN_DEFAULT)
                trial->decides_default = true;
        review_try_redirect(review, rule, *query, trial);
}

static void review_try(const Review *review, const PolicyRule *rule, ReviewTrial *ret_trial) {
        /* What rules do not name is in no table, so NULL stands for it. */
        PolicyQuery query = { .facts = review->facts, .service = rule->service, .argument = rule->argument };

        *ret_trial = (ReviewTrial){};
        for (size_t i = 0; i < review->n_sources; ++i) {
                query.source = policy_party(review->facts, policy_atom_slice(review->sources[i]->name));
                if (policy_match_source(rule, &query) == POLICY_MATCH_NO)
                        continue;
                for (size_t k = 0; k < review->n_requested; ++k) {
                        query.target = review->requested[k];
                        review_try_pair(review, rule, &query, ret_trial);
                }
        }
}

static int review_shadowed(Review *review, const PolicyRule *rule, const ReviewTrial *trial) {
        char shadows[SHADOWS_MAX * (SHOWN_MAX + 2)] = "";

        for (size_t i = 0; i < trial->n_shadows; ++i) {
                strcat(shadows, i > 0 ? ", " : "");
                strcat(shadows, PLACE(trial->shadows[i], rule));
        }
        return review_find(review, rule, "never decides anything: what it matches is decided before, by %s%s", shadows,
                           trial->n_shadows == SHADOWS_MAX ? " and perhaps others" : "");
}

/*
 * Names
 */

static const char *review_get_name(const void *userdata, size_t i) {
        const PolicyFacts *facts = userdata;

        return i < facts->n_domains ? facts->domains[i].name->text : NULL;
}

/* The RemoteVM that another host calls so. */
static const char *review_find_remote(const Inventory *inventory, const PolicyAtom *name) {
        for (size_t i = 0; inventory && i < inventory->n_domains; ++i)
                if (policy_slice_equal(policy_slice(inventory->domains[i].remote_name.text), policy_atom_slice(name)))
                        return inventory->domains[i].name.text;
        return NULL;
}

static int review_name(Review *review, const PolicyRule *rule, const char *what, const PolicyAtom *name) {
        const char *meant, *remote;

        if (policy_facts_lookup(review->facts, policy_atom_slice(name)) || policy_name_is_dom0(policy_atom_slice(name)))
                return 0;
        remote = review_find_remote(review->options->inventory, name);
        if (remote)
                return review_find(review, rule,
                                   "%s %s is what another host calls '%s', and no domain of this host: rules have the "
                                   "names of here",
                                   what, SHOWN(policy_atom_slice(name)), remote);
        meant = nearest(name->text, name->n, review_get_name, review->facts);
        return review_find(review, rule, "%s %s is no domain of this host%s%s%s", what, SHOWN(policy_atom_slice(name)),
                           meant ? ": did you mean '" : "", meant ?: "", meant ? "'?" : "");
}

static bool review_has(const Review *review, const PolicyAtom *atom, bool is_tag) {
        for (size_t i = 0; i < review->facts->n_domains; ++i) {
                const PolicyDomain *domain = &review->facts->domains[i];

                if ((is_tag ? policy_domain_has_tag(domain, atom) : policy_domain_has_type(domain, atom)) !=
                    POLICY_FACT_NO)
                        return true;
        }
        return false;
}

static int review_base(Review *review, const PolicyRule *rule, const char *what, const PolicyAtom *name) {
        const PolicyDomain *domain = policy_facts_lookup(review->facts, policy_atom_slice(name));

        if (!domain)
                return review_name(review, rule, what, name);
        if (domain->is_base == POLICY_FACT_NO)
                return review_find(review, rule,
                                   "%s @dispvm:%s: no disposables may be made from %s "
                                   "(template_for_dispvms)",
                                   what, name->text, SHOWN(policy_atom_slice(name)));
        return 0;
}

static int review_token(Review *review, const PolicyRule *rule, const char *what, const PolicyToken *token) {
        switch (token->kind) {
        case POLICY_TOKEN_NAME:
                return review_name(review, rule, what, token->value);
        case POLICY_TOKEN_DISPVM_BASE:
                return review_base(review, rule, what, token->value);
        case POLICY_TOKEN_TAG:
        case POLICY_TOKEN_DISPVM_TAG:
                if (review_has(review, token->value, true))
                        return 0;
                return review_find(review, rule, "no domain has the tag %s", SHOWN(policy_atom_slice(token->value)));
        case POLICY_TOKEN_TYPE:
                if (review_has(review, token->value, false))
                        return 0;
                return review_find(review, rule, "no domain is of the type %s", SHOWN(policy_atom_slice(token->value)));
        case POLICY_TOKEN_NONE:
        case POLICY_TOKEN_ANY:
        case POLICY_TOKEN_ANYVM:
        case POLICY_TOKEN_ADMINVM:
        case POLICY_TOKEN_DEFAULT:
        case POLICY_TOKEN_DISPVM:
                break;
        }
        return 0;
}

/* Names, tags and types that are nowhere. *@ret_found: there were some */
static int review_tokens(Review *review, const PolicyRule *rule, bool *ret_found) {
        size_t n = review->findings->n_entries + review->findings->n_dropped;
        int r;

        r = review_token(review, rule, "source", &rule->source);
        r = r ?: review_token(review, rule, "target", &rule->target);
        r = r ?: review_token(review, rule, "target=", &rule->redirect);
        r = r ?: review_token(review, rule, "default_target=", &rule->default_target);
        *ret_found = review->findings->n_entries + review->findings->n_dropped > n;
        return r;
}

/*
 * Shapes
 */

static bool review_is_wide(const PolicyToken *token) {
        return token->kind == POLICY_TOKEN_ANY || token->kind == POLICY_TOKEN_ANYVM;
}

static bool review_is_shell(const PolicyRule *rule) {
        if (!rule->service)
                return true;
        for (const char *const *shell = policy_review_shells; *shell; ++shell)
                if (strcmp(rule->service->text, *shell) == 0)
                        return true;
        return false;
}

static bool review_is_specific(const PolicyToken *token) {
        return token->kind == POLICY_TOKEN_NAME || token->kind == POLICY_TOKEN_TAG || token->kind == POLICY_TOKEN_TYPE;
}

/* "allow all but X": denials of single domains before a rule that lets everybody through. */
static const PolicyRule *review_exception(const Policy *policy, const PolicyRule *rule) {
        bool source = review_is_wide(&rule->source), target = review_is_wide(&rule->target);

        for (const PolicyRule *before = policy->rules; before < rule; ++before) {
                if (before->action != POLICY_ACTION_DENY || before->service != rule->service)
                        continue;
                if ((source && review_is_specific(&before->source)) || (target && review_is_specific(&before->target)))
                        return before;
        }
        return NULL;
}

static int review_shape(Review *review, const PolicyRule *rule, const ReviewTrial *trial) {
        bool is_wide = review_is_wide(&rule->source) || review_is_wide(&rule->target);
        const PolicyRule *exception;
        int r = 0;

        if (trial->bypassed)
                r = review_find(review, rule,
                                "target= sends calls of '%s' to a target that %s denies it: a "
                                "redirection is not evaluated again",
                                trial->bypassed_source, PLACE(trial->bypassed, rule));
        if (r == 0 && rule->action == POLICY_ACTION_ALLOW && rule->redirect.kind == POLICY_TOKEN_NONE &&
            trial->decides_default)
                r = review_find(review, rule,
                                "calls for @default match too, and are refused, because there is no "
                                "target=");
        if (r < 0 || rule->action != POLICY_ACTION_ALLOW || !is_wide)
                return r;
        if (review_is_shell(rule))
                r = review_find(review, rule, "%s%s full control of the target, and the rule is for every %s",
                                rule->service ? rule->service->text : "'*'",
                                rule->service ? " gives" : " includes services that give",
                                review_is_wide(&rule->source) ? "caller" : "target");
        exception = r == 0 ? review_exception(review->policy, rule) : NULL;
        if (exception)
                r = review_find(review, rule,
                                "allows everything but what is denied before, as by %s: a domain made later "
                                "is allowed. Say who may instead",
                                PLACE(exception, rule));
        return r;
}

/* Does the rule decide about nothing but calls to other hosts? What services those have is not known here. */
static bool review_is_remote(const Review *review, const PolicyRule *rule) {
        const PolicyToken *token = rule->redirect.kind != POLICY_TOKEN_NONE ? &rule->redirect : &rule->target;
        bool found = false;

        for (size_t i = 0; i < review->facts->n_domains; ++i) {
                const PolicyDomain *domain = &review->facts->domains[i];
                const PolicyParty party = policy_party(review->facts, policy_atom_slice(domain->name));
                const PolicyRule about = { .target = *token };
                const PolicyQuery query = { .facts = review->facts,
                                            .target = { .kind = POLICY_TOKEN_NAME, .party = party } };

                if (policy_match_target(&about, &query) != POLICY_MATCH_YES)
                        continue;
                if (!domain->is_remote)
                        return false;
                found = true;
        }
        return found;
}

/* Services that nobody has, each at the first rule that lets somebody call it. */
static int review_services(Review *review) {
        _cleanup_(policy_atoms_deinit) PolicyAtoms told = POLICY_ATOMS_INIT;

        if (!review->options->has_service)
                return 0;
        for (size_t i = 0; i < review->policy->n_rules; ++i) {
                const PolicyRule *rule = &review->policy->rules[i];
                const PolicyAtom *atom;
                int r;

                if (!rule->service || rule->line == 0 || rule->action == POLICY_ACTION_DENY ||
                    policy_atoms_lookup(&told, policy_atom_slice(rule->service), rule->service->hash) ||
                    review->options->has_service(rule->service->text, review->options->userdata) ||
                    review_is_remote(review, rule))
                        continue;
                r = policy_atoms_intern(&told, policy_atom_slice(rule->service), &atom);
                r = r
                            ?: review_find(review, rule, "no domain of this host has a service %s",
                                           SHOWN(policy_atom_slice(rule->service)));
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool review_is_dom0(const PolicyToken *token) {
        return token->kind == POLICY_TOKEN_ADMINVM ||
               (token->kind == POLICY_TOKEN_NAME && policy_name_is_dom0(policy_atom_slice(token->value)));
}

static int review_unmatched(Review *review, const PolicyRule *rule) {
        if (review_is_dom0(&rule->source))
                return review_find(review, rule, "its source is dom0, whose calls no policy is asked about");
        if (rule->source.kind == POLICY_TOKEN_DISPVM_BASE || rule->source.kind == POLICY_TOKEN_DISPVM_TAG)
                return review_find(review, rule,
                                   "its source is a disposable that does not exist yet, which calls "
                                   "nobody: name the tag or the type of those that are to call");
        return review_find(review, rule, "matches no call that anybody on this host can make");
}

static int review_rule(Review *review, const PolicyRule *rule) {
        ReviewTrial trial;
        bool has_strangers;
        int r;

        if (rule->line == 0)
                return 0; /* written by nobody */
        r = review_tokens(review, rule, &has_strangers);
        if (r < 0)
                return r;
        review_try(review, rule, &trial);
        if (trial.n_matched == 0)
                return has_strangers ? 0 : review_unmatched(review, rule);
        if (trial.n_decided == 0)
                return review_shadowed(review, rule, &trial);
        return review_shape(review, rule, &trial);
}

/*
 * Domains that no rule can tell from an earlier one need not be tried: with hundreds of domains of few kinds, that is most
 */

static bool review_is_named(const Review *review, const PolicyAtom *atom) {
        return atom && policy_atoms_lookup(&review->policy->atoms, policy_atom_slice(atom), atom->hash);
}

static bool review_same(const PolicyAtom *a, const PolicyAtom *b) {
        return a == b; /* both are of the facts' table */
}

static bool review_is_like(const PolicyDomain *a, const PolicyDomain *b) {
        if (a->tag_bits != b->tag_bits || a->n_tags != b->n_tags || a->has_tags != b->has_tags ||
            a->is_base != b->is_base || !review_same(a->type, b->type) ||
            !review_same(a->default_dispvm, b->default_dispvm))
                return false;
        for (size_t i = 0; i < a->n_tags; ++i)
                if (policy_domain_has_tag(b, a->tags[i]) != POLICY_FACT_YES)
                        return false;
        return true;
}

/* Is one of the sources, which are those found so far, as good? */
static bool review_is_represented(const Review *review, const PolicyDomain *domain) {
        if (review_is_named(review, domain->name) || review_is_named(review, domain->uuid))
                return false;
        for (size_t i = 0; i < review->n_sources; ++i)
                if (!review_is_named(review, review->sources[i]->name) &&
                    !review_is_named(review, review->sources[i]->uuid) && review_is_like(review->sources[i], domain))
                        return true;
        return false;
}

static void review_add_requested(Review *review, PolicyTokenKind kind, const PolicyDomain *domain) {
        PolicyTarget target = { .kind = kind };

        if (domain)
                target.party = policy_party(review->facts, policy_atom_slice(domain->name));
        review->requested[review->n_requested++] = target;
}

static int review_collect(Review *review) {
        const PolicyFacts *facts = review->facts;

        review->sources = calloc(facts->n_domains ?: 1, sizeof(const PolicyDomain *));
        review->requested = calloc(2 * facts->n_domains + 3, sizeof(*review->requested));
        if (!review->sources || !review->requested)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < facts->n_domains; ++i) {
                const PolicyDomain *domain = &facts->domains[i];
                bool is_dom0 = policy_name_is_dom0(policy_atom_slice(domain->name));

                if (review_is_represented(review, domain))
                        continue;
                if (!is_dom0) /* its calls are not subject to policy */
                        review->sources[review->n_sources++] = domain;
                review_add_requested(review, POLICY_TOKEN_NAME, domain);
                if (domain->is_base == POLICY_FACT_YES)
                        review_add_requested(review, POLICY_TOKEN_DISPVM_BASE, domain);
        }
        review_add_requested(review, POLICY_TOKEN_DISPVM, NULL);
        review_add_requested(review, POLICY_TOKEN_DEFAULT, NULL);
        review_add_requested(review, POLICY_TOKEN_ADMINVM, NULL);
        return 0;
}

int policy_review(const Policy *policy, PolicyFacts *facts, const PolicyReviewOptions *options, Diagnostics *findings) {
        Review review = { .policy = policy, .facts = facts, .options = options, .findings = findings };
        int r;

        r = review_collect(&review);
        for (size_t i = 0; i < policy->n_rules && r == 0; ++i)
                r = review_rule(&review, &policy->rules[i]);
        r = r ?: review_services(&review);
        free(review.requested);
        free(review.sources);
        return r;
}
