/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-host-call: run one service of the host. qrexec-daemon(8) and qrexec-client(1) start it for a caller in a domain
 * whose call was allowed, and qrexec-client for one on the host; it is no command for people.
 */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/hostcall.h"
#include "agent/lookup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"

enum {
        STATUS_DONE = 0,
        STATUS_USAGE = 2,
        STATUS_FAILED = 125,
};

/** What `qrexec-client` runs commands with that are no services (protocol specification, 6.9). */
#define HOST_SHELL "/bin/bash"

static bool arg_here;
static HostCallHere arg_how = HOST_CALL_HERE_BECOME;
static bool arg_status;
static bool arg_shell;
static uint64_t arg_wait_sec = HOST_CALL_DIAL_SEC;

static int usage(FILE *stream, int status) {
        (void)fputs("Usage: qrexec-host-call [--wait=SEC] [--status] [--shell] DOMAIN-ID PORT COMMAND\n"
                    "       qrexec-host-call --here[=wait|=check] COMMAND\n"
                    "Run a service of the host for a domain that listens at PORT, or with our own input and output\n"
                    "(for qrexec-daemon(8) and qrexec-client(1)).\n",
                    stream);
        return status;
}

/* Return: 0 or a status */
static int parse_options(int argc, char **argv) {
        enum { OPTION_HERE = 256, OPTION_WAIT, OPTION_STATUS, OPTION_SHELL };
        static const struct option options[] = {
                { "here", optional_argument, NULL, OPTION_HERE },
                { "wait", required_argument, NULL, OPTION_WAIT },
                { "status", no_argument, NULL, OPTION_STATUS },
                { "shell", no_argument, NULL, OPTION_SHELL },
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
                switch (option) {
                case OPTION_HERE:
                        arg_here = true;
                        if (optarg && strcmp(optarg, "wait") == 0)
                                arg_how = HOST_CALL_HERE_WAIT;
                        else if (optarg && strcmp(optarg, "check") == 0)
                                arg_how = HOST_CALL_HERE_CHECK;
                        else if (optarg)
                                return usage(stderr, STATUS_USAGE);
                        break;
                case OPTION_WAIT:
                        if (number_parse(optarg, strlen(optarg), 0, INT_MAX, &arg_wait_sec))
                                return usage(stderr, STATUS_USAGE);
                        break;
                case OPTION_STATUS:
                        arg_status = true;
                        break;
                case OPTION_SHELL:
                        arg_shell = true;
                        break;
                default:
                        return usage(stderr, STATUS_USAGE);
                }
        }
        return argc - optind == (arg_here ? 1 : 3) ? 0 : usage(stderr, STATUS_USAGE);
}

static const char *environment_or(const char *variable, const char *otherwise) {
        const char *value = getenv(variable);

        return value && *value ? value : otherwise;
}

static int serve_domain(const ServiceSettings *settings, char **words) {
        uint64_t source, port;
        VchanPlace place;
        int status;

        if (number_parse(words[0], strlen(words[0]), 1, INT_MAX, &source) ||
            number_parse(words[1], strlen(words[1]), 1, INT_MAX, &port))
                return usage(stderr, STATUS_USAGE);
        if (vchan_place_init(getenv("VCHAN_SOCKET_DIR"), getenv("VCHAN_DOMAIN"), &place)) {
                log_error("VCHAN_DOMAIN is no domain's id: a decimal number is wanted");
                return STATUS_FAILED;
        }
        if (host_call_run(settings, &place, (uint32_t)source, (uint32_t)port, arg_wait_sec * USEC_PER_SEC, words[2],
                          &status))
                return STATUS_FAILED;
        return arg_status ? status : STATUS_DONE;
}

int main(int argc, char **argv) {
        ServiceSettings settings = { .environment = environ };
        sigset_t signals;
        int r;

        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        log_open("qrexec-host-call", false);
        r = parse_options(argc, argv);
        if (r)
                return r;
        settings.service_path = environment_or("QREXEC_SERVICE_PATH", LOOKUP_SERVICE_PATH);
        settings.config_path = environment_or("QUBES_RPC_CONFIG_PATH", LOOKUP_CONFIG_PATH);
        settings.shell_program = HOST_SHELL;
        settings.shell = arg_shell;
        spawn_find_signals(&signals);
        sigaddset(&signals, SIGPIPE);
        settings.signals = &signals;
        return arg_here ? host_call_here(&settings, argv[optind], arg_how) : serve_domain(&settings, argv + optind);
}
