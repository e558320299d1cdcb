/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec_params: where the other end of a data connection is, and what to run or whom it answers
 * (protocol specification, 2.4).
 *
 *   offset 0  u32   connect_domain   an ordinary domain id, or how the data comes (wire/header.h)
 *   offset 4  u32   connect_port     a port, or the call's id
 *   offset 8  text  command (EXEC_CMDLINE, JUST_EXEC), ident (SERVICE_CONNECT), absent (CONNECTION_TERMINATED, and
 *                   the daemon's answer to a client)
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define EXEC_PARAMS_SIZE 8
/** Longest command including its NUL (protocol specification, 2.5). */
#define EXEC_COMMAND_MAX 65535

enum {
        _EXEC_E_SUCCESS,
        EXEC_E_MALFORMED, /* too short, too long, or no NUL at the end */
};

typedef struct ExecParams {
        uint32_t connect_domain;
        uint32_t connect_port;
} ExecParams;

typedef struct Exec {
        ExecParams params;
        const char *text; /* NUL-terminated, points into the decoded bytes; may have inner NULs only where noted */
        size_t n_text;    /* bytes before the final NUL */
} Exec;

/** exec_params_decode() - exactly EXEC_PARAMS_SIZE bytes. Return: 0 or EXEC_E_MALFORMED */
int exec_params_decode(const uint8_t *untrusted_data, size_t n, ExecParams *ret_params);
void exec_params_encode(const ExecParams *params, uint8_t ret_data[static EXEC_PARAMS_SIZE]);

/**
 * exec_decode() - exec_params with a text of 1 to EXEC_COMMAND_MAX bytes that ends in NUL
 *
 * Inner NULs are left to the reader of the text: the daemon socket lets them through (4.2), command_parse() ends at
 * the first. Return: 0 or EXEC_E_MALFORMED.
 */
int exec_decode(const uint8_t *untrusted_data, size_t n, Exec *ret_exec);

/**
 * exec_encode() - a whole message, header included
 * @type: a WireType that has exec_params
 * @n_max: size of @ret_data; WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE + n_text + 1 are needed
 *
 * Return: 0 or a negative error (does not fit).
 */
int exec_encode(uint32_t type, const Exec *exec, uint8_t *ret_data, size_t n_max, size_t *ret_n);
