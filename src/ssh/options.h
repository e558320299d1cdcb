/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of split-ssh-filter, and what a call's environment says (split-ssh specification, 5.1). */
#pragma once

#include <stdbool.h>

enum {
        _SSH_OPTIONS_E_SUCCESS,
        SSH_OPTIONS_E_HELP,
        SSH_OPTIONS_E_VERSION,
        SSH_OPTIONS_E_USAGE,
};

typedef struct SshOptions {
        const char *source, *agent;                             /* both valid names */
        const char *service;                                    /* for the log; "" if not known */
        const char *config, *agent_socket, *state_dir, *helper; /* NULL: the default */
        bool is_service;                                        /* standard error is the caller's */
        bool check_config;
} SshOptions;

/**
 * ssh_options_parse() - read them; the strings stay those of @argv and of the environment
 * @reterr_message: what is wrong, for a person
 *
 * Return: 0 or SSH_OPTIONS_E_….
 */
int ssh_options_parse(int argc, char **argv, SshOptions *ret_options, const char **reterr_message);

/** ssh_options_usage() - the text of --help */
const char *ssh_options_usage(void);
