/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "ssh/test-sample.h"

static SshPolicy *policy;
static SshRules rules;
static SshSession session;
static uint8_t agent_frame[SSH_FRAME_MAX], client_frame[SSH_FRAME_MAX];
static Sample sample, key_sample;

/* What the world says, and what it was told. */
static bool rate_is_left;
static SshConsentResult consent;
static char last_line[SSH_RECORD_SIZE];
static unsigned n_lines, n_notices, n_questions;

static bool on_rate(void *userdata, const SshUse *use) {
        return rate_is_left;
}

static SshConsentResult on_consent(void *userdata, const SshUse *use) {
        ++n_questions;
        return consent;
}

static void on_log(void *userdata, int priority, const char *text) {
        (void)snprintf(last_line, sizeof(last_line), "%s", text);
        ++n_lines;
}

static void on_notify(void *userdata, const SshUse *use, SshWhy why) {
        ++n_notices;
}

static const SshSessionOps ops = { on_rate, on_consent, on_log, on_notify };

static void start(const char *text) {
        Diagnostics diagnostics = DIAGNOSTICS_INIT;

        ssh_session_deinit(&session);
        policy = ssh_policy_free(policy);
        assert_int_equal(ssh_policy_new(&policy), 0);
        assert_int_equal(ssh_policy_parse(policy, "x", text, strlen(text), &diagnostics), 0);
        rules = ssh_policy_rules(policy, "work", "t");
        ssh_session_init(&session, &rules, &ops, NULL, agent_frame, client_frame);
        rate_is_left = true;
        consent = (SshConsentResult){ .kind = SSH_CONSENT_NEVER };
        n_lines = n_notices = n_questions = 0;
}

/* The type of what goes to the agent; 0: nothing does. The frame is taken. */
static unsigned to_agent(void) {
        unsigned type = session.n_agent > 0 ? agent_frame[4] : 0;

        session.n_agent = 0;
        return type;
}

static unsigned to_client(void) {
        unsigned type = session.n_client > 0 ? client_frame[4] : 0;

        session.n_client = 0;
        return type;
}

static void request(WireSlice message) {
        assert_int_equal(session.state, SSH_SESSION_STATE_IDLE);
        assert_int_equal(ssh_session_on_request(&session, message), 0);
}

static void request_type(uint8_t type) {
        request((WireSlice){ &type, 1 });
}

static void reply(WireSlice message) {
        assert_true(ssh_session_waits_for_agent(&session));
        assert_int_equal(ssh_session_on_reply(&session, message), 0);
}

static void reply_type(uint8_t type) {
        reply((WireSlice){ &type, 1 });
}

/* An answer with the key 'k'. */
static WireSlice identities(void) {
        WireWriter *writer;
        WireSlice key = sample_key(&key_sample, 'k');

        writer = sample_begin(&sample);
        wire_writer_u8(writer, 12);
        ssh_write_u32(writer, 1);
        ssh_write_slice(writer, key);
        sample_text(writer, "comment");
        return sample_end(&sample);
}

static Sample request_sample;

/* To sign "data" with the key of @seed. */
static WireSlice sign_request(char seed) {
        WireSlice key = sample_key(&key_sample, seed);
        WireWriter *writer = sample_begin(&request_sample);

        wire_writer_u8(writer, 13);
        ssh_write_slice(writer, key);
        sample_text(writer, "data");
        ssh_write_u32(writer, 0);
        return sample_end(&request_sample);
}

static WireSlice signature(void) {
        WireWriter *writer = sample_begin(&sample);

        wire_writer_u8(writer, 14);
        ssh_write_string(writer, "\0\0\0\13ssh-ed25519\0\0\0\1s", 20);
        return sample_end(&sample);
}

static WireSlice binding(const char *session_id, bool is_forwarding) {
        WireWriter *writer = sample_begin(&request_sample);

        wire_writer_u8(writer, 27);
        sample_text(writer, SSH_EXTENSION_BIND);
        ssh_write_slice(writer, sample_key(&key_sample, 'h'));
        sample_text(writer, session_id);
        sample_text(writer, "signature");
        wire_writer_u8(writer, is_forwarding);
        return sample_end(&request_sample);
}

