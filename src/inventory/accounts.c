/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/number.h"
#include "inventory/inventory.h"

/** Largest answer of a name service that we make room for: a group with some ten thousand members. */
#define ACCOUNT_BUFFER_MAX (1024 * 1024)
/** Groups of one account; the kernel's own limit (NGROUPS_MAX). */
#define ACCOUNT_GROUPS_MAX 65536

enum {
        _ACCOUNT_E_SUCCESS,
        ACCOUNT_E_MISSING,
        ACCOUNT_E_LOOKUP, /* errno says why */
};

static int buffer_grow(char **buffer, size_t *n) {
        char *larger;

        *n = *n ? *n * 2 : 1024;
        if (*n > ACCOUNT_BUFFER_MAX) {
                errno = ERANGE;
                return ACCOUNT_E_LOOKUP;
        }
        larger = realloc(*buffer, *n);
        if (!larger)
                return error_origin(-ENOMEM);
        *buffer = larger;
        return 0;
}

/* "Not found" has many spellings among name services: getpwnam(3). */
static int lookup_outcome(int error, bool found) {
        if (found)
                return 0;
        switch (error) {
        case 0:
        case ENOENT:
        case ESRCH:
        case EBADF:
        case EPERM:
                return ACCOUNT_E_MISSING;
        default:
                errno = error;
                return ACCOUNT_E_LOOKUP;
        }
}

static int lookup_account(const char *name, uid_t *ret_uid, gid_t *ret_gid) {
        _cleanup_free_ char *buffer = NULL;
        struct passwd entry, *found = NULL;
        size_t n = 0;
        int r, error;

        do {
                r = buffer_grow(&buffer, &n);
                if (r)
                        return r;
                error = getpwnam_r(name, &entry, buffer, n, &found);
        } while (error == ERANGE || error == EINTR);

        r = lookup_outcome(error, found);
        if (r)
                return r;
        *ret_uid = entry.pw_uid;
        *ret_gid = entry.pw_gid;
        return 0;
}

static int lookup_group(const char *name, gid_t *ret_gid) {
        _cleanup_free_ char *buffer = NULL;
        struct group entry, *found = NULL;
        size_t n = 0;
        int r, error;

        do {
                r = buffer_grow(&buffer, &n);
                if (r)
                        return r;
                error = getgrnam_r(name, &entry, buffer, n, &found);
        } while (error == ERANGE || error == EINTR);

        r = lookup_outcome(error, found);
        if (r)
                return r;
        *ret_gid = entry.gr_gid;
        return 0;
}

static int account_is_member(const char *name, gid_t primary, gid_t group, bool *ret_member) {
        _cleanup_free_ gid_t *groups = NULL;
        int n = 64, n_room;

        /* getgrouplist() answers -1 and the number it needs; groups may be added meanwhile, so ask again. */
        do {
                gid_t *larger;

                n_room = n;
                if (n_room > ACCOUNT_GROUPS_MAX) {
                        errno = ERANGE;
                        return ACCOUNT_E_LOOKUP;
                }
                larger = reallocarray(groups, (size_t)n_room, sizeof(*groups));
                if (!larger)
                        return error_origin(-ENOMEM);
                groups = larger;
        } while (getgrouplist(name, primary, groups, &n) < 0 && n > n_room);

        *ret_member = false;
        for (int i = 0; i < n && i < n_room; ++i)
                if (groups[i] == group)
                        *ret_member = true;
        return 0;
}

/* Facts that hold for all accounts. */
typedef struct AccountContext {
        uid_t overflow_uid;
        uid_t broker_uid;
        gid_t group;
} AccountContext;

/* The usual overflow uid, and ids that no account can have. */
#define ACCOUNT_CONTEXT_INIT ((AccountContext){ .overflow_uid = 65534, .broker_uid = (uid_t)-1, .group = (gid_t)-1 })

/* What cannot be looked up cannot be compared with, so that is an error as well; that there is no such account, or no
 * such group, is none: a host without a broker's account has no broker. */
static int context_complain(const char *dir, const char *what, const char *name, Diagnostics *reterr) {
        return diagnostics_add(reterr, dir, 0, 0, "the %s '%s' cannot be looked up: %s", what, name, strerror(errno));
}

static int context_load(AccountContext *context, const char *dir, Diagnostics *reterr) {
        _cleanup_free_ char *text = NULL;
        uint64_t overflow;
        gid_t ignored;
        size_t n;
        int r;

        r = file_read(AT_FDCWD, "/proc/sys/kernel/overflowuid", 32, &text, &n);
        if (r < 0)
                return error_trace(r);
        if (r == 0 && n > 0 && number_parse(text, n - 1, 0, UINT32_MAX, &overflow) == 0)
                context->overflow_uid = (uid_t)overflow;

        r = lookup_account(INVENTORY_ACCOUNT_BROKER, &context->broker_uid, &ignored);
        if (r == ACCOUNT_E_LOOKUP)
                r = context_complain(dir, "account", INVENTORY_ACCOUNT_BROKER, reterr);
        if (r < 0)
                return error_trace(r);
        r = lookup_group(INVENTORY_GROUP, &context->group);
        if (r == ACCOUNT_E_LOOKUP)
                r = context_complain(dir, "group", INVENTORY_GROUP, reterr);
        return r < 0 ? error_trace(r) : 0;
}

