/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be imported (split-gpg specification, 8.5): public keys, and what belongs to them.
 *
 * Input is read here as OpenPGP (RFC 4880, 4.2 and 6.2), binary or armoured, several of them one behind the other, and
 * written again as plain packets. GnuPG gets what was written: so it cannot find in it what was not looked at, whatever
 * its own reading of the input would have been.
 *
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Largest input (8.5). */
#define GPG_IMPORT_MAX (16 * 1024 * 1024)

enum {
        _GPG_PACKETS_E_SUCCESS,
        GPG_PACKETS_E_MALFORMED, /* not understood to its end, or nothing in it */
        GPG_PACKETS_E_SECRET,    /* a secret key */
        GPG_PACKETS_E_KIND,      /* something else that is no key: a message, compressed data … */
};

/**
 * gpg_packets_filter() - the packets of public keys
 * @untrusted_data: @n bytes
 * @allow_secret:   secret keys are let through, too
 * @ret_data:       the caller frees it; not longer than the input
 *
 * Return: 0, GPG_PACKETS_E_…, or a negative error.
 */
int gpg_packets_filter(const uint8_t *untrusted_data, size_t n, bool allow_secret, uint8_t **ret_data, size_t *ret_n);
