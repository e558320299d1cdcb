/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/wrapper.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/escape.h"

/* Letters of options without a value, that may stand before one with a value in a group. */
#define PLAIN_LETTERS "bacdekKnqst"

typedef struct Reader {
        const char *const *arguments;
        size_t n, next;
        GpgWrapperPlan *plan;
        bool special_names;
        bool done;
        char *complaint;
} Reader;

_printf_(2, 3) static int refuse(Reader *reader, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(reader->complaint, GPG_WRAPPER_COMPLAINT_MAX, format, arguments);
        va_end(arguments);
        return GPG_WRAPPER_E_REFUSED;
}

/* There is room: an argument becomes at most two words. */
static int add(Reader *reader, GpgWrapperWordKind kind, const char *text, size_t n_text) {
        GpgWrapperWord *word = &reader->plan->words[reader->plan->n_words];

        *word = (GpgWrapperWord){ .kind = kind };
        if (text) {
                word->text = strndup(text, n_text);
                if (!word->text)
                        return error_origin(-ENOMEM);
        }
        ++reader->plan->n_words;
        return 0;
}

static int add_text(Reader *reader, const char *text) {
        return add(reader, GPG_WRAPPER_WORD_TEXT, text, strlen(text));
}

/*
 * What is done with an option: each function gets the option's name, as it is in the table, and its value, if it has one.
 */

static int do_drop(Reader *reader, const char *name, const char *value) {
        return 0;
}

static int do_locate(Reader *reader, const char *name, const char *value) {
        if (strcmp(value, "local,wkd") == 0)
                return 0; /* GnuPG's own default */
        return refuse(reader, "%s: the keys' domain looks nothing up: only local,wkd is understood, and has no effect",
                      name);
}

static int do_charset(Reader *reader, const char *name, const char *value) {
        if (strcasecmp(value, "utf-8") == 0 || strcasecmp(value, "utf8") == 0)
                return 0;
        return refuse(reader, "%s: only UTF-8 is understood", name);
}

static int do_quiet(Reader *reader, const char *name, const char *value) {
        return add_text(reader, "-q"); /* older servers know only that */
}

static int do_detach(Reader *reader, const char *name, const char *value) {
        return add_text(reader, "--detach-sign");
}

static int do_sign_with(Reader *reader, const char *name, const char *value) {
        int r = add_text(reader, "-u");

        return r ?: add_text(reader, value);
}

static int do_output(Reader *reader, const char *name, const char *value) {
        if (reader->plan->output)
                return refuse(reader, "the output is given twice");
        reader->plan->output = value;
        return 0;
}

/* Descriptor 1, as a number may be written: (0x)?0*1 */
static bool is_one(const char *value) {
        if (strncmp(value, "0x", 2) == 0)
                value += 2;
        return strcmp(value + strspn(value, "0"), "1") == 0;
}

static int do_fd(Reader *reader, const char *name, const char *value) {
        int r = add_text(reader, name);

        if (r)
                return r;
        return is_one(value) ? add(reader, GPG_WRAPPER_WORD_STDOUT, NULL, 0) : add_text(reader, value);
}

static int do_log(Reader *reader, const char *name, const char *value) {
        int r = add_text(reader, "--logger-fd");

        return r ?: add(reader, GPG_WRAPPER_WORD_FILE, value, strlen(value));
}

static int do_special_names(Reader *reader, const char *name, const char *value) {
        reader->special_names = true;
        return 0;
}

static int do_local(Reader *reader, const char *name, const char *value) {
        reader->plan->action = GPG_WRAPPER_ACTION_LOCAL;
        reader->done = true;
        return 0;
}

static void forget_words(GpgWrapperPlan *plan) {
        while (plan->n_words > 0)
                free(plan->words[--plan->n_words].text);
}

