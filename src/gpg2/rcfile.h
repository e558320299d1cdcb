/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/split-gpg2-rc and ~/.config/split-gpg2-rc: which domain has the keys (split-gpg specification, 12). They look like a
 * shell's assignments, and are not run: `SPLIT_GPG2_SERVER_DOMAIN=NAME`, with or without `export` and quotes. Pure.
 */
#pragma once

#include <stddef.h>

#include "ssh/name.h"

#define RCFILE_VARIABLE "SPLIT_GPG2_SERVER_DOMAIN"
/** Such a file. */
#define RCFILE_SIZE_MAX 65536

enum {
        _RCFILE_E_SUCCESS,
        RCFILE_E_NONE,    /* it does not say */
        RCFILE_E_INVALID, /* what it says is no name */
};

/**
 * rcfile_domain_parse() - `[A-Za-z@][:0-9A-Za-z_-]*`, at most 63 bytes
 *
 * Return: 0 or RCFILE_E_INVALID.
 */
int rcfile_domain_parse(const char *text, size_t n, VaultName *ret_domain);

/** rcfile_parse() - of several assignments the last counts. @text: NUL-terminated. Return: 0 or RCFILE_E_… */
int rcfile_parse(const char *text, VaultName *ret_domain);
