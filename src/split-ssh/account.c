/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/log.h"
#include "qubesdb/client.h"

#define ACCOUNT_DEFAULT "user"
#define ACCOUNT_ENTRY   "/default-user"

static int account_set(Account *account, const struct passwd *entry, const char *home) {
        if (!entry || strlen(entry->pw_name) > ACCOUNT_NAME_MAX || home[0] != '/' || strlen(home) >= PATH_MAX)
                return ACCOUNT_E_NONE;
        *account = (Account){ .uid = entry->pw_uid, .gid = entry->pw_gid };
        strcpy(account->name, entry->pw_name); /* both lengths were looked at */
        strcpy(account->home, home);
        return 0;
}

int account_self(Account *ret_account) {
        const struct passwd *entry = getpwuid(geteuid());
        const char *home = getenv("HOME") ?: "";
        int r;

        r = account_set(ret_account, entry, home[0] == '/' || !entry ? home : entry->pw_dir);
        if (r)
                log_error("user %u has no account with a home folder here", geteuid());
        return r;
}

/* Return: the value, which the caller frees; NULL: there is none */
static char *account_from_qubesdb(void) {
        _cleanup_(qubesdb_client_closep) QubesdbClient *client = NULL;
        char *value;
        size_t n;

        if (qubesdb_client_open(NULL, &client) || qubesdb_client_read(client, ACCOUNT_ENTRY, &value, &n))
                return NULL;
        return value;
}

int account_default(Account *ret_account) {
        _cleanup_free_ char *told = account_from_qubesdb();
        const char *name = told && told[0] != '\0' ? told : ACCOUNT_DEFAULT;
        AccountName checked;
        const struct passwd *entry;
        int r = ACCOUNT_E_NONE;

        if (account_name_parse(name, strlen(name), &checked) == 0) {
                entry = getpwnam(checked.text);
                if (entry)
                        r = account_set(ret_account, entry, entry->pw_dir);
        }
        if (r)
                log_error("there is no account \"%s\", whose keys these would be: run this as the user who has them",
                          ESCAPED(name, strlen(name)));
        return r;
}

/* What a login sets; nothing of root's is left that says where things are. */
static int account_set_environment(const Account *account) {
        static const char *const roots[] = { "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "MAIL" };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(roots); ++i)
                r |= unsetenv(roots[i]);
        r |= setenv("HOME", account->home, 1);
        r |= setenv("USER", account->name, 1);
        r |= setenv("LOGNAME", account->name, 1);
        return r ? error_origin(-ENOMEM) : 0;
}

int account_become(const Account *account) {
        if (initgroups(account->name, account->gid) < 0 || setgid(account->gid) < 0 || setuid(account->uid) < 0) {
                log_error("cannot become %s: %s", account->name, strerror(errno));
                return ACCOUNT_E_FAILED;
        }
        return error_trace(account_set_environment(account));
}