static int do_import(Reader *reader, const char *name, const char *value) {
        bool is_ended = false;
        int r = 0;

        reader->plan->action = GPG_WRAPPER_ACTION_IMPORT;
        reader->done = true;
        reader->plan->output = NULL;
        forget_words(reader->plan);
        for (; reader->next < reader->n && !r; ++reader->next) {
                const char *word = reader->arguments[reader->next];

                if (!is_ended && strcmp(word, "--") == 0)
                        is_ended = true;
                else if (is_ended || word[0] != '-' || word[1] == '\0')
                        r = add_text(reader, word);
        }
        return r;
}

static const struct {
        const char *name;
        bool has_value;
        int (*handle)(Reader *reader, const char *name, const char *value);
} rules[] = {
        { "--gen-rand", false, do_local },
        { "--gen-prime", false, do_local },
        { "--enarmor", false, do_local },
        { "--dearmor", false, do_local },
        { "--print-md", false, do_local },
        { "--help", false, do_local },
        { "-h", false, do_local },
        { "--no-default-keyring", false, do_local },
        { "--import", false, do_import },
        { "--disable-dirmngr", false, do_drop },
        { "--expert", false, do_drop },
        { "--yes", false, do_drop },
        { "--no-use-agent", false, do_drop },
        { "--use-agent", false, do_drop },
        { "--no-tty", false, do_drop },
        { "--disable-mdc", false, do_drop },
        { "--force-mdc", false, do_drop },
        { "--force-v3-sigs", false, do_drop },
        { "--force-v4-certs", false, do_drop },
        { "--no-sk-comments", false, do_drop },
        { "--keyserver-options", true, do_drop },
        { "--photo-viewer", true, do_drop },
        { "--command-fd", true, do_drop },
        { "--pinentry-mode", true, do_drop },
        { "--passphrase-fd", true, do_drop },
        { "--ttyname", true, do_drop },
        { "--ttytype", true, do_drop },
        { "--display", true, do_drop },
        { "--lc-messages", true, do_drop },
        { "--lc-ctype", true, do_drop },
        { "--xauthority", true, do_drop },
        { "--auto-key-locate", true, do_locate },
        { "--charset", true, do_charset },
        { "--display-charset", true, do_charset },
        { "--quiet", false, do_quiet },
        { "--detach", false, do_detach },
        { "--detach-sig", false, do_detach },
        { "--sign-with", true, do_sign_with },
        { "--output", true, do_output },
        { "--status-fd", true, do_fd },
        { "--logger-fd", true, do_fd },
        { "--attribute-fd", true, do_fd },
        { "--log-file", true, do_log },
        { "--enable-special-filenames", false, do_special_names },
};

/* Passed on together with what follows, which is never taken for an option. */
static const char *const pairs[] = {
        "--cert-digest-algo",
        "--cert-notation",
        "--cipher-algo",
        "--comment",
        "--compress-algo",
        "--default-key",
        "--default-recipient",
        "--digest-algo",
        "--disable-cipher-algo",
        "--disable-pubkey-algo",
        "--encrypt-to",
        "--export-options",
        "--hidden-encrypt-to",
        "--hidden-recipient",
        "--keyid-format",
        "--list-options",
        "--local-user",
        "--max-output",
        "--personal-cipher-preferences",
        "--personal-compress-preferences",
        "--personal-digest-preferences",
        "--recipient",
        "--s2k-cipher-algo",
        "--s2k-count",
        "--s2k-digest-algo",
        "--s2k-mode",
        "--sender",
        "--set-filename",
        "--set-notation",
        "--sig-notation",
        "--trust-model",
        "--trusted-key",
        "--try-secret-key",
        "--verify-options",
};

/* The next argument, as the value of the one before it. */
static int take_value(Reader *reader, const char *name, const char **ret_value) {
        if (reader->next == reader->n)
                return refuse(reader, "%s: its value is missing", name);
        *ret_value = reader->arguments[reader->next++];
        return 0;
}

