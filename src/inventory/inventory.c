/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory/inventory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "inventory/resolve.h"

/* What is being loaded: the folder, what the finished inventory will be, and where to complain. */
typedef struct Loader {
        Inventory *inventory;
        const InventoryChange *change;
        Diagnostics *reterr;
        int dir_fd;
        uint64_t n_room; /* of inventory->domains */
} Loader;

static void domain_deinit(InventoryDomain *domain) {
        for (size_t i = 0; i < domain->n_tags; ++i)
                free(domain->tags[i]);
        free(domain->tags);
        free(domain->path);
        domain_file_deinit(&domain->file);
}

Inventory *inventory_free(Inventory *inventory) {
        if (!inventory)
                return NULL;
        for (size_t i = 0; i < inventory->n_domains; ++i)
                domain_deinit(&inventory->domains[i]);
        free(inventory->domains);
        free(inventory->dir);
        free(inventory);
        return NULL;
}

static bool has_suffix(const char *text, const char *suffix, size_t *ret_n_stem) {
        size_t n = strlen(text), n_suffix = strlen(suffix);

        if (n < n_suffix || strcmp(text + n - n_suffix, suffix) != 0)
                return false;
        *ret_n_stem = n - n_suffix;
        return true;
}

/* The instances of @dispvm are called disp and a number. */
static bool name_is_disposable(const char *text, size_t n) {
        return n > 4 && memcmp(text, "disp", 4) == 0 && strspn(text + 4, "0123456789") >= n - 4;
}

static int domain_name_explain(Loader *loader, const char *path, const char *stem, size_t n_stem,
                               DomainName *ret_name) {
        int r = domain_name_parse(stem, n_stem, ret_name);

        if (r == 0 && name_is_disposable(stem, n_stem))
                r = NAME_E_RESERVED;
        if (r == 0)
                return 0;
        r = diagnostics_add(
                loader->reterr, path, 0, 0,
                "the domain's name '%s' %s: choose another; a name is a letter, then letters, digits, "
                "'_', '-', '.', at most %d in all%s",
                ESCAPED(stem, n_stem), name_error_text(r), DOMAIN_NAME_MAX,
                r == NAME_E_RESERVED ? "; none, default, Domain-0, dispNUMBER and NAME-dm mean something else" : "");
        return r < 0 ? r : INVENTORY_E_INVALID;
}

/* Adds an empty domain; the caller fills its file. */
static int loader_add(Loader *loader, const DomainName *name, InventoryDomain **ret_domain) {
        Inventory *inventory = loader->inventory;
        InventoryDomain *domain;

        if (inventory->n_domains == loader->n_room) {
                size_t n_room = loader->n_room ? loader->n_room * 2 : 16;
                InventoryDomain *larger = reallocarray(inventory->domains, n_room, sizeof(*larger));

                if (!larger)
                        return error_origin(-ENOMEM);
                inventory->domains = larger;
                loader->n_room = n_room;
        }

        domain = &inventory->domains[inventory->n_domains];
        *domain = (InventoryDomain){ .name = *name, .uid = (uid_t)-1, .gid = (gid_t)-1 };
        if (asprintf(&domain->path, "%s/%s" INVENTORY_FILE_SUFFIX, inventory->dir, name->text) < 0) {
                domain->path = NULL;
                return error_origin(-ENOMEM);
        }
        ++inventory->n_domains;
        *ret_domain = domain;
        return 0;
}

static const char *file_error_remedy(int r) {
        switch (r) {
        case FILE_E_SYMLINK:
                return "copy the file here";
        case FILE_E_OWNER:
                return "chown it to root";
        case FILE_E_WRITABLE:
                return "chmod go-w";
        case FILE_E_TOO_LARGE:
                return "at most 64 KiB";
        case FILE_E_ACCESS:
                return "run this as root, or chmod a+r";
        case FILE_E_UNREADABLE:
                return "try again when the machine has room";
        default:
                return "a plain file is needed";
        }
}