/* Every type but three is refused without the agent hearing of it; FAILURE always looks the same. */
static void test_types(void **state) {
        for (unsigned type = 0; type < 256; ++type) {
                uint8_t message[] = { (uint8_t)type, 0, 0, 0, 0 };

                for (size_t n = 1; n <= sizeof(message); n += sizeof(message) - 1) {
                        start("");
                        request((WireSlice){ message, n });
                        if (type == 11 && n == 1) {
                                assert_int_equal(to_agent(), 11);
                                continue;
                        }
                        assert_int_equal(to_agent(), 0);
                        assert_int_equal(session.n_client, 5);
                        assert_memory_equal(client_frame, "\0\0\0\1\5", 5);
                        assert_int_equal(session.n_refused, 1);
                        assert_int_equal(n_lines, 1);
                }
        }
}

static void test_list(void **state) {
        start("");
        request_type(11);
        assert_int_equal(session.state, SSH_SESSION_STATE_LISTING);
        assert_int_equal(to_agent(), 11);
        reply(identities());
        assert_int_equal(to_client(), 12);
        assert_string_equal(last_line, "ev=list src=work agent=t n=1/1 verdict=allow why=-");

        request_type(11);
        reply_type(5);
        assert_int_equal(to_client(), 5);
        assert_non_null(strstr(last_line, "why=agent-refused"));
        request_type(11);
        reply_type(12);
        assert_int_equal(to_client(), 5);
        assert_non_null(strstr(last_line, "why=agent-error"));

        start("[defaults]\naccess = off\n");
        request_type(11);
        assert_int_equal(to_agent(), 0);
        assert_int_equal(to_client(), 5);
        start("[defaults]\naccess = list\n");
        request_type(11);
        assert_int_equal(to_agent(), 11);
}

/* Aliases may make an answer longer than any can be. */
static void test_list_too_long(void **state) {
        static uint8_t answer[SSH_MESSAGE_MAX];
        static const uint32_t n_identities = SSH_IDENTITIES_MAX;
        WireWriter writer = WIRE_WRITER_INIT(answer, sizeof(answer));
        char alias[120], text[200];

        memset(alias, 'x', sizeof(alias));
        (void)snprintf(text, sizeof(text), "[defaults]\nkey = * alias=%.*s\n", (int)sizeof(alias), alias);
        start(text);
        wire_writer_u8(&writer, 12);
        ssh_write_u32(&writer, n_identities);
        for (uint32_t i = 0; i < n_identities; ++i) {
                ssh_write_string(&writer, "\0\0\0\1t", 5);
                sample_text(&writer, "");
        }
        request_type(11);
        reply((WireSlice){ answer, writer.n });
        assert_int_equal(to_client(), 5);
}

static void test_sign(void **state) {
        start("[defaults]\nsign = raw\n");
        request(sign_request('k'));
        assert_int_equal(session.state, SSH_SESSION_STATE_FINDING);
        assert_int_equal(to_agent(), 11);
        reply(identities());
        assert_int_equal(session.state, SSH_SESSION_STATE_SIGNING);
        assert_int_equal(session.n_agent, 4 + sign_request('k').n);
        assert_memory_equal(agent_frame + 4, sign_request('k').data, sign_request('k').n);
        assert_int_equal(to_agent(), 13);
        reply(signature());
        assert_int_equal(to_client(), 14);
        assert_int_equal(n_notices, 1);
        assert_int_equal(session.n_signed, 1);
        assert_non_null(strstr(last_line, "ev=sign src=work agent=t verdict=allow why=- kind=raw "));

        /* Known by now. */
        request(sign_request('k'));
        assert_int_equal(to_agent(), 13);
        reply_type(5);
        assert_int_equal(to_client(), 5);
        assert_non_null(strstr(last_line, "why=agent-refused"));

        /* Not known: the agent is asked again, each time. */
        request(sign_request('x'));
        assert_int_equal(to_agent(), 11);
        reply(identities());
        assert_int_equal(to_agent(), 0);
        assert_int_equal(to_client(), 5);
        assert_non_null(strstr(last_line, "why=unknown-key"));

        rate_is_left = false;
        n_questions = 0;
        request(sign_request('k'));
        assert_int_equal(to_client(), 5);
        assert_int_equal(n_questions, 0);
        assert_non_null(strstr(last_line, "why=rate"));
}

static void test_access(void **state) {
        start("[defaults]\naccess = list\nsign = raw\n");
        request(sign_request('k'));
        assert_int_equal(to_agent(), 0);
        assert_int_equal(to_client(), 5);
        assert_non_null(strstr(last_line, "why=access"));
}

