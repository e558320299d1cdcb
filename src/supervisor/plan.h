/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor has to keep for each domain, worked out from root-owned configuration before anything is done:
 * the account, and how its agent is started. Later steps carry the plan out and look nothing up again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "base/name.h"
#include "base/paths.h"
#include "inventory/uuid.h"

typedef struct PlanDomain {
        DomainName name;
        AccountName account; /* "": none; dom0's agent's, and of every domain that is an account */
        uid_t uid;
        bool is_folder;     /* it has no account, and is whoever can reach its run directory: a container */
        bool is_sandboxed;  /* its agent runs in a sandbox */
        bool has_agent;     /* we start its agent: as its account, or as ourselves in a sandbox */
        bool autostart;     /* start it with the host */
        unsigned stop_sec;  /* how long its calls may run on when it is stopped; 0: as long as they like */
        bool shell;         /* its agent may run shell commands of the host */
        uint32_t vchan;     /* its number for qrexec-daemon, where one is its link in an agent's place; 0: none is */
        uint32_t cid;       /* likewise: its context id, of a virtual machine over vsock; 0: over vchan */
        Uuid uuid;          /* for that */
        AccountName inside; /* likewise: the account inside that services run as; "": not said */
        char *start, *stop; /* commands that do it (base/words.h); NULL: none */
        char *service_path; /* where its agent looks for services */
} PlanDomain;

typedef struct Plan {
        PlanDomain *domains; /* sorted by name; dom0 is one of them, remote ones are not */
        size_t n_domains;
} Plan;

enum {
        _PLAN_E_SUCCESS,
        PLAN_E_INVALID, /* the inventory is broken; diagnostics say how */
};

/**
 * plan_load() - read the inventory and resolve its accounts (NSS; may take its time)
 * @paths:   if a user's: every domain is a sandbox or a container, and dom0 is he himself
 * @reterr:  all that is wrong
 *
 * Return: 0, PLAN_E_INVALID, or a negative error.
 */
int plan_load(const Paths *paths, Diagnostics *reterr, Plan **ret_plan);

/** plan_new_dom0() - dom0 alone, without an account: root, or the user, can still call the broker. Return: 0 or a negative error */
int plan_new_dom0(Plan **ret_plan);

/** plan_free() - accepts NULL. Return: NULL */
Plan *plan_free(Plan *plan);
DEFINE_CLEANUP(Plan *, plan_free)

/** plan_find() - Return: a borrowed pointer, or NULL */
const PlanDomain *plan_find(const Plan *plan, const DomainName *name);
