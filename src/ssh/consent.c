/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/consent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

#define PENDING       ((SshConsentResult){ .kind = SSH_CONSENT_PENDING })
#define REFUSED(_why) ((SshConsentResult){ .kind = SSH_CONSENT_REFUSED, .why = (_why) })
#define ALLOWED(_how) ((SshConsentResult){ .kind = (_how) })

void ssh_consent_init(SshConsent *consent, const SshState *shared, const char *program) {
        *consent = (SshConsent){
                .shared = shared,
                .program = program,
                .lock_fd = -1,
                .locker = SSH_HELPER_INIT,
                .helper = SSH_HELPER_INIT,
        };
}

void ssh_consent_deinit(SshConsent *consent) {
        ssh_helper_kill(&consent->helper);
        ssh_helper_kill(&consent->locker);
        consent->lock_fd = fd_close(consent->lock_fd);
        consent->state = SSH_CONSENT_STATE_IDLE;
}

/* The question is over; with the lock goes the next one's turn, so all that it must see has been written. */
static SshConsentResult finish(SshConsent *consent, SshConsentResult result) {
        const SshRules *rules = consent->use->rules;

        if (result.kind == SSH_CONSENT_REFUSED &&
            (result.why == SSH_WHY_DENIED || result.why == SSH_WHY_PROMPT_TIMEOUT ||
             result.why == SSH_WHY_PROMPT_FAILED))
                ssh_state_deny(consent->shared, rules->source, rules->agent);
        ssh_consent_deinit(consent);
        return result;
}

/* What was said before. Return: pending, if nothing was. */
static SshConsentResult remembered(const SshConsent *consent) {
        const SshUse *use = consent->use;
        char name[SHA256_TEXT_SIZE];

        if (ssh_use_can_be_granted(use)) {
                ssh_use_grant_name(use, name);
                if (ssh_state_is_granted(consent->shared, name))
                        return ALLOWED(SSH_CONSENT_GRANT);
        }
        if (consent->is_withdrawn)
                return REFUSED(SSH_WHY_PROMPT_CANCELLED);
        if (ssh_state_is_denied(consent->shared, use->rules->source, use->rules->agent,
                                use->settings.deny_cooldown_sec))
                return REFUSED(SSH_WHY_COOLDOWN);
        return PENDING;
}

static unsigned seconds_left(const SshConsent *consent) {
        uint64_t now_usec = clock_now();

        return now_usec >= consent->deadline_usec
                       ? 0
                       : (unsigned)((consent->deadline_usec - now_usec + USEC_PER_SEC - 1) / USEC_PER_SEC);
}

/* With the lock held. */
static SshConsentResult ask(SshConsent *consent) {
        const SshUse *use = consent->use;
        unsigned timeout_sec = seconds_left(consent);

        if (timeout_sec == 0)
                return finish(consent, REFUSED(SSH_WHY_PROMPT_TIMEOUT));
        if (ssh_state_count(consent->shared, use->rules->source, use->rules->agent, "prompt-rate",
                            use->settings.prompt_rate, NULL))
                return finish(consent, REFUSED(SSH_WHY_PROMPT_RATE));
        ssh_use_record(use, SSH_WHY_NONE, timeout_sec, consent->helper.record);
        if (ssh_helper_start(&consent->helper, consent->program, "confirm"))
                return finish(consent, REFUSED(SSH_WHY_PROMPT_FAILED));
        consent->state = SSH_CONSENT_STATE_ASKING;
        return PENDING;
}

static int try_lock(int fd, int command) {
        struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        return fcntl(fd, command, &whole);
}

/* Another process waits for the lock of our open file. It must keep nothing else open, nor outlive us. */
static SshConsentResult start_locking(SshConsent *consent) {
        SshHelper *locker = &consent->locker;
        pid_t parent = getpid(), pid = fork();

        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent || dup2(consent->lock_fd, STDIN_FILENO) < 0 ||
                    syscall(SYS_close_range, 1, ~0U, 0) < 0)
                        _exit(1);
                while (try_lock(STDIN_FILENO, F_OFD_SETLKW) < 0)
                        if (errno != EINTR)
                                _exit(1);
                _exit(0);
        }
        if (pid < 0)
                return finish(consent, REFUSED(SSH_WHY_PROMPT_FAILED));
        locker->pid = pid;
        locker->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (locker->pidfd < 0)
                return finish(consent, REFUSED(SSH_WHY_PROMPT_FAILED));
        consent->state = SSH_CONSENT_STATE_LOCKING;
        return PENDING;
}

SshConsentResult ssh_consent_start(SshConsent *consent, const SshUse *use) {
        SshConsentResult result;

        if (use->settings.confirm == SSH_CONFIRM_NEVER)
                return ALLOWED(SSH_CONSENT_NEVER);
        consent->use = use;
        result = remembered(consent);
        if (result.kind != SSH_CONSENT_PENDING)
                return result;
        consent->deadline_usec = clock_now() + use->settings.prompt_timeout_sec * USEC_PER_SEC;
        if (ssh_state_ask_lock(consent->shared, use->rules->source, &consent->lock_fd))
                return finish(consent, REFUSED(SSH_WHY_PROMPT_FAILED));
        return try_lock(consent->lock_fd, F_OFD_SETLK) == 0 ? ask(consent) : start_locking(consent);
}

SshConsentResult ssh_consent_withdraw(SshConsent *consent) {
        consent->is_withdrawn = true;
        return finish(consent, REFUSED(SSH_WHY_PROMPT_CANCELLED));
}

void ssh_consent_poll(const SshConsent *consent, struct pollfd ret_fds[static SSH_HELPER_POLL_N],
                      uint64_t *ret_deadline_usec) {
        ssh_helper_poll(consent->state == SSH_CONSENT_STATE_LOCKING ? &consent->locker : &consent->helper, ret_fds);
        if (consent->state != SSH_CONSENT_STATE_IDLE)
                *ret_deadline_usec = consent->deadline_usec;
}

/* Somebody said yes. */
static SshConsentResult accept(SshConsent *consent) {
        const SshUse *use = consent->use;
        char name[SHA256_TEXT_SIZE];

        /* What cannot be written is asked again. */
        if (ssh_use_can_be_granted(use)) {
                ssh_use_grant_name(use, name);
                (void)ssh_state_grant(consent->shared, name, use->settings.grant_sec, consent->helper.record);
        }
        return finish(consent, ALLOWED(SSH_CONSENT_ASKED));
}

SshConsentResult ssh_consent_dispatch(SshConsent *consent) {
        SshConsentResult result;
        int status;

        switch (consent->state) {
        case SSH_CONSENT_STATE_IDLE:
                return PENDING;
        case SSH_CONSENT_STATE_LOCKING:
                if (ssh_helper_dispatch(&consent->locker, &status) == 0) {
                        if (status != 0)
                                return finish(consent, REFUSED(SSH_WHY_PROMPT_FAILED));
                        /* It was somebody else's turn: what has been said since? */
                        result = remembered(consent);
                        return result.kind == SSH_CONSENT_PENDING ? ask(consent) : finish(consent, result);
                }
                break;
        case SSH_CONSENT_STATE_ASKING:
                if (ssh_helper_dispatch(&consent->helper, &status) == 0)
                        return status == 0   ? accept(consent)
                               : status == 1 ? finish(consent, REFUSED(SSH_WHY_DENIED))
                                             : finish(consent, REFUSED(SSH_WHY_PROMPT_FAILED));
                break;
        }
        return seconds_left(consent) == 0 ? finish(consent, REFUSED(SSH_WHY_PROMPT_TIMEOUT)) : PENDING;
}
