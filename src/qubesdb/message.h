/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one message of QubesDB: 72 bytes, then data (QubesDB specification, 3.1). Pure functions over bytes.
 *
 *   0  u8      type
 *   1  char[64] path, NUL-terminated; what follows the NUL means nothing
 *   65 u8[3]   means nothing
 *   68 u32     length of the data that follow, little-endian
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUBESDB_HEADER_SIZE 72
/** Longest path (QubesDB specification, 1). */
#define QUBESDB_PATH_MAX 63
/** Largest value: what upstream's daemon takes (QubesDB specification, 1). */
#define QUBESDB_VALUE_MAX 3071

typedef enum QubesdbType {
        QUBESDB_TYPE_READ = 0,
        QUBESDB_TYPE_WRITE = 1,
        QUBESDB_TYPE_MULTIREAD = 2,
        QUBESDB_TYPE_LIST = 3,
        QUBESDB_TYPE_RM = 4,
        QUBESDB_TYPE_WATCH = 5,
        QUBESDB_TYPE_UNWATCH = 6,
        QUBESDB_TYPE_RESP_OK = 7,
        QUBESDB_TYPE_RESP_NOENT = 8,
        QUBESDB_TYPE_RESP_ERROR = 9,
        QUBESDB_TYPE_RESP_READ = 10,
        QUBESDB_TYPE_RESP_MULTIREAD = 11,
        QUBESDB_TYPE_RESP_LIST = 12,
        QUBESDB_TYPE_RESP_WATCH = 13,
} QubesdbType;

typedef struct QubesdbPath {
        char text[QUBESDB_PATH_MAX + 1]; /* may be empty */
} QubesdbPath;

typedef struct QubesdbMessage {
        uint8_t type;     /* a QubesdbType, or anything: untrusted until somebody looked */
        QubesdbPath path; /* cut to 63 bytes, as upstream does (3.2); any bytes */
        uint32_t n_data;
} QubesdbMessage;

/** qubesdb_message_decode() - cannot fail: what the fields mean is the caller's to judge */
void qubesdb_message_decode(const uint8_t untrusted_data[static QUBESDB_HEADER_SIZE], QubesdbMessage *ret_message);

/** qubesdb_message_encode() - what means nothing is zero */
void qubesdb_message_encode(const QubesdbMessage *message, uint8_t ret_data[static QUBESDB_HEADER_SIZE]);

/** qubesdb_path_is_sane() - may a command name it (QubesDB specification, 3.2)? An empty path may be */
bool qubesdb_path_is_sane(const QubesdbPath *path);

/** qubesdb_path_is_entry() - may an entry have it (QubesDB specification, 1)? */
bool qubesdb_path_is_entry(const QubesdbPath *path);

/** qubesdb_path_parse() - the path @text, if a command may name it. Return: whether it may */
bool qubesdb_path_parse(const char *untrusted_text, QubesdbPath *ret_path);

/** qubesdb_path_is_folder() - does it end in a slash, and so stand for all that begins with it? */
bool qubesdb_path_is_folder(const QubesdbPath *path);

/** qubesdb_path_begins() - does @path begin with @prefix, whatever that ends in? */
bool qubesdb_path_begins(const QubesdbPath *path, const QubesdbPath *prefix);
