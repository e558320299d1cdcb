/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/relay.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/name.h"
#include "tools/command.h"

static const Command descriptions[] = {
        { "add", "[USER@]HOST --relay NAME --name NAME", "reach a domain on another host" },
        { "authorize", "--domain NAME --key KEY", "let another host call" },
        {},
};

static int help(void) {
        printf("Usage: qair relay VERB [OPTION ...]\n"
               "\n");
        command_list(descriptions);
        printf("\n"
               "add, on the host that calls:\n"
               "  HOST                where: what ssh is told, an alias in the relay's ~/.ssh/config too\n"
               "  --relay NAME        the domain here that reaches it; made if it is not there\n"
               "  --name NAME         the RemoteVM to make: its name here\n"
               "  --remote-name NAME  its name over there, if that is another\n"
               "  --source NAME       who will call, for what is to be run over there; repeatable\n"
               "\n"
               "authorize, on the host that is called:\n"
               "  --domain NAME       the domain, and account, that the other host logs in to; made if it is not "
               "there\n"
               "  --key KEY           the other relay's public key, as `qair relay add` showed it\n"
               "  --source NAME       a domain over there that may be spoken for: a RemoteVM is made; repeatable;\n"
               "                      NAME=NAME_HERE where a domain here has that name\n"
               "\n"
               "Example: qair relay add a-relay@b.example --relay net-relay --name remote-vault --remote-name vault\n"
               "See qair-relay(1), doc/remote.md.\n");
        return COMMAND_STATUS_DONE;
}

enum {
        OPTION_RELAY = 256,
        OPTION_NAME,
        OPTION_REMOTE_NAME,
        OPTION_DOMAIN,
        OPTION_KEY,
        OPTION_SOURCE,
};

static int take_name(const char *option, const char *untrusted_value, const char **ret_value) {
        DomainName name;
        int r = domain_name_parse(untrusted_value, strlen(untrusted_value), &name);

        if (r) {
                command_complain("--%s: '%s' is no domain's name, it %s", option,
                                 ESCAPED(untrusted_value, strlen(untrusted_value)), name_error_text(r));
                return COMMAND_STATUS_USAGE;
        }
        *ret_value = untrusted_value;
        return COMMAND_STATUS_DONE;
}

/* NAME, or NAME=NAME_HERE */
static int take_source(const char *untrusted_value, RelaySource *ret_source) {
        const char *here = strchr(untrusted_value, '=');
        size_t n = here ? (size_t)(here - untrusted_value) : strlen(untrusted_value);
        RelaySource source;
        int r;

        r = domain_name_parse(untrusted_value, n, &source.there);
        source.here = source.there;
        if (!r && here)
                r = domain_name_parse(here + 1, strlen(here + 1), &source.here);
        if (r) {
                command_complain("--source: '%s' is no domain's name, and not two with a '=' between them: one of them "
                                 "%s",
                                 ESCAPED(untrusted_value, strlen(untrusted_value)), name_error_text(r));
                return COMMAND_STATUS_USAGE;
        }
        *ret_source = source;
        return COMMAND_STATUS_DONE;
}

static int take_option(RelayOptions *options, int option, char **argv) {
        switch (option) {
        case OPTION_RELAY:
                return take_name("relay", optarg, &options->relay);
        case OPTION_NAME:
                return take_name("name", optarg, &options->name);
        case OPTION_REMOTE_NAME:
                return take_name("remote-name", optarg, &options->remote_name);
        case OPTION_DOMAIN:
                return take_name("domain", optarg, &options->domain);
        case OPTION_KEY:
                options->key = optarg;
                return COMMAND_STATUS_DONE;
        case OPTION_SOURCE:
                if (options->n_sources == RELAY_SOURCES_MAX) {
                        command_complain("more than %d times --source: call again for the others", RELAY_SOURCES_MAX);
                        return COMMAND_STATUS_USAGE;
                }
                return take_source(optarg, &options->sources[options->n_sources++]);
        default:
                return command_complain_option(option, argv, "relay");
        }
}

static int require(const char *verb, const char *what, const char *value) {
        if (value)
                return COMMAND_STATUS_DONE;
        command_complain("relay %s: %s is missing: see 'qair relay --help'", verb, what);
        return COMMAND_STATUS_USAGE;
}

static int run(const char *verb, bool is_add, const RelayOptions *options) {
        int status;

        if (is_add) {
                status = require(verb, "HOST", options->host);
                status = status ?: require(verb, "--relay", options->relay);
                status = status ?: require(verb, "--name", options->name);
        } else {
                status = require(verb, "--domain", options->domain);
                status = status ?: require(verb, "--key", options->key);
        }
        if (status)
                return status;
        if (geteuid() != 0) {
                command_complain("relay %s: permission denied: run this as root", verb);
                return COMMAND_STATUS_FAILED;
        }
        return is_add ? relay_add(options) : relay_authorize(options);
}

int command_relay(int argc, char **argv) {
        static const struct option known[] = {
                { "relay", required_argument, NULL, OPTION_RELAY },
                { "name", required_argument, NULL, OPTION_NAME },
                { "remote-name", required_argument, NULL, OPTION_REMOTE_NAME },
                { "domain", required_argument, NULL, OPTION_DOMAIN },
                { "key", required_argument, NULL, OPTION_KEY },
                { "source", required_argument, NULL, OPTION_SOURCE },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        RelayOptions options = {};
        const char *verb;
        int option, status;

        status = command_parse_verb(descriptions, argc, argv, help, &verb);
        if (status != COMMAND_STATUS_DONE || !verb)
                return status;
        opterr = 0;
        optind = 1;
        argc -= 1;
        argv += 1;
        while ((option = getopt_long(argc, argv, ":h", known, NULL)) >= 0) {
                if (option == 'h')
                        return help();
                status = take_option(&options, option, argv);
                if (status)
                        return status;
        }
        if (strcmp(verb, "add") == 0 && optind < argc)
                options.host = argv[optind++];
        if (optind < argc) {
                command_complain("relay %s: '%s' is one argument too many", verb,
                                 ESCAPED(argv[optind], strlen(argv[optind])));
                return COMMAND_STATUS_USAGE;
        }
        return run(verb, strcmp(verb, "add") == 0, &options);
}
