/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where split-ssh has its things. In a machine that is one domain, as on Qubes, they are below /run/split-ssh and
 * /rw/config/split-ssh; in an account that is a domain among others, below its own folders.
 */
#pragma once

#include <limits.h>

/** In the path of a socket (sun_path), with its NUL. */
#define SSH_PLACE_SOCKET_SIZE 108

/**
 * ssh_place_run() - the folder of agents' sockets and of the filter's state
 *
 * /run/split-ssh where that is a folder of the effective user's; else $XDG_RUNTIME_DIR/qubes/split-ssh, which is made
 * (as is what is missing above it); without that variable, /run/split-ssh. Return: @buffer.
 */
const char *ssh_place_run(char buffer[static PATH_MAX]);

/**
 * ssh_place_config() - the domain's own configuration, besides /etc/split-ssh and /rw/config/split-ssh
 *
 * $XDG_CONFIG_HOME/qubes/split-ssh, by default ~/.config/qubes/split-ssh. Return: @buffer, or NULL: there is no home.
 */
const char *ssh_place_config(char buffer[static PATH_MAX]);
