/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands: the text of EXEC_CMDLINE and JUST_EXEC (protocol specification, 6.1 and 6.2).
 *
 *   [ USER ":" ] [ "nogui:" ] ( "QUBESRPC" SP DESCRIPTOR SP SOURCE [ SP TYPE SP TARGET ]  |  SHELL-COMMAND )
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
        _COMMAND_E_SUCCESS,
        COMMAND_E_MALFORMED, /* the call ends with 125 */
};

/** A piece of the text: points into it, is not terminated. */
typedef struct CommandPart {
        const char *text;
        size_t n;
} CommandPart;

typedef struct Command {
        CommandPart user;  /* before the first colon; empty for a command of the host */
        bool nogui;        /* "nogui:" stood before it */
        bool is_service;   /* else a shell command */
        CommandPart shell; /* the shell command, to the end of the text */
        /* a service call: */
        CommandPart metadata;   /* everything after "QUBESRPC " */
        CommandPart descriptor; /* NAME or NAME+ARGUMENT */
        CommandPart name;
        bool has_argument; /* the descriptor contains "+" */
        CommandPart argument;
        CommandPart source;
        unsigned n_tokens;     /* of the metadata, split at runs of spaces; an executable needs 2 or 4 (6.2) */
        CommandPart type;      /* with 4 tokens: "name" or "keyword" */
        CommandPart requested; /* with 4 tokens: what the caller asked for */
} Command;

/**
 * command_parse() - take a command apart
 * @text:     NUL-terminated; parsing ends at the first NUL
 * @has_user: the text begins with USER ":" (a command for a domain)
 *
 * Return: 0 or COMMAND_E_MALFORMED.
 */
int command_parse(const char *text, bool has_user, Command *ret_command);

/**
 * command_format() - the command of a service call
 * @user:       NULL: none (a command of the host)
 * @descriptor: NAME or NAME+ARGUMENT; a "+" is appended if it has none
 * @type, @requested: both NULL, or both given
 *
 * Return: bytes written without the NUL, or a negative error (longer than @n_max - 1, or no memory).
 */
int command_format(char *ret_text, size_t n_max, const char *user, const char *descriptor, const char *source,
                   const char *type, const char *requested);
