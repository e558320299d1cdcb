/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What policy says to one request. A refusal is a resolution like any other, never an error: an all-zero one refuses.
 *
 * It allocates nothing: it points into the policy, the facts, the request's texts, and, if a person chose, the question.
 * All of them must outlive it (the first two have reference counts).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/facts.h"
#include "policy/match.h"
#include "policy/rule.h"
#include "policy/slice.h"

/** Room for every message and warning of usual length: a path, two names and the words. Longer ones are cut. */
#define POLICY_MESSAGE_MAX 5120

/** The most that upstream's daemon takes as an answer, with a NUL (specification, 5.10). */
#define POLICY_RESPONSE_MAX 4096

/** What the caller asked for (specification, 5.1). Texts belong to the caller. */
typedef struct PolicyRequest {
        PolicySlice source;           /* the calling domain: a name, or `uuid:…` */
        PolicySlice requested_source; /* whom it speaks for; empty: itself */
        PolicySlice target;           /* may be empty */
        PolicySlice service;          /* NAME or NAME+ARGUMENT */
} PolicyRequest;

typedef enum PolicyOutcome {
        POLICY_OUTCOME_DENY,
        POLICY_OUTCOME_ASK,
        POLICY_OUTCOME_ALLOW,
} PolicyOutcome;

/** Why a call is refused. */
typedef enum PolicyReason {
        POLICY_REASON_FAULT,             /* the facts are incomplete or contradict the policy (5.9) */
        POLICY_REASON_NONE,              /* it is not */
        POLICY_REASON_TOKEN,             /* the requested target is not a token (4.4): logged as a policy error */
        POLICY_REASON_NOT_A_BASE,        /* (4.4) */
        POLICY_REASON_UNKNOWN_SOURCE,    /* (5.2) */
        POLICY_REASON_SOURCE_NOT_REMOTE, /* (5.2) */
        POLICY_REASON_NOT_A_RELAY,       /* (5.2) */
        POLICY_REASON_NO_MATCH,          /* (5.3) */
        POLICY_REASON_RULE,              /* a rule says so (5.3) */
        POLICY_REASON_NO_TARGET,         /* (5.5) */
        POLICY_REASON_NO_DEFAULT_BASE,   /* (5.5) */
        POLICY_REASON_AUTOSTART,         /* (5.5) */
        POLICY_REASON_NO_CHOICE,         /* nothing to ask about (5.4) */
        POLICY_REASON_USER,              /* a person refused, or nobody could be asked (5.4) */
        POLICY_REASON_BAD_CHOICE,        /* (5.4) */
        POLICY_REASON_BAD_ANSWER,        /* (5.4) */
        POLICY_REASON_LOOPBACK,          /* (5.6) */
        POLICY_REASON_NO_RELAY,          /* (5.7) */
        POLICY_REASON_NO_TRANSPORT,      /* (5.7) */
} PolicyReason;

/** Things to be logged that decide nothing. */
typedef enum PolicyWarning {
        POLICY_WARNING_TARGET_UNKNOWN,   /* the requested target became `@default` (4.4) */
        POLICY_WARNING_REDIRECT_UNKNOWN, /* so did the rule's target= (5.5) */
        POLICY_WARNING_USER_IGNORED,     /* user= of a rule for a remote domain (5.7) */
        _POLICY_WARNING_N,
} PolicyWarning;

typedef struct PolicyResolution {
        PolicyOutcome outcome;
        PolicyReason reason;
        bool notify;       /* tell the person: of the refusal, or that it was allowed (5.8) */
        unsigned warnings; /* BIT(POLICY_WARNING_…) */
        const char *fault; /* what is missing; for POLICY_REASON_FAULT */

        PolicyRequest request;
        PolicySlice service;    /* without argument */
        PolicySlice argument;   /* with its `+` */
        PolicyParty source;     /* who is judged: the requested source, if there was one (5.2) */
        bool is_relayed;        /* there was one: tell the service `policy_source` */
        PolicyTarget requested; /* the requested target, normalised (4.4) */
        const PolicyRule *rule; /* which decided; NULL: none did */

        /* of a call that is allowed, and of some that are refused */
        PolicyTarget target; /* whom it is allowed to: NAME (`dom0` too) or DISPVM_BASE */

        /* set by policy_route() */
        bool is_routed;
        bool is_dom0;                    /* it goes to dom0, whether the inventory has one or not */
        const PolicyDomain *destination; /* where it goes: the relay, for a remote domain; the base, for @dispvm:BASE */
        bool is_remote;                  /* wrapped for the relay: see policy_resolution_service() */
        bool autostart;
        PolicySlice user; /* `DEFAULT`, or the rule's */
} PolicyResolution;

enum {
        _POLICY_RESOLUTION_E_SUCCESS,
        POLICY_RESOLUTION_E_SPACE, /* the buffer is too small */
};

/** policy_resolution_message() - why it is refused, in the specification's words; "" if it is not. Return: @buffer */
const char *policy_resolution_message(const PolicyResolution *resolution, char *buffer, size_t n_buffer);

/** policy_resolution_warning() - the text of a warning that the resolution has; cut to fit. Return: @buffer */
const char *policy_resolution_warning(const PolicyResolution *resolution, PolicyWarning warning, char *buffer,
                                      size_t n_buffer);

/**
 * policy_resolution_service() - the service that is started at the destination, NUL-terminated
 *
 * As asked for; for a remote domain `TRANSPORT+NAME+SERVICE+ARGUMENT` with the name of the domain that the call was
 * resolved to (5.7). Return: 0 or POLICY_RESOLUTION_E_SPACE.
 */
int policy_resolution_service(const PolicyResolution *resolution, char *buffer, size_t n_buffer);

/**
 * policy_resolution_response() - the answer of the policy socket (5.6): lines separated by LF, NUL-terminated
 *
 * Of a resolution that is allowed and routed; any other yields `result=deny`.
 * Return: 0 or POLICY_RESOLUTION_E_SPACE.
 */
int policy_resolution_response(const PolicyResolution *resolution, char *buffer, size_t n_buffer);

/** policy_target_format() - the target as text, NUL-terminated. Return: 0 or POLICY_RESOLUTION_E_SPACE */
int policy_target_format(const PolicyTarget *target, char *buffer, size_t n_buffer);

/** policy_resolution_deny() - turn it into a refusal */
void policy_resolution_deny(PolicyResolution *resolution, PolicyReason reason);

/** policy_resolution_fault() - turn it into a refusal because @what, a string that is never freed, is missing */
void policy_resolution_fault(PolicyResolution *resolution, const char *what);
