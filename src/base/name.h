/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validated names. A value of these types only ever comes from its parse function; code that holds one may rely on
 * the characters and the length. Names are rejected, not repaired; the one exception is what a caller asks for
 * (RequestName and the service of a trigger), where the protocol prescribes the rewriting (specification, 3.3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** A domain's name: protocol specification, 1.1. */
#define DOMAIN_NAME_MAX 31
/** What a caller may name as target or source: 63 bytes of a 64-byte field, protocol specification, 2.4. */
#define REQUEST_NAME_MAX 63
/** NAME of `NAME+ARGUMENT`: protocol specification, 2.5. */
#define SERVICE_NAME_MAX 255
/** `NAME+ARGUMENT` without its NUL: protocol specification, 2.5 (65 000 with it). */
#define SERVICE_DESCRIPTOR_MAX 64999
/** A Unix account: useradd(8) accepts no longer ones. */
#define ACCOUNT_NAME_MAX 31

enum {
        _NAME_E_SUCCESS,
        NAME_E_EMPTY,
        NAME_E_LENGTH,    /* longer than the limit above */
        NAME_E_CHARACTER, /* a byte outside the allowed set, or one that may not come first */
        NAME_E_RESERVED,  /* well formed, but means something else */
};

typedef struct DomainName {
        char text[DOMAIN_NAME_MAX + 1];
} DomainName;

typedef struct RequestName {
        char text[REQUEST_NAME_MAX + 1]; /* may be empty */
} RequestName;

typedef struct AccountName {
        char text[ACCOUNT_NAME_MAX + 1];
} AccountName;

/** The name of the domain that is the host itself. */
#define DOM0_NAME "dom0"

/**
 * domain_name_parse() - a letter, then letters, digits, `_`, `-`, `.`; at most 31
 *
 * `none`, `default`, `Domain-0` and names that end in `-dm` are reserved (protocol specification, 1.1).
 * Return: 0 or NAME_E_….
 */
int domain_name_parse(const char *untrusted_text, size_t n, DomainName *ret_name);

/** domain_name_is_dom0() - is it the host itself? */
static inline bool domain_name_is_dom0(const DomainName *name) {
        return __builtin_strcmp(name->text, DOM0_NAME) == 0;
}

/**
 * request_name_parse() - what a caller put into a fixed target or source field of @n_field bytes (at most 64)
 *
 * The field ends at its first NUL or one byte before its end; every byte outside `A-Z a-z 0-9 _ - . @ :` becomes `_`
 * (protocol specification, 3.2 step 1 and 3.3). Cannot fail: what names no domain matches no rule.
 */
void request_name_parse(const char *untrusted_field, size_t n_field, RequestName *ret_name);

/**
 * service_name_check() - is this a service's NAME, without argument?
 *
 * 1 to 255 of `A-Z a-z 0-9 _ - .`; `.` and `..` are no names (protocol specification, 6.5: they survive sanitising).
 * Return: 0 or NAME_E_….
 */
int service_name_check(const char *untrusted_text, size_t n);

/**
 * service_descriptor_parse() - NAME or NAME+ARGUMENT as a caller sent it
 * @untrusted_text: @n bytes without the final NUL
 * @ret_text:       receives @n bytes and a NUL; may be the same memory
 * @ret_n_name:     length of NAME
 *
 * Every byte outside `A-Z a-z 0-9 _ - . +` becomes `_` (protocol specification, 3.3); a NUL, an empty text and a
 * leading `+` are refused (3.2 steps 4 and 5), and so is a NAME that is no service name.
 * Return: 0 or NAME_E_….
 */
int service_descriptor_parse(const char *untrusted_text, size_t n, char *ret_text, size_t *ret_n_name);

/** account_name_parse() - useradd(8)'s default rule: `[a-z_][a-z0-9_-]*[$]?`, at most 31. Return: 0 or NAME_E_… */
int account_name_parse(const char *untrusted_text, size_t n, AccountName *ret_name);

/** name_error_text() - words for a NAME_E_… code, such as "is empty" */
const char *name_error_text(int r);
