/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may change what decides? Everything below the folders of configuration and services has to belong to root, and
 * nobody else may write it; the broker has to be able to read it.
 */
#include <errno.h>
#include <fts.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/file.h"
#include "tools/doctor.h"

bool doctor_path_is_amiss(const char *path) {
        struct stat st;

        return lstat(path, &st) < 0 || st.st_uid != 0 || (!S_ISLNK(st.st_mode) && st.st_mode & (S_IWGRP | S_IWOTH));
}

static bool begins_with_folder(const char *path, const char *folder) {
        size_t n = strlen(folder);

        return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* A domain's own folder of services may be closed to all but that domain. */
static bool is_private(const Doctor *doctor, const char *path) {
        const char *name, *end;

        if (!begins_with_folder(path, doctor->domains_dir) || strlen(path) == strlen(doctor->domains_dir))
                return false;
        name = path + strlen(doctor->domains_dir) + 1;
        end = name + strcspn(name, "/");
        return (size_t)(end - name) > strlen(INVENTORY_SERVICES_SUFFIX) &&
               strncmp(end - strlen(INVENTORY_SERVICES_SUFFIX), INVENTORY_SERVICES_SUFFIX,
                       strlen(INVENTORY_SERVICES_SUFFIX)) == 0;
}

/* Must the broker read it? Folders it walks through; of the files those of policy and domains. */
static bool is_for_broker(const Doctor *doctor, const char *path, const struct stat *st) {
        if (is_private(doctor, path))
                return false;
        if (S_ISDIR(st->st_mode))
                return true;
        return (S_ISREG(st->st_mode) && strstr(path, "/policy.d/")) || begins_with_folder(path, doctor->domains_dir);
}

static bool broker_may_read(const Doctor *doctor, const struct stat *st) {
        mode_t wanted = S_ISDIR(st->st_mode) ? 05 : 04;

        if (doctor->broker_gid != (gid_t)-1 && st->st_gid == doctor->broker_gid)
                return (st->st_mode >> 3 & wanted) == wanted;
        return (st->st_mode & wanted) == wanted;
}

/* Has an administrator given the policy to the services that change it (qubes-policy-admin(8))? Then what is there may
 * be the group's, and dom0's account's. */
static bool is_given(const Doctor *doctor, const char *path, const struct stat *st) {
        return doctor->policy_gid != (gid_t)-1 && begins_with_folder(path, doctor->policy_dir) &&
               !(st->st_mode & S_IWOTH) && (!(st->st_mode & S_IWGRP) || st->st_gid == doctor->policy_gid) &&
               (st->st_uid == 0 || st->st_uid == doctor->dom0_uid);
}

static int check_entry(Doctor *doctor, const char *path, const struct stat *st) {
        const char *shown = ESCAPED(path, strlen(path));
        bool given = is_given(doctor, path, st);
        int r = 0;

        if (S_ISSOCK(st->st_mode))
                return 0; /* of a program that serves: whose, and who may connect, is its business */
        if (st->st_uid != 0 && !given)
                r = report_add(doctor->report, FINDING_ERROR, "files",
                               report_command("chown --no-dereference root -- %", path),
                               "%s: belongs to user %u, who can change what it says", shown, (unsigned)st->st_uid);
        if (r || S_ISLNK(st->st_mode))
                return r;
        if (st->st_mode & (S_IWGRP | S_IWOTH) && !given)
                r = report_add(doctor->report, FINDING_ERROR, "files", report_command("chmod go-w -- %", path),
                               "%s: may be written by %s", shown, st->st_mode & S_IWOTH ? "everybody" : "its group");
        if (!r && is_for_broker(doctor, path, st) && !broker_may_read(doctor, st))
                r = report_add(doctor->report, FINDING_ERROR, "files",
                               report_command(S_ISDIR(st->st_mode) ? "chmod go+rx -- %" : "chmod go+r -- %", path),
                               "%s: the broker cannot read it, and refuses every call", shown);
        return r;
}

static int check_below(Doctor *doctor, const char *folder) {
        char *const roots[] = { (char *)folder, NULL };
        FTSENT *entry;
        FTS *tree;
        int r = 0;

        tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
        if (!tree)
                return error_origin(-errno);
        while (!r && (entry = fts_read(tree)))
                switch (entry->fts_info) {
                case FTS_D:
                case FTS_F:
                case FTS_SL:
                case FTS_DEFAULT:
                        r = check_entry(doctor, entry->fts_path, entry->fts_statp);
                        break;
                default:
                        break; /* a folder for the second time; what has gone meanwhile */
                }
        (void)fts_close(tree);
        return r;
}

static int check_folder(Doctor *doctor, const char *path, bool required) {
        struct stat st;

        if (lstat(path, &st) < 0) {
                if (!required)
                        return 0;
                return report_add(doctor->report, FINDING_ERROR, "files",
                                  report_command("install --directory --mode=0755 %", path),
                                  "%s: this folder is missing", path);
        }
        if (!S_ISDIR(st.st_mode))
                return report_add(doctor->report, FINDING_ERROR, "files",
                                  report_command("mv % %.old && install --directory --mode=0755 %", path, path, path),
                                  "%s: is no folder", path);
        return 0;
}

#define POLICY_GROUP "qubes"

static int find_given_policy(Doctor *doctor) {
        const char *dom0 = doctor->inventory ? inventory_dom0(doctor->inventory)->user.text : INVENTORY_ACCOUNT_DOM0;
        const struct group *group = getgrnam(POLICY_GROUP);
        const struct passwd *account = getpwnam(dom0);
        struct stat st;

        doctor->dom0_uid = account ? account->pw_uid : (uid_t)-1;
        if (!group || stat(doctor->policy_dir, &st) < 0 || st.st_gid != group->gr_gid || !(st.st_mode & S_IWGRP))
                return 0;
        doctor->policy_gid = group->gr_gid;
        return report_add(
                doctor->report, FINDING_NOTE, "files",
                report_command("chown -R root:root % && chmod -R g-ws %", doctor->policy_dir, doctor->policy_dir),
                "%s: group " POLICY_GROUP " may write it, so the policy.* services can change the policy",
                doctor->policy_dir);
}

int doctor_check_files(Doctor *doctor) {
        const struct {
                const char *folder, *name;
                bool required;
                bool walk; /* the others are below one that is */
        } folders[] = {
                { doctor->etc_dir, "", true, true },
                { doctor->etc_dir, "/domains.d", true },
                { doctor->etc_dir, "/policy.d", true },
                { doctor->rpc_dir, "", true, true },
                { "/usr/local/etc/qubes", "", false, true },
                { "/usr/local/etc/qubes-rpc", "", false, true },
                { "/run/qubes-rpc", "", false, true },
                /* Without the run directory itself, nothing was ever started: said with what runs. */
                { doctor->run_dir, "/policy.d", access(doctor->run_dir, F_OK) == 0, true },
                { doctor->run_dir, "/rpc-config", false, true },
        };

        int r = find_given_policy(doctor);

        for (size_t i = 0; i < ARRAY_SIZE(folders) && !r; ++i) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s%s", folders[i].folder, folders[i].name) < 0)
                        return error_origin(-ENOMEM);
                r = check_folder(doctor, path, folders[i].required);
                if (!r && folders[i].walk && access(path, F_OK) == 0)
                        r = check_below(doctor, path);
        }
        return error_trace(r);
}

#define PAM_FILE "/etc/pam.d/qrexec"

int doctor_check_pam(Doctor *doctor) {
        _cleanup_free_ char *original = NULL;
        struct stat st;

        if (asprintf(&original, "%s/pam.d/qrexec", doctor->share_dir) < 0)
                return error_origin(-ENOMEM);
        if (stat(PAM_FILE, &st) < 0)
                return report_add(doctor->report, FINDING_ERROR, "pam",
                                  report_command("install --mode=0644 % " PAM_FILE, original),
                                  PAM_FILE ": is missing: no domain can be started");
        switch (file_check_trusted(&st)) {
        case FILE_E_OWNER:
                return report_add(doctor->report, FINDING_ERROR, "pam", report_command("chown root " PAM_FILE),
                                  PAM_FILE ": does not belong to root");
        case FILE_E_WRITABLE:
                return report_add(doctor->report, FINDING_ERROR, "pam", report_command("chmod go-w " PAM_FILE),
                                  PAM_FILE ": may be written by others");
        default:
                return 0;
        }
}
