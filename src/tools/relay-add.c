/* SPDX-License-Identifier: Apache-2.0 */
/* `qair relay add`: the calling side. The key is made, the other host's is confirmed, the RemoteVM is written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/file.h"
#include "inventory/property.h"
#include "tools/command.h"
#include "tools/relay-key.h"
#include "tools/relay.h"

#define SSH        "/usr/bin/ssh"
#define SSH_KEYGEN "/usr/bin/ssh-keygen"
/* What an account that carries calls says to anything that is none (relay/main-shell.c). */
#define STATUS_RELAY_REFUSED 126

static int ensure_folder(const struct passwd *account) {
        static const char *const mkdir_argv[] = { "/bin/mkdir", "-p", "-m", "0700", ".ssh", NULL };
        int r = relay_run(account, mkdir_argv);

        if (r > 0)
                command_complain("%s/.ssh could not be made", account->pw_dir);
        return r > 0 ? COMMAND_STATUS_FAILED : r;
}

/* The relay's public key; a new pair is made if there is none. */
static int ensure_key(const struct passwd *account, RelayKey *ret_key) {
        static const char *const keygen[] = {
                SSH_KEYGEN, "-q", "-t", "ed25519", "-N", "", "-f", ".ssh/id_ed25519", NULL
        };
        _cleanup_free_ char *path = NULL, *text = NULL;
        size_t n;
        int r;

        r = ensure_folder(account);
        if (r)
                return r;
        if (asprintf(&path, "%s/.ssh/id_ed25519.pub", account->pw_dir) < 0)
                return error_origin(-ENOMEM);
        if (access(path, F_OK) < 0) {
                r = relay_run(account, keygen);
                if (r < 0)
                        return error_trace(r);
        }
        r = file_read(AT_FDCWD, path, RELAY_KEY_MAX, &text, &n);
        if (r < 0)
                return error_trace(r);
        if (r || relay_key_parse(text, ret_key)) {
                command_complain("%s: no usable key: make one as %s, with ssh-keygen -t ed25519", path,
                                 account->pw_name);
                return COMMAND_STATUS_FAILED;
        }
        return COMMAND_STATUS_DONE;
}

/*
 * ssh itself shows the host key and asks, at the terminal, with the relay's own configuration: so jump hosts and aliases are
 * what they will be, and a jump host that is not known yet is asked about too. Whether we are let in yet does not matter.
 */
static int confirm_host(const struct passwd *account, const char *host) {
        const char *const ask[] = { SSH,
                                    "-o",
                                    "StrictHostKeyChecking=ask",
                                    "-o",
                                    "PreferredAuthentications=publickey",
                                    "-o",
                                    "PasswordAuthentication=no",
                                    "-o",
                                    "ControlPath=none",
                                    "-o",
                                    "ForwardAgent=no",
                                    "-T",
                                    "--",
                                    host,
                                    "qair-relay-add",
                                    NULL };
        const char *name = strrchr(host, '@') ? strrchr(host, '@') + 1 : host;
        int r;

        printf("Connecting to %s. Compare the fingerprint that is shown with what is said over there by:\n"
               "    ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n",
               name);
        r = relay_run(account, ask);
        if (r < 0)
                return error_trace(r);
        printf(r == STATUS_RELAY_REFUSED ? "%s lets us in: it carries calls\n"
                                         : "%s does not let us in yet, or was not reached\n",
               name);
        return COMMAND_STATUS_DONE;
}

static void print_next(const RelayOptions *options, const struct passwd *account, const RelayKey *key) {
        const char *at = strrchr(options->host, '@');

        printf("\nRun over there, as root:\n"
               "    qair relay authorize --domain %.*s --key '%s'",
               at ? (int)(at - options->host) : (int)strlen(account->pw_name), at ? options->host : account->pw_name,
               key->text);
        for (size_t i = 0; i < options->n_sources; ++i)
                printf(" --source %s%s%s", options->sources[i].there.text,
                       relay_source_is_renamed(&options->sources[i]) ? "=" : "",
                       relay_source_is_renamed(&options->sources[i]) ? options->sources[i].here.text : "");
        printf("\nand allow the calls in /etc/qubes/policy.d: here to %s, there from their source to %s.\n",
               options->name, options->remote_name ?: options->name);
}

/* What goes on ssh's command line and into files: as the inventory would have it. */
static int check_host(const char *host) {
        char problem[PROPERTY_PROBLEM_MAX];
        PropertyValue value = {};
        int r = property_value_parse(PROPERTY_REMOTE_HOST, host, &value, problem);

        property_value_deinit(&value);
        if (r <= 0)
                return error_trace(r);
        command_complain("%s: %s", ESCAPED(host, strlen(host)), problem);
        return COMMAND_STATUS_USAGE;
}

int relay_add(const RelayOptions *options) {
        const struct passwd *account;
        RelayKey key;
        int r;

        r = check_host(options->host);
        r = r ?: relay_ensure_domain(options->relay, NULL, &account);
        r = r ?: ensure_key(account, &key);
        r = r ?: confirm_host(account, options->host);
        r = r ?: relay_add_remote(options->name, options->relay, options->remote_name, options->host);
        if (r)
                return r;
        relay_reload("qair.service", "kill -HUP the process qair-supervisor");
        print_next(options, account, &key);
        return COMMAND_STATUS_DONE;
}
