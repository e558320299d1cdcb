/* SPDX-License-Identifier: Apache-2.0 */
/* qubesdb-read, -multiread, -list, -write, -rm, -watch (QubesDB specification, 4). */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "base/number.h"
#include "qubesdb/client.h"

enum {
        STATUS_OK = 0,
        STATUS_FAILED = 1,
        STATUS_ABSENT = 2,
        STATUS_BOOL_FAILED = 3,
};

static const char usage[] =
        "Usage: qubesdb-COMMAND [OPTION]… ARGUMENT…\n"
        "       qubesdb-cmd -c COMMAND [OPTION]… ARGUMENT…\n"
        "\n"
        "  read PATH…         print values            multiread PREFIX…  print entries below it\n"
        "  list PREFIX        print paths below it    watch PATH…        wait for changes\n"
        "  write PATH VALUE…  change entries          rm PATH…           remove them\n"
        "  read-bool PATH [N] say nothing: status 0 if the value is not empty, 1 if it is, N (2) if there is none\n"
        "\n"
        "  -d DOMAIN   the entries of DOMAIN (on the host)\n"
        "  -f          print full paths\n"
        "  -r          print raw values\n"
        "  -q          no error messages\n"
        "  -w          read: wait until the entry exists\n"
        "  -x          read: remove the entry after reading\n"
        "  -e VALUE, --default=VALUE\n"
        "              read: print VALUE if the entry does not exist\n"
        "  -n N        watch: end after N changes (1); negative: never\n"
        "  -h          show this help\n";

static const char *arg_domain, *arg_default;
static bool arg_full, arg_raw, arg_quiet, arg_wait, arg_remove;
static long arg_n = 1;
static bool arg_has_n;

static void complain(const char *format, ...) _printf_(1, 2);
static void complain(const char *format, ...) {
        va_list arguments;

        if (arg_quiet)
                return;
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
}

static void print_value(const char *value, size_t n) {
        for (size_t i = 0; i < n; ++i) {
                unsigned char c = (unsigned char)value[i];

                if (!arg_raw && (c < 0x20 || c > 0x7f))
                        printf("\\x%02x", c);
                else
                        putchar(c);
        }
        putchar('\n');
}

/* Until it is there: watched before it is looked for, lest a change fall between the two. */
static int read_waiting(QubesdbClient *client, const char *path, char **ret_value, size_t *ret_n) {
        int r;

        r = qubesdb_client_watch(client, path);
        while (!r) {
                QubesdbPath changed;

                r = qubesdb_client_read(client, path, ret_value, ret_n);
                if (r != QUBESDB_CLIENT_E_NONE)
                        return r;
                r = qubesdb_client_next(client, &changed);
        }
        return r;
}

static int read_one(QubesdbClient *client, const char *path) {
        _cleanup_free_ char *value = NULL;
        size_t n;
        int r;

        r = path[0] != '/' ? QUBESDB_CLIENT_E_PATH
            : arg_wait     ? read_waiting(client, path, &value, &n)
                           : qubesdb_client_read(client, path, &value, &n);
        if (r == QUBESDB_CLIENT_E_NONE && arg_default) {
                print_value(arg_default, strlen(arg_default));
                return STATUS_OK;
        }
        if (r) {
                complain("Failed to read %s%s%s", path, r == QUBESDB_CLIENT_E_NONE ? "" : ": ",
                         r == QUBESDB_CLIENT_E_NONE ? "" : qubesdb_client_error_text(r));
                return r == QUBESDB_CLIENT_E_NONE ? STATUS_ABSENT : STATUS_FAILED;
        }
        if (arg_full)
                printf("%s = ", path);
        print_value(value, n);
        if (arg_remove && qubesdb_client_remove(client, path)) {
                complain("Failed to remove %s", path);
                return STATUS_FAILED;
        }
        return STATUS_OK;
}

