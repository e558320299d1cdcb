/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/resolution.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/name.h"
#include "policy/quote.h"

/** Text appended to a buffer; after the first piece that does not fit nothing more is. */
typedef struct PolicyText {
        char *buffer;
        size_t n_buffer;
        size_t n;
        bool is_full;
} PolicyText;

static PolicyText policy_text(char *buffer, size_t n_buffer) {
        if (n_buffer > 0)
                buffer[0] = '\0';
        return (PolicyText){ .buffer = buffer, .n_buffer = n_buffer, .is_full = n_buffer == 0 };
}

static void policy_text_add(PolicyText *text, PolicySlice piece) {
        if (text->is_full || piece.n >= text->n_buffer - text->n) {
                text->is_full = true;
                return;
        }
        if (piece.n > 0)
                memcpy(text->buffer + text->n, piece.text, piece.n);
        text->n += piece.n;
        text->buffer[text->n] = '\0';
}

static void policy_text_words(PolicyText *text, const char *words) {
        policy_text_add(text, policy_slice(words));
}

/* Text from a request or a file in a message: as it is, but for what could forge a line. Cut to fit. */
static void policy_text_show(PolicyText *text, PolicySlice untrusted_piece) {
        if (text->is_full || text->n_buffer - text->n < 3)
                return;
        policy_show(text->buffer + text->n, text->n_buffer - text->n, untrusted_piece);
        text->n += strlen(text->buffer + text->n);
}

static void policy_text_quote(PolicyText *text, PolicySlice untrusted_piece) {
        if (text->is_full || text->n_buffer - text->n < 3)
                return;
        policy_quote(text->buffer + text->n, text->n_buffer - text->n, untrusted_piece);
        text->n += strlen(text->buffer + text->n);
}

static void policy_text_show_target(PolicyText *text, const PolicyTarget *target) {
        policy_text_words(text, policy_token_prefix(target->kind));
        policy_text_show(text, target->party.text);
}

/* PATH:LINE of the rule; `None` for the line of one that !compat-4.0 added (3.6) */
static void policy_text_place(PolicyText *text, const PolicyRule *rule) {
        char line[16] = "None";

        if (rule->line > 0)
                snprintf(line, sizeof(line), "%u", rule->line);
        policy_text_show(text, policy_atom_slice(rule->path));
        policy_text_words(text, ":");
        policy_text_words(text, line);
}

void policy_resolution_deny(PolicyResolution *resolution, PolicyReason reason) {
        resolution->outcome = POLICY_OUTCOME_DENY;
        resolution->reason = reason;
        switch (reason) {
        case POLICY_REASON_FAULT:
        case POLICY_REASON_TOKEN:
                resolution->notify = false;
                break;
        case POLICY_REASON_RULE:
        case POLICY_REASON_USER:
        case POLICY_REASON_AUTOSTART:
                resolution->notify = resolution->rule->notify;
                break;
        case POLICY_REASON_NONE:
        case POLICY_REASON_NOT_A_BASE:
        case POLICY_REASON_UNKNOWN_SOURCE:
        case POLICY_REASON_SOURCE_NOT_REMOTE:
        case POLICY_REASON_NOT_A_RELAY:
        case POLICY_REASON_NO_MATCH:
        case POLICY_REASON_NO_TARGET:
        case POLICY_REASON_NO_DEFAULT_BASE:
        case POLICY_REASON_NO_CHOICE:
        case POLICY_REASON_BAD_CHOICE:
        case POLICY_REASON_BAD_ANSWER:
        case POLICY_REASON_LOOPBACK:
        case POLICY_REASON_NO_RELAY:
        case POLICY_REASON_NO_TRANSPORT:
                resolution->notify = true;
                break;
        }
}

void policy_resolution_fault(PolicyResolution *resolution, const char *what) {
        resolution->fault = what;
        policy_resolution_deny(resolution, POLICY_REASON_FAULT);
}

