/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/terminal.h"

#include <string.h>

#include "base/escape.h"
#include "base/number.h"

/* The labels of Qubes, as a terminal has them. */
static const char *terminal_colour(const char *icon) {
        static const struct {
                const char *label, *code;
        } colours[] = {
                { "red", "\033[1;31m" },  { "orange", "\033[33m" }, { "yellow", "\033[1;33m" }, { "green", "\033[32m" },
                { "gray", "\033[1;30m" }, { "blue", "\033[1;34m" }, { "purple", "\033[35m" },   { "black", "\033[7m" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(colours); ++i)
                if (strcmp(colours[i].label, question_icon_label(icon)) == 0)
                        return colours[i].code;
        return "";
}

/* A name with the label that its icon has: by the word, and by colour where there is one. */
static void terminal_put_domain(FILE *stream, const char *name, const char *icon, bool colour) {
        const char *label = question_icon_label(icon), *code = colour ? terminal_colour(icon) : "";

        fprintf(stream, "%s%s%s", code, ESCAPED(name, strlen(name)), code[0] ? "\033[0m" : "");
        if (label[0] != '\0')
                fprintf(stream, " (%s)", ESCAPED(label, strlen(label)));
}

static void terminal_put_durations(FILE *stream, const char *what, const QuestionDurations *durations) {
        char text[32];

        for (size_t i = 0; i < durations->n; ++i)
                fprintf(stream, "  %s for %-8u  %s\n", what, durations->sec[i],
                        question_duration(durations->sec[i], text));
}

/* Line by line, none of which can look like one of ours. */
static void terminal_put_text(FILE *stream, const char *text) {
        while (*text) {
                size_t n = strcspn(text, "\n");

                fprintf(stream, "  | %s\n", ESCAPED(text, n));
                text += n + (text[n] == '\n');
        }
}

void terminal_show(FILE *stream, const Question *question, uint32_t number, uint32_t count, bool colour) {
        size_t n_bold = question_bold(question->service);
        char argument[ESCAPE_MAX(255)];
        const char *shown = question_argument(question);

        fprintf(stream, "\nQuestion %u: ", number);
        terminal_put_domain(stream, question->source, question->source_icon, colour);
        fprintf(stream, " calls %.*s%s%s%s%s\n", (int)n_bold, question->service, colour ? "\033[1m" : "",
                question->service + n_bold, colour ? "\033[0m" : "",
                escape(argument, sizeof(argument), shown, strlen(shown)));
        terminal_put_text(stream, question->text);
        if (count > 1)
                fprintf(stream, "%u requests ask this.\n", count);
        if (question->problem)
                fprintf(stream, "%s\n", ESCAPED(question->problem, strlen(question->problem)));
        for (size_t i = 0; i < question->n_entries; ++i) {
                fprintf(stream, "  %-4zu ", i + 1);
                terminal_put_domain(stream, question->entries[i].display, question->entries[i].icon, colour);
                fputs((int)i == question->default_entry ? "  <- suggested\n" : "\n", stream);
        }
        fprintf(stream, "Allow: NUMBER%s. Deny: n.\n", question->default_entry >= 0 ? ", or y for the suggested" : "");
        terminal_put_durations(stream, "NUMBER", &question->allow_for);
        terminal_put_durations(stream, "n", &question->quiet_for);
}

/* The first word of *@text, which goes on behind it. */
static size_t terminal_word(const char **text, const char **ret_word) {
        size_t n;

        *text += strspn(*text, " \t\r");
        n = strcspn(*text, " \t\r");
        *ret_word = *text;
        *text += n;
        return n;
}

static bool terminal_is(const char *word, size_t n, const char *a, const char *b) {
        return (strlen(a) == n && memcmp(word, a, n) == 0) || (strlen(b) == n && memcmp(word, b, n) == 0);
}

static int terminal_parse_target(const Question *question, const char *word, size_t n, Answer *answer) {
        uint64_t number;
        int entry;

        if (terminal_is(word, n, "y", "yes")) {
                if (question->default_entry < 0)
                        return TERMINAL_E_TARGET;
                entry = question->default_entry;
        } else {
                switch (number_parse(word, n, 1, question->n_entries, &number)) {
                case 0:
                        entry = (int)number - 1;
                        break;
                case NUMBER_E_RANGE:
                        return TERMINAL_E_TARGET;
                default:
                        return TERMINAL_E_UNKNOWN;
                }
        }
        answer->allow = true;
        answer->target = question->entries[entry].target;
        answer->n_target = strlen(answer->target);
        return 0;
}

int terminal_parse(const Question *question, const char *line, Answer *ret_answer) {
        const char *word;
        size_t n = terminal_word(&line, &word);
        Answer answer = {};
        uint64_t sec;

        if (n == 0)
                return TERMINAL_E_EMPTY;
        if (!terminal_is(word, n, "n", "no")) {
                int r = terminal_parse_target(question, word, n, &answer);

                if (r)
                        return r;
        }
        n = terminal_word(&line, &word);
        if (n > 0) {
                if (!terminal_is(word, n, "for", "for"))
                        return TERMINAL_E_UNKNOWN;
                n = terminal_word(&line, &word);
                if (number_parse(word, n, 1, ANSWER_SEC_MAX, &sec))
                        return TERMINAL_E_DURATION;
                answer.sec = (uint32_t)sec;
                if (terminal_word(&line, &word) > 0)
                        return TERMINAL_E_UNKNOWN;
        }
        if (!question_offers(question, &answer))
                return TERMINAL_E_DURATION;
        *ret_answer = answer;
        return 0;
}

const char *terminal_error_text(int r) {
        switch (r) {
        case TERMINAL_E_EMPTY:
                return "Type a number, or n.";
        case TERMINAL_E_TARGET:
                return "There is no such target: type the number of one that is listed.";
        case TERMINAL_E_DURATION:
                return "That time is not offered: leave it out, or type the seconds of one that is listed.";
        case TERMINAL_E_UNKNOWN:
                break;
        }
        return "That is not understood. Type the number of a target to allow it, n to deny.";
}