static void test_consent(void **state) {
        start("[defaults]\nsign = raw\n");
        consent.kind = SSH_CONSENT_PENDING;
        request(sign_request('k'));
        (void)to_agent();
        reply(identities());
        assert_int_equal(session.state, SSH_SESSION_STATE_ASKING);
        assert_false(ssh_session_waits_for_agent(&session));
        assert_int_equal(to_agent(), 0);
        assert_int_equal(ssh_session_on_reply(&session, signature()), SSH_SESSION_E_UNEXPECTED);
        ssh_session_on_consent(&session, (SshConsentResult){ .kind = SSH_CONSENT_ASKED });
        assert_int_equal(to_agent(), 13);
        reply(signature());
        assert_int_equal(to_client(), 14);
        assert_non_null(strstr(last_line, "consent=asked"));

        request(sign_request('k'));
        ssh_session_on_consent(&session, (SshConsentResult){ SSH_CONSENT_REFUSED, SSH_WHY_DENIED });
        assert_int_equal(to_agent(), 0);
        assert_int_equal(to_client(), 5);
        assert_non_null(strstr(last_line, "why=denied"));
}

static void test_binding(void **state) {
        start("");
        request(binding("one", true));
        assert_int_equal(to_agent(), 27);
        reply_type(6);
        assert_int_equal(to_client(), 6);
        assert_true(session.bindings.n == 1 && session.bindings.bound[0].is_verified);
        /* A failure of an agent that knows of bindings is a refusal. */
        request(binding("two", true));
        reply_type(5);
        assert_int_equal(to_client(), 28);
        assert_true(session.bindings.n == 1 && session.bindings.has_failed);

        /* Of one that does not, it is none. */
        start("");
        request(binding("one", false));
        reply_type(5);
        assert_int_equal(to_client(), 6);
        assert_true(session.bindings.n == 1 && !session.bindings.bound[0].is_verified && !session.bindings.has_failed);
        (void)to_agent();
        request(binding("two", false));
        assert_int_equal(to_agent(), 0);
        assert_int_equal(to_client(), 28);
        assert_true(session.bindings.has_failed);

        start("[agent t]\nbind-verify = none\n");
        request(binding("one", false));
        reply_type(6);
        assert_false(session.bindings.bound[0].is_verified);

        for (unsigned type = 0; type < 256; ++type) {
                start("");
                request(binding("one", false));
                reply_type((uint8_t)type);
                assert_int_equal(to_client(), type == 5 || type == 6 ? 6 : 28);
        }
        /* Malformed ones too count as failed. */
        start("");
        request((WireSlice){ binding("one", false).data, binding("one", false).n - 1 });
        assert_int_equal(to_agent(), 0);
        assert_int_equal(to_client(), 28);
        assert_true(session.bindings.has_failed);
}

static void test_agent_gone(void **state) {
        start("[defaults]\nsign = raw\n");
        ssh_session_on_agent_gone(&session);
        assert_int_equal(to_client(), 0);
        request_type(11);
        ssh_session_on_agent_gone(&session);
        assert_int_equal(to_client(), 5);
        request(sign_request('k'));
        ssh_session_on_agent_gone(&session);
        assert_int_equal(to_client(), 5);
        request(sign_request('k'));
        reply(identities());
        ssh_session_on_agent_gone(&session);
        assert_int_equal(to_agent(), 0);
        assert_int_equal(to_client(), 5);
        request(binding("one", false));
        ssh_session_on_agent_gone(&session);
        assert_int_equal(to_client(), 28);
        consent.kind = SSH_CONSENT_PENDING;
        request(sign_request('k'));
        ssh_session_on_agent_gone(&session);
        assert_int_equal(to_client(), 5);
        assert_int_equal(session.state, SSH_SESSION_STATE_IDLE);
}

static int clean_up(void **state) {
        ssh_session_deinit(&session);
        policy = ssh_policy_free(policy);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_types),   cmocka_unit_test(test_list),       cmocka_unit_test(test_list_too_long),
                cmocka_unit_test(test_sign),    cmocka_unit_test(test_access),     cmocka_unit_test(test_consent),
                cmocka_unit_test(test_binding), cmocka_unit_test(test_agent_gone),
        };

        return cmocka_run_group_tests(tests, NULL, clean_up);
}
