/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inventory: what this host knows of its domains. One file per domain, NAME.conf, in one folder; dom0 is there
 * without one. It is loaded whole or not at all: a host whose inventory is broken in one place does not guess.
 *
 *   read each file -> join with the templates' values and the defaults -> check each domain and all together
 *
 * The result never changes; a reload makes another.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "base/name.h"
#include "inventory/domain-file.h"
#include "inventory/property.h"
#include "inventory/uuid.h"

/** A domain's file and its folder of services, in the inventory's folder. */
#define INVENTORY_FILE_SUFFIX     ".conf"
#define INVENTORY_SERVICES_SUFFIX ".rpc"
/** Domains of one host. Each is some hundred bytes and one file to read. */
#define INVENTORY_DOMAINS_MAX 4096
/** How many templates, or relays, can stand in a row (a call is wrapped once for each relay). */
#define INVENTORY_DEPTH_MAX 4
/** The accounts that are ours: the broker's, and what dom0's services run as unless dom0.conf says otherwise. */
#define INVENTORY_ACCOUNT_BROKER "qrexec"
#define INVENTORY_ACCOUNT_DOM0   "qrexec-dom0"
/** The group that dom0's account is in, and no domain's may be. */
#define INVENTORY_GROUP "qubes"

/** Why an account cannot be a domain's; found by inventory_check_accounts(). */
typedef enum AccountFault {
        ACCOUNT_FAULT_NONE,
        ACCOUNT_FAULT_MISSING,  /* there is no such account (yet) */
        ACCOUNT_FAULT_LOOKUP,   /* the name service failed */
        ACCOUNT_FAULT_ROOT,     /* uid 0 */
        ACCOUNT_FAULT_OVERFLOW, /* the uid that stands for every id a user namespace does not map */
        ACCOUNT_FAULT_BROKER,   /* the broker's uid */
        ACCOUNT_FAULT_GROUP,    /* a member of INVENTORY_GROUP */
        ACCOUNT_FAULT_SHARED,   /* another domain's uid */
} AccountFault;

typedef struct InventoryDomain InventoryDomain;

/** One domain; texts are NULL, names empty, references NULL where there is nothing. */
struct InventoryDomain {
        DomainName name;
        Uuid uuid;
        DomainType type;
        DomainLabel label;
        char **tags; /* sorted, without duplicates; with relayvm-RELAY and guivm-GUIVM where they apply */
        size_t n_tags;

        AccountName user; /* the account that is this domain; of dom0: what its agent runs as */
        AccountName default_user;
        uid_t uid; /* of `user`; (uid_t)-1 until inventory_check_accounts() found it */
        gid_t gid;
        AccountFault account_fault;

        const InventoryDomain *guivm;
        const InventoryDomain *template;
        const InventoryDomain *default_dispvm;
        const InventoryDomain *relayvm;
        const InventoryDomain *unknown_source;
        DomainName remote_name; /* never empty for a RemoteVM: its own name if not set */
        const char *transport_rpc;
        const char *remote_host;

        const char *start; /* commands, as written */
        const char *stop;
        DomainSandbox sandbox;
        DomainLink link;
        uint32_t vsock_cid;
        uint32_t vchan_id;          /* what the domain takes itself for, of a vchan link */
        uint64_t idle_timeout_usec; /* 0: never */
        unsigned stop_timeout_sec;  /* 0: calls that run there are waited for */
        unsigned max_calls;
        bool template_for_dispvms;
        bool autostart;
        bool internal;
        bool shell;

        char *path;                                  /* its file; for dom0 the one it would have */
        DomainFile file;                             /* what its file sets */
        const PropertyValue *effective[_PROPERTY_N]; /* its own or an ancestor's; NULL: the default holds */
        const InventoryDomain *origin[_PROPERTY_N];  /* whose value that is; NULL: the default holds */
};

typedef struct Inventory {
        char *dir;
        InventoryDomain *domains; /* sorted by name, as strcmp(3) orders; dom0 is among them */
        size_t n_domains;
} Inventory;

/** A file that is not written yet, to be checked with all the others. */
typedef struct InventoryChange {
        const char *name; /* of the domain: a valid name */
        const char *text; /* its file's content, NUL-terminated; NULL: there is no such file */
        size_t n_text;
} InventoryChange;

enum {
        _INVENTORY_E_SUCCESS,
        INVENTORY_E_INVALID, /* diagnostics say what and where */
};

/**
 * inventory_load() - read a folder
 * @dir:           such as PATHS_DOMAINS_DIR
 * @reterr:        must be empty; on INVENTORY_E_INVALID: all errors of all files, by file and line
 * @ret_inventory: the caller frees it with inventory_free()
 *
 * Folder, files and folders of services must belong to root or the effective user, and nobody else may write them.
 * Accounts are not looked up: inventory_check_accounts().
 * Return: 0, INVENTORY_E_INVALID, or a negative error.
 */
int inventory_load(const char *dir, Diagnostics *reterr, Inventory **ret_inventory);

/** inventory_load_changed() - inventory_load(), as if @change had been made already (NULL: none) */
int inventory_load_changed(const char *dir, const InventoryChange *change, Diagnostics *reterr,
                           Inventory **ret_inventory);

/** inventory_free() - NULL is fine. Return: NULL */
Inventory *inventory_free(Inventory *inventory);
DEFINE_CLEANUP(Inventory *, inventory_free)

/** inventory_lookup() - the domain with this name, or NULL */
const InventoryDomain *inventory_lookup(const Inventory *inventory, const char *name);

/** inventory_dom0() - cannot fail */
const InventoryDomain *inventory_dom0(const Inventory *inventory);

/**
 * inventory_check_accounts() - look up the domains' accounts
 * @reterr: one entry for each domain whose account will not do, with the remedy
 *
 * Fills account_fault of every domain that has a user, and uid and gid where there is no fault. Of two domains with
 * one uid the first by name has none. Asks the name service, which may block: for the supervisor and for tools, not
 * for the broker.
 * Return: 0, INVENTORY_E_INVALID, or a negative error.
 */
int inventory_check_accounts(Inventory *inventory, Diagnostics *reterr);

/**
 * inventory_service_path() - where an agent of @domain looks for services, for QREXEC_SERVICE_PATH
 *
 * /run/qubes-rpc, the domain's own folder, its templates', /usr/local/etc/qubes-rpc, /etc/qubes-rpc; with colons
 * between them. The caller frees it. Return: 0 or a negative error.
 */
int inventory_service_path(const Inventory *inventory, const InventoryDomain *domain, char **ret_path);

/** An icon's name in system information, such as "appvm-red" (policy specification, 6.2). */
#define DOMAIN_ICON_SIZE 32
/** domain_icon() - write it to @ret_icon; cannot fail */
void domain_icon(const InventoryDomain *domain, char ret_icon[static DOMAIN_ICON_SIZE]);

/** domain_has_tag() - is @tag one of the domain's? */
bool domain_has_tag(const InventoryDomain *domain, const char *tag);

/** domain_is_local() - is it on this host, with an agent of its own (neither dom0 nor remote)? */
static inline bool domain_is_local(const InventoryDomain *domain) {
        return domain->type != DOMAIN_TYPE_ADMINVM && domain->type != DOMAIN_TYPE_REMOTEVM;
}

/** domain_property_text() - the value that holds, the default included, as text; NULL: none */
const char *domain_property_text(const InventoryDomain *domain, Property property);
