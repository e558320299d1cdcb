/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of `qair`, and how they speak: results on standard output, complaints on standard error.
 */
#pragma once

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "base/paths.h"

/** command_paths() - where things are: on the host, or of the user who said --user. Return: borrowed, for ever */
const Paths *command_paths(void);
/** command_set_user() - from here on it is the user's. Return: 0 or PATHS_E_… */
int command_set_user(void);

/** Exit statuses of every command. */
enum {
        COMMAND_STATUS_DONE = 0,
        COMMAND_STATUS_FAILED = 1, /* refused, not found, broken: what was said on standard error */
        COMMAND_STATUS_USAGE = 2,
};

typedef struct Command {
        const char *name;
        const char *arguments; /* for the synopsis */
        const char *summary;
        int (*run)(int argc, char **argv); /* argv[0] is the command's name. Return: a status or a negative error */
} Command;

/** command_find() - the command called @name in a list that ends with a nameless one, or NULL */
const Command *command_find(const Command *commands, const char *name);

/** command_complain() - one line on standard error: "qair: TEXT" */
void command_complain(const char *format, ...) _printf_(1, 2);

/** command_complain_unknown() - @name is none of @commands; with "did you mean" */
void command_complain_unknown(const Command *commands, const char *prefix, const char *name);

/**
 * command_complain_option() - after getopt_long() (with `:` first, so that a missing value is told apart)
 * @option: what it returned: ':' or '?'
 * @name:   of the command, whose --help lists the options
 *
 * Return: COMMAND_STATUS_USAGE, to leave with.
 */
int command_complain_option(int option, char **argv, const char *name);

/**
 * command_parse_verb() - the verb of `qair NAME VERB`, or --help
 * @verbs:    what there is
 * @help:     prints what --help asks for
 * @ret_verb: its name; NULL: help was given, and nothing is left to do
 *
 * Return: COMMAND_STATUS_DONE, or COMMAND_STATUS_USAGE after a complaint.
 */
int command_parse_verb(const Command *verbs, int argc, char **argv, int (*help)(void), const char **ret_verb);

/** command_list() - names, arguments and summaries, aligned, on standard output */
void command_list(const Command *commands);

/** command_print_diagnostics() - all of them on standard error, a line each */
void command_print_diagnostics(const Diagnostics *diagnostics);

/** command_domain() - `qair domain …` */
int command_domain(int argc, char **argv);

/** command_policy() - `qair policy …` */
int command_policy(int argc, char **argv);

/** command_relay() - `qair relay …` */
int command_relay(int argc, char **argv);

/** command_status(), command_calls(), command_kill() - what the broker is asked */
int command_status(int argc, char **argv);
int command_calls(int argc, char **argv);
int command_kill(int argc, char **argv);
/** command_grants() - `qair grants …` */
int command_grants(int argc, char **argv);
/** command_prompts() - `qair prompts` */
int command_prompts(int argc, char **argv);
/** command_log() - `qair log …` */
int command_log(int argc, char **argv);

/** command_doctor() - `qair doctor` */
int command_doctor(int argc, char **argv);
