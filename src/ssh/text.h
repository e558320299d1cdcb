/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text from elsewhere made fit for a log line, a record for the helper, or a person (split-ssh specification, 8.3, 10.2,
 * 12), and lines of NAME=VALUE made of it. What comes out is printable ASCII; every other byte, and `%`, is %XX.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "wire/reader.h"

/** Longest value in a record or a log line: specification, 10.2. */
#define SSH_VALUE_MAX 256
/** Longest text that a person is shown of one thing: specification, 8.3; then comes SSH_TEXT_MORE. */
#define SSH_SHOWN_MAX  64
#define SSH_TEXT_MORE  "\xe2\x80\xa6"
#define SSH_SHOWN_SIZE (SSH_SHOWN_MAX + sizeof(SSH_TEXT_MORE))

/** ssh_text_shown() - for a person: at most SSH_SHOWN_MAX characters and `…`. Return: @buffer */
const char *ssh_text_shown(WireSlice untrusted_text, char buffer[static SSH_SHOWN_SIZE]);

typedef enum SshLineKind {
        SSH_LINE_LOG,    /* fields behind each other with a blank between; blank and `=` escaped; empty is `-` */
        SSH_LINE_RECORD, /* a field a line */
} SshLineKind;

/** A line of the log, or a record for the helper, as it grows; what does not fit is left out as a whole field. */
typedef struct SshLine {
        SshLineKind kind;
        char *text; /* NUL-terminated */
        size_t n, n_max;
} SshLine;

/** ssh_line_init() - start one in @buffer of @n_buffer bytes */
void ssh_line_init(SshLine *line, SshLineKind kind, char *buffer, size_t n_buffer);
/** ssh_line_bytes() - add NAME=VALUE; the value is escaped and cut to SSH_VALUE_MAX, never within an escape */
void ssh_line_bytes(SshLine *line, const char *name, WireSlice untrusted_value);
void ssh_line_text(SshLine *line, const char *name, const char *untrusted_value);
void ssh_line_number(SshLine *line, const char *name, unsigned long long value);
