/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/session.h"

#include <stdio.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/error.h"
#include "ssh/codec.h"

static const char *const consent_names[_SSH_CONSENT_N] = {
        [SSH_CONSENT_PENDING] = "",    [SSH_CONSENT_REFUSED] = "",    [SSH_CONSENT_NEVER] = "never",
        [SSH_CONSENT_GRANT] = "grant", [SSH_CONSENT_ASKED] = "asked",
};

void ssh_session_init(SshSession *session, const SshRules *rules, const SshSessionOps *ops, void *userdata,
                      uint8_t *agent_frame, uint8_t *client_frame) {
        *session = (SshSession){
                .rules = rules,
                .ops = ops,
                .userdata = userdata,
                .agent_frame = agent_frame,
                .client_frame = client_frame,
        };
}

void ssh_session_deinit(SshSession *session) {
        ssh_identities_deinit(&session->identities);
}

bool ssh_session_waits_for_agent(const SshSession *session) {
        return session->state != SSH_SESSION_STATE_IDLE && session->state != SSH_SESSION_STATE_ASKING;
}

void ssh_session_log_begin(const SshRules *rules, const char *event, SshLine *line,
                           char buffer[static SSH_RECORD_SIZE]) {
        ssh_line_init(line, SSH_LINE_LOG, buffer, SSH_RECORD_SIZE);
        ssh_line_text(line, "ev", event);
        ssh_line_text(line, "src", rules->source);
        ssh_line_text(line, "agent", rules->agent);
}

static void log_verdict(SshLine *line, SshWhy why) {
        ssh_line_text(line, "verdict", why == SSH_WHY_NONE ? "allow" : "deny");
        ssh_line_text(line, "why", ssh_why_name(why));
}

static void log_end(const SshSession *session, const SshLine *line, SshWhy why) {
        int priority = why == SSH_WHY_NONE ? LOG_INFO : ssh_why_is_suspicious(why) ? LOG_WARNING : LOG_NOTICE;

        session->ops->log(session->userdata, priority, line->text);
}

static void answer(SshSession *session, size_t n) {
        session->n_client = n;
        session->state = SSH_SESSION_STATE_IDLE;
}

/* All refusals look the same (7.1). */
static void refuse(SshSession *session) {
        ++session->n_refused;
        answer(session, ssh_type_encode(SSH_MESSAGE_FAILURE, session->client_frame));
}

/* A request that is never forwarded, or not understood. */
static void refuse_request(SshSession *session, uint8_t type, WireSlice name, SshWhy why) {
        char buffer[SSH_RECORD_SIZE];
        SshLine line;

        ssh_session_log_begin(session->rules, "req", &line, buffer);
        ssh_line_number(&line, "type", type);
        ssh_line_bytes(&line, "name", name);
        log_verdict(&line, why);
        log_end(session, &line, why);
        refuse(session);
}

/* ---- list ---- */

static void end_list(SshSession *session, SshWhy why) {
        char buffer[SSH_RECORD_SIZE], numbers[32];
        SshLine line;
        size_t n = 0;

        if (why == SSH_WHY_NONE) {
                n = ssh_identities_encode(&session->identities, session->client_frame);
                if (n == 0)
                        why = SSH_WHY_AGENT_ERROR; /* with the aliases it is too long */
        }
        (void)snprintf(numbers, sizeof(numbers), "%zu/%zu", session->identities.n, session->identities.n_total);
        ssh_session_log_begin(session->rules, "list", &line, buffer);
        ssh_line_text(&line, "n", why == SSH_WHY_NONE ? numbers : "");
        log_verdict(&line, why);
        log_end(session, &line, why);
        if (why == SSH_WHY_NONE)
                answer(session, n);
        else
                refuse(session);
}

static bool is_failure(WireSlice message) {
        switch (message.data[0]) {
        case SSH_MESSAGE_FAILURE:
        case SSH_MESSAGE_EXTENSION_FAILURE:
        case 30: /* of two historic agents: specification, 4.2 */
        case 102:
                return true;
        default:
                return false;
        }
}

/* Ask the agent which identities there are. */
static void start_list(SshSession *session, SshSessionState state) {
        session->n_agent = ssh_type_encode(SSH_MESSAGE_REQUEST_IDENTITIES, session->agent_frame);
        session->state = state;
}

static int take_identities(SshSession *session, WireSlice message, SshWhy *ret_why) {
        SshIdentities identities;
        int r;

        if (is_failure(message)) {
                *ret_why = SSH_WHY_AGENT_REFUSED;
                return 0;
        }
        r = ssh_identities_init(&identities, session->rules, message);
        if (r == SSH_IDENTITIES_E_MALFORMED) {
                *ret_why = SSH_WHY_AGENT_ERROR;
                return 0;
        }
        if (r)
                return error_fold(r);
        ssh_identities_deinit(&session->identities);
        session->identities = identities;
        session->has_identities = true;
        *ret_why = SSH_WHY_NONE;
        return 0;
}

/* ---- sign ---- */

