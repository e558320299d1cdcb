/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs that change the inventory. Each makes the new content in memory, checks the whole inventory as it would
 * then be, and only then replaces the one file: what would be broken is refused. The folder is locked meanwhile, so
 * that two administrators cannot each make a change that is right alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/file.h"
#include "tools/ask.h"
#include "tools/command.h"
#include "tools/domain.h"

#define FILE_NAME_SIZE (DOMAIN_NAME_MAX + sizeof(INVENTORY_FILE_SUFFIX))

typedef struct Edit {
        const DomainOptions *options;
        char file_name[FILE_NAME_SIZE];
        int dir_fd;
        char *old_text; /* NULL: there is no file */
        size_t n_old_text;
        char *text;
        size_t n_text;
} Edit;

static void edit_deinit(Edit *edit) {
        fd_close(edit->dir_fd);
        free(edit->old_text);
        free(edit->text);
}

static void complain_access(const char *dir) {
        command_complain("%s: permission denied: run this as root", dir);
}

/* Opens and locks the folder and reads the domain's file. Return: COMMAND_STATUS_DONE, or what to leave with. */
static int edit_open(Edit *edit, const DomainOptions *options) {
        int r;

        *edit = (Edit){ .options = options, .dir_fd = -1 };
        snprintf(edit->file_name, sizeof(edit->file_name), "%s" INVENTORY_FILE_SUFFIX, options->name);

        edit->dir_fd = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (edit->dir_fd < 0) {
                if (errno == ENOENT)
                        command_complain("%s: no such folder: mkdir -p %s", options->dir, options->dir);
                else
                        command_complain("%s: %s", options->dir, strerror(errno));
                return COMMAND_STATUS_FAILED;
        }
        if (faccessat(edit->dir_fd, ".", W_OK, AT_EACCESS) < 0) {
                complain_access(options->dir);
                return COMMAND_STATUS_FAILED;
        }
        do
                r = flock(edit->dir_fd, LOCK_EX);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_origin(-errno);

        r = file_read_trusted(edit->dir_fd, edit->file_name, DOMAIN_FILE_MAX, &edit->old_text, &edit->n_old_text);
        if (r < 0)
                return error_trace(r);
        if (r && r != FILE_E_NOT_FOUND) {
                command_complain("%s/%s %s: 'qair domain check' says what to do", options->dir, edit->file_name,
                                 file_error_text(r));
                return COMMAND_STATUS_FAILED;
        }
        return COMMAND_STATUS_DONE;
}

/* Takes KEY=VALUE apart and checks both; the value may be empty (NULL) only if @may_unset. */
static int parse_assignment(const char *assignment, bool may_unset, Property *ret_property, PropertyValue *ret_value) {
        const char *equals = strchr(assignment, '=');
        _cleanup_free_ char *key = NULL;
        char problem[PROPERTY_PROBLEM_MAX];
        int r;

        if (!equals) {
                command_complain("'%s' is no KEY=VALUE", ESCAPED(assignment, strlen(assignment)));
                return COMMAND_STATUS_USAGE;
        }
        key = strndup(assignment, (size_t)(equals - assignment));
        if (!key)
                return error_origin(-ENOMEM);

        if (property_parse(key, ret_property)) {
                const char *meant = property_nearest(key);

                if (meant)
                        command_complain("unknown key '%s': did you mean '%s'?", ESCAPED(key, strlen(key)), meant);
                else
                        command_complain("unknown key '%s': 'qair domain --help' lists those there are",
                                         ESCAPED(key, strlen(key)));
                return COMMAND_STATUS_USAGE;
        }
        if (equals[1] == '\0' && may_unset)
                return COMMAND_STATUS_DONE;
        r = property_value_parse(*ret_property, equals + 1, ret_value, problem);
        if (r < 0)
                return error_trace(r);
        if (r) {
                command_complain("%s: %s", key, problem);
                return COMMAND_STATUS_USAGE;
        }
        return COMMAND_STATUS_DONE;
}

/* Applies the assignments of the command line, one after the other, to the text. */
static int edit_apply(Edit *edit, bool may_unset) {
        bool seen[_PROPERTY_N] = {};

        edit->text = strndup(edit->old_text ?: "", edit->n_old_text);
        if (!edit->text)
                return error_origin(-ENOMEM);
        edit->n_text = edit->n_old_text;

        for (size_t i = 0; i < edit->options->n_assignments; ++i) {
                PropertyValue value = {};
                _cleanup_free_ char *old = NULL;
                Property property;
                int r;

                r = parse_assignment(edit->options->assignments[i], may_unset, &property, &value);
                if (r)
                        return r;
                if (seen[property]) {
                        command_complain("%s is given twice", property_info(property)->key);
                        property_value_deinit(&value);
                        return COMMAND_STATUS_USAGE;
                }
                seen[property] = true;

                old = steal_ptr(&edit->text);
                r = domain_file_edit(old, edit->n_text, property, value.text, &edit->text, &edit->n_text);
                property_value_deinit(&value);
                if (r < 0)
                        return error_trace(r);
        }
        return COMMAND_STATUS_DONE;
}

