/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the filter wants a person to know of one use of a key (split-ssh specification, 10.2): lines NAME=VALUE. Values come
 * from a client; the filter has escaped them, and here that is looked at again: printable ASCII alone, nothing of which
 * has a meaning to whoever shows it as plain text. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/** Longest record in all. */
#define RECORD_MAX 16384
/** Longest value (11.3). */
#define RECORD_VALUE_MAX 256
/** Longest time for an answer, and longest grant, in seconds (6.4). */
#define RECORD_TIMEOUT_MAX 600
#define RECORD_GRANT_MAX   86400

/** The names that count, in no order; others are left for later versions. */
typedef enum RecordField {
        RECORD_SOURCE,
        RECORD_AGENT,
        RECORD_KIND,
        RECORD_KEY,
        RECORD_COMMENT,
        RECORD_USER,
        RECORD_HOST,
        RECORD_HOSTKEY,
        RECORD_PROOF,
        RECORD_VIA,
        RECORD_NAMESPACE,
        RECORD_HASH,
        RECORD_CERTKIND,
        RECORD_CERTID,
        RECORD_PRINCIPALS,
        RECORD_VALIDITY,
        RECORD_COMMAND,
        RECORD_BYTES,
        RECORD_DIGEST,
        RECORD_START,
        RECORD_VERDICT,
        RECORD_WHY,
        _RECORD_FIELD_N,
} RecordField;

typedef struct Record {
        char *text;                          /* cut up */
        const char *values[_RECORD_FIELD_N]; /* "" where it was not said */
        uint32_t grant_sec;                  /* offered with a yes; 0: not */
        uint32_t timeout_sec;                /* 0: not said */
} Record;

enum {
        _RECORD_E_SUCCESS,
        RECORD_E_MALFORMED, /* no line, a name twice, another version, a byte that is not printable, too long */
};

/** record_parse() - @ret_record is for record_deinit(). Return: 0, RECORD_E_MALFORMED, or a negative error */
int record_parse(const char *untrusted_text, size_t n, Record *ret_record);

/** record_deinit() - harmless on zeros, and when repeated */
void record_deinit(Record *record);
