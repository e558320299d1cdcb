/* SPDX-License-Identifier: Apache-2.0 */
#include "libqair/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/socket.h"
#include "wire/refusal.h"

/** dom0's own socket: its directory is root's alone, so who can see it is root on the host. */
#define CLIENT_SOCKET_DOM0 "/run/qubes/dom0/qrexec-agent"
/** Everybody else's: the broker knows the account. In a sandbox it is the sandbox's own. */
#define CLIENT_SOCKET_SHARED "/run/qubes/qrexec-agent"

static const char *client_default_path(void) {
        return geteuid() == 0 && access(CLIENT_SOCKET_DOM0, F_OK) == 0 ? CLIENT_SOCKET_DOM0 : CLIENT_SOCKET_SHARED;
}

_public_ int qair_client_new(const char *path, unsigned flags, qair_client **ret_client) {
        qair_client *client;

        if (flags & ~(unsigned)(QAIR_ONCE | QAIR_NONBLOCK))
                return -EINVAL;
        client = malloc(sizeof(*client));
        if (!client)
                return -ENOMEM;
        *client = (qair_client){ .path = strdup(path ?: client_default_path()), .flags = flags, .fd = -1 };
        if (!client->path) {
                qair_client_free(client);
                return -ENOMEM;
        }
        *ret_client = client;
        return 0;
}

_public_ void qair_client_free(qair_client *client) {
        if (!client)
                return;
        fd_close(client->fd);
        free(client->source);
        free(client->path);
        free(client);
}

_public_ int qair_client_set_source(qair_client *client, const char *source) {
        char *copy = strdup(source ?: "");

        if (!copy)
                return -ENOMEM;
        free(client->source);
        client->source = copy;
        return 0;
}

_public_ const char *qair_client_path(const qair_client *client) {
        return client->path;
}

const char *client_ident(const qair_client *client) {
        return client->flags & QAIR_ONCE ? IDENT_QAIR : IDENT_QAIR_MORE;
}

int client_connect(const qair_client *client, int *ret_fd) {
        int r;

        /* A blocking connect: where the backlog is full it waits for its turn. */
        r = socket_connect(client->path, SOCK_STREAM | (client->flags & QAIR_NONBLOCK ? SOCK_NONBLOCK : 0), ret_fd);
        return r == SOCKET_E_PATH ? -ENAMETOOLONG : r;
}

int client_take(qair_client *client) {
        return fd_steal(&client->fd);
}

void client_give(qair_client *client, int fd) {
        if (client->flags & QAIR_ONCE || client->fd >= 0)
                fd_close(fd);
        else
                client->fd = fd;
}