static void log_sign(SshSession *session, SshWhy why) {
        char buffer[SSH_RECORD_SIZE];
        SshLine line;

        ssh_session_log_begin(session->rules, "sign", &line, buffer);
        log_verdict(&line, why);
        ssh_use_log(&session->use, &line);
        ssh_line_text(&line, "consent", consent_names[session->consent]);
        ssh_line_number(&line, "ms", (clock_now() - session->started_usec) / USEC_PER_MSEC);
        log_end(session, &line, why);
}

static void refuse_sign(SshSession *session, SshWhy why) {
        log_sign(session, why);
        if (session->use.settings.notify && ssh_why_is_notified(why))
                session->ops->notify(session->userdata, &session->use, why);
        refuse(session);
}

/* Steps 12 and on: it is allowed. */
static void start_signing(SshSession *session, SshConsentKind consent) {
        session->consent = consent;
        session->n_agent = ssh_sign_request_encode(&session->use.request, session->agent_frame);
        session->state = SSH_SESSION_STATE_SIGNING;
}

void ssh_session_on_consent(SshSession *session, SshConsentResult result) {
        switch (result.kind) {
        case SSH_CONSENT_PENDING:
                session->state = SSH_SESSION_STATE_ASKING;
                return;
        case SSH_CONSENT_NEVER:
        case SSH_CONSENT_GRANT:
        case SSH_CONSENT_ASKED:
                start_signing(session, result.kind);
                return;
        case SSH_CONSENT_REFUSED:
        case _SSH_CONSENT_N:
                break;
        }
        session->consent = SSH_CONSENT_REFUSED;
        refuse_sign(session, result.why);
}

/* Which identities exist is known, as far as it can be. */
static void decide_sign(SshSession *session) {
        SshWhy why = ssh_use_check(&session->use);

        if (why == SSH_WHY_NONE && !session->ops->rate(session->userdata, &session->use))
                why = SSH_WHY_RATE;
        if (why != SSH_WHY_NONE) {
                refuse_sign(session, why);
                return;
        }
        ssh_session_on_consent(session, session->ops->consent(session->userdata, &session->use));
}

static void start_sign(SshSession *session, WireSlice message) {
        SshSignRequest request;

        session->consent = SSH_CONSENT_REFUSED;
        if (ssh_sign_request_decode(message, &request)) {
                session->use = (SshUse){ .rules = session->rules, .bindings = &session->bindings };
                refuse_sign(session, SSH_WHY_MALFORMED);
                return;
        }
        ssh_use_init(&session->use, session->rules, &session->bindings, &session->identities, &request);
        /* One that was loaded since the last list; but who may see none makes nobody look (7.3, steps 2 and 3). */
        if (!session->use.identity && session->rules->settings.access == SSH_ACCESS_FULL)
                start_list(session, SSH_SESSION_STATE_FINDING);
        else
                decide_sign(session);
}

static int on_found(SshSession *session, WireSlice message) {
        SshSignRequest request = session->use.request;
        SshWhy why;
        int r;

        r = take_identities(session, message, &why);
        if (r)
                return error_trace(r);
        if (why != SSH_WHY_NONE) {
                refuse_sign(session, why);
                return 0;
        }
        ssh_use_init(&session->use, session->rules, &session->bindings, &session->identities, &request);
        decide_sign(session);
        return 0;
}

static void on_signed(SshSession *session, WireSlice message) {
        WireSlice signature, format;
        SshWhy why;

        if (is_failure(message))
                why = SSH_WHY_AGENT_REFUSED;
        else if (ssh_signature_decode(message, &signature, &format))
                why = SSH_WHY_AGENT_ERROR;
        else
                why = ssh_use_check_answer(&session->use, format);
        if (why != SSH_WHY_NONE) {
                refuse_sign(session, why);
                return;
        }
        log_sign(session, SSH_WHY_NONE);
        if (session->use.settings.notify)
                session->ops->notify(session->userdata, &session->use, SSH_WHY_NONE);
        ++session->n_signed;
        answer(session, ssh_signature_encode(signature, session->client_frame));
}

/* ---- extensions ---- */

static void end_binding(SshSession *session, bool is_verified, SshWhy why) {
        SshFingerprint fingerprint = {};
        char buffer[SSH_RECORD_SIZE];
        SshLine line;

        if (session->binding.host_key.n > 0)
                fingerprint = ssh_blob_fingerprint(session->binding.host_key);
        ssh_session_log_begin(session->rules, "bind", &line, buffer);
        ssh_line_text(&line, "hostkey", fingerprint.text);
        ssh_line_number(&line, "forwarding", session->binding.is_forwarding);
        ssh_line_number(&line, "verified", is_verified);
        log_verdict(&line, why);
        log_end(session, &line, why);

        if (why == SSH_WHY_NONE) {
                ssh_bindings_record(&session->bindings, &session->binding, is_verified);
                answer(session, ssh_type_encode(SSH_MESSAGE_SUCCESS, session->client_frame));
                return;
        }
        session->bindings.has_failed = true;
        ++session->n_refused;
        answer(session, ssh_type_encode(SSH_MESSAGE_EXTENSION_FAILURE, session->client_frame));
}

