/* SPDX-License-Identifier: Apache-2.0 */
/* How long a yes counts (split-gpg specification, 8.2). Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Where QUBES_GPG_AUTOACCEPT is not set. */
#define GPG_GRANT_SEC_DEFAULT 300
/** 1 to 9 digits. */
#define GPG_GRANT_SEC_MAX 999999999

/** gpg_grant_is_valid() - was the yes of @given_sec still one at @now_sec? Both since 1970; a yes of the future is none */
bool gpg_grant_is_valid(int64_t given_sec, int64_t now_sec, uint32_t lasts_sec);

/** gpg_grant_parse_seconds() - 1 to 9 decimal digits. Return: whether it is that */
bool gpg_grant_parse_seconds(const char *text, uint32_t *ret_sec);

/** Longest text of gpg_grant_format_seconds(), with its NUL. */
#define GPG_GRANT_TEXT_MAX 80

/** gpg_grant_format_seconds() - "1 day 2 hours 5 minutes 1 second", without what is 0. Return: @buffer */
const char *gpg_grant_format_seconds(uint32_t sec, char buffer[static GPG_GRANT_TEXT_MAX]);

/** gpg_source_is_valid() - may this be a part of a file's name, and be shown? `[A-Za-z0-9][A-Za-z0-9_.-]{0,62}` */
bool gpg_source_is_valid(const char *untrusted_source);
