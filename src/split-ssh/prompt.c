/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/prompt.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "person/policyagent.h"
#include "split-ssh/wording.h"

#define PROMPT_SERVICE "qubes.SshAgent"
#define PROMPT_ZENITY  "/usr/bin/zenity"
#define PROMPT_ASKPASS "/usr/bin/ssh-askpass"
#define PROMPT_NOTIFY  "/usr/bin/notify-send"

static bool prompt_has_display(void) {
        return getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
}

/* Become a program, whose first word is its path; return where it is not there. */
static void prompt_become(const char *const *argv) {
        if (access(argv[0], X_OK) == 0)
                (void)execv(argv[0], (char *const *)argv);
}

/* As OpenSSH asks for a yes: the words as its argument, its status is the answer. */
static void prompt_become_askpass(const char *program, const char *words) {
        const char *const argv[] = { program, words, NULL };

        if (setenv("SSH_ASKPASS_PROMPT", "confirm", 1) == 0)
                prompt_become(argv);
}

static void prompt_become_own_askpass(const char *words) {
        const char *home = getenv("HOME"), *named = getenv("SSH_ASKPASS");
        char path[PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s/.config/qubes/split-ssh/askpass", home ?: "");

        if (home && home[0] == '/' && n > 0 && (size_t)n < sizeof(path))
                prompt_become_askpass(path, words);
        if (named && named[0] == '/')
                prompt_become_askpass(named, words);
}

static void prompt_become_zenity(const Record *record, const char *words) {
        char text[WORDING_MAX + 16], title[WORDING_MAX + 16], arrow[WORDING_MAX], timeout[32];
        const char *const argv[] = { PROMPT_ZENITY, "--question", "--no-markup", "--default-cancel",
                                     "--ellipsize", timeout,      title,         text,
                                     NULL };

        (void)snprintf(timeout, sizeof(timeout), "--timeout=%u", record->timeout_sec > 0 ? record->timeout_sec : 60);
        (void)snprintf(title, sizeof(title), "--title=%s", wording_arrow(record, arrow));
        (void)snprintf(text, sizeof(text), "--text=%s", words);
        prompt_become(argv);
}

int prompt_confirm(const Record *record) {
        char words[WORDING_MAX];
        PolicyAgentQuestion question = {
                .source = record->values[RECORD_SOURCE],
                .service = PROMPT_SERVICE,
                .argument = record->values[RECORD_AGENT],
                .text = wording_question(record, words),
                .timeout_sec = record->timeout_sec,
                .caller_fd = -1,
        };
        PolicyAgentAnswer answer;

        if (policy_agent_ask(&question, &answer) == 0)
                return answer.yes ? PROMPT_YES : PROMPT_NO;
        prompt_become_own_askpass(words);
        if (prompt_has_display()) {
                prompt_become_zenity(record, words);
                prompt_become_askpass(PROMPT_ASKPASS, words);
        }
        return PROMPT_FAILED;
}

/* For the desktop's markup. */
static void prompt_escape(const char *text, char *buffer, size_t n_buffer) {
        size_t n = 0;

        for (; *text; ++text) {
                const char *put = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : NULL;
                size_t n_put = put ? strlen(put) : 1;

                if (n_put >= n_buffer - n)
                        break;
                memcpy(buffer + n, put ?: text, n_put);
                n += n_put;
        }
        buffer[n] = '\0';
}

static void prompt_become_notify_send(const Record *record) {
        bool refused = strcmp(record->values[RECORD_VERDICT], "deny") == 0;
        char use[WORDING_MAX], plain[2 * WORDING_MAX], body[4 * WORDING_MAX], summary[128];
        const char *const argv[] = { PROMPT_NOTIFY, "--expire-time=5000", "--app-name=split-ssh", "--", summary, body,
                                     NULL };

        (void)snprintf(summary, sizeof(summary), "SSH key %s %.64s", refused ? "refused to" : "used by",
                       record->values[RECORD_SOURCE]);
        (void)snprintf(plain, sizeof(plain), "%s\n%.64s%s%s", wording_use(record, use), record->values[RECORD_COMMENT],
                       refused ? "\nrefused: " : "", refused ? record->values[RECORD_WHY] : "");
        prompt_escape(plain, body, sizeof(body));
        prompt_become(argv);
}

int prompt_notify(const Record *record) {
        PolicyAgentNotice notice = {
                .source = record->values[RECORD_SOURCE],
                .service = PROMPT_SERVICE,
                .argument = record->values[RECORD_AGENT],
                .refused = strcmp(record->values[RECORD_VERDICT], "deny") == 0,
                .n_uses = 1,
        };

        /* A desktop without this is one that the policy agent may know better. */
        if (getenv("DBUS_SESSION_BUS_ADDRESS") || prompt_has_display())
                prompt_become_notify_send(record);
        return policy_agent_notify(&notice) == 0 ? PROMPT_YES : PROMPT_FAILED;
}
