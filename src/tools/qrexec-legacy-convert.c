/* SPDX-License-Identifier: Apache-2.0 */
/* qrexec-legacy-convert: rules of the old format become policy files (policy specification, 9.8). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/text.h"
#include "policy-tools/compare.h"
#include "policy-tools/convert.h"
#include "policy-tools/graph.h"
#include "policy-tools/system.h"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
};

static const char usage[] = "usage: qrexec-legacy-convert [-h] [--policy-dir DIR] [--legacy-dir DIR]\n"
                            "                             [--system-info PATH] [--inventory DIR]\n";

typedef struct Converter {
        const char *directory, *legacy, *system_info, *inventory;
        bool wants_help;
        PolicySystem *system;
        Policy *before, *others, *after;
        char *old_graph, *new_graph;
        PolicyConversion conversion;
        int lock_fd;
} Converter;

static void converter_deinit(Converter *converter) {
        policy_conversion_deinit(&converter->conversion);
        free(converter->old_graph);
        free(converter->new_graph);
        policy_unref(converter->before);
        policy_unref(converter->others);
        policy_unref(converter->after);
        policy_system_free(converter->system);
        fd_close(converter->lock_fd);
}

static int complain(const char *text, const char *about) {
        fprintf(stderr, "%sqrexec-legacy-convert: error: %s%s\n", usage, text, about);
        return STATUS_USAGE;
}

static int help(void) {
        printf("%s"
               "\n"
               "Turn the rules in " POLICY_LEGACY_DIRECTORY " into policy files, put the old files aside, and ask\n"
               "whether to undo it if any decision differs.\n"
               "\n"
               "  --policy-dir DIR    the policy files (" QAIR_CONFDIR "/policy.d)\n"
               "  --legacy-dir DIR    the files in the old format\n"
               "  --system-info PATH  the domains: a file with JSON, or a socket like qubesd's\n"
               "  --inventory DIR     the domains: a folder of their files\n",
               usage);
        return STATUS_DONE;
}

static int fail(const Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                _cleanup_free_ char *line = diagnostic_format(&diagnostics->entries[i]);

                fprintf(stderr, "%s\n", line ?: "out of memory");
        }
        return STATUS_FAILED;
}

static int load_system(Converter *converter) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r = converter->system_info
                        ? policy_system_load(converter->system_info, &diagnostics, &converter->system)
                        : policy_system_from_inventory(converter->inventory, &diagnostics, &converter->system);

        return r > 0 ? fail(&diagnostics) : error_trace(r);
}

static int load_policy(const Converter *converter, bool ignores_legacy, Policy **ret_policy) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r = policy_load(&(PolicySources){ .directories = &converter->directory,
                                              .n_directories = 1,
                                              .legacy = converter->legacy,
                                              .ignores_legacy = ignores_legacy },
                            &diagnostics, ret_policy);

        return r > 0 ? fail(&diagnostics) : error_trace(r);
}

/* As `qrexec-policy-graph --full-output` draws it. */
static int draw(const Converter *converter, Policy *policy, char **ret_graph) {
        const PolicyGraphOptions options = { .is_full = true };
        size_t n = 0;
        FILE *stream = open_memstream(ret_graph, &n);
        int r;

        if (!stream)
                return error_origin(-ENOMEM);
        r = policy_graph(stream, policy, converter->system, &options);
        return text_close(stream, ret_graph) ?: error_trace(r);
}

static bool has_line(const char *text, const char *line, size_t n) {
        for (; *text != '\0'; text += strcspn(text, "\n") + 1)
                if (strncmp(text, line, n) == 0 && text[n] == '\n')
                        return true;
        return false;
}

/* Prints the lines of @graph that @other lacks. Return: how many */
static size_t print_difference(const char *title, const char *graph, const char *other) {
        size_t n_lines = 0;

        for (const char *line = graph; *line != '\0'; line += strcspn(line, "\n") + 1) {
                size_t n = strcspn(line, "\n");

                if (has_line(other, line, n))
                        continue;
                if (n_lines++ == 0)
                        printf("%s\n", title);
                printf("%.*s\n", (int)n, line);
        }
        return n_lines;
}

