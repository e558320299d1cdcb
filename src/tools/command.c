/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "base/nearest.h"

static Paths arg_paths;

const Paths *command_paths(void) {
        if (arg_paths.run_dir[0] == '\0')
                paths_host(&arg_paths);
        return &arg_paths;
}

int command_set_user(void) {
        return paths_user(&arg_paths);
}

const Command *command_find(const Command *commands, const char *name) {
        for (; commands->name; ++commands)
                if (strcmp(commands->name, name) == 0)
                        return commands;
        return NULL;
}

void command_complain(const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        fputs("qair: ", stderr);
        vfprintf(stderr, format, arguments);
        fputc('\n', stderr);
        va_end(arguments);
}

static const char *get_name(const void *userdata, size_t i) {
        return ((const Command *)userdata)[i].name;
}

void command_complain_unknown(const Command *commands, const char *prefix, const char *name) {
        const char *meant = nearest(name, strlen(name), get_name, commands);

        if (meant)
                command_complain("there is no '%s %s': did you mean '%s'?", prefix, ESCAPED(name, strlen(name)), meant);
        else
                command_complain("there is no '%s %s': '%s --help' lists what there is", prefix,
                                 ESCAPED(name, strlen(name)), prefix);
}

int command_complain_option(int option, char **argv, const char *name) {
        const char *given = argv[optind - 1];

        if (option == ':')
                command_complain("%s needs a value: see 'qair %s --help'", ESCAPED(given, strlen(given)), name);
        else
                command_complain("unknown option '%s': see 'qair %s --help'", ESCAPED(given, strlen(given)), name);
        return COMMAND_STATUS_USAGE;
}

int command_parse_verb(const Command *verbs, int argc, char **argv, int (*help)(void), const char **ret_verb) {
        const char *name = argv[0];
        char prefix[64];

        if (argc < 2) {
                command_complain("%s: what shall be done? 'qair %s --help' lists the verbs", name, name);
                return COMMAND_STATUS_USAGE;
        }
        *ret_verb = NULL;
        if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
                return help();
        if (!command_find(verbs, argv[1])) {
                (void)snprintf(prefix, sizeof(prefix), "qair %s", name);
                command_complain_unknown(verbs, prefix, argv[1]);
                return COMMAND_STATUS_USAGE;
        }
        *ret_verb = argv[1];
        return COMMAND_STATUS_DONE;
}

void command_list(const Command *commands) {
        size_t width = 0;

        for (const Command *command = commands; command->name; ++command) {
                size_t n = strlen(command->name) + 1 + strlen(command->arguments);

                width = n > width ? n : width;
        }
        for (; commands->name; ++commands)
                printf("  %s %-*s  %s\n", commands->name, (int)(width - strlen(commands->name) - 1),
                       commands->arguments, commands->summary);
}

void command_print_diagnostics(const Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&diagnostics->entries[i]);

                fprintf(stderr, "%s\n", text ?: diagnostics->entries[i].text);
        }
        if (diagnostics->n_dropped > 0)
                fprintf(stderr, "… and %zu more\n", diagnostics->n_dropped);
}
