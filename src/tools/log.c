/* SPDX-License-Identifier: Apache-2.0 */
/* `qair log`: the audit records, filtered. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/number.h"
#include "tools/ask.h"
#include "tools/command.h"
#include "tools/log-filter.h"
#include "tools/log-source.h"

#define LOG_FILE    "audit.jsonl"
#define LOG_JOURNAL "/run/systemd/journal/socket"

typedef struct LogOptions {
        LogFilter filter;
        const char *file; /* NULL: where the broker writes */
        bool json, follow, help;
} LogOptions;

static int help(void) {
        printf("Usage: qair log [OPTION ...]\n"
               "The audit: who called what where, what was decided, and how it ended.\n"
               "\n"
               "  --call=ID         one call\n"
               "  --domain=NAME     calls from it, to it, or through it\n"
               "  --service=NAME    calls of that service\n"
               "  --outcome=WHICH   ok, failed, refused\n"
               "  --since=TIME      '2026-11-22 14:00', or how long ago: 90s, 5min, 2h, 3d\n"
               "  --until=TIME      likewise\n"
               "  -f, --follow      go on with what comes\n"
               "  --json            a line of JSON for each record\n"
               "  --file=FILE       read FILE, such as one that was rotated away\n"
               "\n"
               "See qair(1), qair-audit(7).\n");
        return COMMAND_STATUS_DONE;
}

static int complain_value(const char *option, const char *value, const char *remedy) {
        command_complain("--%s=%s: write %s", option, ESCAPED(value, strlen(value)), remedy);
        return COMMAND_STATUS_USAGE;
}

static int parse_time(const char *option, const char *text, char ret_time[static CLOCK_TEXT_MAX]) {
        if (log_filter_parse_time(text, clock_realtime(), ret_time) == 0)
                return COMMAND_STATUS_DONE;
        return complain_value(option, text, "a time such as '2026-11-22 14:00', or how long ago, such as 5min");
}

static int parse_option(int option, char **argv, LogOptions *options) {
        uint64_t number;

        switch (option) {
        case 'c':
                if (number_parse(optarg, strlen(optarg), 1, UINT32_MAX, &number))
                        return complain_value("call", optarg, "the number of a call");
                options->filter.call = (uint32_t)number;
                return COMMAND_STATUS_DONE;
        case 'd':
                options->filter.domain = optarg;
                return COMMAND_STATUS_DONE;
        case 's':
                options->filter.service = optarg;
                return COMMAND_STATUS_DONE;
        case 'o':
                if (log_filter_set_outcome(&options->filter, optarg))
                        return complain_value("outcome", optarg, "ok, failed or refused");
                return COMMAND_STATUS_DONE;
        case 'S':
                return parse_time("since", optarg, options->filter.since);
        case 'U':
                return parse_time("until", optarg, options->filter.until);
        case 'F':
                options->file = optarg;
                return COMMAND_STATUS_DONE;
        case 'f':
                options->follow = true;
                return COMMAND_STATUS_DONE;
        case 'j':
                options->json = true;
                return COMMAND_STATUS_DONE;
        case 'h':
                options->help = true;
                return COMMAND_STATUS_DONE;
        default:
                return command_complain_option(option, argv, "log");
        }
}

