/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's programs in upstream's form ask of each other, over sockets that they may block on: a daemon (protocol
 * specification, 4.2), and the administration of the host (4.3).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/exec.h"

enum {
        _PEER_E_SUCCESS,
        PEER_E_ABSENT, /* nobody is there (ENOENT, ECONNREFUSED) */
        PEER_E_FAILED, /* refused, gone, or not understood; it has been logged */
};

/** Where the administration answers. */
#define PEER_ADMIN_SOCKET "/run/qubesd.sock"

/**
 * peer_connect_daemon() - connect to a daemon's socket, and exchange HELLO
 * @directory: where the sockets of daemons are
 * @name:      what follows "qrexec."
 *
 * Return: 0 or PEER_E_….
 */
int peer_connect_daemon(const char *directory, const char *name, int *ret_fd);

/**
 * peer_command() - send a command to a daemon
 * @text, @n: with its NUL, or padding
 * @ret_params: its answer; NULL: none is expected
 *
 * Return: 0 or PEER_E_FAILED.
 */
int peer_command(int fd, uint32_t type, const ExecParams *params, const char *text, size_t n, ExecParams *ret_params);

/** peer_wait() - until the daemon closes the connection: the call is over */
void peer_wait(int fd);

/** Longest answer of the administration that is of use here: a domain's name or uuid. */
#define PEER_ADMIN_ANSWER_MAX 63

/**
 * peer_admin() - one call of the administration
 * @destination: a domain, or a keyword that begins with "@"
 * @payload:     text
 * @tolerated:   an exception that counts as success, without an answer; NULL: none
 * @ret_answer:  receives its data, PEER_ADMIN_ANSWER_MAX bytes and a NUL; NULL: it does not matter
 *
 * Return: 0, PEER_E_ABSENT (not logged), or PEER_E_FAILED.
 */
int peer_admin(const char *method, const char *destination, const char *payload, const char *tolerated,
               char *ret_answer);
