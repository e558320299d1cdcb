/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request header: the arguments of a command, in 1028 bytes (split-gpg specification, 6.2).
 *
 *   0     4     len: index of the last meaningful byte of command; little-endian
 *   4     1024  command: NUL, then each argument and its NUL; zeros
 *
 * Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define GPG_REQUEST_COMMAND_SIZE 1024
#define GPG_REQUEST_SIZE         (4 + GPG_REQUEST_COMMAND_SIZE)
/** Empty arguments, each a NUL, behind the first NUL. */
#define GPG_REQUEST_ARGUMENTS_MAX (GPG_REQUEST_COMMAND_SIZE - 1)

typedef struct GpgRequest {
        char text[GPG_REQUEST_COMMAND_SIZE];
        /* Into text, and NULL behind the last: as execv(3) has them. A name for the program is not among them. */
        char *arguments[GPG_REQUEST_ARGUMENTS_MAX + 1];
        size_t n_arguments;
} GpgRequest;

enum {
        _GPG_REQUEST_E_SUCCESS,
        GPG_REQUEST_E_MALFORMED,
        GPG_REQUEST_E_TOO_LONG,
};

/**
 * gpg_request_decode() - take the arguments out of a header
 * @untrusted_data: GPG_REQUEST_SIZE bytes
 * @ret_request:    points into itself: not to be copied
 *
 * What stands before the first NUL is no argument (older clients have their name there). Which arguments are allowed is
 * gpg_command_parse()'s to say. Return: 0 or GPG_REQUEST_E_MALFORMED.
 */
int gpg_request_decode(const uint8_t untrusted_data[static GPG_REQUEST_SIZE], GpgRequest *ret_request);

/** gpg_request_encode() - the header of @n arguments. Return: 0 or GPG_REQUEST_E_TOO_LONG */
int gpg_request_encode(const char *const *arguments, size_t n, uint8_t ret_data[static GPG_REQUEST_SIZE]);