static int find_fault(const AccountContext *context, InventoryDomain *domain) {
        bool member = false;
        int r;

        r = lookup_account(domain->user.text, &domain->uid, &domain->gid);
        if (r == ACCOUNT_E_MISSING)
                domain->account_fault = ACCOUNT_FAULT_MISSING;
        else if (r == ACCOUNT_E_LOOKUP)
                domain->account_fault = ACCOUNT_FAULT_LOOKUP;
        if (r)
                return r < 0 ? r : 0;

        if (domain->uid == 0)
                domain->account_fault = ACCOUNT_FAULT_ROOT;
        else if (domain->uid == context->overflow_uid || domain->uid == (uid_t)-1)
                domain->account_fault = ACCOUNT_FAULT_OVERFLOW;
        else if (domain->uid == context->broker_uid)
                domain->account_fault = ACCOUNT_FAULT_BROKER;
        if (domain->account_fault != ACCOUNT_FAULT_NONE || domain->type == DOMAIN_TYPE_ADMINVM ||
            context->group == (gid_t)-1)
                return 0;

        r = account_is_member(domain->user.text, domain->gid, context->group, &member);
        if (r < 0)
                return r;
        if (r == ACCOUNT_E_LOOKUP)
                domain->account_fault = ACCOUNT_FAULT_LOOKUP;
        else if (member)
                domain->account_fault = ACCOUNT_FAULT_GROUP;
        return 0;
}

static int complain(const InventoryDomain *domain, Diagnostics *reterr, const InventoryDomain *other, int error) {
        bool dom0 = domain->type == DOMAIN_TYPE_ADMINVM;
        unsigned line = domain->file.values[dom0 ? PROPERTY_DOM0_USER : PROPERTY_USER].line;
        const char *key = dom0 ? "dom0_user" : "user", *name = domain->user.text, *path = domain->path;

        switch (domain->account_fault) {
        case ACCOUNT_FAULT_NONE:
                return 0;
        case ACCOUNT_FAULT_MISSING:
                return diagnostics_add(reterr, path, line, 0, "%s: there is no account '%s': useradd %s %s", key, name,
                                       dom0 ? "--system" : "--create-home", name);
        case ACCOUNT_FAULT_LOOKUP:
                return diagnostics_add(reterr, path, line, 0, "%s: the account '%s' cannot be looked up: %s", key, name,
                                       strerror(error));
        case ACCOUNT_FAULT_ROOT:
                return diagnostics_add(reterr, path, line, 0,
                                       "%s: the account '%s' has user id 0, and so is root: take another", key, name);
        case ACCOUNT_FAULT_OVERFLOW:
                return diagnostics_add(reterr, path, line, 0,
                                       "%s: the account '%s' has the user id that stands for every id that is not "
                                       "mapped: take another",
                                       key, name);
        case ACCOUNT_FAULT_BROKER:
                return diagnostics_add(reterr, path, line, 0,
                                       "%s: the account '%s' has the user id of the broker's ('%s'): take another", key,
                                       name, INVENTORY_ACCOUNT_BROKER);
        case ACCOUNT_FAULT_GROUP:
                return diagnostics_add(
                        reterr, path, line, 0,
                        "%s: the account '%s' is in the group '%s', which is dom0's: gpasswd --delete %s "
                        "%s",
                        key, name, INVENTORY_GROUP, name, INVENTORY_GROUP);
        case ACCOUNT_FAULT_SHARED:
                return diagnostics_add(reterr, path, line, 0,
                                       "%s: the account '%s' has the same user id as '%s', which is the domain '%s': "
                                       "take another",
                                       key, name, other->user.text, other->name.text);
        }
        return 0;
}

static int compare_uids(const void *a, const void *b) {
        const InventoryDomain *one = *(InventoryDomain *const *)a, *two = *(InventoryDomain *const *)b;

        return one->uid != two->uid ? (one->uid > two->uid) - (one->uid < two->uid) : (one > two) - (one < two);
}

/* Two names of one user id would make two domains one. */
static int check_shared(Inventory *inventory, Diagnostics *reterr) {
        _cleanup_free_ InventoryDomain **all = NULL;
        size_t n = 0;

        all = calloc(inventory->n_domains, sizeof(*all));
        if (!all)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < inventory->n_domains; ++i)
                if (inventory->domains[i].uid != (uid_t)-1 && inventory->domains[i].account_fault == ACCOUNT_FAULT_NONE)
                        all[n++] = &inventory->domains[i];
        qsort(all, n, sizeof(*all), compare_uids);
        for (size_t i = 1; i < n; ++i) {
                int r;

                if (all[i]->uid != all[i - 1]->uid)
                        continue;
                all[i]->account_fault = ACCOUNT_FAULT_SHARED;
                r = complain(all[i], reterr, all[i - 1], 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

int inventory_check_accounts(Inventory *inventory, Diagnostics *reterr) {
        AccountContext context = ACCOUNT_CONTEXT_INIT;
        size_t n_before = reterr->n_entries + reterr->n_dropped;
        int r;

        r = context_load(&context, inventory->dir, reterr);
        if (r < 0)
                return error_trace(r);
        for (size_t i = 0; i < inventory->n_domains; ++i) {
                InventoryDomain *domain = &inventory->domains[i];

                if (!domain->user.text[0])
                        continue;
                r = find_fault(&context, domain);
                r = r < 0 ? r : complain(domain, reterr, NULL, errno);
                if (r < 0)
                        return error_trace(r);
        }
        r = check_shared(inventory, reterr);
        if (r < 0)
                return error_trace(r);

        /* Nobody shall start anything as an account that has a fault. */
        for (size_t i = 0; i < inventory->n_domains; ++i)
                if (inventory->domains[i].account_fault != ACCOUNT_FAULT_NONE) {
                        inventory->domains[i].uid = (uid_t)-1;
                        inventory->domains[i].gid = (gid_t)-1;
                }
        return reterr->n_entries + reterr->n_dropped > n_before ? INVENTORY_E_INVALID : 0;
}
