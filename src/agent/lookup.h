/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a service is, and of what kind (protocol specification, 6.4 and 6.5).
 *
 * Candidates, in this order: `NAME+ARG` in every directory (`NAME+` if the descriptor has no argument), then `NAME` in
 * every directory. So a file for one argument in the last directory beats the general one in the first. Whatever is
 * found decides alone: an unusable file is an error, not a reason to look further, so that nobody gets the general
 * service where an administrator spoiled the specific one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/diagnostic.h"
#include "wire/command.h"

/** Longest path of a service or its configuration; a longer one is an error (6.4). */
#define LOOKUP_PATH_MAX 1023
/** Longest file name; a longer one counts as absent (6.4). */
#define LOOKUP_NAME_MAX 255

#define LOOKUP_SERVICE_PATH "/run/qubes-rpc:/usr/local/etc/qubes-rpc:/etc/qubes-rpc"
#define LOOKUP_CONFIG_PATH  "/run/qubes/rpc-config:/usr/local/etc/qubes/rpc-config:/etc/qubes/rpc-config"

enum {
        _LOOKUP_E_SUCCESS,
        LOOKUP_E_NOT_FOUND, /* in none of the directories: 127 for a service, defaults for a configuration */
        LOOKUP_E_FAILED,    /* anything else: 125 */
};

typedef enum LookupKind {
        LOOKUP_KIND_EXECUTABLE,
        LOOKUP_KIND_SOCKET, /* a Unix socket to connect to */
        LOOKUP_KIND_TCP,    /* a link to /dev/tcp/… */
} LookupKind;

typedef struct Lookup {
        LookupKind kind;
        char path[LOOKUP_PATH_MAX + 1]; /* the file, or the link */
        char tcp[LOOKUP_PATH_MAX + 1];  /* LOOKUP_KIND_TCP: what the link says, "/dev/tcp…" */
} Lookup;

/**
 * lookup_service() - find a service
 * @directories: colon list; empty elements count as absent (the reference looks in / for a leading one)
 * @command:     a service call
 * @reterr:      receives why, on LOOKUP_E_FAILED
 *
 * A NAME that is `.` or `..`, and any descriptor with a `/`, is LOOKUP_E_FAILED: they survive sanitising (6.5).
 * Return: 0, LOOKUP_E_…, or a negative error.
 */
int lookup_service(const char *directories, const Command *command, Diagnostics *reterr, Lookup *ret_lookup);

/**
 * lookup_config() - find the configuration of a service (6.3): the same candidates, files of any kind, no TCP links
 * @ret_path: receives the path
 *
 * Return: 0, LOOKUP_E_…, or a negative error.
 */
int lookup_config(const char *directories, const Command *command, Diagnostics *reterr,
                  char ret_path[static LOOKUP_PATH_MAX + 1]);
