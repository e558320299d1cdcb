/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/person.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/name.h"
#include "base/paths.h"
#include "base/socket.h"
#include "gpg/helper.h"
#include "wire/answer.h"

/* The policy agent's, in the account's own run directory. */
#define AGENT_SOCKET "policy-agent.sock"
/* A dialog that does not end by itself in time is ended. */
#define DIALOG_GRACE_SEC 5
#define SESSION_SEC      60
#define NOTICE_SEC       5
#define NOTICE_MSEC      "1000"

/*
 * The policy agent
 */

/* Return: 0; PERSON_E_NOBODY: there is none. */
static int connect_agent(int *ret_fd) {
        char path[PATH_MAX + sizeof(AGENT_SOCKET) + 1];
        Paths paths;

        if (paths_user(&paths))
                return PERSON_E_NOBODY;
        (void)snprintf(path, sizeof(path), "%s/" AGENT_SOCKET, paths.run_dir);
        return socket_connect(path, SOCK_STREAM, ret_fd) ? PERSON_E_NOBODY : 0;
}

/* A header as a socket service has it, the object, the end of input. Return: 0 or PERSON_E_NOBODY */
static int send_request(int fd, const char *service, const char *json) {
        char header[64];
        int n = snprintf(header, sizeof(header), "%s " DOM0_NAME, service);

        if (fd_write_full(fd, header, (size_t)n + 1) < 0 || fd_write_full(fd, json, strlen(json)) < 0 ||
            shutdown(fd, SHUT_WR) < 0)
                return PERSON_E_NOBODY;
        return 0;
}

/* What this domain is called among questions; the name is for the eyes alone. */
static const char *own_name(DomainName *name) {
        const char *user = getenv("USER") ?: "";

        return domain_name_parse(user, strlen(user), name) == 0 ? name->text : "keys";
}

/* All texts in it consist of characters that need no quotes. */
static int encode_question(const PersonQuestion *question, char **ret_json) {
        char durations[16] = "";
        DomainName name;
        const char *own = own_name(&name);

        if (question->for_sec > 0 && question->for_sec <= ANSWER_SEC_MAX)
                (void)snprintf(durations, sizeof(durations), "%u", question->for_sec);
        if (asprintf(ret_json,
                     "{\"source\":\"%s\",\"service\":\"%s\",\"argument\":\"+\",\"targets\":[\"%s\"],"
                     "\"default_target\":\"%s\",\"icons\":{\"%s\":\"\",\"%s\":\"\"},\"allow_for\":[%s],"
                     "\"quiet_for\":[],\"timeout\":%d,\"text\":\"%s\"}",
                     question->source, question->service, own, own, question->source, own, durations,
                     PERSON_TIMEOUT_SEC, question->text) < 0)
                return error_origin(-ENOMEM);
        return 0;
}

/* What the agent sends until it hangs up: nothing where nobody looks at it. Return: 0 or PERSON_E_… */
static int read_answer(int fd, char ret_text[static ANSWER_MAX], size_t *ret_n) {
        uint64_t deadline = clock_now() + PERSON_TIMEOUT_SEC * USEC_PER_SEC;
        size_t n_text = 0;

        for (;;) {
                struct pollfd polled[] = {
                        { .fd = fd, .events = POLLIN },
                        { .fd = STDOUT_FILENO, .events = 0 }, /* a hang-up comes unasked */
                };
                uint64_t now = clock_now();
                ssize_t n;

                if (now >= deadline)
                        return PERSON_E_NO;
                if (poll(polled, ARRAY_SIZE(polled), (int)((deadline - now) / USEC_PER_MSEC) + 1) < 0)
                        continue;
                if (polled[1].revents)
                        return PERSON_E_CALLER;
                if (!polled[0].revents)
                        continue;
                n = read(fd, ret_text + n_text, ANSWER_MAX - n_text);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 || n_text == ANSWER_MAX)
                        return PERSON_E_NO;
                if (n == 0)
                        break;
                n_text += (size_t)n;
        }
        *ret_n = n_text;
        return n_text > 0 ? 0 : PERSON_E_NOBODY;
}

static int ask_agent(const PersonQuestion *question, bool *ret_remember) {
        _cleanup_free_ char *json = NULL;
        char text[ANSWER_MAX];
        _cleanup_fd_ int fd = -1;
        Answer answer;
        size_t n;
        int r;

        r = connect_agent(&fd);
        r = r ?: encode_question(question, &json);
        r = r ?: send_request(fd, "policy.Ask", json);
        r = r ?: read_answer(fd, text, &n);
        if (r)
                return r;
        /* Only what was offered is a yes. */
        if (answer_decode(text, n, &answer) || !answer.allow || (answer.sec != 0 && answer.sec != question->for_sec))
                return PERSON_E_NO;
        *ret_remember = answer.sec != 0;
        return 0;
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

static void tell_agent(const char *source, const char *service, const char *operation, unsigned n_more) {
        _cleanup_free_ char *json = NULL;
        _cleanup_fd_ int fd = -1;
        DomainName name;

        if (asprintf(&json,
                     "{\"resolution\":\"allow\",\"service\":\"%s\",\"argument\":\"+%s\",\"source\":\"%s\","
                     "\"target\":\"%s\",\"count\":%u}",
                     service, operation, source, own_name(&name), n_more + 1) < 0) {
                json = NULL;
                return;
        }
        if (connect_agent(&fd) == 0)
                (void)send_request(fd, "policy.Notify", json);
}

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
                tell_agent(source, service, operation, n_more);
        _exit(0);
}
