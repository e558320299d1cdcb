/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/doctor.h"

#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "tools/command.h"

/* In the order in which one would mend: what others need comes first. */
static int (*const checks[])(Doctor *doctor) = {
        doctor_check_files,    doctor_check_inventory, doctor_check_accounts, doctor_check_pam,    doctor_check_policy,
        doctor_check_services, doctor_check_ssh,       doctor_check_kernel,   doctor_check_limits, doctor_check_running,
};

char *doctor_edit_command(const char *path, unsigned line) {
        char place[16];

        if (line == 0)
                return report_command("${EDITOR:-vi} %", path);
        snprintf(place, sizeof(place), "+%u", line);
        return report_command("${EDITOR:-vi} % %", place, path);
}

static int help(void) {
        printf("Usage: qair doctor [--json]\n"
               "\n"
               "Look at this installation: accounts, folders, configuration, what runs, the kernel.\n"
               "Prints what is wrong and below it the command that mends it; changes nothing.\n"
               "\n"
               "  --json  for programs\n"
               "\n"
               "The status is 1 if there are errors or warnings. See qair(1).\n");
        return COMMAND_STATUS_DONE;
}

/* Return: COMMAND_STATUS_DONE to go on, or what to leave with; *@ret_help: help was asked for. */
static int parse_options(int argc, char **argv, bool *ret_json, bool *ret_help) {
        static const struct option known[] = {
                { "json", no_argument, NULL, 'j' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int option;

        opterr = 0;
        optind = 1;
        while ((option = getopt_long(argc, argv, "h", known, NULL)) >= 0)
                switch (option) {
                case 'j':
                        *ret_json = true;
                        break;
                case 'h':
                        *ret_help = true;
                        break;
                default:
                        return command_complain_option(option, argv, "doctor");
                }
        if (optind < argc) {
                command_complain("doctor: '%s' is one argument too many", ESCAPED(argv[optind], strlen(argv[optind])));
                return COMMAND_STATUS_USAGE;
        }
        return COMMAND_STATUS_DONE;
}

static int examine(Doctor *doctor) {
        const struct passwd *broker = getpwnam(INVENTORY_ACCOUNT_BROKER);

        doctor->broker_uid = broker ? broker->pw_uid : (uid_t)-1;
        doctor->broker_gid = broker ? broker->pw_gid : (gid_t)-1;
        doctor->has_systemd = access("/run/systemd/system", F_OK) == 0;
        for (size_t i = 0; i < ARRAY_SIZE(checks); ++i) {
                int r = checks[i](doctor);

                if (r)
                        return error_fold(r);
        }
        return 0;
}

int command_doctor(int argc, char **argv) {
        _cleanup_(report_deinit) Report report = REPORT_INIT;
        Doctor doctor = {
                .etc_dir = QAIR_CONFDIR,
                .domains_dir = PATHS_DOMAINS_DIR,
                .policy_dir = PATHS_POLICY_DIR,
                .rpc_dir = QAIR_RPCDIR,
                .run_dir = PATHS_RUN_DIR,
                .libexec_dir = QAIR_LIBEXECDIR,
                .share_dir = QAIR_SHAREDIR,
                .report = &report,
                .policy_gid = (gid_t)-1,
        };
        bool json = false, wants_help = false;
        int r;

        r = parse_options(argc, argv, &json, &wants_help);
        if (r)
                return r;
        if (wants_help)
                return help();
        if (command_paths()->is_user) {
                command_complain("doctor: looks at the host's installation, not at a user's: leave out --user");
                return COMMAND_STATUS_USAGE;
        }
        if (geteuid() != 0) {
                command_complain("doctor: much of this can only root see: run it as root");
                return COMMAND_STATUS_FAILED;
        }

        r = examine(&doctor);
        policy_unref(doctor.policy);
        inventory_free(doctor.inventory);
        if (!r && json)
                r = report_print_json(&report);
        else if (!r)
                report_print(&report);
        if (r)
                return error_trace(r);
        return report.n_of_level[FINDING_ERROR] + report.n_of_level[FINDING_WARNING] > 0 ? COMMAND_STATUS_FAILED
                                                                                         : COMMAND_STATUS_DONE;
}
