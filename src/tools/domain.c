/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/domain.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "tools/command.h"

typedef struct Verb {
        const char *name;
        int (*run)(const DomainOptions *options);
        bool takes_name;
        bool takes_assignments;
} Verb;

static const Verb verbs[] = {
        { "add", domain_add, true, true }, { "set", domain_set, true, true }, { "show", domain_show, true },
        { "list", domain_list },           { "remove", domain_remove, true }, { "check", domain_check },
        { "start", domain_start, true },   { "stop", domain_stop, true },
};

/* For the help text and "did you mean". */
static const Command descriptions[] = {
        { "add", "NAME KEY=VALUE ...", "make a domain" },
        { "set", "NAME KEY=VALUE ...", "change it; KEY= removes the line" },
        { "show", "NAME", "all its properties, and where each comes from" },
        { "list", "", "the domains, and which of them run" },
        { "start", "NAME", "start it, and wait until its agent is there" },
        { "stop", "NAME", "stop it, and wait until its agent is gone" },
        { "remove", "NAME", "remove it, if no other refers to it" },
        { "check", "", "find all errors of all files, and of the accounts" },
        {},
};

static int help(void) {
        printf("Usage: qair domain VERB [OPTION ...]\n"
               "\n");
        command_list(descriptions);
        printf("\n"
               "  --dir=DIR      the folder of their files (" PATHS_DOMAINS_DIR ")\n"
               "  --json         show, list: for programs\n"
               "  --no-accounts  add, set, check: do not look up the accounts\n"
               "  --keep         remove: let its open calls go on, instead of ending them\n"
               "\n"
               "Keys:\n");
        for (size_t i = 0; i < _PROPERTY_N; ++i)
                printf("  %-21s %s\n", property_info((Property)i)->key, property_info((Property)i)->summary);
        printf("\n"
               "Example: qair domain add vault user=vault label=black\n"
               "See qair(1), domains.d(5).\n");
        return COMMAND_STATUS_DONE;
}

static const Verb *find_verb(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(verbs); ++i)
                if (strcmp(verbs[i].name, name) == 0)
                        return &verbs[i];
        return NULL;
}

enum {
        OPTION_DIR = 256,
        OPTION_JSON,
        OPTION_NO_ACCOUNTS,
        OPTION_KEEP,
        OPTION_HELP,
};

/* Return: COMMAND_STATUS_DONE to go on, or what to leave with; *@ret_help: help was asked for. */
static int parse_options(int argc, char **argv, DomainOptions *options, bool *ret_help) {
        static const struct option known[] = {
                { "dir", required_argument, NULL, OPTION_DIR },
                { "json", no_argument, NULL, OPTION_JSON },
                { "no-accounts", no_argument, NULL, OPTION_NO_ACCOUNTS },
                { "keep", no_argument, NULL, OPTION_KEEP },
                { "help", no_argument, NULL, OPTION_HELP },
                {},
        };
        int option;

        opterr = 0;
        optind = 1;
        while ((option = getopt_long(argc, argv, ":h", known, NULL)) >= 0)
                switch (option) {
                case OPTION_DIR:
                        options->dir = optarg;
                        break;
                case OPTION_JSON:
                        options->json = true;
                        break;
                case OPTION_NO_ACCOUNTS:
                        options->no_accounts = true;
                        break;
                case OPTION_KEEP:
                        options->keep = true;
                        break;
                case OPTION_HELP:
                case 'h':
                        *ret_help = true;
                        break;
                default:
                        return command_complain_option(option, argv, "domain");
                }
        return COMMAND_STATUS_DONE;
}

static int check_name(const char *untrusted_name) {
        DomainName name;
        int r = domain_name_parse(untrusted_name, strlen(untrusted_name), &name);

        if (r == 0)
                return COMMAND_STATUS_DONE;
        command_complain(
                "'%s' is no domain's name, it %s: write a letter, then letters, digits, '_', '-', '.', at most "
                "%d in all",
                ESCAPED(untrusted_name, strlen(untrusted_name)), name_error_text(r), DOMAIN_NAME_MAX);
        return COMMAND_STATUS_USAGE;
}

int command_domain(int argc, char **argv) {
        DomainOptions options = { .dir = command_paths()->domains_dir, .no_accounts = command_paths()->is_user };
        bool wants_help = false;
        const char *name;
        const Verb *verb;
        int status;

        status = command_parse_verb(descriptions, argc, argv, help, &name);
        if (status != COMMAND_STATUS_DONE || !name)
                return status;
        verb = find_verb(name);

        argc -= 1;
        argv += 1;
        status = parse_options(argc, argv, &options, &wants_help);
        if (status != COMMAND_STATUS_DONE)
                return status;
        if (wants_help)
                return help();

        if (verb->takes_name) {
                if (optind == argc) {
                        command_complain("domain %s: which domain? write its NAME", verb->name);
                        return COMMAND_STATUS_USAGE;
                }
                options.name = argv[optind++];
                status = check_name(options.name);
                if (status != COMMAND_STATUS_DONE)
                        return status;
        }
        if (optind < argc && !verb->takes_assignments) {
                command_complain("domain %s: '%s' is one argument too many", verb->name,
                                 ESCAPED(argv[optind], strlen(argv[optind])));
                return COMMAND_STATUS_USAGE;
        }
        options.assignments = argv + optind;
        options.n_assignments = (size_t)(argc - optind);
        return verb->run(&options);
}
