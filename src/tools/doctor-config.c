/* SPDX-License-Identifier: Apache-2.0 */
/* What the configuration says: domains and their accounts, policy. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "policy/path.h"
#include "tools/doctor.h"

/* Of a broken file the first errors say enough. */
#define DOCTOR_DIAGNOSTICS_MAX 5

static int report_diagnostics(Doctor *doctor, const char *check, const Diagnostics *diagnostics, size_t n_max) {
        size_t n_shown = 0, n_left = diagnostics->n_dropped;

        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                const Diagnostic *entry = &diagnostics->entries[i];
                _cleanup_free_ char *text = NULL;
                int r;

                /* Whose mode or owner is wrong is reported with the files, with what mends that. */
                if (entry->line == 0 && *entry->path && doctor_path_is_amiss(entry->path))
                        continue;
                if (n_shown == n_max) {
                        ++n_left;
                        continue;
                }
                ++n_shown;
                text = diagnostic_format(entry);
                if (!text)
                        return error_origin(-ENOMEM);
                r = report_add(doctor->report, FINDING_ERROR, check,
                               *entry->path ? doctor_edit_command(entry->path, entry->line) : NULL, "%s", text);
                if (r)
                        return r;
        }
        if (n_left == 0)
                return 0;
        return report_add(doctor->report, FINDING_ERROR, check, NULL, "%s: and %zu errors more", check, n_left);
}

/* Ours are made by what the package brings; on a machine without systemd, by hand. */
static char *account_command(const char *name) {
        if (access("/usr/bin/systemd-sysusers", X_OK) == 0)
                return report_command("systemd-sysusers qair.conf");
        if (strcmp(name, INVENTORY_GROUP) == 0)
                return report_command("groupadd --system %", name);
        return report_command("useradd --system --user-group --no-create-home --home-dir / "
                              "--shell /usr/sbin/nologin %",
                              name);
}

static int report_account_fault(Doctor *doctor, const InventoryDomain *domain) {
        bool dom0 = domain_name_is_dom0(&domain->name);
        unsigned line = domain->file.values[dom0 ? PROPERTY_DOM0_USER : PROPERTY_USER].line;
        const char *name = domain->user.text, *what = NULL;
        char *command = NULL;

        switch (domain->account_fault) {
        case ACCOUNT_FAULT_NONE:
                return 0;
        case ACCOUNT_FAULT_MISSING:
                what = "does not exist";
                command = strcmp(name, INVENTORY_ACCOUNT_DOM0) == 0
                                  ? account_command(name)
                                  : report_command(dom0 ? "useradd --system %" : "useradd --create-home %", name);
                break;
        case ACCOUNT_FAULT_GROUP:
                what = "is in the group '" INVENTORY_GROUP "', which is dom0's";
                command = report_command("gpasswd --delete % " INVENTORY_GROUP, name);
                break;
        case ACCOUNT_FAULT_LOOKUP:
                what = "cannot be looked up: the name service failed";
                break;
        case ACCOUNT_FAULT_ROOT:
                what = "is root";
                break;
        case ACCOUNT_FAULT_OVERFLOW:
                what = "has the user id that stands for every id that is not mapped";
                break;
        case ACCOUNT_FAULT_BROKER:
                what = "is the broker's";
                break;
        case ACCOUNT_FAULT_SHARED:
                what = "has the user id of another domain's";
                break;
        }
        if (!command && domain->account_fault != ACCOUNT_FAULT_LOOKUP)
                command = doctor_edit_command(domain->path, line);
        return report_add(doctor->report, FINDING_ERROR, "inventory", command, "domain %s: the account '%s' %s",
                          domain->name.text, name, what);
}

int doctor_check_inventory(Doctor *doctor) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT, accounts = DIAGNOSTICS_INIT;
        int r;

        r = inventory_load(doctor->domains_dir, &diagnostics, &doctor->inventory);
        if (r < 0)
                return error_trace(r);
        if (r)
                return report_diagnostics(doctor, "inventory", &diagnostics, SIZE_MAX);

        r = inventory_check_accounts(doctor->inventory, &accounts);
        diagnostics_deinit(&accounts); /* said below, with commands */
        for (size_t i = 0; r >= 0 && i < doctor->inventory->n_domains; ++i)
                r = report_account_fault(doctor, &doctor->inventory->domains[i]);
        return r < 0 ? error_trace(r) : 0;
}

static bool group_has(const struct group *group, const char *name) {
        for (char **member = group->gr_mem; *member; ++member)
                if (strcmp(*member, name) == 0)
                        return true;
        return false;
}

