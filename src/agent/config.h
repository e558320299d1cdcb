/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of one service: qubes-rpc(5), protocol specification 6.3.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/diagnostic.h"
#include "wire/command.h"

/** Nobody needs a larger configuration file: six keys and some comments. */
#define CONFIG_SIZE_MAX 65536

enum {
        _CONFIG_E_SUCCESS,
        CONFIG_E_INVALID, /* the file says something wrong, or cannot be read: the call ends with 125 */
};

typedef struct Config {
        bool wait_for_session;
        bool skip_service_descriptor;
        bool exit_on_service_eof;
        bool exit_on_client_eof;
        bool direct;      /* a program is given the caller's pipes as they are */
        char *force_user; /* NULL: the user of the command; may be empty */
} Config;

/** What holds for a service without a configuration file. */
#define CONFIG_INIT ((Config){ .direct = true })

/** config_deinit() - harmless on CONFIG_INIT, and when repeated */
void config_deinit(Config *config);

/**
 * config_parse() - parse the text of a file; pure
 * @path:        its name, for the messages alone
 * @reterr:      receives the first error, on CONFIG_E_INVALID
 * @ret_notices: receives keys that nobody knows, which are ignored; may be NULL
 * @ret_config:  the caller calls config_deinit()
 *
 * Return: 0, CONFIG_E_INVALID, or a negative error.
 */
int config_parse(const char *path, const char *data, size_t n, Diagnostics *reterr, Diagnostics *ret_notices,
                 Config *ret_config);

/**
 * config_load() - find and parse the configuration of @command's service; none is CONFIG_INIT
 * @directories: colon list, see lookup_config()
 *
 * Otherwise as config_parse(). Return: 0, CONFIG_E_INVALID, or a negative error.
 */
int config_load(const char *directories, const Command *command, Diagnostics *reterr, Diagnostics *ret_notices,
                Config *ret_config);
