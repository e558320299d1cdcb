/* SPDX-License-Identifier: Apache-2.0 */
/* qrexec-policy-exec: ask what policy says to one call (policy specification, 5.13 and 9.1). */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "policy-tools/agentcall.h"
#include "policy-tools/execute.h"
#include "policy-tools/handler.h"
#include "policy-tools/qubesd.h"

#define DIRECTORIES_MAX 16

enum {
        STATUS_ALLOWED = 0,
        STATUS_REFUSED = 1,
        STATUS_USAGE = 2,
};

static const char usage[] = "usage: qrexec-policy-exec [-h] [--assume-yes-for-ask] [--just-evaluate] [--path DIR]...\n"
                            "                          [--system-info PATH] [--inventory DIR]\n"
                            "                          [ID] SOURCE TARGET SERVICE[+ARGUMENT] [IDENT]\n";

/* What was decided goes to the system's log, warnings to whoever called us. */
static void log_text(PolicyLogger logger, const char *text) {
        if (logger == POLICY_LOGGER_POLICY)
                syslog(LOG_INFO, "%s", text);
        else
                fprintf(stderr, "%s\n", text);
}

static int call_agent(const char *guivm, const char *service, const char *params, char **ret_answer) {
        static const PolicyAgentPaths paths = { QAIR_RPCDIR, QAIR_CLIENT_HOST, QAIR_CLIENT };

        return policy_agent_call(&paths, guivm, service, params, ret_answer);
}

static int complain(const char *text, const char *about) {
        fprintf(stderr, "%sqrexec-policy-exec: error: %s%s\n", usage, text, about);
        return STATUS_USAGE;
}

static int help(void) {
        printf("%s"
               "\n"
               "Print what policy says to a call; status 0 if it is allowed.\n"
               "\n"
               "  --assume-yes-for-ask  as if a user who is asked said yes\n"
               "  --just-evaluate       print nothing, ask nobody\n"
               "  --path DIR            rules of this folder; repeat it, the first has precedence\n"
               "  --system-info PATH    the domains: a file with JSON, or a socket like qubesd's\n"
               "  --inventory DIR       the domains: a folder of their files\n"
               "\n"
               "With ID and IDENT, which only qrexec-daemon knows, make the call too (deprecated).\n",
               usage);
        return STATUS_ALLOWED;
}

static bool is_allowed(const char *answer) {
        return strstr(answer, "result=allow") == answer || strstr(answer, "\nresult=allow");
}

/* The form with five arguments, once the call is allowed. Return: the status of the call */
static int execute(const PolicyExecution *execution, const char *answer) {
        _cleanup_(policy_execution_command_deinit) PolicyExecutionCommand command = {};
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r = policy_execution_prepare(execution, answer, &diagnostics, &command);

        for (size_t i = 0; i < diagnostics.n_entries; ++i) {
                _cleanup_free_ char *line = diagnostic_format(&diagnostics.entries[i]);

                fprintf(stderr, "qrexec-policy-exec: %s\n", line ?: "out of memory");
        }
        r = r ?: policy_execution_run(&command);
        if (r < 0)
                fprintf(stderr, "qrexec-policy-exec: %s: %s\n", execution->client, strerror(-r));
        return r < 0 ? STATUS_REFUSED : r;
}

/* @execution: NULL: the answer is printed, or only told by the status */
static int evaluate(const PolicyHandler *handler, PolicySocketRequest *request, char **arguments,
                    const PolicyExecution *execution) {
        _cleanup_free_ char *answer = NULL;
        int r;

        request->request.source = policy_slice(arguments[0]);
        request->request.target = policy_slice(arguments[1]);
        request->request.service = policy_slice(arguments[2]);
        r = policy_handle(handler, request, &answer);
        if (r < 0 || !answer)
                return STATUS_REFUSED;
        if (execution)
                return is_allowed(answer) ? execute(execution, answer) : STATUS_REFUSED;
        if (!request->just_evaluate && (printf("%s\n", answer) < 0 || fflush(stdout) != 0))
                return STATUS_REFUSED;
        return is_allowed(answer) ? STATUS_ALLOWED : STATUS_REFUSED;
}

enum {
        OPTION_ASSUME_YES = 256,
        OPTION_JUST_EVALUATE,
        OPTION_PATH,
        OPTION_SYSTEM_INFO,
        OPTION_INVENTORY,
};

static int run(int argc, char **argv) {
        static const struct option known[] = {
                { "help", no_argument, NULL, 'h' },
                { "assume-yes-for-ask", no_argument, NULL, OPTION_ASSUME_YES },
                { "just-evaluate", no_argument, NULL, OPTION_JUST_EVALUATE },
                { "path", required_argument, NULL, OPTION_PATH },
                { "system-info", required_argument, NULL, OPTION_SYSTEM_INFO },
                { "inventory", required_argument, NULL, OPTION_INVENTORY },
                {},
        };
        const char *directories[DIRECTORIES_MAX] = { PATHS_POLICY_RUN_DIR, PATHS_POLICY_DIR };
        PolicyHandler handler = { .directories = directories,
                                  .usual_inventory = PATHS_DOMAINS_DIR,
                                  .log = log_text,
                                  .call_agent = call_agent };
        PolicyExecution execution = { .qubesd = QUBESD_SOCKET, .client = QAIR_LIBEXECDIR "/qrexec-client" };
        PolicySocketRequest request = {};
        char number[64];
        int option, n;

        opterr = 0;
        while ((option = getopt_long(argc, argv, ":h", known, NULL)) >= 0)
                switch (option) {
                case 'h':
                        return help();
                case OPTION_ASSUME_YES:
                        request.assume_yes_for_ask = true;
                        break;
                case OPTION_JUST_EVALUATE:
                        request.just_evaluate = true;
                        break;
                case OPTION_PATH:
                        if (handler.n_directories == DIRECTORIES_MAX)
                                return complain("too many folders", "");
                        directories[handler.n_directories++] = optarg;
                        break;
                case OPTION_SYSTEM_INFO:
                        handler.system_info = optarg;
                        break;
                case OPTION_INVENTORY:
                        handler.inventory = optarg;
                        break;
                case ':':
                        return complain("expected one argument: ", argv[optind - 1]);
                default:
                        return complain("unrecognized arguments: ", argv[optind - 1]);
                }
        if (handler.n_directories == 0)
                handler.n_directories = 2;
        n = argc - optind;
        if (n != 3 && n != 5) {
                snprintf(number, sizeof(number), "%d", n);
                return complain("Must have 3 or 5 positional arguments, not ", number);
        }
        if (n == 3 || request.just_evaluate)
                return evaluate(&handler, &request, argv + optind + (n == 5), NULL);
        execution.id = argv[optind];
        execution.source = argv[optind + 1];
        execution.target = argv[optind + 2];
        execution.service = argv[optind + 3];
        execution.ident = argv[optind + 4];
        return evaluate(&handler, &request, argv + optind + 1, &execution);
}

int main(int argc, char **argv) {
        log_open("qrexec-policy-exec", false);
        signal(SIGPIPE, SIG_IGN);
        if (fd_ensure_standard() < 0)
                return STATUS_REFUSED;
        return run(argc, argv);
}