static int check_group(Doctor *doctor) {
        const char *dom0 = doctor->inventory ? inventory_dom0(doctor->inventory)->user.text : INVENTORY_ACCOUNT_DOM0;
        const struct group *group = getgrnam(INVENTORY_GROUP);
        const struct passwd *account;

        if (!group)
                return report_add(doctor->report, FINDING_ERROR, "accounts", account_command(INVENTORY_GROUP),
                                  "there is no group '%s'", INVENTORY_GROUP);
        account = getpwnam(dom0);
        if (!account) /* said with the inventory; if that is broken, here */
                return doctor->inventory ? 0
                                         : report_add(doctor->report, FINDING_ERROR, "accounts", account_command(dom0),
                                                      "there is no account '%s', which dom0's services run as", dom0);
        if (account->pw_gid != group->gr_gid && !group_has(group, dom0))
                return report_add(doctor->report, FINDING_WARNING, "accounts",
                                  report_command("gpasswd --add % " INVENTORY_GROUP, dom0),
                                  "the account '%s' of dom0's services is not in the group '%s'", dom0,
                                  INVENTORY_GROUP);
        return 0;
}

int doctor_check_accounts(Doctor *doctor) {
        int r = 0;

        if (doctor->broker_uid == (uid_t)-1)
                r = report_add(doctor->report, FINDING_ERROR, "accounts", account_command(INVENTORY_ACCOUNT_BROKER),
                               "there is no account '%s' for the broker", INVENTORY_ACCOUNT_BROKER);
        else if (doctor->broker_uid == 0)
                r = report_add(doctor->report, FINDING_ERROR, "accounts",
                               report_command("sed --in-place /^" INVENTORY_ACCOUNT_BROKER ":/d /etc/passwd "
                                              "/etc/shadow && systemd-sysusers qair.conf"),
                               "the broker's account '%s' is root", INVENTORY_ACCOUNT_BROKER);
        return r ?: check_group(doctor);
}

/* A name that spoils the whole policy (policy specification, 1.2), and one that does not. */
static bool policy_name_mend(const char *name, char *mended, size_t n_mended) {
        static const char valid[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
        size_t n = strlen(name);

        if (n < strlen(".policy") || strcmp(name + n - strlen(".policy"), ".policy") != 0 ||
            name[strspn(name, valid)] == '\0')
                return false;
        snprintf(mended, n_mended, "%s", name);
        for (char *c = mended; *c; ++c) {
                *c = (char)tolower((unsigned char)*c);
                if (!strchr(valid, *c))
                        *c = '-';
        }
        return true;
}

static int check_policy_names(Doctor *doctor, const char *directory) {
        _cleanup_(policy_names_deinit) PolicyNames names = {};
        int r;

        if (policy_names_list(directory, &names) < 0)
                return 0; /* said with the files */
        for (size_t i = 0; i < names.n; ++i) {
                _cleanup_free_ char *path = NULL, *better = NULL;
                char mended[256];

                if (!policy_name_mend(names.names[i], mended, sizeof(mended)))
                        continue;
                if (asprintf(&path, "%s/%s", directory, names.names[i]) < 0)
                        return error_origin(-ENOMEM);
                if (asprintf(&better, "%s/%s", directory, mended) < 0)
                        return error_origin(-ENOMEM);
                r = report_add(doctor->report, FINDING_ERROR, "policy",
                               report_command("mv --no-clobber -- % %", path, better),
                               "%s: this name makes every call fail: policy files' are of a-z, 0-9, '_', '.', '-'",
                               ESCAPED(path, strlen(path)));
                if (r)
                        return r;
        }
        return 0;
}

/* Load errors are whole messages; these two are reported with the command that mends them. */
static bool is_said_elsewhere(const char *text, const char *run_policy) {
        static const char name[] = "invalid filename: ";

        return strncmp(text, name, strlen(name)) == 0 || (strstr(text, run_policy) && access(run_policy, F_OK) < 0);
}

int doctor_check_policy(Doctor *doctor) {
        _cleanup_free_ char *run = NULL, *etc = NULL, *legacy = NULL;
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        const char *directories[2];
        PolicySources sources = { .directories = directories, .n_directories = 2 };
        int r;

        if (asprintf(&run, "%s/policy.d", doctor->run_dir) < 0 || asprintf(&etc, "%s/policy.d", doctor->etc_dir) < 0 ||
            asprintf(&legacy, "%s/policy", doctor->rpc_dir) < 0)
                return error_origin(-ENOMEM);
        directories[0] = run;
        directories[1] = etc;
        sources.legacy = legacy;

        r = check_policy_names(doctor, run);
        r = r ?: check_policy_names(doctor, etc);
        if (r || access(etc, F_OK) < 0)
                return r;
        r = policy_load(&sources, &diagnostics, &doctor->policy);
        if (r < 0)
                return error_trace(r);
        if (r == POLICY_E_LOAD && diagnostics.n_entries > 0 && is_said_elsewhere(diagnostics.entries[0].text, run))
                return 0;
        if (r)
                return report_diagnostics(doctor, "policy", &diagnostics, DOCTOR_DIAGNOSTICS_MAX);
        for (size_t i = 0; i < doctor->policy->warnings.n_entries && !r; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&doctor->policy->warnings.entries[i]);

                r = text ? report_add(doctor->report, FINDING_NOTE, "policy", NULL, "%s", text) : error_origin(-ENOMEM);
        }
        return r;
}
