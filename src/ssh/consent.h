/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May this key be used now: because nobody has to be asked, because somebody said so before, or because somebody says so
 * now (split-ssh specification, 10).
 *
 *      .--------- never, granted, cool-down, too often ---------.
 *      |                                                        v
 *    IDLE -- another question of this source is open --> LOCKING -- it is over --> ASKING -- answer, time-out --> IDLE
 *      '--------------------------------- none is ---------------------------------^
 *
 * In LOCKING a process of ours waits for the lock, which the kernel gives to the open file and so to us; in ASKING the
 * helper runs.
 */
#pragma once

#include "ssh/helper.h"
#include "ssh/session.h"
#include "ssh/state.h"

typedef enum SshConsentState {
        SSH_CONSENT_STATE_IDLE,
        SSH_CONSENT_STATE_LOCKING,
        SSH_CONSENT_STATE_ASKING,
} SshConsentState;

typedef struct SshConsent {
        const SshState *shared;
        const char *program;
        SshConsentState state;
        bool is_withdrawn; /* the client is gone: no new question */
        const SshUse *use;
        uint64_t deadline_usec; /* clock_now() */
        int lock_fd;
        SshHelper locker; /* without a record */
        SshHelper helper;
} SshConsent;

/** ssh_consent_init() - no question yet. @shared and @program (the helper that asks) must outlive @consent */
void ssh_consent_init(SshConsent *consent, const SshState *shared, const char *program);
/** ssh_consent_deinit() - end what runs */
void ssh_consent_deinit(SshConsent *consent);

/** ssh_consent_start() - decide, or begin to ask. @use must outlive the question. Return: pending, or what it is */
SshConsentResult ssh_consent_start(SshConsent *consent, const SshUse *use);

/** ssh_consent_withdraw() - the client is gone. Return: what has become of the question; only while one is pending */
SshConsentResult ssh_consent_withdraw(SshConsent *consent);

/** ssh_consent_poll() - what to wait for, and until when (@ret_deadline_usec is untouched if nothing is pending) */
void ssh_consent_poll(const SshConsent *consent, struct pollfd ret_fds[static SSH_HELPER_POLL_N],
                      uint64_t *ret_deadline_usec);
/** ssh_consent_dispatch() - go on, if anything is pending. Return: pending, or what it is */
SshConsentResult ssh_consent_dispatch(SshConsent *consent);