/* What to say when an inventory would be broken: was it before? */
static int refuse_broken(const DomainOptions *options, const Diagnostics *diagnostics) {
        _cleanup_(diagnostics_deinit) Diagnostics before = DIAGNOSTICS_INIT;
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        int r;

        command_print_diagnostics(diagnostics);
        r = inventory_load(options->dir, &before, &inventory);
        if (r < 0)
                return error_trace(r);
        if (r)
                command_complain(
                        "nothing was changed: the inventory is broken already ('qair domain check'), and would "
                        "be afterwards: mend that first");
        else
                command_complain("nothing was changed: the inventory would be broken");
        return COMMAND_STATUS_FAILED;
}

/*
 * An account that does not exist yet is the next step, and is said when all is done; one that can never be a domain is
 * a reason to refuse. Faults of other domains' accounts are not this change's business.
 */
static int check_account(const DomainOptions *options, Inventory *inventory, const InventoryDomain *domain) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        if (options->no_accounts)
                return COMMAND_STATUS_DONE;
        r = inventory_check_accounts(inventory, &diagnostics);
        if (r < 0)
                return error_trace(r);
        if (domain->account_fault == ACCOUNT_FAULT_NONE || domain->account_fault == ACCOUNT_FAULT_MISSING)
                return COMMAND_STATUS_DONE;
        for (size_t i = 0; i < diagnostics.n_entries; ++i)
                if (strcmp(diagnostics.entries[i].path, domain->path) == 0)
                        fprintf(stderr, "%s: %s\n", domain->path, diagnostics.entries[i].text);
        command_complain("nothing was changed");
        return COMMAND_STATUS_FAILED;
}

/* A file is in force when it is there; an account that is made later is not noticed. */
static void print_missing_account(const DomainOptions *options, const InventoryDomain *domain) {
        printf("There is no account '%s' yet: useradd %s %s\n", domain->user.text,
               domain_name_is_dom0(&domain->name) ? "--system" : "--create-home", domain->user.text);
        if (strcmp(options->dir, command_paths()->domains_dir) != 0)
                return;
        if (access("/run/systemd/system", F_OK) == 0)
                printf("In force after that, and after: systemctl reload qair\n");
        else
                printf("In force after that, and after: kill -HUP the process qair-supervisor\n");
}

static int edit_write(Edit *edit, bool create) {
        int r;

        r = file_replace(edit->dir_fd, edit->file_name, edit->text, edit->n_text, 0644, create);
        if (r < 0)
                return error_trace(r);
        if (r == FILE_E_ACCESS)
                complain_access(edit->options->dir);
        else if (r)
                command_complain("%s/%s: %s", edit->options->dir, edit->file_name, file_error_text(r));
        return r ? COMMAND_STATUS_FAILED : COMMAND_STATUS_DONE;
}

/* Checks everything as it would be with the new text, writes it, and says what to do next. */
static int edit_commit(Edit *edit, bool create, const char *done) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        const DomainOptions *options = edit->options;
        InventoryChange change = { .name = options->name, .text = edit->text, .n_text = edit->n_text };
        const InventoryDomain *domain;
        int r;

        r = inventory_load_changed(options->dir, &change, &diagnostics, &inventory);
        if (r < 0)
                return error_trace(r);
        if (r)
                return refuse_broken(options, &diagnostics);
        domain = inventory_lookup(inventory, options->name);
        r = check_account(options, inventory, domain);
        if (r)
                return r;
        r = edit_write(edit, create);
        if (r)
                return r;

        printf("%s: %s (%s)\n", options->name, done, domain->path);
        if (domain->account_fault == ACCOUNT_FAULT_MISSING)
                print_missing_account(options, domain);
        return error_trace(domain_wait_in_force(options));
}

int domain_add(const DomainOptions *options) {
        _cleanup_(edit_deinit) Edit edit = { .dir_fd = -1 };
        int r;

        if (strcmp(options->name, DOM0_NAME) == 0) {
                command_complain("dom0 is always there: qair domain set dom0 KEY=VALUE…");
                return COMMAND_STATUS_FAILED;
        }
        r = edit_open(&edit, options);
        if (r)
                return r;
        if (edit.old_text) {
                command_complain("there is a domain '%s' already: qair domain set %s KEY=VALUE…", options->name,
                                 options->name);
                return COMMAND_STATUS_FAILED;
        }
        r = edit_apply(&edit, false);
        if (r)
                return r;
        if (edit.n_text == 0) { /* all defaults */
                DomainFile file = {};

                free(steal_ptr(&edit.text));
                r = domain_file_format(&file, &edit.text, &edit.n_text);
                if (r < 0)
                        return error_trace(r);
        }
        return edit_commit(&edit, true, "added");
}

