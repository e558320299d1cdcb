/* SPDX-License-Identifier: Apache-2.0 */
/* qubes-policy-lint: check policy files line by line (policy specification, 9.4). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "policy-tools/check.h"
#include "policy/policy.h"

enum {
        STATUS_DONE = 0,
        STATUS_ERRORS = 1,
        STATUS_USAGE = 2,
};

static const char usage[] = "usage: qubes-policy-lint [-h] [-s] [-i] FILE [FILE ...]\n";

/** Where files that an old one includes may be. */
static const char *const directories[] = { PATHS_POLICY_DIR, POLICY_LEGACY_DIRECTORY, NULL };

static int complain(const char *text, const char *about) {
        fprintf(stderr, "%squbes-policy-lint: error: %s%s\n", usage, text, about);
        return STATUS_USAGE;
}

static int help(void) {
        printf("%s"
               "\n"
               "Check policy files, each line by itself. '-' is standard input.\n"
               "\n"
               "  -h, --help             this text\n"
               "  -s, --show-line        show the line with each error\n"
               "  -i, --include-service  the files are in the format of files for !include-service\n",
               usage);
        return STATUS_DONE;
}

/* Standard input, which need not be a file. Return: 0, FILE_E_…, or a negative error */
static int read_standard_input(char **ret_data, size_t *ret_n) {
        int r = fd_read_all(STDIN_FILENO, POLICY_FILE_SIZE_MAX, ret_data, ret_n);

        if (r == -ENOMEM)
                return error_origin(r);
        return r < 0 ? FILE_E_UNREADABLE : r > 0 ? FILE_E_TOO_LARGE : 0;
}

static int check_file(const PolicyCheckOptions *options, const char *path, size_t *n_errors) {
        _cleanup_free_ char *data = NULL;
        size_t n = 0, n_found = 0;
        int r;

        if (strcmp(path, "-") == 0)
                r = read_standard_input(&data, &n);
        else
                r = file_read(AT_FDCWD, path, POLICY_FILE_SIZE_MAX, &data, &n);
        if (r < 0)
                return error_trace(r);
        if (r > 0) {
                printf("%s:0: error: %s\n", path, r == FILE_E_NOT_FOUND ? "File does not exist." : file_error_text(r));
                ++*n_errors;
                return 0;
        }
        r = policy_check(stdout, stderr, options, path, (PolicySlice){ data, n }, &n_found);
        *n_errors += n_found;
        return error_trace(r);
}

static int run(int argc, char **argv) {
        static const struct option known[] = {
                { "help", no_argument, NULL, 'h' },
                { "show-line", no_argument, NULL, 's' },
                { "include-service", no_argument, NULL, 'i' },
                {},
        };
        PolicyCheckOptions options = { .directories = directories };
        size_t n_errors = 0;
        int option, r = 0;

        opterr = 0;
        while ((option = getopt_long(argc, argv, ":hsi", known, NULL)) >= 0)
                switch (option) {
                case 'h':
                        return help();
                case 's':
                        options.shows_line = true;
                        break;
                case 'i':
                        options.is_old = true;
                        break;
                default:
                        return complain("unrecognized arguments: ", argv[optind - 1]);
                }
        if (optind == argc)
                return complain("the following arguments are required: FILE", "");
        for (int i = optind; i < argc && r == 0; ++i)
                r = check_file(&options, argv[i], &n_errors);
        if (r < 0)
                return r;
        return n_errors > 0 ? STATUS_ERRORS : STATUS_DONE;
}

int main(int argc, char **argv) {
        int status;

        log_open("qubes-policy-lint", false);
        if (fd_ensure_standard() < 0)
                return STATUS_ERRORS;
        status = run(argc, argv);
        if (status < 0 || fflush(stdout) != 0 || ferror(stdout)) {
                fprintf(stderr, "qubes-policy-lint: %s\n", status < 0 ? strerror(-status) : "cannot write");
                return STATUS_ERRORS;
        }
        return status;
}