static int do_read(QubesdbClient *client, int argc, char **argv) {
        int status = STATUS_OK;

        for (int i = 0; i < argc; ++i) {
                int s = read_one(client, argv[i]);

                if (s == STATUS_FAILED || status == STATUS_OK)
                        status = s;
        }
        return status;
}

static int print_entry(void *userdata, const QubesdbPath *path, const char *value, size_t n_value) {
        const char *prefix = userdata;

        fputs(arg_full ? path->text : path->text + strlen(prefix), stdout);
        if (value) {
                fputs(" = ", stdout);
                print_value(value, n_value);
        } else {
                putchar('\n');
        }
        return 0;
}

static int do_multiread(QubesdbClient *client, int argc, char **argv) {
        for (int i = 0; i < argc; ++i) {
                int r = qubesdb_client_multiread(client, argv[i], print_entry, argv[i]);

                if (r) {
                        complain("Failed to read %s: %s", argv[i], qubesdb_client_error_text(r));
                        return STATUS_FAILED;
                }
        }
        return STATUS_OK;
}

static int do_list(QubesdbClient *client, int argc, char **argv) {
        int r;

        if (argc != 1) {
                complain("qubesdb-list takes one prefix");
                return STATUS_FAILED;
        }
        r = qubesdb_client_list(client, argv[0], print_entry, argv[0]);
        if (r)
                complain("Failed to list %s: %s", argv[0], qubesdb_client_error_text(r));
        return r ? STATUS_FAILED : STATUS_OK;
}

static int do_write(QubesdbClient *client, int argc, char **argv) {
        int status = STATUS_OK;

        if (argc % 2 != 0) {
                complain("qubesdb-write takes pairs of a path and a value");
                return STATUS_FAILED;
        }
        for (int i = 0; i < argc; i += 2) {
                int r = qubesdb_client_write(client, argv[i], argv[i + 1], strlen(argv[i + 1]));

                if (!r)
                        continue;
                complain("Failed to write %s: %s%s", argv[i], qubesdb_client_error_text(r),
                         r == QUBESDB_CLIENT_E_REFUSED && !arg_domain ? " (only the host writes: there, as root)" : "");
                status = STATUS_FAILED;
        }
        return status;
}

static int do_remove(QubesdbClient *client, int argc, char **argv) {
        int status = STATUS_OK;

        for (int i = 0; i < argc; ++i) {
                int r = qubesdb_client_remove(client, argv[i]);

                if (!r)
                        continue;
                complain("Failed to remove %s: %s", argv[i], qubesdb_client_error_text(r));
                status = STATUS_FAILED;
        }
        return status;
}

static int do_watch(QubesdbClient *client, int argc, char **argv) {
        if (arg_n == 0 || argc == 0)
                return STATUS_OK;
        for (int i = 0; i < argc; ++i) {
                int r = qubesdb_client_watch(client, argv[i]);

                if (r) {
                        complain("Failed to watch %s: %s", argv[i], qubesdb_client_error_text(r));
                        return STATUS_FAILED;
                }
        }
        for (long i = 0; arg_n < 0 || i < arg_n; ++i) {
                QubesdbPath path;
                int r = qubesdb_client_next(client, &path);

                if (r) {
                        complain("Failed to watch: %s", qubesdb_client_error_text(r));
                        return STATUS_FAILED;
                }
                puts(path.text);
                if (fflush(stdout) != 0)
                        return STATUS_FAILED;
        }
        return STATUS_OK;
}

/* No output: the status is the value. The name that the specification gives it has two dashes. */
static int do_bool(QubesdbClient *client, int argc, char **argv) {
        _cleanup_free_ char *value = NULL;
        uint64_t absent = STATUS_ABSENT;
        size_t n;
        int r;

        if (argc < 1 || argc > 2 || (argc == 2 && number_parse(argv[1], strlen(argv[1]), 0, 255, &absent)))
                return STATUS_BOOL_FAILED;
        r = qubesdb_client_read(client, argv[0], &value, &n);
        if (r)
                return r == QUBESDB_CLIENT_E_NONE ? (int)absent : STATUS_BOOL_FAILED;
        return n > 0 ? STATUS_OK : STATUS_FAILED;
}

