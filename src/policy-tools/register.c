/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/register.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/name.h"
#include "base/text.h"
#include "policy-tools/admin.h"

const char *policy_register_error(int r) {
        switch (r) {
        case POLICY_REGISTER_E_TOO_LONG:
                return "argument too long";
        case POLICY_REGISTER_E_EMPTY:
                return "empty argument";
        case POLICY_REGISTER_E_CHARACTERS:
                return "invalid argument";
        case POLICY_REGISTER_E_NAME:
                return "invalid name of a domain or service";
        default:
                return "internal error";
        }
}

static int register_fail(char **ret_message, const char *path, const char *text) {
        if (asprintf(ret_message, "%s: %s", path, text) < 0) {
                *ret_message = NULL;
                return error_origin(-ENOMEM);
        }
        return POLICY_REGISTER_E_FAILED;
}

static bool is_domain(const char *name) {
        DomainName domain;

        return name && domain_name_parse(name, strlen(name), &domain) == 0;
}

static int check(const PolicyRegistration *registration) {
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
        PolicySlice argument = registration->argument;

        if (!is_domain(registration->frontend) || !is_domain(registration->backend) || !registration->service ||
            service_name_check(registration->service, strlen(registration->service)))
                return POLICY_REGISTER_E_NAME;
        if (argument.n > POLICY_REGISTER_ARGUMENT_MAX)
                return POLICY_REGISTER_E_TOO_LONG;
        if (argument.n == 0)
                return POLICY_REGISTER_E_EMPTY;
        for (size_t i = 0; i < argument.n; ++i)
                if (argument.text[i] == '\0' || !strchr(allowed, argument.text[i]))
                        return POLICY_REGISTER_E_CHARACTERS;
        return 0;
}

/* Is there a rule with exactly this service and argument? */
static int check_unregistered(const PolicyRegistration *registration, const PolicyRule *rule, char **ret_message) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_free_ char *first = NULL;
        int r;

        r = policy_load(&(PolicySources){ .directories = registration->directories,
                                          .n_directories = registration->n_directories,
                                          .legacy = registration->legacy },
                        &diagnostics, &policy);
        if (r < 0)
                return error_trace(r);
        if (r > 0) {
                first = diagnostic_format(&diagnostics.entries[0]);
                return first ? register_fail(ret_message, "the policy does not load", first) : error_origin(-ENOMEM);
        }
        for (size_t i = 0; i < policy->n_rules; ++i)
                if (policy->rules[i].service && policy->rules[i].argument &&
                    policy_atom_equal(policy->rules[i].service, rule->service) &&
                    policy_atom_equal(policy->rules[i].argument, rule->argument))
                        return POLICY_REGISTER_E_REGISTERED;
        return 0;
}

/* @old, its last line ended, and one line more; whatever bytes there are. */
static int add_line(PolicySlice old, const char *line, char **ret_text, size_t *ret_n) {
        char *text = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&text, &n);
        int r;

        if (!stream)
                return error_origin(-ENOMEM);
        fwrite(old.text, 1, old.n, stream);
        fprintf(stream, "%s%s\n", old.n > 0 && old.text[old.n - 1] != '\n' ? "\n" : "", line);
        r = text_close(stream, &text);
        if (r)
                return error_trace(r);
        *ret_text = text;
        *ret_n = n;
        return 0;
}

static int append(int dir_fd, const char *line, char **ret_message) {
        _cleanup_free_ char *old = NULL, *text = NULL;
        size_t n_old = 0, n = 0;
        struct stat st;
        int r;

        r = file_read(dir_fd, POLICY_REGISTER_FILE, POLICY_FILE_SIZE_MAX, &old, &n_old);
        if (r < 0)
                return error_trace(r);
        if (r > 0 && r != FILE_E_NOT_FOUND)
                return register_fail(ret_message, POLICY_REGISTER_FILE, file_error_text(r));
        r = add_line((PolicySlice){ old ?: "", n_old }, line, &text, &n);
        if (r < 0)
                return r;
        if (fstat(dir_fd, &st) < 0)
                return error_origin(-errno);
        r = file_replace(dir_fd, POLICY_REGISTER_FILE, text, n,
                         st.st_mode & S_IWGRP ? POLICY_ADMIN_MODE_GROUP : POLICY_ADMIN_MODE, false);
        return r > 0 ? register_fail(ret_message, POLICY_REGISTER_FILE, file_error_text(r)) : error_trace(r);
}

int policy_register(const PolicyRegistration *registration, char **ret_message) {
        const char *directory = registration->directories[registration->n_directories - 1];
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_free_ char *line = NULL;
        _cleanup_fd_ int dir_fd = -1;
        int r;

        r = check(registration);
        if (r)
                return r;
        if (asprintf(&line, "%s +%.*s %s %s allow", registration->service, (int)registration->argument.n,
                     registration->argument.text, registration->frontend, registration->backend) < 0) {
                line = NULL;
                return error_origin(-ENOMEM);
        }
        r = policy_parse("", policy_slice(line), &diagnostics, &policy);
        if (r < 0)
                return error_trace(r);
        if (r > 0 || policy->n_rules != 1)
                return POLICY_REGISTER_E_NAME;
        dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return register_fail(ret_message, directory, strerror(errno));
        while (flock(dir_fd, LOCK_EX) < 0)
                if (errno != EINTR)
                        return register_fail(ret_message, directory, strerror(errno));
        r = check_unregistered(registration, &policy->rules[0], ret_message);
        return r ?: append(dir_fd, line, ret_message);
}
