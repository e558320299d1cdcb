/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "ssh/policy.h"

typedef enum Option {
        OPTION_SERVICE = 256,
        OPTION_AGENT,
        OPTION_SOURCE,
        OPTION_CONFIG,
        OPTION_AGENT_SOCKET,
        OPTION_STATE_DIR,
        OPTION_HELPER,
        OPTION_CHECK_CONFIG,
        OPTION_VERSION,
} Option;

static const struct option long_options[] = {
        { "service", no_argument, NULL, OPTION_SERVICE },
        { "agent", required_argument, NULL, OPTION_AGENT },
        { "source", required_argument, NULL, OPTION_SOURCE },
        { "config", required_argument, NULL, OPTION_CONFIG },
        { "agent-socket", required_argument, NULL, OPTION_AGENT_SOCKET },
        { "state-dir", required_argument, NULL, OPTION_STATE_DIR },
        { "helper", required_argument, NULL, OPTION_HELPER },
        { "check-config", no_argument, NULL, OPTION_CHECK_CONFIG },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        {},
};

const char *ssh_options_usage(void) {
        return "Usage: split-ssh-filter --service [--agent NAME]\n"
               "       split-ssh-filter --source NAME --agent NAME [OPTION…]\n"
               "       split-ssh-filter --check-config --source NAME --agent NAME [--config FILE]\n"
               "\n"
               "Stand between a caller's SSH agent protocol on standard input and output and a real ssh-agent or\n"
               "gpg-agent: list and sign what the configuration allows, ask where it says so, refuse all else.\n"
               "\n"
               "  --service            source and agent are those of the call: QREXEC_REMOTE_DOMAIN and\n"
               "                       QREXEC_SERVICE_ARGUMENT\n"
               "  --agent NAME         this agent; a call may then name none\n"
               "  --source NAME        this source (without --service)\n"
               "  --config FILE        this file only, instead of /etc/split-ssh and /rw/config/split-ssh\n"
               "  --agent-socket PATH  this socket, instead of /run/split-ssh/AGENT.sock or gpg-agent's\n"
               "  --state-dir DIR      grants, rates and locks (/run/split-ssh/filter)\n"
               "  --helper PROGRAM     asks and tells people (/usr/lib/split-ssh/split-ssh-prompt)\n"
               "  --check-config       read the configuration and print what holds for source and agent\n"
               "  -h, --help           this text\n"
               "      --version        the version\n"
               "\n"
               "Exit status: 0 done, 1 refused at the start, 2 error in the configuration, 3 no agent protocol,\n"
               "4 the real agent is gone. See split-ssh-filter(1), split-ssh.conf(5).\n";
}

/* Who calls, and which agent is meant (5.1). Return: NULL, or what is wrong. */
static const char *read_call(SshOptions *options) {
        const char *argument = getenv("QREXEC_SERVICE_ARGUMENT") ?: "";

        if (options->source)
                return "--service takes the source from the call: leave out --source";
        options->source = getenv("QREXEC_REMOTE_DOMAIN");
        options->service = getenv("QREXEC_SERVICE_FULL_NAME") ?: "";
        if (!options->source)
                return "QREXEC_REMOTE_DOMAIN is not set: --service is for services that were called";
        if (options->agent && *argument != '\0')
                return "this service takes no argument";
        options->agent = options->agent ?: argument;
        return NULL;
}

int ssh_options_parse(int argc, char **argv, SshOptions *ret_options, const char **reterr_message) {
        SshOptions options = { .service = "" };
        const char *message = NULL;
        int c;

        optind = 0;
        opterr = 0;
        while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0) {
                switch (c) {
                case OPTION_SERVICE:
                        options.is_service = true;
                        break;
                case OPTION_AGENT:
                        options.agent = optarg;
                        break;
                case OPTION_SOURCE:
                        options.source = optarg;
                        break;
                case OPTION_CONFIG:
                        options.config = optarg;
                        break;
                case OPTION_AGENT_SOCKET:
                        options.agent_socket = optarg;
                        break;
                case OPTION_STATE_DIR:
                        options.state_dir = optarg;
                        break;
                case OPTION_HELPER:
                        options.helper = optarg;
                        break;
                case OPTION_CHECK_CONFIG:
                        options.check_config = true;
                        break;
                case 'h':
                        return SSH_OPTIONS_E_HELP;
                case OPTION_VERSION:
                        return SSH_OPTIONS_E_VERSION;
                default:
                        message = "unknown option, or one without its value: see --help";
                        break;
                }
        }
        if (!message && optind < argc)
                message = "there are only options: see --help";
        if (!message && options.is_service)
                message = read_call(&options);
        if (!message && (!options.source || !ssh_source_name_is_valid(options.source)))
                message = options.is_service ? "the caller's name is no domain's" : "--source takes a domain's name";
        if (!message && (!options.agent || !ssh_agent_name_is_valid(options.agent)))
                message = options.is_service
                                  ? "the service's argument must be the name of an agent"
                                  : "--agent takes a letter or digit, then letters, digits, _ . -; at most 64";
        if (message) {
                *reterr_message = message;
                return SSH_OPTIONS_E_USAGE;
        }
        *ret_options = options;
        return 0;
}
