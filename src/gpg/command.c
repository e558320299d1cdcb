/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/command.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/number.h"
#include "gpg/optionlist.h"
#include "gpg/text.h"

#define FD_FOLDER "/dev/fd/"

typedef struct Parser {
        GpgRole role;
        char *const *words;
        size_t n_words;
        size_t next; /* the word to look at */
        GpgCommand command;
        bool has_file_command, has_user_command, is_ended;
        uint32_t seen_fds; /* of the three options, by their first letter */
        char *complaint;
} Parser;

_printf_(2, 3) static int refuse(Parser *parser, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(parser->complaint, GPG_COMPLAINT_MAX, format, arguments);
        va_end(arguments);
        return GPG_COMMAND_E_REFUSED;
}

#define SHOWN(_text) ESCAPED((_text), strlen(_text))

/*
 * Descriptors
 */

static bool fds_have(const GpgFds *fds, int fd) {
        for (size_t i = 0; i < fds->n; ++i)
                if (fds->fds[i] == fd)
                        return true;
        return false;
}

/* Appended to one list, unless it is there already; in the other it may not be. */
static int fds_add(GpgFds *fds, const GpgFds *other, int fd) {
        if (fds_have(other, fd))
                return GPG_COMMAND_E_REFUSED;
        if (fds_have(fds, fd))
                return 0;
        if (fds->n == GPG_FDS_MAX)
                return GPG_COMMAND_E_REFUSED;
        fds->fds[fds->n++] = fd;
        return 0;
}

static int parse_fd(const char *text, int min, int *ret_fd) {
        uint64_t value;

        if (number_parse(text, strlen(text), (uint64_t)min, GPG_FD_MAX, &value))
                return GPG_COMMAND_E_REFUSED;
        *ret_fd = (int)value;
        return 0;
}

static int take_fd(Parser *parser, const GpgOption *option, const char *value) {
        uint32_t bit = BIT((option->name[0] - 'a') & 31);
        int fd;

        if (parser->seen_fds & bit)
                return refuse(parser, "--%s may be given only once", option->name);
        parser->seen_fds |= bit;
        if (parse_fd(value, 0, &fd))
                return refuse(parser, "Invalid fd argument '%s' of --%s: it is a number from 0 to %d", SHOWN(value),
                              option->name, GPG_FD_MAX);
        if (fds_add(&parser->command.output, &parser->command.input, fd))
                return refuse(parser, "Invalid fd argument '%s' of --%s: that is an input", value, option->name);
        return 0;
}

/*
 * Options
 */

static int take_command(Parser *parser, const GpgOption *option) {
        if (option->kind == GPG_OPTION_KIND_USER_COMMAND)
                parser->has_user_command = true;
        else
                parser->has_file_command = true;
        if (parser->has_user_command && parser->has_file_command)
                return refuse(parser, "conflicting commands: some of them are about files, some about keys");
        if (option->kind == GPG_OPTION_KIND_VERIFY)
                parser->command.has_signature = true;
        /* Of several the gravest is told to people. */
        if (option->operation > parser->command.operation)
                parser->command.operation = option->operation;
        return 0;
}

static bool names_key(const GpgOption *option) {
        return strcmp(option->name, "local-user") == 0 || strcmp(option->name, "default-key") == 0 ||
               strcmp(option->name, "recipient") == 0 || strcmp(option->name, "hidden-recipient") == 0;
}

/* @value is NULL where the option has none. */
static int take_option(Parser *parser, const GpgOption *option, char *value) {
        char text[GPG_OPTION_LIST_COMPLAINT_MAX];

        switch (option->kind) {
        case GPG_OPTION_KIND_PLAIN:
                if (value && names_key(option))
                        parser->command.key = value;
                return 0;
        case GPG_OPTION_KIND_FILE_COMMAND:
        case GPG_OPTION_KIND_USER_COMMAND:
        case GPG_OPTION_KIND_VERIFY:
                return take_command(parser, option);
        case GPG_OPTION_KIND_OUTPUT:
                if (strcmp(value, "-") != 0)
                        return refuse(parser, "Only '-' may be the output: to write to a file, redirect standard "
                                              "output, or use qubes-gpg-client-wrapper");
                return 0;
        case GPG_OPTION_KIND_FD:
                return take_fd(parser, option, value);
        case GPG_OPTION_KIND_LIST:
                if (gpg_option_list_rewrite(option->list, value, text))
                        return refuse(parser, "%s", text);
                return 0;
        case GPG_OPTION_KIND_FORBIDDEN:
                break;
        }
        return refuse(parser, "Forbidden option: --%s", option->name);
}

/* The next word is the value of the option before it, whatever it looks like. Return: NULL: there is none */
static char *take_value(Parser *parser) {
        return parser->next < parser->n_words ? parser->words[parser->next++] : NULL;
}