/* The message of 2.3 about the requested target, or about its base (4.4). */
static void policy_text_bad_target(PolicyText *text, const PolicyResolution *resolution) {
        char error[POLICY_MESSAGE_MAX];
        PolicyTokenKind kind;
        PolicySlice value;
        int r;

        r = policy_token_parse(POLICY_PLACE_REQUESTED, resolution->request.target, &kind, &value);
        policy_text_words(text, "<unknown>:0: ");
        policy_text_words(
                text, policy_token_error(r, POLICY_PLACE_REQUESTED, resolution->request.target, error, sizeof(error)));
}

static void policy_text_at_rule(PolicyText *text, const char *before, const PolicyRule *rule, const char *after) {
        policy_text_words(text, before);
        policy_text_place(text, rule);
        policy_text_words(text, after);
}

const char *policy_resolution_message(const PolicyResolution *resolution, char *buffer, size_t n_buffer) {
        const PolicyRequest *request = &resolution->request;
        PolicyText text = policy_text(buffer, n_buffer);

        switch (resolution->reason) {
        case POLICY_REASON_NONE:
                break;
        case POLICY_REASON_FAULT:
                policy_text_words(&text, "internal error: ");
                policy_text_words(&text, resolution->fault ?: "not evaluated");
                break;
        case POLICY_REASON_TOKEN:
                policy_text_bad_target(&text, resolution);
                break;
        case POLICY_REASON_NOT_A_BASE:
                policy_text_words(&text, "not a template for dispvm: ");
                policy_text_show(&text, resolution->target.party.text);
                break;
        case POLICY_REASON_UNKNOWN_SOURCE:
                policy_text_words(&text, "unknown requested source qube '");
                policy_text_show(&text, request->requested_source);
                policy_text_words(&text, "'");
                break;
        case POLICY_REASON_SOURCE_NOT_REMOTE:
                policy_text_show(&text, request->requested_source);
                policy_text_words(&text, ": requested source is only authorized for RemoteVM");
                break;
        case POLICY_REASON_NOT_A_RELAY:
                policy_text_show(&text, request->source);
                policy_text_words(&text, " is not a relay for ");
                policy_text_show(&text, request->requested_source);
                break;
        case POLICY_REASON_NO_MATCH:
                policy_text_words(&text, "no matching rule found");
                break;
        case POLICY_REASON_RULE:
                policy_text_at_rule(&text, "denied by policy ", resolution->rule, "");
                break;
        case POLICY_REASON_NO_TARGET:
                policy_text_at_rule(&text, "policy define 'allow' action at ", resolution->rule,
                                    " but no target is specified by caller or policy");
                break;
        case POLICY_REASON_NO_DEFAULT_BASE:
                policy_text_at_rule(&text, "policy define 'allow' action to @dispvm at ", resolution->rule,
                                    " but no DispVM base is set for this VM");
                break;
        case POLICY_REASON_AUTOSTART:
                policy_text_words(&text, "target ");
                policy_text_show_target(&text, &resolution->target);
                policy_text_words(&text, " is denied because it would require autostart");
                break;
        case POLICY_REASON_NO_CHOICE:
                policy_text_at_rule(&text, "policy define 'ask' action at ", resolution->rule,
                                    " but no target is available to choose from");
                break;
        case POLICY_REASON_USER:
                policy_text_at_rule(&text, "denied by the user ", resolution->rule, "");
                break;
        case POLICY_REASON_BAD_CHOICE:
                policy_text_words(&text, "target ");
                policy_text_show(&text, resolution->target.party.text);
                policy_text_words(&text, " is not a valid choice");
                break;
        case POLICY_REASON_BAD_ANSWER:
                policy_text_words(&text, "invalid response");
                break;
        case POLICY_REASON_LOOPBACK:
                policy_text_words(&text, "loopback qrexec connection not supported");
                break;
        case POLICY_REASON_NO_RELAY:
                policy_text_show_target(&text, &resolution->target);
                policy_text_words(&text, ": relayvm is not set");
                break;
        case POLICY_REASON_NO_TRANSPORT:
                policy_text_show_target(&text, &resolution->target);
                policy_text_words(&text, ": transport RPC is not set");
                break;
        }
        return buffer;
}

