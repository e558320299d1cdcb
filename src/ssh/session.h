/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of a client, as a machine without I/O (split-ssh specification, 7): requests and answers go in, frames
 * and wishes come out.
 *
 *        .------------------- refused, or answered by the filter -------------------.
 *        |                                                                          v
 *      IDLE -- list --> LISTING -- answer ------------------------------------->  IDLE
 *        |---- bind --> BINDING -- answer ------------------------------------->
 *        '---- sign --> FINDING -- answer --> ASKING -- yes --> SIGNING -- answer -->
 *                  (the identity is known, or nobody is to be asked: not through that state)
 *
 * LISTING, BINDING, FINDING, SIGNING wait for the real agent; ASKING for whoever is asked. One request at a time, and an
 * answer to each. The only bytes that ever go to the agent are requests of type 11, 13 and session-bind, encoded here.
 */
#pragma once

#include "ssh/use.h"

typedef enum SshSessionState {
        SSH_SESSION_STATE_IDLE,
        SSH_SESSION_STATE_LISTING,
        SSH_SESSION_STATE_BINDING,
        SSH_SESSION_STATE_FINDING,
        SSH_SESSION_STATE_ASKING,
        SSH_SESSION_STATE_SIGNING,
        _SSH_SESSION_STATE_N,
} SshSessionState;

enum {
        _SSH_SESSION_E_SUCCESS,
        SSH_SESSION_E_UNEXPECTED, /* nobody waits for an answer of the agent: it cannot be talked to any more */
};

typedef enum SshConsentKind {
        SSH_CONSENT_PENDING, /* ssh_session_on_consent() will be called */
        SSH_CONSENT_REFUSED,
        SSH_CONSENT_NEVER, /* allowed: nobody has to be asked, … */
        SSH_CONSENT_GRANT, /* … somebody said yes before, … */
        SSH_CONSENT_ASKED, /* … or now */
        _SSH_CONSENT_N,
} SshConsentKind;

typedef struct SshConsentResult {
        SshConsentKind kind;
        SshWhy why; /* SSH_CONSENT_REFUSED */
} SshConsentResult;

/** What the session wants of the world. */
typedef struct SshSessionOps {
        /** count a signature. Return: there may be one more (step 10) */
        bool (*rate)(void *userdata, const SshUse *use);
        /** step 11 */
        SshConsentResult (*consent)(void *userdata, const SshUse *use);
        /** a line for the log: priority as in syslog(3) */
        void (*log)(void *userdata, int priority, const char *text);
        /** a use that a person is to be told of; @why: SSH_WHY_NONE: it was signed */
        void (*notify)(void *userdata, const SshUse *use, SshWhy why);
} SshSessionOps;

typedef struct SshSession {
        const SshRules *rules;
        const SshSessionOps *ops;
        void *userdata;
        SshSessionState state;
        SshIdentities identities;
        bool has_identities;
        SshBindings bindings;
        SshUse use;         /* FINDING, ASKING, SIGNING; points into the request */
        SshBinding binding; /* BINDING; the same */
        bool agent_binds;   /* the agent has accepted a binding: it knows of them */
        SshConsentKind consent;
        uint64_t started_usec;    /* when the request came */
        uint8_t *agent_frame;     /* what goes to the agent: SSH_FRAME_MAX bytes of the caller's … */
        uint8_t *client_frame;    /* … and what to the client */
        size_t n_agent, n_client; /* so much is to be sent; the caller sets them to 0 */
        unsigned long n_requests, n_signed, n_refused;
} SshSession;

/** ssh_session_init() - a new connection; everything that it is given must outlive it */
void ssh_session_init(SshSession *session, const SshRules *rules, const SshSessionOps *ops, void *userdata,
                      uint8_t *agent_frame, uint8_t *client_frame);
void ssh_session_deinit(SshSession *session);

/**
 * ssh_session_on_request() - a message of the client
 * @untrusted_message: must stay until the session is idle again
 *
 * Only when idle and when what is to be sent has been. Return: 0 or a negative error.
 */
int ssh_session_on_request(SshSession *session, WireSlice untrusted_message);

/** ssh_session_on_reply() - a message of the agent. Return: 0, SSH_SESSION_E_UNEXPECTED or a negative error */
int ssh_session_on_reply(SshSession *session, WireSlice message);

/** ssh_session_on_consent() - the end of a question, in SSH_SESSION_STATE_ASKING; not SSH_CONSENT_PENDING */
void ssh_session_on_consent(SshSession *session, SshConsentResult result);

/** ssh_session_on_agent_gone() - no answer will come: what waits for one is refused; harmless in any state */
void ssh_session_on_agent_gone(SshSession *session);

/** ssh_session_waits_for_agent() - does the real agent owe an answer? */
bool ssh_session_waits_for_agent(const SshSession *session);

/** ssh_session_log_begin() - start a line of the log: ev, src, agent. Return: @buffer */
void ssh_session_log_begin(const SshRules *rules, const char *event, SshLine *line,
                           char buffer[static SSH_RECORD_SIZE]);