static int take_long(Parser *parser, char *word) {
        const char *name = word + 2;
        size_t n = strcspn(name, "=");
        char *value = name[n] == '=' ? word + 2 + n + 1 : NULL;
        const GpgOption *option = gpg_option_find(name, n);
        const char *hint;

        if (!option) {
                hint = gpg_option_hint(name, n);
                return refuse(parser, "unrecognized option '%s'%s%s", SHOWN(word), hint ? ": " : "", hint ?: "");
        }
        if (option->kind == GPG_OPTION_KIND_FORBIDDEN)
                return take_option(parser, option, NULL);
        if (!option->has_value && value)
                return refuse(parser, "option '--%s' doesn't allow an argument", option->name);
        if (option->has_value && !value) {
                value = take_value(parser);
                if (!value)
                        return refuse(parser, "option '--%s' requires an argument", option->name);
        }
        return take_option(parser, option, value);
}

static int take_letters(Parser *parser, char *word) {
        int r;

        for (char *letter = word + 1; *letter; ++letter) {
                const GpgOption *option = gpg_option_find_letter(*letter);
                char *value = NULL;

                if (!option)
                        return refuse(parser, "invalid option -- '%s'", ESCAPED(letter, 1));
                if (!option->has_value) {
                        r = take_option(parser, option, NULL);
                        if (r)
                                return r;
                        continue;
                }
                value = letter[1] != '\0' ? letter + 1 : take_value(parser);
                if (!value)
                        return refuse(parser, "option requires an argument -- '%c'", *letter);
                return take_option(parser, option, value);
        }
        return 0;
}

static int take_options(Parser *parser) {
        int r = 0;

        while (!r && parser->next < parser->n_words) {
                char *word = parser->words[parser->next];

                if (word[0] != '-' || word[1] == '\0')
                        break;
                ++parser->next;
                if (strcmp(word, "--") == 0) {
                        parser->is_ended = true;
                        break;
                }
                r = word[1] == '-' ? take_long(parser, word) : take_letters(parser, word);
        }
        parser->command.n_options = parser->next;
        return r;
}

/*
 * The words behind the options
 */

static int check_words(Parser *parser) {
        for (size_t i = parser->next; i < parser->n_words && !parser->is_ended; ++i)
                if (parser->words[i][0] == '-' && parser->words[i][1] != '\0')
                        return refuse(parser, "options come before all other arguments: '%s' does not",
                                      SHOWN(parser->words[i]));
        return 0;
}

static int check_files(Parser *parser) {
        const char *signature, *data;
        int fd;

        if (parser->command.has_signature && parser->next == parser->n_words)
                parser->command.has_signature = false; /* the signed message is standard input */
        if (gpg_command_n_files(&parser->command, parser->n_words) > 1)
                return refuse(parser, "too many filename arguments");
        if (parser->role == GPG_ROLE_CLIENT)
                return 0;

        if (parser->command.has_signature) {
                signature = parser->words[parser->next++];
                if (strncmp(signature, FD_FOLDER, strlen(FD_FOLDER)) != 0 ||
                    parse_fd(signature + strlen(FD_FOLDER), 3, &fd) || gpg_command_set_signature(&parser->command, fd))
                        return refuse(parser, "a signature comes in a descriptor");
        }
        data = parser->next < parser->n_words ? parser->words[parser->next] : "-";
        return strcmp(data, "-") == 0 ? 0 : refuse(parser, "data come in standard input");
}

size_t gpg_command_n_files(const GpgCommand *command, size_t n) {
        return command->takes_users ? 0 : n - command->n_options - (command->has_signature ? 1 : 0);
}

int gpg_command_set_signature(GpgCommand *command, int fd) {
        return fds_add(&command->input, &command->output, fd);
}

int gpg_command_parse(GpgRole role, char *const *untrusted_words, size_t n, GpgCommand *ret_command,
                      char reterr_text[static GPG_COMPLAINT_MAX]) {
        Parser parser = {
                .role = role,
                .words = untrusted_words,
                .n_words = n,
                .command = { .input = { { 0 }, 1 }, .output = { { 1, 2 }, 2 } },
                .complaint = reterr_text,
        };
        int r;

        for (size_t i = 0; i < n; ++i)
                if (!gpg_text_is_printable(untrusted_words[i], strlen(untrusted_words[i])))
                        return refuse(&parser, "argument %zu is not printable UTF-8", i + 1);
        r = take_options(&parser);
        r = r ?: check_words(&parser);
        if (r)
                return r;
        parser.command.takes_users = parser.has_user_command;
        if (parser.command.takes_users && parser.next < n && !parser.command.key)
                parser.command.key = untrusted_words[parser.next];
        if (!parser.command.takes_users)
                r = check_files(&parser);
        if (r)
                return r;
        *ret_command = parser.command;
        return 0;
}
