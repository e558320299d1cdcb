/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole session with a scripted agent. Input: which rules, then steps: what happens, a length of two bytes, a message.
 * Only requests of three types reach the agent, each request gets one answer, and all refusals look the same.
 */
#include "fuzz.h"

#include <string.h>

#include "ssh/codec.h"
#include "ssh/session.h"

#define RULES_N 4

static const char *const policies[RULES_N] = {
        "",
        "[defaults]\nsign = auth sshsig cert hostproof pam probe raw\nforwarded = yes\nrsa-sha1 = yes\n",
        "[defaults]\naccess = list\n",
        "[defaults]\nconfirm = grant:30\nkey = * alias=x\nnotify = no\n",
};

typedef struct World {
        uint8_t step; /* decides what is allowed */
        size_t n_lines;
} World;

static bool on_rate(void *userdata, const SshUse *use) {
        const World *world = userdata;

        return !(world->step & 64);
}

static SshConsentResult on_consent(void *userdata, const SshUse *use) {
        static const SshConsentResult results[] = {
                { SSH_CONSENT_NEVER, SSH_WHY_NONE },
                { SSH_CONSENT_PENDING, SSH_WHY_NONE },
                { SSH_CONSENT_REFUSED, SSH_WHY_DENIED },
                { SSH_CONSENT_GRANT, SSH_WHY_NONE },
        };
        const World *world = userdata;
        char record[SSH_RECORD_SIZE], name[SHA256_TEXT_SIZE];

        ssh_use_record(use, SSH_WHY_NONE, 60, record);
        if (ssh_use_can_be_granted(use))
                ssh_use_grant_name(use, name);
        return results[world->step / 16 % 4];
}

static void on_log(void *userdata, int priority, const char *text) {
        World *world = userdata;

        ++world->n_lines;
        for (; *text != '\0'; ++text)
                fuzz_check(*text >= 0x20 && *text <= 0x7e);
}

static void on_notify(void *userdata, const SshUse *use, SshWhy why) {
        char record[SSH_RECORD_SIZE];

        ssh_use_record(use, why, 0, record);
}

static const SshSessionOps ops = { on_rate, on_consent, on_log, on_notify };

static SshRules make_rules(unsigned i) {
        static SshPolicy *made[RULES_N];
        Diagnostics diagnostics = DIAGNOSTICS_INIT;

        if (!made[i]) {
                fuzz_check(ssh_policy_new(&made[i]) == 0);
                fuzz_check(ssh_policy_parse(made[i], "", policies[i], strlen(policies[i]), &diagnostics) == 0);
        }
        return ssh_policy_rules(made[i], "work", "t");
}

/* What went out: taken, and looked at. Return: how many answers. */
static size_t collect(SshSession *session) {
        size_t n_answers = session->n_client > 0;
        WireSlice message;

        if (session->n_agent > 0) {
                fuzz_check(ssh_frame_decode(session->agent_frame, session->n_agent, &message) == 0);
                fuzz_check(message.n + 4 == session->n_agent && ssh_session_waits_for_agent(session));
                switch (message.data[0]) {
                case SSH_MESSAGE_REQUEST_IDENTITIES:
                        fuzz_check(message.n == 1);
                        break;
                case SSH_MESSAGE_SIGN_REQUEST:
                        fuzz_check(ssh_sign_request_decode(message, &(SshSignRequest){}) == 0);
                        fuzz_check(session->state == SSH_SESSION_STATE_SIGNING);
                        break;
                case SSH_MESSAGE_EXTENSION: {
                        WireSlice name, contents;

                        fuzz_check(ssh_extension_decode(message, &name, &contents) == 0);
                        fuzz_check(slice_is(name, SSH_EXTENSION_BIND));
                        fuzz_check(ssh_binding_decode(contents, &(SshBinding){}) == 0);
                        break;
                }
                default:
                        fuzz_check(!"another type of request");
                }
        }
        if (session->n_client > 0) {
                fuzz_check(session->state == SSH_SESSION_STATE_IDLE && session->n_agent == 0);
                fuzz_check(ssh_frame_decode(session->client_frame, session->n_client, &message) == 0);
                fuzz_check(message.n + 4 == session->n_client);
                switch (message.data[0]) {
                case SSH_MESSAGE_FAILURE:
                case SSH_MESSAGE_SUCCESS:
                case SSH_MESSAGE_EXTENSION_FAILURE:
                        fuzz_check(message.n == 1);
                        break;
                default:
                        fuzz_check(message.data[0] == SSH_MESSAGE_IDENTITIES_ANSWER ||
                                   message.data[0] == SSH_MESSAGE_SIGN_RESPONSE ||
                                   message.data[0] == SSH_MESSAGE_EXTENSION_RESPONSE);
                }
        }
        session->n_agent = session->n_client = 0;
        return n_answers;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t agent_frame[SSH_FRAME_MAX], client_frame[SSH_FRAME_MAX];
        size_t n_requests = 0, n_answers = 0, n_max = SSH_MESSAGE_MAX;
        World world = {};
        SshSession session;
        SshRules rules;

        if (n < 1 || n > n_max)
                return 0;
        rules = make_rules(data[0] % RULES_N);
        ssh_session_init(&session, &rules, &ops, &world, agent_frame, client_frame);
        for (size_t i = 1; i + 3 < n;) {
                size_t n_message = (size_t)data[i + 1] << 8 | data[i + 2];
                WireSlice message;

                world.step = data[i];
                i += 3;
                if (n_message == 0 || n_message > n - i)
                        n_message = n - i;
                message = (WireSlice){ data + i, n_message };
                i += n_message;

                if (world.step % 16 == 15)
                        ssh_session_on_agent_gone(&session);
                else if (session.state == SSH_SESSION_STATE_IDLE && world.step % 16 != 14) {
                        ++n_requests;
                        fuzz_check(ssh_session_on_request(&session, message) == 0);
                } else if (session.state == SSH_SESSION_STATE_ASKING)
                        ssh_session_on_consent(
                                &session, world.step & 32 ? (SshConsentResult){ SSH_CONSENT_ASKED, 0 }
                                                          : (SshConsentResult){ SSH_CONSENT_REFUSED, SSH_WHY_DENIED });
                else if (ssh_session_waits_for_agent(&session))
                        fuzz_check(ssh_session_on_reply(&session, message) == 0);
                else
                        fuzz_check(ssh_session_on_reply(&session, message) == SSH_SESSION_E_UNEXPECTED);
                n_answers += collect(&session);
                fuzz_check(n_answers == n_requests - (session.state != SSH_SESSION_STATE_IDLE));
                fuzz_check(session.n_signed + session.n_refused <= n_requests && world.n_lines <= n_requests);
        }
        ssh_session_deinit(&session);
        return 0;
}