/* Is everything as before? The graph does not show all that a rule says, the decisions do. */
static int compare(Converter *converter, bool *ret_same) {
        _cleanup_free_ char *text = NULL;
        size_t n_lost, n_gained, n_decisions = 0, n = 0;
        FILE *stream;
        int r;

        r = load_policy(converter, false, &converter->after);
        if (r > 0) {
                *ret_same = false;
                return 0;
        }
        r = r ?: draw(converter, converter->after, &converter->new_graph);
        if (r < 0)
                return r;
        n_lost = print_difference("OLD STATE", converter->old_graph, converter->new_graph);
        n_gained = print_difference("NEW STATE", converter->new_graph, converter->old_graph);
        stream = open_memstream(&text, &n);
        if (!stream)
                return error_origin(-ENOMEM);
        r = policy_compare(stream, converter->before, converter->after, converter->system, &n_decisions);
        r = text_close(stream, &text) ?: r;
        if (r < 0)
                return error_trace(r);
        if (n_decisions > 0)
                printf("DECISIONS\n%s", text);
        *ret_same = n_lost + n_gained + n_decisions == 0;
        return error_trace(r);
}

/* Is the answer anything but no? The end of input is no answer. */
static bool ask_to_restore(void) {
        char line[64];

        printf("Do you want to restore initial state? [Y/n] ");
        fflush(stdout);
        if (!fgets(line, sizeof(line), stdin))
                return true;
        return strcmp(line, "n\n") != 0 && strcmp(line, "N\n") != 0;
}

static int revert(Converter *converter) {
        if (policy_conversion_undo(&converter->conversion, stderr) == 0)
                printf("Conversion reverted.\n");
        return STATUS_FAILED;
}

static int lock(Converter *converter) {
        converter->lock_fd = open(converter->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (converter->lock_fd < 0 || flock(converter->lock_fd, LOCK_EX) < 0) {
                fprintf(stderr, "%s: %s\n", converter->directory, strerror(errno));
                return STATUS_FAILED;
        }
        return STATUS_DONE;
}

static int convert(Converter *converter) {
        bool is_same;
        int r;

        printf("Initiating policy conversion process...\n");
        r = lock(converter);
        r = r ?: load_system(converter);
        r = r ?: load_policy(converter, false, &converter->before);
        r = r ?: draw(converter, converter->before, &converter->old_graph);
        if (r)
                return r;
        printf("Converting old policy files into new format files....\n");
        r = load_policy(converter, true, &converter->others);
        r = r
                    ?: policy_conversion_plan(converter->directory, converter->legacy, converter->before,
                                              converter->others, stdout, &converter->conversion);
        if (r)
                return r;
        fflush(stdout);
        r = policy_conversion_apply(&converter->conversion, stdout);
        r = r ?: compare(converter, &is_same);
        if (r) {
                (void)revert(converter);
                return r;
        }
        if (!is_same && (!converter->after || ask_to_restore()))
                return revert(converter);
        printf("Successfully converted old policy to new format.\n");
        return STATUS_DONE;
}

static int parse_options(int argc, char **argv, Converter *converter) {
        static const struct option known[] = {
                { "help", no_argument, NULL, 'h' },
                { "policy-dir", required_argument, NULL, 'p' },
                { "legacy-dir", required_argument, NULL, 'l' },
                { "system-info", required_argument, NULL, 's' },
                { "inventory", required_argument, NULL, 'i' },
                {},
        };
        int option;

        opterr = 0;
        while ((option = getopt_long(argc, argv, ":h", known, NULL)) >= 0)
                switch (option) {
                case 'h':
                        converter->wants_help = true;
                        return STATUS_DONE;
                case 'p':
                        converter->directory = optarg;
                        break;
                case 'l':
                        converter->legacy = optarg;
                        break;
                case 's':
                        converter->system_info = optarg;
                        break;
                case 'i':
                        converter->inventory = optarg;
                        break;
                case ':':
                        return complain("expected one argument: ", argv[optind - 1]);
                default:
                        return complain("unrecognized arguments: ", argv[optind - 1]);
                }
        return optind < argc ? complain("unrecognized arguments: ", argv[optind]) : STATUS_DONE;
}

int main(int argc, char **argv) {
        _cleanup_(converter_deinit) Converter converter = { .directory = PATHS_POLICY_DIR,
                                                            .legacy = POLICY_LEGACY_DIRECTORY,
                                                            .inventory = PATHS_DOMAINS_DIR,
                                                            .lock_fd = -1 };
        int status;

        log_open("qrexec-legacy-convert", false);
        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        status = parse_options(argc, argv, &converter);
        if (status != STATUS_DONE)
                return status;
        if (converter.wants_help)
                return help();
        status = convert(&converter);
        if (status < 0)
                fprintf(stderr, "qrexec-legacy-convert: %s\n", strerror(-status));
        return status < 0 ? STATUS_FAILED : status;
}