static void start_binding(SshSession *session, WireSlice contents) {
        session->binding = (SshBinding){};
        if (ssh_binding_decode(contents, &session->binding)) {
                end_binding(session, false, SSH_WHY_MALFORMED);
                return;
        }
        switch (ssh_bindings_check(&session->bindings, &session->binding)) {
        case 0:
                session->n_agent = ssh_binding_encode(&session->binding, session->agent_frame);
                session->state = SSH_SESSION_STATE_BINDING;
                return;
        case SSH_BINDINGS_E_BOUND:
                end_binding(session, false, SSH_WHY_BOUND);
                return;
        case SSH_BINDINGS_E_OTHER:
                end_binding(session, false, SSH_WHY_OTHER_KEY);
                return;
        default:
                end_binding(session, false, SSH_WHY_FULL);
                return;
        }
}

static void on_bound(SshSession *session, WireSlice message) {
        bool is_success = message.n == 1 && message.data[0] == SSH_MESSAGE_SUCCESS;
        bool is_failure_only = message.n == 1 && message.data[0] == SSH_MESSAGE_FAILURE;

        /* A failure: it does not know the extension. But one that has taken a binding does, and refuses this one
         * (OpenSSH before 10 has no other answer). */
        if (is_success)
                end_binding(session, session->rules->bind_verify, SSH_WHY_NONE);
        else if (is_failure_only && !session->agent_binds)
                end_binding(session, false, SSH_WHY_NONE);
        else
                end_binding(session, false, SSH_WHY_AGENT_REFUSED);
        session->agent_binds = session->agent_binds || is_success;
}

static void on_extension(SshSession *session, WireSlice message) {
        WireSlice name = {}, contents;

        if (ssh_extension_decode(message, &name, &contents))
                refuse_request(session, SSH_MESSAGE_EXTENSION, name, SSH_WHY_MALFORMED);
        else if (session->rules->settings.access == SSH_ACCESS_OFF)
                refuse_request(session, SSH_MESSAGE_EXTENSION, name, SSH_WHY_ACCESS);
        else if (slice_is(name, SSH_EXTENSION_BIND))
                start_binding(session, contents);
        else if (!slice_is(name, SSH_EXTENSION_QUERY))
                refuse_request(session, SSH_MESSAGE_EXTENSION, name, SSH_WHY_EXTENSION);
        else if (contents.n > 0)
                refuse_request(session, SSH_MESSAGE_EXTENSION, name, SSH_WHY_MALFORMED);
        else
                answer(session, ssh_query_encode(session->client_frame));
}

/* ---- what comes in ---- */

int ssh_session_on_request(SshSession *session, WireSlice untrusted_message) {
        uint8_t type = untrusted_message.data[0];

        ++session->n_requests;
        session->started_usec = clock_now();
        switch (type) {
        case SSH_MESSAGE_REQUEST_IDENTITIES:
                if (untrusted_message.n > 1)
                        refuse_request(session, type, (WireSlice){}, SSH_WHY_MALFORMED);
                else if (session->rules->settings.access == SSH_ACCESS_OFF)
                        end_list(session, SSH_WHY_ACCESS);
                else
                        start_list(session, SSH_SESSION_STATE_LISTING);
                return 0;
        case SSH_MESSAGE_SIGN_REQUEST:
                start_sign(session, untrusted_message);
                return 0;
        case SSH_MESSAGE_EXTENSION:
                on_extension(session, untrusted_message);
                return 0;
        default:
                refuse_request(session, type, (WireSlice){}, SSH_WHY_TYPE);
                return 0;
        }
}

int ssh_session_on_reply(SshSession *session, WireSlice message) {
        SshWhy why;
        int r;

        switch (session->state) {
        case SSH_SESSION_STATE_LISTING:
                r = take_identities(session, message, &why);
                if (r)
                        return error_trace(r);
                end_list(session, why);
                return 0;
        case SSH_SESSION_STATE_FINDING:
                return error_trace(on_found(session, message));
        case SSH_SESSION_STATE_BINDING:
                on_bound(session, message);
                return 0;
        case SSH_SESSION_STATE_SIGNING:
                on_signed(session, message);
                return 0;
        case SSH_SESSION_STATE_IDLE:
        case SSH_SESSION_STATE_ASKING:
        case _SSH_SESSION_STATE_N:
                break;
        }
        return SSH_SESSION_E_UNEXPECTED;
}

void ssh_session_on_agent_gone(SshSession *session) {
        session->n_agent = 0;
        switch (session->state) {
        case SSH_SESSION_STATE_LISTING:
                end_list(session, SSH_WHY_AGENT_ERROR);
                break;
        case SSH_SESSION_STATE_BINDING:
                end_binding(session, false, SSH_WHY_AGENT_ERROR);
                break;
        case SSH_SESSION_STATE_FINDING:
        case SSH_SESSION_STATE_ASKING:
        case SSH_SESSION_STATE_SIGNING:
                refuse_sign(session, SSH_WHY_AGENT_ERROR);
                break;
        case SSH_SESSION_STATE_IDLE:
        case _SSH_SESSION_STATE_N:
                break;
        }
}
