/* SPDX-License-Identifier: Apache-2.0 */
/* The socket that `ssh` and the like connect to as if an agent listened there. */
#pragma once

/** Callers that wait while all connections are in use: as ssh-agent has it. */
#define LISTENER_BACKLOG 128

enum {
        _LISTENER_E_SUCCESS,
        LISTENER_E_FAILED, /* it has been logged why */
};

/**
 * listener_open() - listen at @path, mode 0600
 *
 * The folder is made with mode 0700 if it is missing (its own parent must be there). A socket that nobody listens at any
 * more is replaced; one that somebody does, and anything else, is not.
 * Return: 0, LISTENER_E_FAILED, or a negative error.
 */
int listener_open(const char *path, int *ret_fd);

/**
 * listener_take() - the socket that a service manager passed (sd_listen_fds(3))
 * @ret_fd: -1: none was
 *
 * Return: 0, LISTENER_E_FAILED: what was passed is something else, or a negative error.
 */
int listener_take(int *ret_fd);