static int parse_options(int argc, char **argv, LogOptions *options) {
        static const struct option known[] = {
                { "call", required_argument, NULL, 'c' },
                { "domain", required_argument, NULL, 'd' },
                { "service", required_argument, NULL, 's' },
                { "outcome", required_argument, NULL, 'o' },
                { "since", required_argument, NULL, 'S' },
                { "until", required_argument, NULL, 'U' },
                { "file", required_argument, NULL, 'F' },
                { "follow", no_argument, NULL, 'f' },
                { "json", no_argument, NULL, 'j' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int option;

        opterr = 0;
        optind = 1;
        while ((option = getopt_long(argc, argv, ":fh", known, NULL)) >= 0) {
                int r = parse_option(option, argv, options);

                if (r)
                        return r;
        }
        if (optind < argc) {
                command_complain("log: '%s' is one argument too many", ESCAPED(argv[optind], strlen(argv[optind])));
                return COMMAND_STATUS_USAGE;
        }
        return COMMAND_STATUS_DONE;
}

/* Texts of a record were escaped when it was made; a file that somebody else made is escaped once more. */
static void print_text(const char *before, const char *text) {
        char escaped[ESCAPE_MAX(1024)];
        size_t n = strnlen(text, 1024);

        for (size_t i = 0; i < n; ++i)
                if (text[i] < 0x20 || text[i] == 0x7f) {
                        printf("%s%s", before, escape(escaped, sizeof(escaped), text, n));
                        return;
                }
        printf("%s%.*s", before, (int)n, text);
}

static void print_time(const char *text) {
        struct tm tm = {}, local;
        const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
        char date[32];
        time_t sec;

        if (!rest) {
                print_text("", text);
                return;
        }
        sec = timegm(&tm);
        if (localtime_r(&sec, &local) && strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &local) > 0)
                printf("%s%.4s", date, rest[0] == '.' ? rest : ".000");
}

static void print_outcome(struct json_object *record) {
        const char *event = ask_text(record, "event");
        char usec[32];

        if (strcmp(event, "start") == 0) {
                print_text("  allowed", "");
                if (ask_text(record, "rule")[0])
                        print_text(" by ", ask_text(record, "rule"));
        } else if (strcmp(event, "end") == 0) {
                print_text("  ended: ", ask_text(record, "how"));
                if (json_object_object_get_ex(record, "status", NULL))
                        printf(", status %llu", (unsigned long long)ask_number(record, "status"));
                if (json_object_object_get_ex(record, "run_usec", NULL))
                        printf(", ran %s", ask_duration(ask_number(record, "run_usec"), usec));
                if (ask_text(record, "reason")[0])
                        print_text(": ", ask_text(record, "reason"));
        } else if (strcmp(event, "refused") == 0) {
                print_text("  refused: ", ask_text(record, "reason"));
        } else if (strcmp(event, "lost") == 0) {
                printf("  %llu requests without a record: ", (unsigned long long)ask_number(record, "count"));
                print_text("", ask_text(record, "reason"));
        } else {
                print_text("  ", event);
        }
}

static void print_record(struct json_object *record) {
        const char *source = ask_text(record, "source"), *relay = ask_text(record, "relay");
        const char *target = ask_text(record, "target"), *asked = ask_text(record, "requested_target");

        print_time(ask_text(record, "time"));
        if (json_object_object_get_ex(record, "call_id", NULL))
                printf("  call %llu", (unsigned long long)ask_number(record, "call_id"));
        print_text("  ", source[0] ? source : "?");
        if (relay[0])
                print_text(" by ", relay);
        if (target[0] || asked[0] || json_object_object_get_ex(record, "requested_target", NULL))
                print_text(" -> ", target[0] ? target : asked[0] ? asked : "@default");
        if (ask_text(record, "service")[0])
                print_text("  ", ask_text(record, "service"));
        if (ask_text(record, "argument")[0])
                print_text("+", ask_text(record, "argument"));
        print_outcome(record);
        putchar('\n');
}

static int show(const LogOptions *options, LogSource *source) {
        for (;;) {
                _cleanup_json_ record = NULL;
                int r = log_source_next(source, &record);

                switch (r) {
                case 0:
                        if (!log_filter_matches(&options->filter, record))
                                break;
                        if (!options->json)
                                print_record(record);
                        else if (ask_print_json(record) < 0)
                                return COMMAND_STATUS_FAILED;
                        break;
                case LOG_SOURCE_E_END:
                        if (!options->follow)
                                return COMMAND_STATUS_DONE;
                        /* Whoever reads our output has gone: nobody is left to follow for. */
                        if (fflush(stdout) != 0)
                                return COMMAND_STATUS_FAILED;
                        r = log_source_wait(source);
                        if (r)
                                return error_trace(r);
                        break;
                case LOG_SOURCE_E_FAILED:
                        return COMMAND_STATUS_FAILED;
                default:
                        return error_fold(r);
                }
        }
}

int command_log(int argc, char **argv) {
        _cleanup_(log_source_freep) LogSource *source = NULL;
        LogOptions options = {};
        char file[PATH_MAX + 16];
        int r;

        r = parse_options(argc, argv, &options);
        if (r)
                return r;
        if (options.help)
                return help();
        snprintf(file, sizeof(file), "%s/" LOG_FILE, command_paths()->audit_dir);
        /* As the supervisor chooses where records go. */
        if (!options.file && !command_paths()->is_user && access(LOG_JOURNAL, F_OK) == 0)
                r = log_source_open_journal(&source);
        else
                r = log_source_open_file(options.file ?: file, &source);
        if (r)
                return r > 0 ? COMMAND_STATUS_FAILED : error_trace(r);
        return show(&options, source);
}
