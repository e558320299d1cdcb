/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared connections to a host: OpenSSH clients in the background, one a slot, each with a control socket in a folder
 * that only this account can enter. A slot's client is started by whoever finds none there, under a lock, so that many
 * callers at once make one connection; a socket whose client died is replaced. A server permits some sessions on a
 * connection (MaxSessions): where they are used up the caller goes on to the next slot.
 */
#pragma once

#include <stddef.h>

/** Connections to one host: at OpenSSH's default of 10 sessions each this is 640 calls at a time. */
#define MASTER_SLOTS 64
/** Control sockets have to fit sun_path, with a suffix of ssh's own while they are made. */
#define MASTER_PATH_MAX 90
/** How long a connection may take to be made: what the host key check and the network need, and a jump host or two. */
#define MASTER_START_SEC 60

typedef struct Master {
        const char *host;             /* as ssh(1) is told: [USER@]HOST, or an alias */
        char folder[MASTER_PATH_MAX]; /* where the sockets are */
        char name[17];                /* theirs, but for the slot: part of a hash of the host */
} Master;

enum {
        _MASTER_E_SUCCESS,
        MASTER_E_FOLDER, /* there is no place for the sockets: has been explained */
        MASTER_E_FAILED, /* no connection: has been explained */
};

/**
 * master_init() - find the folder, and make it
 * @host: outlives the master
 *
 * Return: 0, MASTER_E_FOLDER, or a negative error.
 */
int master_init(const char *host, Master *ret_master);

/**
 * master_connect() - a connection to the client in a slot, which is started if it is not there
 * @slot: below MASTER_SLOTS
 *
 * Return: 0, MASTER_E_FAILED, or a negative error.
 */
int master_connect(const Master *master, unsigned slot, int *ret_fd);
