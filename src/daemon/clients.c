/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/clients.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "wire/hello.h"

#define CLIENTS_BACKLOG 128

/** Room for "qrexec.uuid:" and a uuid, or "qrexec." and a name or number. */
#define CLIENTS_NAME_MAX 64

int clients_init(Clients *clients, const DaemonSettings *settings) {
        *clients = (Clients){ .settings = settings, .fd = -1 };
        clients->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        clients->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return clients->epoll_fd < 0 || clients->spare_fd < 0 ? error_origin(-errno) : 0;
}

void clients_deinit(Clients *clients) {
        clients_close(clients);
        while (clients->first)
                clients_remove(clients, clients->first);
        clients->epoll_fd = fd_close(clients->epoll_fd);
        clients->spare_fd = fd_close(clients->spare_fd);
}

static int clients_watch(Clients *clients, int fd, void *data) {
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = data };

        return epoll_ctl(clients->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? error_origin(-errno) : 0;
}

/* --- the socket ------------------------------------------------------------------------------------------------- */

typedef struct ClientNames {
        char socket[CLIENTS_NAME_MAX], name[CLIENTS_NAME_MAX], uuid[CLIENTS_NAME_MAX];
} ClientNames;

static void clients_names(const Clients *clients, ClientNames *ret_names) {
        (void)snprintf(ret_names->socket, sizeof(ret_names->socket), "qrexec.%u", clients->settings->domain);
        (void)snprintf(ret_names->name, sizeof(ret_names->name), "qrexec.%s", clients->settings->name);
        (void)snprintf(ret_names->uuid, sizeof(ret_names->uuid), "qrexec.uuid:%s", clients->settings->uuid);
}

static int clients_bind(const char *path, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address;
        socklen_t n_address;
        mode_t mask;
        int r;

        if (socket_address(path, &address, &n_address))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        (void)socket_refuse_rights(fd);
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        mask = umask(0);
        r = bind(fd, (struct sockaddr *)&address, n_address) < 0 ? -errno : 0;
        (void)umask(mask);
        if (!r && listen(fd, CLIENTS_BACKLOG) < 0)
                r = -errno;
        if (r)
                return r;
        *ret_fd = fd_steal(&fd);
        return 0;
}

static int clients_link(const char *target, const char *path) {
        if (unlink(path) < 0 && errno != ENOENT)
                return -errno;
        return symlink(target, path) < 0 ? -errno : 0;
}

int clients_open(Clients *clients) {
        ClientNames names;
        int r;

        clients_names(clients, &names);
        r = clients_bind(names.socket, &clients->fd);
        if (!r)
                r = clients_link(names.socket, names.name);
        if (!r)
                r = clients_link(names.socket, names.uuid);
        if (!r)
                r = clients_watch(clients, clients->fd, NULL);
        if (r == 0)
                return 0;
        log_error("%s: cannot make the domain's socket and its links: %s", names.socket, strerror(-r));
        return CLIENTS_E_FAILED;
}

