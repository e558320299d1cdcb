/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A GnuPG command line, taken apart (split-gpg specification, 5). Client and server both do it, by this code: each finds
 * which descriptors there are, and in which order they are counted on the wire (5.6, 6.4).
 *
 * Pure: descriptors are numbers here, files are words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "gpg/option.h"

/** Largest number of a descriptor, and most of them in a list (5.6). */
#define GPG_FD_MAX  1023
#define GPG_FDS_MAX 15
/** Longest message of the parser, with its NUL. */
#define GPG_COMPLAINT_MAX 512

typedef enum GpgRole {
        GPG_ROLE_CLIENT,
        GPG_ROLE_SERVER,
} GpgRole;

/** Descriptors in the order in which they are counted on the wire. */
typedef struct GpgFds {
        int fds[GPG_FDS_MAX];
        size_t n;
} GpgFds;

typedef struct GpgCommand {
        GpgFds input, output; /* by the numbers that GnuPG is told */
        size_t n_options;     /* words before the first that is neither an option nor a value; `--` is among them */
        bool takes_users;     /* what follows are user IDs */
        bool has_signature;   /* the first that follows is a signature's file */
        GpgOperation operation;
        const char *key; /* what the call names as its key, borrowed from the words; NULL: nothing */
} GpgCommand;

enum {
        _GPG_COMMAND_E_SUCCESS,
        GPG_COMMAND_E_REFUSED, /* not allowed, or not understood */
};

/**
 * gpg_command_parse() - find out whether a command is allowed, and what it is about
 * @untrusted_words: @n of them without the program's name; values of option lists are rewritten in place (5.9)
 * @ret_command:     borrows from the words
 * @reterr_text:     why not, printable, without the program's name
 *
 * In the role of the server, the files are settled: a signature is `/dev/fd/N`, which is appended to the inputs, and
 * there is at most one word behind it, `-`. In the role of the client they are the caller's to open
 * (gpg_command_set_signature()); there is at most one behind the signature.
 *
 * Return: 0 or GPG_COMMAND_E_REFUSED.
 */
int gpg_command_parse(GpgRole role, char *const *untrusted_words, size_t n, GpgCommand *ret_command,
                      char reterr_text[static GPG_COMPLAINT_MAX]);

/** gpg_command_n_files() - words behind the options, and the signature, that are files: 0 or 1. @n: of all words */
size_t gpg_command_n_files(const GpgCommand *command, size_t n);

/**
 * gpg_command_set_signature() - the client has opened the signature as @fd
 *
 * Return: 0, or GPG_COMMAND_E_REFUSED: that number already is an output.
 */
int gpg_command_set_signature(GpgCommand *command, int fd);
