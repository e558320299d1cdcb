/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/person.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "gpg/helper.h"
#include "person/policyagent.h"

/* A dialog that does not end by itself in time is ended. */
#define DIALOG_GRACE_SEC 5
#define SESSION_SEC      60
#define NOTICE_SEC       5
#define NOTICE_MSEC      "1000"

static int ask_agent(const PersonQuestion *question, bool *ret_remember) {
        PolicyAgentAnswer answer;
        int r;

        r = policy_agent_ask(
                &(PolicyAgentQuestion){
                        .source = question->source,
                        .service = question->service,
                        .argument = "",
                        .text = question->text,
                        .for_sec = question->for_sec,
                        .timeout_sec = PERSON_TIMEOUT_SEC,
                        .caller_fd = STDOUT_FILENO,
                },
                &answer);
        switch (r) {
        case 0:
                *ret_remember = answer.for_long;
                return answer.yes ? 0 : PERSON_E_NO;
        case POLICY_AGENT_E_CALLER:
                return PERSON_E_CALLER;
        case POLICY_AGENT_E_NONE:
                return PERSON_E_NOBODY;
        default:
                return error_fold(r);
        }
}

/*
 * A dialog
 */

/* A display is there once the session is. */
static int wait_for_session(void) {
        static const char *const programs[] = { "qubes.WaitForSession", QAIR_LIBEXECDIR "/qubes.WaitForSession" };
        const char *user = getenv("USER") ?: "";
        char input[256];
        int r = HELPER_E_NONE, status = 0;

        (void)snprintf(input, sizeof(input), "%s\n", user);
        for (size_t i = 0; i < ARRAY_SIZE(programs) && r == HELPER_E_NONE; ++i)
                r = helper_run((const char *const[]){ programs[i], NULL }, input, SESSION_SEC, &status);
        /* What it says does not matter: the dialog will be there or not. */
        return r == HELPER_E_CALLER ? PERSON_E_CALLER : 0;
}

static bool has_display(void) {
        return getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
}

static int ask_dialog(const PersonQuestion *question) {
        char title[128], text[1024], timeout[32];
        const char *const argv[] = { "zenity",      "--question",
                                     "--no-markup", "--default-cancel",
                                     "--ellipsize", "--icon-name=dialog-password",
                                     timeout,       title,
                                     text,          NULL };
        int r, status = 1;

        (void)snprintf(title, sizeof(title), "--title=%s", question->title);
        (void)snprintf(text, sizeof(text), "--text=%s", question->text);
        (void)snprintf(timeout, sizeof(timeout), "--timeout=%d", PERSON_TIMEOUT_SEC);
        r = helper_run(argv, NULL, PERSON_TIMEOUT_SEC + DIALOG_GRACE_SEC, &status);
        switch (r) {
        case 0:
                /* Without a display nobody has seen it, whatever its status says. */
                return status == 0 ? 0 : has_display() ? PERSON_E_NO : PERSON_E_NOBODY;
        case HELPER_E_NONE:
                return PERSON_E_NOBODY;
        case HELPER_E_CALLER:
                return PERSON_E_CALLER;
        case HELPER_E_TIMEOUT:
        case HELPER_E_KILLED:
                return PERSON_E_NO;
        default:
                return error_fold(r);
        }
}

int person_ask(const PersonQuestion *question, bool *ret_remember) {
        int r;

        r = ask_agent(question, ret_remember);
        if (r != PERSON_E_NOBODY)
                return r;
        r = wait_for_session();
        r = r ?: ask_dialog(question);
        if (!r)
                *ret_remember = true;
        return r;
}

/*
 * Notifications
 */

void person_tell(const char *source, const char *service, const char *operation, unsigned n_more) {
        char summary[128], body[128], more[48] = "";
        int status = 1;

        if (n_more > 0)
                (void)snprintf(more, sizeof(more), " (and %u more before)", n_more);
        (void)snprintf(summary, sizeof(summary), "Keyring access from domain: %s", source);
        (void)snprintf(body, sizeof(body), "%s: %s%s", service, operation, more);
        if (helper_detach(NOTICE_SEC) != 1)
                return;
        if (helper_run((const char *const[]){ "notify-send", "--expire-time=" NOTICE_MSEC, summary, body, NULL }, NULL,
                       NOTICE_SEC, &status) != 0 ||
            status != 0)
                (void)policy_agent_notify(&(PolicyAgentNotice){
                        .source = source, .service = service, .argument = operation, .n_uses = n_more + 1 });
        _exit(0);
}
