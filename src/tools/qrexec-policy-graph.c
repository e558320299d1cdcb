/* SPDX-License-Identifier: Apache-2.0 */
/* qrexec-policy-graph: draw who may call whom (policy specification, 9.3). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/process.h"
#include "base/text.h"
#include "policy-tools/graph.h"
#include "policy-tools/system.h"
#include "policy/token.h"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
};

static const char usage[] =
        "usage: qrexec-policy-graph [-h] [--include-ask] [--source SOURCE ...] [--target TARGET ...]\n"
        "                           [--service SERVICE ...] [--output FILE] [--format FORMAT]\n"
        "                           [--policy-dir DIR] [--system-info PATH] [--inventory DIR]\n"
        "                           [--skip-labels] [--full-output]\n";

typedef struct Options {
        PolicyGraphOptions graph;
        const char **sources, **targets, **services; /* room for all arguments each */
        const char *output;
        const char *format;
        const char *policy_dir;
        const char *system_info;
        const char *inventory;
        bool wants_help;
} Options;

static void options_deinit(Options *options) {
        free(options->sources);
        free(options->targets);
        free(options->services);
}

static int complain(const char *text, const char *about, const char *rest) {
        fprintf(stderr, "%sqrexec-policy-graph: error: %s%s%s\n", usage, text, about, rest);
        return STATUS_USAGE;
}

static int help(void) {
        printf("%s"
               "\n"
               "Draw who may call whom, for Graphviz.\n"
               "\n"
               "  --include-ask       draw what would be asked, too\n"
               "  --source SOURCE …   only these callers\n"
               "  --target TARGET …   only calls that end at these\n"
               "  --service SERVICE … only these services, NAME or NAME+ARGUMENT\n"
               "  --output FILE       write there\n"
               "  --format FORMAT     dot; svg, png and others if Graphviz is installed\n"
               "  --policy-dir DIR    the rules (" QAIR_CONFDIR "/policy.d)\n"
               "  --system-info PATH  the domains: a file with JSON, or a socket like qubesd's\n"
               "  --inventory DIR     the domains: a folder of their files (" QAIR_CONFDIR "/domains.d)\n"
               "  --skip-labels       no labels\n"
               "  --full-output       all allowed and asked calls, with argument and action\n",
               usage);
        return STATUS_DONE;
}

enum {
        OPTION_ASK = 256,
        OPTION_SOURCE,
        OPTION_TARGET,
        OPTION_SERVICE,
        OPTION_OUTPUT,
        OPTION_FORMAT,
        OPTION_POLICY_DIR,
        OPTION_SYSTEM_INFO,
        OPTION_INVENTORY,
        OPTION_SKIP_LABELS,
        OPTION_FULL,
};

static const struct option known[] = {
        { "help", no_argument, NULL, 'h' },
        { "include-ask", no_argument, NULL, OPTION_ASK },
        { "source", required_argument, NULL, OPTION_SOURCE },
        { "target", required_argument, NULL, OPTION_TARGET },
        { "service", required_argument, NULL, OPTION_SERVICE },
        { "output", required_argument, NULL, OPTION_OUTPUT },
        { "format", required_argument, NULL, OPTION_FORMAT },
        { "policy-dir", required_argument, NULL, OPTION_POLICY_DIR },
        { "system-info", required_argument, NULL, OPTION_SYSTEM_INFO },
        { "inventory", required_argument, NULL, OPTION_INVENTORY },
        { "skip-labels", no_argument, NULL, OPTION_SKIP_LABELS },
        { "full-output", no_argument, NULL, OPTION_FULL },
        {},
};

/* An option's value, and the words up to the next option. @words has room for all arguments. */
static PolicyWords take_words(const char **words, int argc, char **argv) {
        size_t n = 0;

        while (words[n])
                ++n;
        words[n++] = optarg;
        while (optind < argc && argv[optind][0] != '-')
                words[n++] = argv[optind++];
        return words;
}

static int parse_option(Options *options, int option, int argc, char **argv) {
        switch (option) {
        case 'h':
                options->wants_help = true;
                break;
        case OPTION_ASK:
                options->graph.includes_ask = true;
                break;
        case OPTION_SOURCE:
                options->graph.sources = take_words(options->sources, argc, argv);
                break;
        case OPTION_TARGET:
                options->graph.targets = take_words(options->targets, argc, argv);
                break;
        case OPTION_SERVICE:
                options->graph.services = take_words(options->services, argc, argv);
                break;
        case OPTION_OUTPUT:
                options->output = optarg;
                break;
        case OPTION_FORMAT:
                options->format = optarg;
                break;
        case OPTION_POLICY_DIR:
                options->policy_dir = optarg;
                break;
        case OPTION_SYSTEM_INFO:
                options->system_info = optarg;
                break;
        case OPTION_INVENTORY:
                options->inventory = optarg;
                break;
        case OPTION_SKIP_LABELS:
                options->graph.skips_labels = true;
                break;
        case OPTION_FULL:
                options->graph.is_full = true;
                break;
        case ':':
                return complain("argument ", argv[optind - 1], ": expected one argument");
        default:
                return complain("unrecognized arguments: ", argv[optind - 1], "");
        }
        return STATUS_DONE;
}

