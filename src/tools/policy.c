/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/policy.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "policy-tools/problem.h"
#include "tools/command.h"

typedef struct Verb {
        const char *name;
        int (*run)(const PolicyOptions *options);
        size_t n_arguments_min, n_arguments_max;
} Verb;

static const Verb verbs[] = {
        { "explain", policy_verb_explain, 1, 3 },
        { "test", policy_verb_test, 1, SIZE_MAX },
        { "lint", policy_verb_lint, 0, 0 },
        { "diff", policy_verb_diff, 2, 2 },
};

/* For the help text and "did you mean". */
static const Command descriptions[] = {
        { "explain", "SOURCE TARGET SERVICE[+ARG]", "which rule decides, and what kept others from it" },
        { "explain", "--all SERVICE[+ARG]", "who may call it where: a table" },
        { "test", "FILE ...", "check assertions such as 'work -> vault qubes.Ssh: allow'" },
        { "lint", "", "find rules that surprise: that never match, that allow more than it seems" },
        { "diff", "OLD NEW", "which decisions differ between two folders" },
        {},
};

static int help(void) {
        printf("Usage: qair policy VERB [OPTION ...]\n"
               "\n");
        command_list(descriptions);
        printf("\n"
               "  --policy-dir=DIR    rules of this folder; repeat it, the first has precedence\n"
               "                      (" PATHS_POLICY_RUN_DIR ", " PATHS_POLICY_DIR ")\n"
               "  --inventory=DIR     the folder of the domains' files (" PATHS_DOMAINS_DIR ")\n"
               "  --system-info=PATH  the domains from a JSON file, or from a socket like qubesd's\n"
               "  --for=NAME          explain: SOURCE relays a call of the remote domain NAME\n"
               "\n"
               "TARGET is a domain, @default (nobody in particular), @dispvm, @dispvm:BASE or @adminvm.\n"
               "Example: qair policy explain work vault qubes.Ssh\n"
               "See qair-policy(1).\n");
        return COMMAND_STATUS_DONE;
}

static const Verb *find_verb(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(verbs); ++i)
                if (strcmp(verbs[i].name, name) == 0)
                        return &verbs[i];
        return NULL;
}

enum {
        OPTION_POLICY_DIR = 256,
        OPTION_INVENTORY,
        OPTION_SYSTEM_INFO,
        OPTION_ALL,
        OPTION_FOR,
        OPTION_HELP,
};

static int add_directory(PolicyOptions *options, const char *directory) {
        if (options->n_directories == ARRAY_SIZE(options->directories)) {
                command_complain("policy: at most %d folders", POLICY_DIRECTORIES_MAX);
                return COMMAND_STATUS_USAGE;
        }
        options->directories[options->n_directories++] = directory;
        return COMMAND_STATUS_DONE;
}

/* Return: COMMAND_STATUS_DONE to go on, or what to leave with; *@ret_help: help was asked for. */
static int parse_options(int argc, char **argv, PolicyOptions *options, bool *ret_help) {
        static const struct option known[] = {
                { "policy-dir", required_argument, NULL, OPTION_POLICY_DIR },
                { "inventory", required_argument, NULL, OPTION_INVENTORY },
                { "system-info", required_argument, NULL, OPTION_SYSTEM_INFO },
                { "all", no_argument, NULL, OPTION_ALL },
                { "for", required_argument, NULL, OPTION_FOR },
                { "help", no_argument, NULL, OPTION_HELP },
                {},
        };
        int option, status;

        opterr = 0;
        optind = 1;
        while ((option = getopt_long(argc, argv, ":h", known, NULL)) >= 0)
                switch (option) {
                case OPTION_POLICY_DIR:
                        status = add_directory(options, optarg);
                        if (status != COMMAND_STATUS_DONE)
                                return status;
                        break;
                case OPTION_INVENTORY:
                        options->inventory = optarg;
                        break;
                case OPTION_SYSTEM_INFO:
                        options->system_info = optarg;
                        break;
                case OPTION_ALL:
                        options->all = true;
                        break;
                case OPTION_FOR:
                        options->relayed = optarg;
                        break;
                case OPTION_HELP:
                case 'h':
                        *ret_help = true;
                        break;
                default:
                        return command_complain_option(option, argv, "policy");
                }
        return COMMAND_STATUS_DONE;
}

int policy_options_load_policy(const PolicyOptions *options, const char *directory, Policy **ret_policy) {
        const PolicySources sources = { .directories = directory ? &directory : options->directories,
                                        .n_directories = directory ? 1 : options->n_directories };
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        r = policy_load(&sources, &diagnostics, ret_policy);
        if (r < 0)
                return error_trace(r);
        if (policy_problems_write(stderr, &diagnostics) < 0)
                return error_origin(-ENOMEM);
        if (r > 0) {
                command_complain("the policy is unusable: every call would be refused");
                return COMMAND_STATUS_FAILED;
        }
        return COMMAND_STATUS_DONE;
}

int policy_options_load_system(const PolicyOptions *options, PolicySystem **ret_system) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        if (options->system_info)
                r = policy_system_load(options->system_info, &diagnostics, ret_system);
        else
                r = policy_system_from_inventory(options->inventory, &diagnostics, ret_system);
        if (r < 0)
                return error_trace(r);
        command_print_diagnostics(&diagnostics);
        return r > 0 ? COMMAND_STATUS_FAILED : COMMAND_STATUS_DONE;
}

int command_policy(int argc, char **argv) {
        PolicyOptions options = { .inventory = command_paths()->domains_dir };
        bool wants_help = false;
        const char *name;
        const Verb *verb;
        int status;

        status = command_parse_verb(descriptions, argc, argv, help, &name);
        if (status != COMMAND_STATUS_DONE || !name)
                return status;
        verb = find_verb(name);
        status = parse_options(argc - 1, argv + 1, &options, &wants_help);
        if (status != COMMAND_STATUS_DONE)
                return status;
        if (wants_help)
                return help();
        if (options.n_directories == 0) {
                (void)add_directory(&options, command_paths()->policy_run_dir);
                (void)add_directory(&options, command_paths()->policy_dir);
        }
        options.arguments = argv + 1 + optind;
        options.n_arguments = (size_t)(argc - 1 - optind);
        if (options.n_arguments < verb->n_arguments_min || options.n_arguments > verb->n_arguments_max) {
                command_complain("policy %s: too %s arguments: see 'qair policy --help'", verb->name,
                                 options.n_arguments < verb->n_arguments_min ? "few" : "many");
                return COMMAND_STATUS_USAGE;
        }
        return verb->run(&options);
}
