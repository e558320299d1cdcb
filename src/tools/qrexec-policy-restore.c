/* SPDX-License-Identifier: Apache-2.0 */
/* qrexec-policy-restore: copy a saved policy directory into the one in use (policy specification, 9.7). */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "policy-tools/restore.h"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
};

static const char usage[] = "usage: qrexec-policy-restore [-h] [--dest DIR] DIRECTORY\n";

static int complain(const char *text, const char *about) {
        fprintf(stderr, "%sqrexec-policy-restore: error: %s%s\n", usage, text, about);
        return STATUS_USAGE;
}

static int help(void) {
        printf("%s"
               "\n"
               "Copy the policy files saved in DIRECTORY, and in its folder include, to where they count. Files that\n"
               "exist there are left alone; nothing is copied unless the whole policy loads with them.\n"
               "\n"
               "  --dest DIR  where to (" QAIR_CONFDIR "/policy.d)\n",
               usage);
        return STATUS_DONE;
}

static int run(const char *directory, const char *dest) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r = policy_restore(directory, dest, NULL, stderr, &diagnostics);

        if (r < 0)
                fprintf(stderr, "qrexec-policy-restore: %s\n", strerror(-r));
        for (size_t i = 0; i < diagnostics.n_entries; ++i) {
                _cleanup_free_ char *line = diagnostic_format(&diagnostics.entries[i]);

                fprintf(stderr, "%s\n", line ?: "out of memory");
        }
        return r == 0 ? STATUS_DONE : STATUS_FAILED;
}

int main(int argc, char **argv) {
        static const struct option known[] = {
                { "help", no_argument, NULL, 'h' },
                { "dest", required_argument, NULL, 'd' },
                {},
        };
        const char *dest = PATHS_POLICY_DIR;
        int option;

        log_open("qrexec-policy-restore", false);
        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        opterr = 0;
        while ((option = getopt_long(argc, argv, ":h", known, NULL)) >= 0)
                switch (option) {
                case 'h':
                        return help();
                case 'd':
                        dest = optarg;
                        break;
                case ':':
                        return complain("expected one argument: ", argv[optind - 1]);
                default:
                        return complain("unrecognized arguments: ", argv[optind - 1]);
                }
        if (optind == argc)
                return complain("the following arguments are required: DIRECTORY", "");
        if (argc - optind > 1)
                return complain("unrecognized arguments: ", argv[optind + 1]);
        return run(argv[optind], dest);
}