static const struct Command {
        const char *name;
        int (*run)(QubesdbClient *client, int argc, char **argv);
} commands[] = {
        { "read", do_read },   { "multiread", do_multiread }, { "list", do_list },   { "bool", do_bool },
        { "write", do_write }, { "rm", do_remove },           { "watch", do_watch },
};

static const struct Command *find_command(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(commands); ++i)
                if (strcmp(commands[i].name, name) == 0)
                        return &commands[i];
        return NULL;
}

static bool parse_count(const char *text) {
        bool is_negative = text[0] == '-';
        uint64_t value;

        if (number_parse(text + is_negative, strlen(text) - is_negative, 0, INT32_MAX, &value))
                return false;
        arg_n = is_negative && value > 0 ? -1 : (long)value;
        arg_has_n = true;
        return true;
}

/* Return: -1 to go on, or the exit status. */
static int parse_options(int argc, char **argv) {
        static const struct option options[] = { { "default", required_argument, NULL, 'e' }, {} };
        DomainName domain;
        int option;

        while ((option = getopt_long(argc, argv, "d:frqwxe:n:h", options, NULL)) >= 0) {
                switch (option) {
                case 'd':
                        if (domain_name_parse(optarg, strlen(optarg), &domain)) {
                                fprintf(stderr, "%s is not the name of a domain\n", optarg);
                                return STATUS_FAILED;
                        }
                        arg_domain = optarg;
                        break;
                case 'f':
                        arg_full = true;
                        break;
                case 'r':
                        arg_raw = true;
                        break;
                case 'q':
                        arg_quiet = true;
                        break;
                case 'w':
                        arg_wait = true;
                        break;
                case 'x':
                        arg_remove = true;
                        break;
                case 'e':
                        arg_default = optarg;
                        break;
                case 'n':
                        if (!parse_count(optarg)) {
                                fputs("-n takes a number\n", stderr);
                                return STATUS_FAILED;
                        }
                        break;
                case 'h':
                        fputs(usage, stderr);
                        return STATUS_OK;
                default:
                        fputs(usage, stderr);
                        return STATUS_FAILED;
                }
        }
        return -1;
}

static int run(const struct Command *command, int argc, char **argv) {
        _cleanup_(qubesdb_client_closep) QubesdbClient *client = NULL;
        int status = parse_options(argc, argv);

        if (status >= 0)
                return status;
        argc -= optind;
        argv += optind;
        if (arg_default && (command->run != do_read || argc != 1)) {
                fputs("--default is for reading one path\n", stderr);
                return STATUS_FAILED;
        }
        if (arg_has_n && command->run != do_watch) {
                fputs("-n is for watching\n", stderr);
                return STATUS_FAILED;
        }
        if (qubesdb_client_open(arg_domain, &client)) {
                complain("Failed connect to %s daemon: %s", arg_domain ?: "local", strerror(errno));
                return command->run == do_bool ? STATUS_BOOL_FAILED : STATUS_FAILED;
        }
        status = command->run(client, argc, argv);
        return fflush(stdout) == 0 ? status : STATUS_FAILED;
}

int main(int argc, char **argv) {
        const char *dash = strrchr(argc > 0 ? argv[0] : "", '-');
        const struct Command *command = dash ? find_command(dash + 1) : NULL;

        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        log_open("qubesdb-cmd", false);
        if (!command && argc >= 3 && strcmp(argv[1], "-c") == 0) {
                command = find_command(argv[2]);
                argv += 2;
                argc -= 2;
        }
        if (!command || argc < 2) {
                fputs(usage, stderr);
                return command && command->run == do_bool ? STATUS_BOOL_FAILED : STATUS_OK;
        }
        return run(command, argc, argv);
}