const char *policy_resolution_warning(const PolicyResolution *resolution, PolicyWarning warning, char *buffer,
                                      size_t n_buffer) {
        PolicyText text = policy_text(buffer, n_buffer);

        switch (warning) {
        case POLICY_WARNING_TARGET_UNKNOWN:
        case POLICY_WARNING_REDIRECT_UNKNOWN:
                policy_text_words(&text, "qrexec: target ");
                policy_text_quote(&text, warning == POLICY_WARNING_TARGET_UNKNOWN
                                                 ? resolution->request.target
                                                 : policy_atom_slice(resolution->rule->redirect.value));
                policy_text_words(&text, " does not exist, using @default instead");
                break;
        case POLICY_WARNING_USER_IGNORED:
                policy_text_words(&text, "Ignoring user directive in policy. This is not supported in the case of "
                                         "RemoveVM.");
                break;
        case _POLICY_WARNING_N:
                break;
        }
        return buffer;
}

static void policy_text_add_target(PolicyText *text, const PolicyTarget *target) {
        policy_text_words(text, policy_token_prefix(target->kind));
        policy_text_add(text, target->party.text);
}

static void policy_text_add_service(PolicyText *text, const PolicyResolution *resolution) {
        const PolicyDomain *domain = resolution->target.party.domain;

        policy_text_add(text, policy_atom_slice(domain->transport_rpc));
        policy_text_words(text, "+");
        policy_text_add(text, policy_atom_slice(domain->name));
        policy_text_words(text, "+");
        policy_text_add(text, resolution->service);
        policy_text_add(text, resolution->argument);
}

int policy_resolution_service(const PolicyResolution *resolution, char *buffer, size_t n_buffer) {
        PolicyText text = policy_text(buffer, n_buffer);

        if (resolution->is_remote)
                policy_text_add_service(&text, resolution);
        else
                policy_text_add(&text, resolution->request.service);
        return text.is_full ? POLICY_RESOLUTION_E_SPACE : 0;
}

int policy_target_format(const PolicyTarget *target, char *buffer, size_t n_buffer) {
        PolicyText text = policy_text(buffer, n_buffer);

        policy_text_add_target(&text, target);
        return text.is_full ? POLICY_RESOLUTION_E_SPACE : 0;
}

int policy_resolution_response(const PolicyResolution *resolution, char *buffer, size_t n_buffer) {
        PolicyText text = policy_text(buffer, n_buffer);

        if (resolution->outcome != POLICY_OUTCOME_ALLOW || !resolution->is_routed) {
                policy_text_words(&text, "result=deny");
                return text.is_full ? POLICY_RESOLUTION_E_SPACE : 0;
        }

        policy_text_words(&text, "user=");
        policy_text_add(&text, resolution->user);
        policy_text_words(&text, "\nresult=allow\ntarget=");
        if (resolution->is_dom0)
                policy_text_words(&text, DOM0_NAME);
        else if (resolution->is_remote)
                policy_text_add(&text, policy_atom_slice(resolution->destination->name));
        else
                policy_text_add_target(&text, &resolution->target);
        if (!resolution->is_dom0) {
                policy_text_words(&text, "\ntarget_uuid=");
                if (resolution->target.kind == POLICY_TOKEN_DISPVM_BASE)
                        policy_text_words(&text, policy_token_prefix(POLICY_TOKEN_DISPVM_BASE));
                policy_text_add(&text, policy_atom_slice(resolution->destination->uuid));
        }
        policy_text_words(&text, resolution->autostart ? "\nautostart=True" : "\nautostart=False");
        policy_text_words(&text, "\nrequested_target=");
        policy_text_add_target(&text, &resolution->requested);
        if (resolution->is_remote) {
                policy_text_words(&text, "\nservice=");
                policy_text_add_service(&text, resolution);
        }
        if (resolution->is_relayed) {
                policy_text_words(&text, "\npolicy_source=");
                policy_text_add(&text, resolution->source.text);
        }
        return text.is_full ? POLICY_RESOLUTION_E_SPACE : 0;
}
