/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-relay-shell: login shell and forced command of an account that is a relay. sshd runs a forced command through
 * the login shell, so with this one there is none. Whatever the other host asks for, a call is made or nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "relay/command.h"

#define STATUS_REFUSED 126
#define STATUS_FAILED  125

static int refuse(const char *untrusted_text) {
        const char *peer = getenv("SSH_CONNECTION") ?: "";

        syslog(LOG_WARNING, "refused what %s asked for: %s", ESCAPED(peer, strlen(peer)),
               ESCAPED(untrusted_text, strlen(untrusted_text)));
        (void)fprintf(stderr, "qrexec-relay-shell: this account carries calls and does nothing else\n");
        return STATUS_REFUSED;
}

/* Nothing of the environment that sshd made goes on but where it came from. */
static int call(const RelayCommand *command) {
        char option[64 + DOMAIN_NAME_MAX];
        const char *const argv[] = {
                "qrexec-client-vm",
                option,
                "--no-filter-escape-chars-stdout",
                "--no-filter-escape-chars-stderr",
                "--",
                command->target.text,
                command->service,
                NULL,
        };
        static const char *const environment[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8",
                                                   "QREXEC_STDERR_ENDS_WITH_STDOUT=1", NULL };

        (void)snprintf(option, sizeof(option), "--source-qube=%s", command->source.text);
        closelog();
        (void)execve(QAIR_CLIENT, (char *const *)argv, (char *const *)environment);
        (void)fprintf(stderr, "qrexec-relay-shell: cannot execute %s: %s\n", QAIR_CLIENT, strerror(errno));
        return STATUS_FAILED;
}

int main(int argc, char **argv) {
        /* With a forced command sshd passes that as ours, and here what the other side asked for. */
        const char *untrusted_text = getenv("SSH_ORIGINAL_COMMAND");
        RelayCommand command;

        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        openlog("qrexec-relay-shell", LOG_PID, LOG_AUTHPRIV);
        if (!untrusted_text && argc == 3 && strcmp(argv[1], "-c") == 0)
                untrusted_text = argv[2];
        if (!untrusted_text || strcmp(untrusted_text, RELAY_SHELL) == 0) /* the forced command, with none behind it */
                return refuse("a shell");
        if (relay_command_parse(untrusted_text, &command))
                return refuse(untrusted_text);
        return call(&command);
}
