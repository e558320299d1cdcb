/* SPDX-License-Identifier: Apache-2.0 */
/* qrexec-policy-window: the policy agent's windows. Started by the agent, and ends with it. */
#include <errno.h>
#include <getopt.h>
#include <glib-unix.h>
#include <gtk/gtk.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"
#include "prompt/lines.h"
#include "prompt/message.h"
#include "prompt/window.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

typedef struct Shown {
        struct Shown *next;
        struct Desktop *desktop;
        uint32_t number;
        Window *window;
} Shown;

typedef struct Desktop {
        Lines lines;
        Shown *shown;
        guint writer; /* waits for room */
        int error;
} Desktop;

static void shown_free(Shown *shown) {
        window_free(shown->window);
        g_free(shown);
}

static void desktop_stop(Desktop *desktop, int r) {
        desktop->error = r;
        gtk_main_quit();
}

static gboolean desktop_on_room(gint fd, GIOCondition condition, gpointer userdata) {
        Desktop *desktop = userdata;
        int r = lines_flush(&desktop->lines);

        if (r)
                desktop_stop(desktop, r);
        if (!r && lines_wants_room(&desktop->lines))
                return G_SOURCE_CONTINUE;
        desktop->writer = 0;
        return G_SOURCE_REMOVE;
}

/* The window has hidden itself; the agent takes it away. */
static void desktop_on_answer(Window *window, const Answer *answer, void *userdata) {
        Shown *shown = userdata;
        Desktop *desktop = shown->desktop;
        _cleanup_free_ char *line = NULL;
        char text[ANSWER_MAX + 1];
        int r;

        if (answer_encode(answer, text) == 0)
                strcpy(text, "deny"); /* longer than any answer: it cannot be chosen */
        r = message_encode(&(Message){ .kind = MESSAGE_KIND_ANSWER, .number = shown->number, .text = text }, &line);
        r = r ?: lines_put(&desktop->lines, line);
        if (r)
                desktop_stop(desktop, r);
        else if (lines_wants_room(&desktop->lines) && desktop->writer == 0)
                desktop->writer = g_unix_fd_add(desktop->lines.fd, G_IO_OUT, desktop_on_room, desktop);
}

static int desktop_show(Desktop *desktop, uint32_t number, const char *json) {
        Question *question;
        Shown *shown;
        int r;

        r = question_decode(json, strlen(json), &question);
        if (r)
                return r == QUESTION_E_MALFORMED ? error_origin(-EBADMSG) : error_fold(r);
        shown = g_new0(Shown, 1);
        shown->desktop = desktop;
        shown->number = number;
        shown->next = desktop->shown;
        desktop->shown = shown;
        shown->window = window_new(question, desktop_on_answer, shown);
        return 0;
}

static int desktop_handle(Desktop *desktop, const char *line) {
        Message message;

        if (message_decode(line, &message))
                return error_origin(-EBADMSG);
        if (message.kind == MESSAGE_KIND_ASK)
                return error_trace(desktop_show(desktop, message.number, message.text));
        for (Shown **place = &desktop->shown; *place; place = &(*place)->next) {
                Shown *shown = *place;

                if (shown->number != message.number)
                        continue;
                if (message.kind == MESSAGE_KIND_COUNT) {
                        window_set_count(shown->window, message.count);
                } else if (message.kind == MESSAGE_KIND_GONE) {
                        *place = shown->next;
                        shown_free(shown);
                }
                break;
        }
        return 0;
}

static gboolean desktop_on_agent(gint fd, GIOCondition condition, gpointer userdata) {
        Desktop *desktop = userdata;
        char *line;
        int r;

        do {
                r = lines_next(&desktop->lines, &line);
                if (!r)
                        r = desktop_handle(desktop, line);
        } while (!r);
        if (r == LINES_E_AGAIN)
                return G_SOURCE_CONTINUE;
        desktop_stop(desktop, r == LINES_E_EOF ? 0 : r);
        return G_SOURCE_REMOVE;
}

static int usage(FILE *stream, int status) {
        fprintf(stream, "Usage: qrexec-policy-window --front-end-fd=N\n"
                        "Windows of the policy agent, which starts this; see qrexec-policy-agent(1).\n");
        return status;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "front-end-fd", required_argument, NULL, 'f' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        Desktop desktop = { .lines = LINES_INIT(-1) };
        uint64_t number = 0;
        int option;

        if (fd_ensure_standard() < 0)
                return EXIT_FAILED;
        log_open("qrexec-policy-window", true);
        while ((option = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
                if (option == 'h')
                        return usage(stdout, 0);
                if (option != 'f' || number_parse(optarg, strlen(optarg), 3, INT32_MAX, &number))
                        return usage(stderr, EXIT_USAGE);
        }
        if (optind != argc || number == 0)
                return usage(stderr, EXIT_USAGE);
        if (fd_set_cloexec((int)number, true) < 0 || fd_set_nonblocking((int)number, true) < 0) {
                log_error("descriptor %u is not open: the policy agent passes it", (unsigned)number);
                return EXIT_FAILED;
        }
        if (!gtk_init_check(&argc, &argv)) {
                log_error("there is no display");
                return EXIT_FAILED;
        }
        desktop.lines = LINES_INIT((int)number);
        g_unix_fd_add((int)number, G_IO_IN | G_IO_HUP, desktop_on_agent, &desktop);
        gtk_main();
        while (desktop.shown) {
                Shown *shown = desktop.shown;

                desktop.shown = shown->next;
                shown_free(shown);
        }
        lines_deinit(&desktop.lines);
        return desktop.error ? EXIT_FAILED : 0;
}
