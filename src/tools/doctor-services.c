/* SPDX-License-Identifier: Apache-2.0 */
/* The services that there are: can they be run, and may anybody call them? */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/name.h"
#include "policy/path.h"
#include "tools/doctor.h"

typedef struct Seen {
        char **names;
        size_t n_names;
} Seen;

static void seen_deinit(Seen *seen) {
        for (size_t i = 0; i < seen->n_names; ++i)
                free(seen->names[i]);
        free(seen->names);
}

/* Return: 0; 1 if @name was there already; or a negative error. */
static int seen_add(Seen *seen, const char *name) {
        char **larger;

        for (size_t i = 0; i < seen->n_names; ++i)
                if (strcmp(seen->names[i], name) == 0)
                        return 1;
        larger = reallocarray(seen->names, seen->n_names + 1, sizeof(*larger));
        if (!larger)
                return error_origin(-ENOMEM);
        seen->names = larger;
        seen->names[seen->n_names] = strdup(name);
        if (!seen->names[seen->n_names])
                return error_origin(-ENOMEM);
        ++seen->n_names;
        return 0;
}

/* Does it begin as programs do? A README that lies among services need not be executable. */
static bool is_program(const char *path) {
        char magic[4] = {};
        _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

        if (fd < 0 || read(fd, magic, sizeof(magic)) < 2)
                return false;
        return memcmp(magic, "#!", 2) == 0 || memcmp(magic, "\177ELF", 4) == 0;
}

static bool is_any(const PolicyToken *token) {
        return token->kind == POLICY_TOKEN_ANY;
}

/*
 * Is there a rule that lets somebody call it, before one that refuses everybody? Who that somebody is, and whether
 * such a domain exists, is not looked at: rules for domains to come are none of our business.
 */
static bool is_callable(const Policy *policy, const char *file_name) {
        size_t n_service = strcspn(file_name, "+");
        const char *argument = file_name[n_service] == '+' ? file_name + n_service : NULL;

        for (size_t i = 0; i < policy->n_rules; ++i) {
                const PolicyRule *rule = &policy->rules[i];

                if (rule->service &&
                    !policy_slice_equal(policy_atom_slice(rule->service), (PolicySlice){ file_name, n_service }))
                        continue;
                if (rule->argument && argument &&
                    !policy_slice_equal(policy_atom_slice(rule->argument), policy_slice(argument)))
                        continue;
                if (rule->action != POLICY_ACTION_DENY)
                        return true;
                if ((!rule->argument || argument) && is_any(&rule->source) && is_any(&rule->target))
                        return false;
        }
        return false;
}

/* What came with Qair, scripts by name and links by their program: that nobody may call it is how it is meant to begin. */
static bool is_shipped(const char *path) {
        static const char *const scripts[] = { "qubes.Ssh", "qubes.SshAgent", "qubes.VMRootShell", "qubes.VMShell",
                                               "qubes.WaitForSession" };
        static const char *const folders[] = { QAIR_LIBEXECDIR "/", QAIR_LIBEXECDIR "-gpg-split/" };
        const char *slash = strrchr(path, '/');
        char target[PATH_MAX] = "";

        for (size_t i = 0; slash && i < ARRAY_SIZE(scripts); ++i)
                if (strcmp(slash + 1, scripts[i]) == 0)
                        return true;
        if (readlink(path, target, sizeof(target) - 1) < 0)
                return false;
        for (size_t i = 0; i < ARRAY_SIZE(folders); ++i)
                if (strncmp(target, folders[i], strlen(folders[i])) == 0)
                        return true;
        return false;
}

/* Services that run a program of another package, once somebody may call them. */
static int check_needed(Doctor *doctor, const char *path, const char *name) {
        static const char gnupg[] = "/usr/bin/gpg";
        char *command;

        if (strncmp(name, "qubes.Gpg", strlen("qubes.Gpg")) != 0 || access(gnupg, X_OK) == 0 || !doctor->policy ||
            !is_callable(doctor->policy, name) || !is_shipped(path))
                return 0;
        command = strdup("apt-get install gnupg");
        if (!command)
                return error_origin(-ENOMEM);
        return report_add(doctor->report, FINDING_WARNING, "services", command, "%s: needs %s, which is not there",
                          ESCAPED(path, strlen(path)), gnupg);
}

static int check_callable(Doctor *doctor, const char *path, const char *name) {
        size_t n_service = strcspn(name, "+");
        _cleanup_free_ char *service = strndup(name, n_service);
        const char *argument = name[n_service] == '+' ? name + n_service : "*";
        char *command;

        if (!service)
                return error_origin(-ENOMEM);
        if (!doctor->policy || is_callable(doctor->policy, name) || is_shipped(path))
                return 0;
        /* Both parts are of characters that need no quotes: the caller saw to it. */
        command = NULL;
        if (asprintf(&command, "echo '%s %s SOURCE TARGET allow' >>%s/policy.d/30-user.policy", service, argument,
                     doctor->etc_dir) < 0)
                return error_origin(-ENOMEM);
        return report_add(doctor->report, FINDING_NOTE, "services", command, "%s: no rule lets anybody call it",
                          ESCAPED(path, strlen(path)));
}

/* NAME or NAME+ARGUMENT, in which nothing needs quoting; other files are no services. */
static bool is_service_name(const char *name) {
        size_t n = strcspn(name, "+");

        return service_name_check(name, n) == 0 &&
               name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-+")] == '\0';
}

static int check_service(Doctor *doctor, const char *path, const char *name, bool is_private, Seen *seen) {
        mode_t executable = is_private ? S_IXUSR | S_IXGRP | S_IXOTH : S_IXOTH;
        struct stat st;
        int r;

        if (!is_service_name(name) || stat(path, &st) < 0)
                return 0;
        if (!(st.st_mode & executable)) {
                if (!is_program(path))
                        return 0;
                r = report_add(doctor->report, FINDING_WARNING, "services", report_command("chmod a+rx -- %", path),
                               "%s: is not executable: calls of it fail", ESCAPED(path, strlen(path)));
                if (r)
                        return r;
        }
        r = seen_add(seen, name);
        if (r)
                return r < 0 ? r : 0;
        r = check_callable(doctor, path, name);
        return r ?: check_needed(doctor, path, name);
}

static int check_folder(Doctor *doctor, const char *folder, bool is_private, Seen *seen) {
        _cleanup_(policy_names_deinit) PolicyNames names = {};
        int r = 0;

        if (policy_names_list(folder, &names) < 0)
                return 0; /* there is none; or one that cannot be read, which the files' check has said */
        for (size_t i = 0; i < names.n && !r; ++i) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s", folder, names.names[i]) < 0)
                        return error_origin(-ENOMEM);
                r = check_service(doctor, path, names.names[i], is_private, seen);
        }
        return r;
}

int doctor_check_services(Doctor *doctor) {
        const char *const shared[] = { "/run/qubes-rpc", "/usr/local/etc/qubes-rpc", doctor->rpc_dir };
        _cleanup_(seen_deinit) Seen seen = {};
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(shared) && !r; ++i)
                r = check_folder(doctor, shared[i], false, &seen);
        for (size_t i = 0; doctor->inventory && i < doctor->inventory->n_domains && !r; ++i) {
                _cleanup_free_ char *folder = NULL;

                if (asprintf(&folder, "%s/%s" INVENTORY_SERVICES_SUFFIX, doctor->domains_dir,
                             doctor->inventory->domains[i].name.text) < 0)
                        return error_origin(-ENOMEM);
                r = check_folder(doctor, folder, true, &seen);
        }
        return error_trace(r);
}
