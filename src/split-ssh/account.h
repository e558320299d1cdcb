/* SPDX-License-Identifier: Apache-2.0 */
/* Whose keys these are: our own account's, or, for root of a machine that is one domain, those of its default user. */
#pragma once

#include <limits.h>
#include <sys/types.h>

#include "base/name.h"

enum {
        _ACCOUNT_E_SUCCESS,
        ACCOUNT_E_NONE, /* there is no such account, or its home is no absolute path */
        ACCOUNT_E_FAILED,
};

typedef struct Account {
        uid_t uid;
        gid_t gid;
        char name[ACCOUNT_NAME_MAX + 1];
        char home[PATH_MAX];
} Account;

/** account_self() - who we are; the home is $HOME, or else the account's. Return: 0, ACCOUNT_E_NONE (logged) or negative */
int account_self(Account *ret_account);

/**
 * account_default() - the default user of this machine (split-ssh specification, 3.3): QubesDB's /default-user, or `user`
 *
 * Return: 0, ACCOUNT_E_NONE (logged), or a negative error.
 */
int account_default(Account *ret_account);

/**
 * account_become() - be @account for good, with its environment; for root
 *
 * Return: 0, ACCOUNT_E_FAILED (logged), or a negative error.
 */
int account_become(const Account *account);
