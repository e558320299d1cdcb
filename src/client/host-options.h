/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of qrexec-client (protocol specification, 7.4).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/refusal.h"

enum {
        _HOST_OPTIONS_E_SUCCESS,
        HOST_OPTIONS_E_HELP,    /* --help or an unknown option: usage on stdout, exit 0 */
        HOST_OPTIONS_E_USAGE,   /* an option twice that may be given once: usage on stderr, exit 2 */
        HOST_OPTIONS_E_INVALID, /* missing, conflicting or bad; it has been logged; exit 1 */
};

/** -c: a caller that waits at its daemon (protocol specification, 3.5). */
typedef struct HostCaller {
        char ident[IDENT_SIZE]; /* NUL-padded */
        uint32_t domain;        /* its id; 0: there is no -c */
} HostCaller;

typedef struct HostOptions {
        const char *target; /* what follows "qrexec." in the socket directory */
        bool target_is_host;
        const char *command;
        const char *local_command; /* NULL: own standard input and output */
        bool just_exec;
        HostCaller caller;
        bool wait_for_end; /* -W */
        bool kill;         /* -k */
        bool filter_stdout, filter_stderr;
        unsigned wait_seconds; /* 0: without limit */
        bool ignore_status;
        const char *prefix;
        bool use_stdin_socket;
        const char *socket_dir;
        const char *host_call; /* what runs services of the host */
} HostOptions;

/** host_options_parse() - read the command line; the strings stay those of @argv. Return: 0 or HOST_OPTIONS_E_… */
int host_options_parse(int argc, char **argv, HostOptions *ret_options);

/** host_options_usage() - the text of --help */
const char *host_options_usage(void);
