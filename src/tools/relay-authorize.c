/* SPDX-License-Identifier: Apache-2.0 */
/* `qair relay authorize`: the called side. The account, its key where only root writes, and what sshd lets it do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/name.h"
#include "tools/command.h"
#include "tools/relay-key.h"
#include "tools/relay.h"

#define RELAY_SHELL    QAIR_LIBEXECDIR "/qrexec-relay-shell"
#define RELAY_KEYS_DIR QAIR_CONFDIR "/relay"
#define SSHD_DIR       "/etc/ssh/sshd_config.d"
/* Keys of one account: some hundred hosts. */
#define RELAY_KEYS_MAX (256 * 1024)

static int open_folder(const char *path, int *ret_fd) {
        if (mkdir(path, 0755) < 0 && errno != EEXIST) {
                command_complain("%s: %s", path, strerror(errno));
                return COMMAND_STATUS_FAILED;
        }
        *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (*ret_fd < 0) {
                command_complain("%s: %s", path, strerror(errno));
                return COMMAND_STATUS_FAILED;
        }
        return COMMAND_STATUS_DONE;
}

static int replace(const char *folder, const char *name, const char *text, size_t n) {
        _cleanup_fd_ int dir_fd = -1;
        int r;

        r = open_folder(folder, &dir_fd);
        if (r)
                return r;
        r = file_replace(dir_fd, name, text, n, 0644, false);
        if (r < 0)
                return error_trace(r);
        if (r) {
                command_complain("%s/%s: %s", folder, name, file_error_text(r));
                return COMMAND_STATUS_FAILED;
        }
        printf("%s/%s: written\n", folder, name);
        return COMMAND_STATUS_DONE;
}

/* One line a key: whatever the other host asks for, the shell of this account alone is run, without anything else. */
static int write_key(const char *account, const RelayKey *key) {
        _cleanup_free_ char *path = NULL, *old = NULL, *text = NULL;
        size_t n_old = 0;
        int n, r;

        if (asprintf(&path, RELAY_KEYS_DIR "/%s", account) < 0)
                return error_origin(-ENOMEM);
        r = file_read_trusted(AT_FDCWD, path, RELAY_KEYS_MAX, &old, &n_old);
        if (r < 0)
                return error_trace(r);
        if (r && r != FILE_E_NOT_FOUND) {
                command_complain("%s %s", path, file_error_text(r));
                return COMMAND_STATUS_FAILED;
        }
        if (old && relay_key_is_in(key, old, n_old)) {
                printf("%s: has this key already\n", path);
                return COMMAND_STATUS_DONE;
        }
        n = asprintf(&text, "%s%srestrict,command=\"" RELAY_SHELL "\" %s\n", old ?: "",
                     n_old > 0 && old[n_old - 1] != '\n' ? "\n" : "", key->text);
        if (n < 0)
                return error_origin(-ENOMEM);
        return replace(RELAY_KEYS_DIR, account, text, (size_t)n);
}

static int write_sshd(const char *account) {
        _cleanup_free_ char *name = NULL, *text = NULL;
        int n;

        if (asprintf(&name, "50-qair-%s.conf", account) < 0)
                return error_origin(-ENOMEM);
        n = asprintf(&text,
                     "# Written by qair relay authorize: this account carries calls from another host.\n"
                     "Match User %s\n"
                     "    AuthorizedKeysFile " RELAY_KEYS_DIR "/%s\n"
                     "    AuthenticationMethods publickey\n"
                     "    ForceCommand " RELAY_SHELL "\n"
                     "    DisableForwarding yes\n"
                     "    PermitTTY no\n"
                     "    PermitUserRC no\n"
                     "    MaxSessions 64\n"
                     "Match all\n",
                     account, account);
        if (n < 0)
                return error_origin(-ENOMEM);
        return replace(SSHD_DIR, name, text, (size_t)n);
}

int relay_authorize(const RelayOptions *options) {
        const struct passwd *account;
        char name[ACCOUNT_NAME_MAX + 1];
        RelayKey key;
        int r;

        if (relay_key_parse(options->key, &key)) {
                command_complain("--key: that is no public key: write the line of an id_….pub file, such as "
                                 "'ssh-ed25519 AAAA…', in quotes");
                return COMMAND_STATUS_USAGE;
        }
        r = relay_ensure_domain(options->domain, RELAY_SHELL, &account);
        if (r)
                return r;
        (void)snprintf(name, sizeof(name), "%s", account->pw_name);
        r = write_key(name, &key);
        r = r ?: write_sshd(name);
        for (size_t i = 0; i < options->n_sources && !r; ++i)
                r = relay_add_remote(
                        options->sources[i].here.text, options->domain,
                        relay_source_is_renamed(&options->sources[i]) ? options->sources[i].there.text : NULL, NULL);
        if (r)
                return r;
        relay_reload("ssh.service", "sshd has read its configuration again");
        relay_reload("qair.service", "kill -HUP the process qair-supervisor");
        printf("\nAllow the calls in /etc/qubes/policy.d, from each --source, which is a RemoteVM here.\n");
        return COMMAND_STATUS_DONE;
}