int domain_set(const DomainOptions *options) {
        _cleanup_(edit_deinit) Edit edit = { .dir_fd = -1 };
        bool dom0 = strcmp(options->name, DOM0_NAME) == 0;
        int r;

        if (options->n_assignments == 0) {
                command_complain("domain set: what shall be set? write KEY=VALUE");
                return COMMAND_STATUS_USAGE;
        }
        r = edit_open(&edit, options);
        if (r)
                return r;
        if (!edit.old_text && !dom0) {
                command_complain("there is no domain '%s' in %s: qair domain add %s KEY=VALUE…", options->name,
                                 options->dir, options->name);
                return COMMAND_STATUS_FAILED;
        }
        r = edit_apply(&edit, true);
        if (r)
                return r;
        if (edit.n_text == edit.n_old_text && memcmp(edit.text, edit.old_text ?: "", edit.n_text) == 0) {
                printf("%s: nothing to change\n", options->name);
                return COMMAND_STATUS_DONE;
        }
        return edit_commit(&edit, !edit.old_text, "changed");
}

/* Who else speaks of this domain. Return: how many lines do. */
static size_t complain_references(const Inventory *inventory, const char *name) {
        size_t n = 0;

        for (size_t i = 0; i < inventory->n_domains; ++i) {
                const InventoryDomain *other = &inventory->domains[i];

                for (size_t k = 0; k < _PROPERTY_N; ++k) {
                        const PropertyValue *value = &other->file.values[k];

                        if (property_info((Property)k)->kind != PROPERTY_KIND_DOMAIN || !value->text ||
                            strcmp(value->text, name) != 0 || strcmp(other->name.text, name) == 0)
                                continue;
                        fprintf(stderr, "%s:%u: %s of '%s' is '%s'\n", other->path, value->line,
                                property_info((Property)k)->key, other->name.text, name);
                        ++n;
                }
        }
        return n;
}

/* Return: COMMAND_STATUS_DONE if the inventory is whole without @options->name, or what to leave with. */
static int check_removal(const DomainOptions *options, char **ret_account) {
        _cleanup_(diagnostics_deinit) Diagnostics before_diagnostics = DIAGNOSTICS_INIT, diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(inventory_freep) Inventory *before = NULL, *after = NULL;
        InventoryChange change = { .name = options->name };
        int r;

        r = inventory_load(options->dir, &before_diagnostics, &before);
        if (r < 0)
                return error_trace(r);
        if (r == 0) {
                const InventoryDomain *domain = inventory_lookup(before, options->name);

                if (complain_references(before, options->name) > 0) {
                        command_complain("nothing was changed: other domains need '%s': change them first",
                                         options->name);
                        return COMMAND_STATUS_FAILED;
                }
                if (domain && domain->user.text[0]) {
                        *ret_account = strdup(domain->user.text);
                        if (!*ret_account)
                                return error_origin(-ENOMEM);
                }
        }

        r = inventory_load_changed(options->dir, &change, &diagnostics, &after);
        if (r < 0)
                return error_trace(r);
        return r ? refuse_broken(options, &diagnostics) : COMMAND_STATUS_DONE;
}

/* The broker ends the calls of a domain that is removed, unless it was told before. */
static int keep_calls(const char *name) {
        char service[sizeof("qair.KeepCalls+") + DOMAIN_NAME_MAX];
        _cleanup_json_ answer = NULL;
        int r, status;

        snprintf(service, sizeof(service), "qair.KeepCalls+%s", name);
        r = ask(service, &answer, &status);
        if (r < 0)
                return error_trace(r);
        if (r == 0 && status == 0)
                return COMMAND_STATUS_DONE;
        command_complain("nothing was changed: without a broker that knows '%s' there are no calls to keep: leave out "
                         "--keep",
                         name);
        return COMMAND_STATUS_FAILED;
}

int domain_remove(const DomainOptions *options) {
        _cleanup_(edit_deinit) Edit edit = { .dir_fd = -1 };
        _cleanup_free_ char *account = NULL;
        char services[DOMAIN_NAME_MAX + sizeof(INVENTORY_SERVICES_SUFFIX)];
        int r;

        if (strcmp(options->name, DOM0_NAME) == 0) {
                command_complain(
                        "dom0 is the host itself and cannot be removed: qair domain set dom0 KEY= removes what "
                        "was set");
                return COMMAND_STATUS_FAILED;
        }
        r = edit_open(&edit, options);
        if (r)
                return r;
        if (!edit.old_text) {
                command_complain("there is no domain '%s' in %s", options->name, options->dir);
                return COMMAND_STATUS_FAILED;
        }
        r = check_removal(options, &account);
        if (!r && options->keep)
                r = keep_calls(options->name);
        if (r)
                return r;

        if (unlinkat(edit.dir_fd, edit.file_name, 0) < 0) {
                if (errno != EACCES && errno != EPERM && errno != EROFS)
                        return error_origin(-errno);
                complain_access(options->dir);
                return COMMAND_STATUS_FAILED;
        }
        if (fsync(edit.dir_fd) < 0)
                return error_origin(-errno);

        printf("%s: removed\n", options->name);
        snprintf(services, sizeof(services), "%s" INVENTORY_SERVICES_SUFFIX, options->name);
        if (faccessat(edit.dir_fd, services, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                printf("Its services are still in %s/%s\n", options->dir, services);
        if (account)
                printf("Its account is still there: userdel %s\n", account);
        return error_trace(domain_wait_in_force(options));
}