void clients_close(Clients *clients) {
        ClientNames names;

        for (Client *client = clients->first, *next; client; client = next) {
                next = client->next;
                if (client->state < CLIENT_STATE_CONNECTED)
                        clients_remove(clients, client);
                else
                        client->state = CLIENT_STATE_OVER;
        }
        if (clients->fd < 0)
                return;
        clients_names(clients, &names);
        (void)unlink(names.uuid);
        (void)unlink(names.name);
        (void)unlink(names.socket);
        (void)epoll_ctl(clients->epoll_fd, EPOLL_CTL_DEL, clients->fd, NULL);
        clients->fd = fd_close(clients->fd);
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

void clients_remove(Clients *clients, Client *client) {
        if (client->previous)
                client->previous->next = client->next;
        else
                clients->first = client->next;
        if (client->next)
                client->next->previous = client->previous;
        --clients->n;
        /* A worker that was just forked may hold a copy for a moment: closing alone would not end the events. */
        (void)epoll_ctl(clients->epoll_fd, EPOLL_CTL_DEL, client->messages.fd, NULL);
        messages_close(&client->messages);
        fd_close(client->data_fd);
        free(client);
}

/* Takes the descriptor. Where there is no memory for it the client is refused. */
static int clients_add(Clients *clients, int client_fd) {
        _cleanup_fd_ int fd = client_fd;
        Client *client;
        int r;

        if (clients->n >= CLIENTS_MAX)
                return 0;
        client = calloc(1, sizeof(*client));
        if (!client)
                return 0;
        client->messages = MESSAGES_INIT;
        client->data_fd = -1;
        client->next = clients->first;
        if (clients->first)
                clients->first->previous = client;
        clients->first = client;
        ++clients->n;

        r = messages_open(&client->messages, fd_steal(&fd), CLIENT_PAYLOAD_MAX);
        if (!r)
                r = clients_watch(clients, client->messages.fd, client);
        if (!r)
                r = messages_send_hello(&client->messages, WIRE_VERSION_DAEMON);
        return r;
}

/* There is no descriptor for one who came: it is closed rather than kept waiting. */
static void clients_refuse(Clients *clients) {
        clients->spare_fd = fd_close(clients->spare_fd);
        fd_close(accept4(clients->fd, NULL, NULL, SOCK_CLOEXEC));
        clients->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

int clients_accept(Clients *clients) {
        for (;;) {
                int fd, r;

                fd = accept4(clients->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (fd < 0) {
                        switch (errno) {
                        case EAGAIN:
                                return 0;
                        case EINTR:
                        case ECONNABORTED:
                                continue;
                        case EMFILE:
                        case ENFILE:
                        case ENOBUFS:
                        case ENOMEM:
                                clients_refuse(clients);
                                return 0;
                        default:
                                return error_origin(-errno);
                        }
                }
                r = clients_add(clients, fd);
                if (r)
                        return r;
        }
}

static bool client_check(const void *userdata, WireHeader header) {
        const Client *client = userdata;

        switch (client->state) {
        case CLIENT_STATE_HELLO:
                return header.type == WIRE_TYPE_HELLO && header.length == HELLO_SIZE;
        case CLIENT_STATE_COMMAND:
                return (header.type == WIRE_TYPE_EXEC_CMDLINE || header.type == WIRE_TYPE_JUST_EXEC ||
                        header.type == WIRE_TYPE_SERVICE_CONNECT) &&
                       header.length > EXEC_PARAMS_SIZE && header.length <= CLIENT_PAYLOAD_MAX;
        case CLIENT_STATE_RUNNING:
        case CLIENT_STATE_WAITING:
        case CLIENT_STATE_CONNECTED:
        case CLIENT_STATE_OVER:
                return false;
        }
        return false;
}

static int client_on_message(Client *client, WireHeader header, const uint8_t *untrusted_payload,
                             ClientCommand *ret_command) {
        Hello hello;

        if (client->state == CLIENT_STATE_COMMAND) {
                ret_command->type = header.type;
                if (exec_decode(untrusted_payload, header.length, &ret_command->exec))
                        return CLIENTS_E_GONE;
                client->type = header.type;
                client->state = CLIENT_STATE_RUNNING;
                return 0;
        }
        if (hello_decode(untrusted_payload, header.length, WIRE_VERSION_DAEMON, &hello))
                return CLIENTS_E_GONE;
        client->state = CLIENT_STATE_COMMAND;
        return CLIENTS_E_AGAIN;
}

int clients_receive(Clients *clients, Client *client, ClientCommand *ret_command) {
        for (;;) {
                WireHeader header;
                uint8_t *payload;
                int r;

                r = messages_receive(&client->messages, client_check, client, &header, &payload);
                switch (r) {
                case 0:
                        r = client_on_message(client, header, payload, ret_command);
                        if (r != CLIENTS_E_AGAIN)
                                return r;
                        break;
                case MESSAGES_E_AGAIN:
                        /* A byte behind the command is one too many, and need not be a whole header. */
                        return client->state >= CLIENT_STATE_RUNNING && client->messages.n_in > client->messages.n_used
                                       ? CLIENTS_E_GONE
                                       : CLIENTS_E_AGAIN;
                case MESSAGES_E_REFUSED:
                        log_warning("a client of the domain's socket said what it may not: closed");
                        return CLIENTS_E_GONE;
                case MESSAGES_E_END:
                case MESSAGES_E_BROKEN:
                        return CLIENTS_E_GONE;
                default:
                        return error_fold(r);
                }
        }
}

/* @message: receives it; WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE bytes */
static void clients_encode_answer(uint32_t type, const ExecParams *params, uint8_t *message) {
        wire_header_encode((WireHeader){ .type = type, .length = EXEC_PARAMS_SIZE }, message);
        exec_params_encode(params, message + WIRE_HEADER_SIZE);
}

int clients_answer(Client *client, uint32_t type, const ExecParams *params) {
        uint8_t message[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];

        clients_encode_answer(type, params, message);
        return messages_send(&client->messages, message, sizeof(message));
}

int clients_hand_over(Client *client, int fd) {
        ExecParams params = { WIRE_DOMAIN_FRAMED, client->params.connect_port };
        uint8_t message[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];
        size_t n_sent = 0;
        int r;

        clients_encode_answer(client->type, &params, message);
        /* All that was said before is a HELLO, and it needs no more room than this: who has none has not read it. */
        if (!messages_is_flushed(&client->messages))
                return CLIENTS_E_GONE;
        r = socket_send(client->messages.fd, message, sizeof(message), &fd, 1, &n_sent);
        if (r < 0)
                return error_trace(r);
        if (r || n_sent != sizeof(message))
                return CLIENTS_E_GONE;
        client->state = CLIENT_STATE_CONNECTED;
        client->data_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return 0;
}

Client *clients_find(const Clients *clients, const ExecParams *params) {
        for (Client *client = clients->first; client; client = client->next)
                if (client->params.connect_port == params->connect_port &&
                    client->params.connect_domain == params->connect_domain)
                        return client;
        return NULL;
}