/* A file that cannot be read, or has errors, is complained of; its domain exists all the same, so that references to
 * it do not count as dangling too. */
static int loader_read(Loader *loader, const char *entry, InventoryDomain *domain) {
        const InventoryChange *change = loader->change;
        _cleanup_free_ char *data = NULL;
        size_t n = 0;
        int r;

        if (change && strcmp(change->name, domain->name.text) == 0) {
                r = domain_file_parse(domain->path, change->text, change->n_text, loader->reterr, &domain->file);
                return r < 0 ? error_trace(r) : 0;
        }

        r = file_read_trusted(loader->dir_fd, entry, DOMAIN_FILE_MAX, &data, &n);
        if (r < 0)
                return error_trace(r);
        if (r)
                return diagnostics_add(loader->reterr, domain->path, 0, 0, "%s: %s", file_error_text(r),
                                       file_error_remedy(r));
        r = domain_file_parse(domain->path, data, n, loader->reterr, &domain->file);
        return r < 0 ? error_trace(r) : 0;
}

static int loader_check_services(Loader *loader, const char *entry) {
        _cleanup_free_ char *path = NULL;
        struct stat st;
        int r;

        if (fstatat(loader->dir_fd, entry, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : error_origin(-errno);
        if (asprintf(&path, "%s/%s", loader->inventory->dir, entry) < 0) {
                path = NULL;
                return error_origin(-ENOMEM);
        }
        if (!S_ISDIR(st.st_mode))
                return diagnostics_add(loader->reterr, path, 0, 0,
                                       "is no folder: a domain's services stand in a folder NAME.rpc");
        r = file_check_trusted(&st);
        if (r)
                return diagnostics_add(loader->reterr, path, 0, 0, "%s: %s", file_error_text(r), file_error_remedy(r));
        return 0;
}

/* One entry of the folder. What is neither a domain's file nor its services is none of ours (editors' copies, notes). */
static int loader_on_entry(Loader *loader, const char *entry) {
        const InventoryChange *change = loader->change;
        _cleanup_free_ char *path = NULL;
        InventoryDomain *domain;
        DomainName name;
        size_t n_stem;
        int r;

        if (entry[0] == '.')
                return 0;
        if (has_suffix(entry, INVENTORY_SERVICES_SUFFIX, &n_stem))
                return loader_check_services(loader, entry);
        if (!has_suffix(entry, INVENTORY_FILE_SUFFIX, &n_stem))
                return 0;

        if (asprintf(&path, "%s/%s", loader->inventory->dir, ESCAPED(entry, strlen(entry))) < 0) {
                path = NULL;
                return error_origin(-ENOMEM);
        }
        if (loader->inventory->n_domains >= INVENTORY_DOMAINS_MAX)
                return diagnostics_add(loader->reterr, path, 0, 0, "one domain too many: a host has at most %d",
                                       INVENTORY_DOMAINS_MAX);
        r = domain_name_explain(loader, path, entry, n_stem, &name);
        if (r)
                return r < 0 ? error_trace(r) : 0;
        if (change && !change->text && strcmp(change->name, name.text) == 0)
                return 0;
        r = loader_add(loader, &name, &domain);
        return r ?: loader_read(loader, entry, domain);
}

static int compare_entries(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int loader_read_folder(Loader *loader) {
        struct dirent **entries = NULL;
        int n, r = 0;

        n = scandirat(loader->dir_fd, ".", &entries, NULL, compare_entries);
        if (n < 0)
                return error_origin(-errno);
        for (int i = 0; i < n; ++i) {
                if (r == 0)
                        r = loader_on_entry(loader, entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        return r < 0 ? error_trace(r) : 0;
}

static InventoryDomain *find_unsorted(const Inventory *inventory, const char *name) {
        for (size_t i = 0; i < inventory->n_domains; ++i)
                if (strcmp(inventory->domains[i].name.text, name) == 0)
                        return &inventory->domains[i];
        return NULL;
}

/* The domain of a change that adds a file, and dom0, which needs none. */
static int loader_complete(Loader *loader) {
        const InventoryChange *change = loader->change;
        InventoryDomain *domain;
        DomainName name;
        int r;

        if (change && change->text && !find_unsorted(loader->inventory, change->name)) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%s/%s" INVENTORY_FILE_SUFFIX, loader->inventory->dir, change->name) < 0) {
                        path = NULL;
                        return error_origin(-ENOMEM);
                }
                r = domain_name_explain(loader, path, change->name, strlen(change->name), &name);
                if (r)
                        return r < 0 ? error_trace(r) : 0;
                r = loader_add(loader, &name, &domain);
                r = r ?: loader_read(loader, NULL, domain);
                if (r < 0)
                        return error_trace(r);
                /* Room for it in a folder that is full is the next load's to refuse; this one's is to say so. */
                if (loader->inventory->n_domains > INVENTORY_DOMAINS_MAX) {
                        r = diagnostics_add(loader->reterr, domain->path, 0, 0,
                                            "one domain too many: a host has at most %d", INVENTORY_DOMAINS_MAX);
                        if (r < 0)
                                return error_trace(r);
                }
        }
        if (!find_unsorted(loader->inventory, DOM0_NAME)) {
                r = domain_name_parse(DOM0_NAME, strlen(DOM0_NAME), &name);
                return r ? error_fold(r) : loader_add(loader, &name, &domain);
        }
        return 0;
}

static int loader_open(Loader *loader, const char *dir) {
        struct stat st;
        int r;

        if (strpbrk(dir, ":\n"))
                return diagnostics_add(loader->reterr, dir, 0, 0,
                                       "a folder with ':' in its name cannot be searched for "
                                       "services: choose another");
        loader->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (loader->dir_fd < 0)
                return diagnostics_add(loader->reterr, dir, 0, 0, "cannot be opened: %s%s", strerror(errno),
                                       errno == ENOENT ? ": create it (mkdir -p)" : "");
        if (fstat(loader->dir_fd, &st) < 0)
                return error_origin(-errno);
        r = file_check_trusted(&st);
        if (r)
                return diagnostics_add(loader->reterr, dir, 0, 0, "%s: %s", file_error_text(r), file_error_remedy(r));
        return 0;
}

static int compare_domains(const void *a, const void *b) {
        return strcmp(((const InventoryDomain *)a)->name.text, ((const InventoryDomain *)b)->name.text);
}

static int loader_load(Loader *loader) {
        Inventory *inventory = loader->inventory;
        int r;

        r = loader_open(loader, inventory->dir);
        if (r < 0 || loader->reterr->n_entries > 0)
                return error_trace(r);
        r = loader_read_folder(loader);
        r = r ?: loader_complete(loader);
        if (r < 0)
                return error_trace(r);

        /* From here on the array stays where it is: domains point to each other. */
        qsort(inventory->domains, inventory->n_domains, sizeof(InventoryDomain), compare_domains);
        r = inventory_resolve(inventory, loader->reterr);
        r = r ?: inventory_check(inventory, loader->reterr);
        return error_trace(r);
}

static int compare_diagnostics(const Diagnostic *a, const Diagnostic *b) {
        return strcmp(a->path, b->path) ?: (a->line > b->line) - (a->line < b->line);
}

/* The steps find what they find; who mends it goes through a file at a time. Stable, and the list is short. */
static void diagnostics_sort(Diagnostics *diagnostics) {
        for (size_t i = 1; i < diagnostics->n_entries; ++i)
                for (size_t k = i; k > 0; --k) {
                        Diagnostic *one = &diagnostics->entries[k - 1], *two = &diagnostics->entries[k];
                        Diagnostic swap = *one;

                        if (compare_diagnostics(one, two) <= 0)
                                break;
                        *one = *two;
                        *two = swap;
                }
}

int inventory_load_changed(const char *dir, const InventoryChange *change, Diagnostics *reterr,
                           Inventory **ret_inventory) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        Loader loader = { .change = change, .reterr = reterr, .dir_fd = -1 };
        int r;

        inventory = calloc(1, sizeof(*inventory));
        if (!inventory)
                return error_origin(-ENOMEM);
        inventory->dir = strdup(dir);
        if (!inventory->dir)
                return error_origin(-ENOMEM);

        loader.inventory = inventory;
        r = loader_load(&loader);
        fd_close(loader.dir_fd);
        if (r < 0)
                return error_trace(r);
        if (reterr->n_entries > 0) {
                diagnostics_sort(reterr);
                return INVENTORY_E_INVALID;
        }

        *ret_inventory = steal_ptr(&inventory);
        return 0;
}

int inventory_load(const char *dir, Diagnostics *reterr, Inventory **ret_inventory) {
        return inventory_load_changed(dir, NULL, reterr, ret_inventory);
}

static int compare_name(const void *name, const void *domain) {
        return strcmp(name, ((const InventoryDomain *)domain)->name.text);
}

const InventoryDomain *inventory_lookup(const Inventory *inventory, const char *name) {
        return bsearch(name, inventory->domains, inventory->n_domains, sizeof(InventoryDomain), compare_name);
}

const InventoryDomain *inventory_dom0(const Inventory *inventory) {
        return inventory_lookup(inventory, DOM0_NAME);
}

int inventory_service_path(const Inventory *inventory, const InventoryDomain *domain, char **ret_path) {
        char *path = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&path, &n);
        int r;

        if (!stream)
                return error_origin(-ENOMEM);
        fputs("/run/qubes-rpc", stream);
        for (const InventoryDomain *owner = domain; owner; owner = owner->template)
                fprintf(stream, ":%s/%s" INVENTORY_SERVICES_SUFFIX, inventory->dir, owner->name.text);
        fputs(":/usr/local/etc/qubes-rpc:/etc/qubes-rpc", stream);
        r = text_close(stream, &path);
        if (r)
                return error_trace(r);
        *ret_path = path;
        return 0;
}

void domain_icon(const InventoryDomain *domain, char ret_icon[static DOMAIN_ICON_SIZE]) {
        static const char *const kinds[_DOMAIN_TYPE_N] = {
                [DOMAIN_TYPE_ADMINVM] = "adminvm",
                [DOMAIN_TYPE_APPVM] = "appvm",
                [DOMAIN_TYPE_STANDALONEVM] = "standalonevm",
                [DOMAIN_TYPE_TEMPLATEVM] = "templatevm",
                [DOMAIN_TYPE_DISPVM] = "dispvm",
                [DOMAIN_TYPE_REMOTEVM] = "appvm",
        };

        snprintf(ret_icon, DOMAIN_ICON_SIZE, "%s-%s", kinds[domain->type], domain_label_text(domain->label));
}

static int compare_tag(const void *name, const void *tag) {
        return strcmp(name, *(char *const *)tag);
}

bool domain_has_tag(const InventoryDomain *domain, const char *tag) {
        return domain->n_tags > 0 && bsearch(tag, domain->tags, domain->n_tags, sizeof(*domain->tags), compare_tag);
}

const char *domain_property_text(const InventoryDomain *domain, Property property) {
        if (domain->effective[property])
                return domain->effective[property]->text;
        if (property == PROPERTY_TYPE)
                return domain_type_text(domain->type);
        if (property == PROPERTY_LABEL)
                return domain_label_text(domain->label);
        if (property == PROPERTY_GUIVM)
                return domain->guivm ? domain->guivm->name.text : NULL;
        if (property == PROPERTY_UUID)
                return domain->uuid.text;
        if (property == PROPERTY_REMOTE_NAME)
                return domain->remote_name.text[0] ? domain->remote_name.text : NULL;
        return property_info(property)->default_text;
}