/* Return: 0, with @ret_found, or what came of it. */
static int read_rule(Reader *reader, const char *word, bool *ret_found) {
        for (size_t i = 0; i < ARRAY_SIZE(rules); ++i) {
                size_t n = strlen(rules[i].name);
                const char *value = NULL;
                int r;

                if (strncmp(word, rules[i].name, n) != 0 ||
                    (word[n] != '\0' && !(word[n] == '=' && rules[i].has_value)))
                        continue;
                *ret_found = true;
                if (word[n] == '=')
                        value = word + n + 1;
                r = rules[i].has_value && !value ? take_value(reader, rules[i].name, &value) : 0;
                return r ?: rules[i].handle(reader, rules[i].name, value);
        }
        return 0;
}

static bool is_pair(const char *word) {
        for (size_t i = 0; i < ARRAY_SIZE(pairs); ++i)
                if (strcmp(pairs[i], word) == 0)
                        return true;
        return false;
}

/* Letters, and then one that takes the output: what comes before it stays, what comes after is its value. */
static int read_group_output(Reader *reader, const char *word, size_t n_before) {
        const char *value = word + n_before + 1;
        int r = 0;

        if (*value == '\0')
                r = take_value(reader, "-o", &value);
        r = r ?: do_output(reader, "-o", value);
        if (!r && n_before > 1)
                r = add(reader, GPG_WRAPPER_WORD_TEXT, word, n_before);
        return r;
}

static int read_word(Reader *reader, const char *word) {
        size_t n_letters = word[0] == '-' && word[1] != '-' ? 1 + strspn(word + 1, PLAIN_LETTERS) : 0;
        bool found = false, with_value;
        int r;

        r = read_rule(reader, word, &found);
        if (r || found)
                return r;
        if (n_letters > 0 && word[n_letters] == 'o')
                return read_group_output(reader, word, n_letters);
        with_value = is_pair(word) || (n_letters > 0 && word[n_letters] != '\0' && strchr("NrRu", word[n_letters]) &&
                                       word[n_letters + 1] == '\0');
        r = add_text(reader, word);
        if (!r && with_value && reader->next < reader->n)
                r = add_text(reader, reader->arguments[reader->next++]);
        return r;
}

/* Behind `--`: names, of which some may stand for descriptors. */
static int read_names(Reader *reader) {
        int r = 0;

        for (; reader->next < reader->n && !r; ++reader->next) {
                const char *word = reader->arguments[reader->next];
                char path[64];

                if (reader->special_names && strncmp(word, "-&", 2) == 0 && word[2] != '\0' &&
                    word[2 + strspn(word + 2, "0123456789")] == '\0' && strlen(word) < 16) {
                        (void)snprintf(path, sizeof(path), "/proc/self/fd/%s", word + 2);
                        word = path;
                }
                r = add_text(reader, word);
        }
        return r;
}

int gpg_wrapper_plan(const char *const *arguments, size_t n, GpgWrapperPlan *ret_plan,
                     char reterr_text[static GPG_WRAPPER_COMPLAINT_MAX]) {
        _cleanup_(gpg_wrapper_plan_deinit) GpgWrapperPlan plan = {};
        Reader reader = { .arguments = arguments, .n = n, .plan = &plan, .complaint = reterr_text };
        int r = 0;

        plan.words = calloc(2 * n + 1, sizeof(*plan.words));
        if (!plan.words)
                return error_origin(-ENOMEM);
        while (!r && !reader.done && reader.next < n) {
                const char *word = arguments[reader.next++];

                if (strcmp(word, "--") == 0) {
                        r = add_text(&reader, word);
                        r = r ?: read_names(&reader);
                        break;
                }
                r = read_word(&reader, word);
        }
        if (r)
                return r;
        *ret_plan = plan;
        plan = (GpgWrapperPlan){};
        return 0;
}

void gpg_wrapper_plan_deinit(GpgWrapperPlan *plan) {
        forget_words(plan);
        free(plan->words);
        plan->words = NULL;
}