static int check_words(const char *option, PolicyWords words, PolicyPlace place, const char *what) {
        for (; words && *words; ++words) {
                PolicyTokenKind kind;
                PolicySlice value;

                if (policy_token_parse(place, policy_slice(*words), &kind, &value) == 0)
                        continue;
                fprintf(stderr, "%sqrexec-policy-graph: error: %s %s is not a valid %s\n", usage, option, *words, what);
                return STATUS_USAGE;
        }
        return STATUS_DONE;
}

static int parse_options(int argc, char **argv, Options *options) {
        int option, status;

        options->sources = calloc((size_t)argc + 1, sizeof(*options->sources));
        options->targets = calloc((size_t)argc + 1, sizeof(*options->targets));
        options->services = calloc((size_t)argc + 1, sizeof(*options->services));
        if (!options->sources || !options->targets || !options->services)
                return error_origin(-ENOMEM);
        opterr = 0;
        while ((option = getopt_long(argc, argv, "+:h", known, NULL)) >= 0) {
                status = parse_option(options, option, argc, argv);
                if (status != STATUS_DONE || options->wants_help)
                        return status;
        }
        if (optind < argc)
                return complain("unrecognized arguments: ", argv[optind], "");
        status = check_words("--source", options->graph.sources, POLICY_PLACE_SOURCE, "call source");
        if (status != STATUS_DONE)
                return status;
        return check_words("--target", options->graph.targets, POLICY_PLACE_REDIRECT, "actual call target");
}

static int failed(const Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&diagnostics->entries[i]);

                fprintf(stderr, "qrexec-policy-graph: %s\n", text ?: diagnostics->entries[i].text);
        }
        return STATUS_FAILED;
}

static int write_graph(const Options *options, FILE *stream) {
        const char *directory = options->policy_dir ?: PATHS_POLICY_DIR;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        int r;

        r = policy_system_load_host(options->system_info, options->inventory, PATHS_DOMAINS_DIR, &diagnostics, &system);
        if (r == 0)
                r = policy_load(&(PolicySources){ .directories = &directory, .n_directories = 1 }, &diagnostics,
                                &policy);
        if (r < 0)
                return error_trace(r);
        if (r > 0)
                return failed(&diagnostics);
        r = policy_graph(stream, policy, system, &options->graph);
        if (r < 0)
                return error_trace(r);
        if (fflush(stream) != 0 || ferror(stream)) {
                fprintf(stderr, "qrexec-policy-graph: cannot write: %s\n", strerror(errno));
                return STATUS_FAILED;
        }
        return STATUS_DONE;
}

/* Graphviz draws: its standard input is the graph. */
static int draw(const Options *options, const char *graph, size_t n_graph) {
        const char *arguments[] = {
                "dot", "-T", options->format, options->output ? "-o" : NULL, options->output, NULL
        };
        _cleanup_fd_ int reader = -1, writer = -1;
        posix_spawn_file_actions_t actions;
        int fds[2], status = 0, r;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        reader = fds[0];
        writer = fds[1];
        if (posix_spawn_file_actions_init(&actions) != 0)
                return error_origin(-ENOMEM);
        r = posix_spawn_file_actions_adddup2(&actions, reader, STDIN_FILENO);
        r = r ?: posix_spawnp(&pid, "dot", &actions, NULL, (char **)arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (r != 0) {
                fprintf(stderr, "qrexec-policy-graph: %s needs Graphviz: dot: %s\n", options->format, strerror(r));
                return STATUS_FAILED;
        }
        reader = fd_close(reader);
        r = fd_write_full(writer, graph, n_graph);
        writer = fd_close(writer);
        status = process_wait(pid);
        if (status < 0)
                return error_origin(status);
        return r < 0 || status > 0 ? STATUS_FAILED : STATUS_DONE;
}

static int run(int argc, char **argv) {
        _cleanup_(options_deinit) Options options = { .format = "dot" };
        _cleanup_free_ char *graph = NULL;
        size_t n_graph = 0;
        FILE *stream;
        int status;

        status = parse_options(argc, argv, &options);
        if (status != STATUS_DONE)
                return status;
        if (options.wants_help)
                return help();
        if (strcmp(options.format, "dot") == 0 && !options.output)
                return write_graph(&options, stdout);

        /* Nothing is overwritten before the graph is whole. */
        stream = open_memstream(&graph, &n_graph);
        if (!stream)
                return error_origin(-ENOMEM);
        status = write_graph(&options, stream);
        status = text_close(stream, &graph) ?: status;
        if (status != STATUS_DONE)
                return status;
        if (strcmp(options.format, "dot") != 0)
                return draw(&options, graph, n_graph);
        stream = fopen(options.output, "we");
        if (!stream || fwrite(graph, 1, n_graph, stream) != n_graph || fflush(stream) != 0) {
                fprintf(stderr, "qrexec-policy-graph: %s: %s\n", options.output, strerror(errno));
                status = STATUS_FAILED;
        }
        if (stream)
                fclose(stream);
        return status;
}

int main(int argc, char **argv) {
        int status;

        log_open("qrexec-policy-graph", false);
        signal(SIGPIPE, SIG_IGN);
        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        status = run(argc, argv);
        if (status < 0) {
                fprintf(stderr, "qrexec-policy-graph: %s\n", strerror(-status));
                return STATUS_FAILED;
        }
        return status;
}
