/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where connections of vchan are, in their Unix-socket form (protocol specification, 1.1 to 1.3): one file for each, in one
 * directory, named for the domain that listens, the domain that dials, and the port.
 *
 *   DIRECTORY/vchan.SERVER.CLIENT.PORT.sock        vchan.42.0.512.sock: domain 42 listens for the host, to be controlled
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#define VCHAN_DIRECTORY "/var/run/vchan"
/** The host's id. */
#define VCHAN_DOMAIN_HOST 0
/** The control port of every domain. */
#define VCHAN_PORT_CONTROL 512
/** The ports that a daemon hands out for data; others may be met, since only daemons restrict them. */
#define VCHAN_PORT_DATA_MIN 513
#define VCHAN_PORT_DATA_MAX 768

/** Room for any path of a socket, NUL included. */
#define VCHAN_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

enum {
        _VCHAN_PLACE_E_SUCCESS,
        VCHAN_PLACE_E_DOMAIN, /* this is no domain id: a decimal number below 2^31 */
        VCHAN_PLACE_E_PATH,   /* the directory's name is too long for the path of a socket */
};

typedef struct VchanPlace {
        const char *directory; /* not owned */
        uint32_t domain;       /* who we are */
} VchanPlace;

/**
 * vchan_place_init() - what the environment says about this machine
 * @directory, @domain: values of VCHAN_SOCKET_DIR and VCHAN_DOMAIN; NULL: not set, which means VCHAN_DIRECTORY and the
 *                      host. @directory is borrowed
 *
 * Return: 0 or VCHAN_PLACE_E_DOMAIN.
 */
int vchan_place_init(const char *directory, const char *domain, VchanPlace *ret_place);

/**
 * vchan_place_path() - the file of one connection
 * @server: the domain that listens
 * @client: the domain that dials
 *
 * Return: 0 or VCHAN_PLACE_E_PATH.
 */
int vchan_place_path(const VchanPlace *place, uint32_t server, uint32_t client, uint32_t port,
                     char ret_path[static VCHAN_PATH_MAX]);
