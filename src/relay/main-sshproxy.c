/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qubesair.SSHProxy: the service of a relay that carries calls to a domain on another host. Its argument is
 * TARGET+SERVICE+ARGUMENT, its caller is whoever called.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "qubesdb/client.h"
#include "relay/command.h"
#include "relay/master.h"
#include "relay/session.h"

#define STATUS_FAILED 125
/* As the inventory has them (inventory/property.c): [USER@]HOST. */
#define HOST_MAX 180

/* Ours, since it is a word of ssh's command line: an option it must not be. */
static bool host_is_valid(const char *untrusted_host) {
        size_t n = strspn(untrusted_host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.@:%[]");

        return n > 0 && n <= HOST_MAX && untrusted_host[n] == '\0' && untrusted_host[0] != '-';
}

static int read_entry(QubesdbClient *client, const char *prefix, const DomainName *target, char **ret_value) {
        char path[QUBESDB_PATH_MAX + 1];
        size_t n;

        (void)snprintf(path, sizeof(path), "%s%s", prefix, target->text);
        return qubesdb_client_read(client, path, ret_value, &n);
}

/* What it is called over there, and where that is: the host's inventory says so, through QubesDB. */
static int look_up(const DomainName *target, DomainName *ret_name, char **ret_host) {
        _cleanup_(qubesdb_client_closep) QubesdbClient *client = NULL;
        _cleanup_free_ char *name = NULL, *host = NULL;
        int r;

        r = qubesdb_client_open(NULL, &client);
        r = r ?: read_entry(client, "/remote/", target, &name);
        if (r == QUBESDB_CLIENT_E_NONE) {
                log_error("%s is no RemoteVM behind this relay: check its relayvm", target->text);
                return STATUS_FAILED;
        }
        if (!r) {
                r = read_entry(client, "/remote-host/", target, &host);
                if (r == QUBESDB_CLIENT_E_NONE)
                        r = 0;
        }
        if (r) {
                log_error("QubesDB: %s", qubesdb_client_error_text(r));
                return STATUS_FAILED;
        }
        if (!host)
                host = strdup(name);
        if (!host || domain_name_parse(name, strlen(name), ret_name) || !host_is_valid(host)) {
                log_error("%s: remote_name or remote_host is not what it should be", target->text);
                return STATUS_FAILED;
        }
        *ret_host = steal_ptr(&host);
        return 0;
}

static int carry(const char *argument, const char *source) {
        static char command_text[RELAY_COMMAND_MAX];
        _cleanup_free_ char *host = NULL;
        RelayCommand command = {};
        DomainName target, name;
        Master master;
        int status;

        if (relay_argument_parse(argument, &target, &command.service)) {
                log_error("the argument is not TARGET+SERVICE+ARGUMENT: %s", ESCAPED(argument, strlen(argument)));
                return STATUS_FAILED;
        }
        if (domain_name_parse(source, strlen(source), &command.source)) {
                log_error("QREXEC_REMOTE_DOMAIN is no domain's name: this is a service, to be called");
                return STATUS_FAILED;
        }
        status = look_up(&target, &name, &host);
        if (status)
                return status;
        memcpy(command.target.text, name.text, sizeof(name.text));
        (void)relay_command_format(&command, command_text);
        if (master_init(host, &master) || relay_session_run(&master, command_text, &status))
                return STATUS_FAILED;
        return status;
}

int main(int argc, char **argv) {
        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        log_open("qubesair.SSHProxy", false);
        if (argc != 2) {
                log_error("this is a service, with the argument TARGET+SERVICE+ARGUMENT: see doc/remote.md");
                return STATUS_FAILED;
        }
        return carry(argv[1], getenv("QREXEC_REMOTE_DOMAIN") ?: "");
}
