/* SPDX-License-Identifier: Apache-2.0 */
/* What both verbs do to this host: accounts, domains, services that read their configuration again. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "tools/command.h"
#include "tools/domain.h"
#include "tools/relay.h"

#define STATUS_NOT_STARTED 255

/* In the child: from here on nobody but @account. */
static int relay_become(const struct passwd *account) {
        if (initgroups(account->pw_name, account->pw_gid) < 0 ||
            setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
            setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0 || chdir(account->pw_dir) < 0)
                return -errno;
        if (setenv("HOME", account->pw_dir, 1) < 0 || setenv("USER", account->pw_name, 1) < 0 ||
            setenv("LOGNAME", account->pw_name, 1) < 0 || unsetenv("SSH_AUTH_SOCK") < 0)
                return -errno;
        return 0;
}

int relay_run(const struct passwd *account, const char *const *argv) {
        pid_t child;
        int status;

        (void)fflush(stdout);
        child = fork();
        if (child < 0)
                return error_origin(-errno);
        if (child == 0) {
                if (account && relay_become(account) < 0)
                        _exit(STATUS_NOT_STARTED);
                (void)execv(argv[0], (char *const *)argv);
                _exit(STATUS_NOT_STARTED);
        }
        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return error_origin(-errno);
        return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_NOT_STARTED;
}

void relay_reload(const char *unit, const char *by_hand) {
        const char *const argv[] = { "/usr/bin/systemctl", "reload", unit, NULL };

        if (access("/run/systemd/system", F_OK) == 0 && relay_run(NULL, argv) == 0)
                printf("Read its configuration again: %s\n", unit);
        else
                printf("Not in force before: %s\n", by_hand);
}

static int relay_load(Inventory **ret_inventory) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r = inventory_load(PATHS_DOMAINS_DIR, &diagnostics, ret_inventory);

        if (r != INVENTORY_E_INVALID)
                return error_trace(r);
        command_print_diagnostics(&diagnostics);
        command_complain("nothing was changed: the inventory is broken");
        return COMMAND_STATUS_FAILED;
}

static int relay_add_domain(const char *name, const char *const *assignments) {
        DomainOptions options = {
                .dir = PATHS_DOMAINS_DIR,
                .name = name,
                .assignments = (char **)assignments,
        };

        while (assignments[options.n_assignments])
                ++options.n_assignments;
        return domain_add(&options);
}

/* An account that nobody logs in to by password; with a home, for keys and control sockets. */
static int relay_ensure_account(const char *name, const char *shell, const struct passwd **ret_account) {
        const char *const add[] = { "/usr/sbin/useradd", "--create-home", "--password", "*", "--shell",
                                    shell ?: "/bin/sh",  "--user-group",  name,         NULL };
        const char *const change[] = { "/usr/sbin/usermod", "--shell", shell, name, NULL };
        const struct passwd *account = getpwnam(name);
        int r = 0;

        if (!account) {
                r = relay_run(NULL, add);
                if (!r)
                        printf("%s: account made\n", name);
        } else if (shell && strcmp(account->pw_shell, shell) != 0) {
                r = relay_run(NULL, change);
                if (!r)
                        printf("%s: its login shell is %s now\n", name, shell);
        }
        if (r < 0)
                return error_trace(r);
        account = getpwnam(name);
        if (r || !account) {
                command_complain("the account '%s' could not be made, or its shell not be changed", name);
                return COMMAND_STATUS_FAILED;
        }
        *ret_account = account;
        return COMMAND_STATUS_DONE;
}

int relay_ensure_domain(const char *name, const char *shell, const struct passwd **ret_account) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        const InventoryDomain *domain;
        char user[8 + ACCOUNT_NAME_MAX];
        int r;

        r = relay_load(&inventory);
        if (r)
                return r;
        domain = inventory_lookup(inventory, name);
        if (domain && (!domain_is_local(domain) || domain->user.text[0] == '\0')) {
                command_complain("'%s' is no domain with an account here: name another", name);
                return COMMAND_STATUS_FAILED;
        }
        r = relay_ensure_account(domain ? domain->user.text : name, shell, ret_account);
        if (r || domain)
                return r;
        (void)snprintf(user, sizeof(user), "user=%s", name);
        return relay_add_domain(name, (const char *const[]){ user, NULL });
}

int relay_add_remote(const char *name, const char *relay, const char *remote_name, const char *remote_host) {
        _cleanup_free_ char *relayvm = NULL, *name_there = NULL, *host = NULL;
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        const InventoryDomain *there;
        const char *assignments[6] = { "type=RemoteVM", "transport_rpc=qubesair.SSHProxy" };
        size_t n = 2;
        int r;

        r = relay_load(&inventory);
        if (r)
                return r;
        there = inventory_lookup(inventory, name);
        if (there && there->type == DOMAIN_TYPE_REMOTEVM && strcmp(there->relayvm->name.text, relay) == 0 &&
            strcmp(there->remote_name.text, remote_name ?: name) == 0) {
                printf("%s: is there already, left as it is: qair domain show %s\n", name, name);
                return COMMAND_STATUS_DONE;
        }
        if (there) {
                command_complain(
                        "'%s' is another domain of this host already: give the one over there another name here "
                        "(add: --name, --remote-name; authorize: --source NAME=NAME_HERE)",
                        name);
                return COMMAND_STATUS_FAILED;
        }
        if (asprintf(&relayvm, "relayvm=%s", relay) < 0 ||
            (remote_name && asprintf(&name_there, "remote_name=%s", remote_name) < 0) ||
            (remote_host && asprintf(&host, "remote_host=%s", remote_host) < 0))
                return error_origin(-ENOMEM);
        assignments[n++] = relayvm;
        if (name_there)
                assignments[n++] = name_there;
        if (host)
                assignments[n++] = host;
        return relay_add_domain(name, assignments);
}
