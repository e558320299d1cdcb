/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/localclients.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/channel.h"
#include "agent/ferry.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/header.h"
#include "wire/reply.h"
#include "wire/trigger.h"

#define LOCAL_CLIENTS_BACKLOG 128

void local_clients_init(LocalClients *clients, int epoll_fd, const char *path, const Medium *medium) {
        *clients = (LocalClients){
                .epoll_fd = epoll_fd,
                .path = path,
                .medium = medium,
                .fd = -1,
                .watch = { VCHAN_WATCH_KIND_LISTENER },
        };
}

static int local_clients_watch(LocalClients *clients, int operation, int fd, uint32_t events, VchanWatch *watch) {
        struct epoll_event event = { .events = events, .data.ptr = watch };

        return epoll_ctl(clients->epoll_fd, operation, fd, &event) < 0 ? error_origin(-errno) : 0;
}

/* --- the socket ------------------------------------------------------------------------------------------------- */

static int local_clients_bind(const char *path, int *ret_fd) {
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
        if (!r && listen(fd, LOCAL_CLIENTS_BACKLOG) < 0)
                r = -errno;
        if (r)
                return r;
        *ret_fd = fd_steal(&fd);
        return 0;
}

int local_clients_open(LocalClients *clients) {
        int r;

        r = local_clients_bind(clients->path, &clients->fd);
        if (r == 0 && local_clients_watch(clients, EPOLL_CTL_ADD, clients->fd, EPOLLIN, &clients->watch) == 0)
                return 0;
        if (r < 0)
                log_error("%s: cannot listen: %s", ESCAPED(clients->path, strlen(clients->path)), strerror(-r));
        return LOCAL_CLIENTS_E_FAILED;
}

void local_clients_close(LocalClients *clients) {
        while (clients->unanswered.first)
                local_clients_refuse(clients, clients->unanswered.first, REPLY_REASON_UNAVAILABLE);
        while (clients->connected.first)
                local_clients_remove(clients, clients->connected.first);
        if (clients->fd >= 0)
                (void)unlink(clients->path);
        clients->fd = fd_close(clients->fd);
        clients->pause_usec = 0;
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

static void local_clients_link(LocalClientList *list, LocalClient *client) {
        client->previous = list->last;
        client->next = NULL;
        if (list->last)
                list->last->next = client;
        else
                list->first = client;
        list->last = client;
}

static void local_clients_unlink(LocalClients *clients, LocalClient *client) {
        bool connected = client->state == LOCAL_CLIENT_STATE_CONNECTED;
        LocalClientList *list = connected ? &clients->connected : &clients->unanswered;

        if (client->previous)
                client->previous->next = client->next;
        else
                list->first = client->next;
        if (client->next)
                client->next->previous = client->previous;
        else
                list->last = client->previous;
        clients->n_unanswered -= !connected;
}

/* Before the descriptor is closed, for the reason below. */
static void local_client_unwatch_dial(const LocalClients *clients, const LocalClient *client) {
        if (client->dial.fd >= 0)
                (void)epoll_ctl(clients->epoll_fd, EPOLL_CTL_DEL, client->dial.fd, NULL);
}

void local_clients_remove(LocalClients *clients, LocalClient *client) {
        local_clients_unlink(clients, client);
        /* A handler that was just forked may hold a copy for a moment: closing alone would not end the events. */
        (void)epoll_ctl(clients->epoll_fd, EPOLL_CTL_DEL, client->fd, NULL);
        local_client_unwatch_dial(clients, client);
        host_dial_deinit(&client->dial);
        fd_close(client->fd);
        free(client->request);
        free(client);
}

/* Nobody waits for one who does not read: the answer is short, and the first that it is sent. Return: as socket_send() */
static int local_client_tell(const LocalClient *client, const Reply *reply, const int *fds, size_t n_fds) {
        uint8_t data[REPLY_REFUSED_SIZE];

        return socket_send(client->fd, data, reply_encode(reply, data), fds, n_fds, NULL);
}

/* Over vchan clients are upstream's: a bare close is their refusal. */
static void local_client_tell_reason(const LocalClients *clients, const LocalClient *client, ReplyReason reason) {
        Reply reply = { .connect_domain = WIRE_DOMAIN_REFUSED, .reason = reason };

        if (clients->medium->kind == MEDIUM_KIND_VSOCK && client->state != LOCAL_CLIENT_STATE_READING)
                (void)local_client_tell(client, &reply, NULL, 0);
}

void local_clients_refuse(LocalClients *clients, LocalClient *client, ReplyReason reason) {
        local_client_tell_reason(clients, client, reason);
        local_clients_remove(clients, client);
}

/* Takes the descriptor. Where there is no memory for it the client is refused. */
static int local_clients_add(LocalClients *clients, int client_fd, uint64_t now_usec) {
        _cleanup_fd_ int fd = client_fd;
        _cleanup_free_ LocalClient *client = NULL;
        int r;

        if (clients->n_unanswered >= LOCAL_CLIENTS_MAX)
                return 0;
        client = calloc(1, sizeof(*client));
        if (!client)
                return 0;
        client->watch = (VchanWatch){ VCHAN_WATCH_KIND_CLIENT };
        client->dial_watch = (VchanWatch){ VCHAN_WATCH_KIND_DIAL };
        client->dial.fd = -1;
        r = local_clients_watch(clients, EPOLL_CTL_ADD, fd, EPOLLIN, &client->watch);
        if (r)
                return r;
        client->fd = fd_steal(&fd);
        client->deadline_usec = now_usec + LOCAL_CLIENTS_REQUEST_USEC;
        local_clients_link(&clients->unanswered, steal_ptr(&client));
        ++clients->n_unanswered;
        return 0;
}

/* Those who come meanwhile wait in the backlog. */
static int local_clients_pause(LocalClients *clients, uint64_t now_usec) {
        clients->pause_usec = now_usec + LOCAL_CLIENTS_PAUSE_USEC;
        return local_clients_watch(clients, EPOLL_CTL_MOD, clients->fd, 0, &clients->watch);
}

int local_clients_accept(LocalClients *clients, uint64_t now_usec) {
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
                                return local_clients_pause(clients, now_usec);
                        default:
                                return error_origin(-errno);
                        }
                }
                r = local_clients_add(clients, fd, now_usec);
                if (r)
                        return r;
        }
}

/* --- requests --------------------------------------------------------------------------------------------------- */

/* Return: 0: all of @n_wanted bytes are there; otherwise as local_clients_read() */
static int local_client_fill(LocalClient *client, uint8_t *data, size_t n_wanted) {
        while (client->n < n_wanted) {
                size_t n;
                int r;

                r = socket_receive(client->fd, data + client->n, n_wanted - client->n, &n, NULL, 0, NULL);
                switch (r) {
                case 0:
                        client->n += n;
                        break;
                case SOCKET_E_AGAIN:
                        return LOCAL_CLIENTS_E_AGAIN;
                case SOCKET_E_EOF:
                case SOCKET_E_GONE:
                case SOCKET_E_TRUNCATED:
                        return LOCAL_CLIENTS_E_GONE;
                default:
                        return error_fold(r);
                }
        }
        return 0;
}

/* The length is judged before there is memory for it. */
static int local_client_open_request(LocalClient *client, WireHeader *ret_header) {
        (void)wire_header_decode(client->header_data, sizeof(client->header_data), ret_header);
        if (client->request)
                return 0;
        if (ret_header->type != WIRE_TYPE_TRIGGER_SERVICE4 ||
            !trigger_size_is_valid(ret_header->type, ret_header->length)) {
                log_warning("a local client sent no request (type 0x%x, %u bytes): closed", ret_header->type,
                            ret_header->length);
                return LOCAL_CLIENTS_E_GONE;
        }
        client->request = malloc(WIRE_HEADER_SIZE + ret_header->length);
        if (!client->request)
                return LOCAL_CLIENTS_E_GONE;
        memcpy(client->request, client->header_data, WIRE_HEADER_SIZE);
        return 0;
}

/*
 * Over vsock the agent dials, and hands the connection on; upstream's client would listen for one who never comes.
 * Return: 0 or LOCAL_CLIENTS_E_GONE
 */
static int local_client_check_ident(LocalClient *client) {
        Ident ident = {};

        if (trigger_ident(client->request + WIRE_HEADER_SIZE, client->n - WIRE_HEADER_SIZE, &ident) == 0) {
                client->wants_direct = strcmp(ident.text, IDENT_QAIR_MORE) == 0;
                if (client->wants_direct || strcmp(ident.text, IDENT_QAIR) == 0)
                        return 0;
        }
        log_warning("a local client calls itself \"%s\", which over vsock cannot be served: closed; "
                    "is VCHAN_DOMAIN set, or is it Qubes' own qrexec-client-vm?",
                    ident.text);
        return LOCAL_CLIENTS_E_GONE;
}

int local_clients_read(LocalClients *clients, LocalClient *client) {
        WireHeader header;
        int r;

        r = local_client_fill(client, client->header_data, WIRE_HEADER_SIZE);
        if (!r)
                r = local_client_open_request(client, &header);
        if (!r)
                r = local_client_fill(client, client->request, WIRE_HEADER_SIZE + header.length);
        if (!r && clients->medium->kind == MEDIUM_KIND_VSOCK)
                r = local_client_check_ident(client);
        if (r)
                return r;
        client->state = LOCAL_CLIENT_STATE_READY;
        /* From here to the answer nobody looks: one who gives up is noticed when the answer comes. */
        return local_clients_watch(clients, EPOLL_CTL_DEL, client->fd, 0, NULL);
}

LocalClient *local_clients_ready(const LocalClients *clients) {
        for (LocalClient *client = clients->unanswered.first; client; client = client->next)
                if (client->state == LOCAL_CLIENT_STATE_READY)
                        return client;
        return NULL;
}

int local_clients_forward(LocalClients *clients, LocalClient *client, uint32_t version, uint8_t *ret_message,
                          size_t n_max, size_t *ret_n) {
        int r;

        (void)snprintf(client->ident.text, sizeof(client->ident.text), "SOCKET%u", clients->next_ident++);
        r = trigger_forward(client->request + WIRE_HEADER_SIZE, client->n - WIRE_HEADER_SIZE, version, &client->ident,
                            ret_message, n_max, ret_n);
        if (r == TRIGGER_E_REFUSED) {
                log_notice("a request was refused: the daemon's version %u of the protocol has no words for it",
                           version);
                return LOCAL_CLIENTS_E_GONE;
        }
        if (r)
                return error_fold(r);
        client->state = LOCAL_CLIENT_STATE_WAITING;
        free(client->request);
        client->request = NULL;
        return 0;
}

LocalClient *local_clients_find(const LocalClients *clients, const char *ident) {
        for (LocalClient *client = clients->unanswered.first; client; client = client->next)
                if (client->state == LOCAL_CLIENT_STATE_WAITING && strcmp(client->ident.text, ident) == 0)
                        return client;
        return NULL;
}

static int local_clients_tell_port(LocalClients *clients, LocalClient *client, const ExecParams *params) {
        uint8_t data[EXEC_PARAMS_SIZE];
        int r;

        exec_params_encode(params, data);
        r = socket_send(client->fd, data, sizeof(data), NULL, 0, NULL);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN: /* eight bytes, the first ones: it has no room on purpose */
        case SOCKET_E_GONE:
                return LOCAL_CLIENTS_E_GONE;
        default:
                return error_fold(r);
        }
        local_clients_unlink(clients, client);
        client->state = LOCAL_CLIENT_STATE_CONNECTED;
        client->params = *params;
        local_clients_link(&clients->connected, client);
        return local_clients_watch(clients, EPOLL_CTL_ADD, client->fd, EPOLLIN | EPOLLRDHUP, &client->watch);
}

int local_clients_connect(LocalClients *clients, LocalClient *client, const ExecParams *params, uint64_t now_usec) {
        switch (clients->medium->kind) {
        case MEDIUM_KIND_VCHAN:
                return local_clients_tell_port(clients, client, params);
        case MEDIUM_KIND_VSOCK:
                client->state = LOCAL_CLIENT_STATE_DIALLING;
                client->params = *params;
                client->dial = HOST_DIAL_INIT(params->connect_port, params->connect_domain,
                                              now_usec + LOCAL_CLIENTS_DIAL_USEC);
                return 0;
        }
        return LOCAL_CLIENTS_E_GONE;
}

/* --- connections that are handed over --------------------------------------------------------------------------- */

int local_clients_dial(LocalClients *clients, LocalClient *client, uint64_t now_usec, int *ret_fd) {
        int error = 0, r;

        local_client_unwatch_dial(clients, client);
        r = host_dial_run(&client->dial, now_usec, &error, ret_fd);
        switch (r) {
        case 0:
                return 0;
        case HOST_DIAL_E_PROGRESS:
                r = client->dial.fd < 0 ? 0
                                        : local_clients_watch(clients, EPOLL_CTL_ADD, client->dial.fd, EPOLLOUT,
                                                              &client->dial_watch);
                return r ? r : LOCAL_CLIENTS_E_AGAIN;
        case HOST_DIAL_E_FAILED:
                log_warning("a local client's call: cannot reach its callee, at port %u of the host, from port %u: %s",
                            client->params.connect_domain, client->params.connect_port, strerror(error));
                local_client_tell_reason(clients, client, REPLY_REASON_UNAVAILABLE);
                return LOCAL_CLIENTS_E_GONE;
        default:
                return error_fold(r);
        }
}

/* Return: as socket_send(); SOCKET_E_LIMIT also where there can be no ferry */
static int local_client_give_direct(const LocalClient *client, int fd) {
        Reply reply = { .connect_domain = WIRE_DOMAIN_DIRECT, .connect_port = client->params.connect_port };
        Channel channel = CHANNEL_INIT;
        struct ucred peer;
        int error = 0, r;

        r = socket_peer(client->fd, &peer);
        if (r)
                return r;
        if (ferry_start(fd, &peer, &error, &channel)) {
                log_warning("a local client's call: nobody can carry its data: %s", strerror(error));
                return SOCKET_E_LIMIT;
        }
        r = local_client_tell(client, &reply, (int[]){ channel.status_fd, channel.stdin_fd, channel.stdout_fd }, 3);
        channel_close(&channel);
        return r;
}

int local_clients_give(const LocalClients *clients, const LocalClient *client, int fd) {
        Reply reply = { .connect_domain = WIRE_DOMAIN_FRAMED, .connect_port = client->params.connect_port };
        int r;

        r = client->wants_direct ? local_client_give_direct(client, fd) : local_client_tell(client, &reply, &fd, 1);
        /* A client that is gone takes it no more: closed here, it is closed for its callee, too. */
        fd_close(fd);
        if (r == SOCKET_E_LIMIT)
                local_client_tell_reason(clients, client, REPLY_REASON_UNAVAILABLE);
        return r < 0 ? r : LOCAL_CLIENTS_E_GONE;
}

/* --- time ------------------------------------------------------------------------------------------------------- */

static LocalClient *local_clients_first_reading(const LocalClients *clients) {
        LocalClient *client = clients->unanswered.first;

        while (client && client->state != LOCAL_CLIENT_STATE_READING)
                client = client->next;
        return client;
}

uint64_t local_clients_deadline(const LocalClients *clients) {
        const LocalClient *client = local_clients_first_reading(clients);
        uint64_t deadline_usec = client ? client->deadline_usec : UINT64_MAX;

        if (clients->pause_usec > 0 && clients->pause_usec < deadline_usec)
                deadline_usec = clients->pause_usec;
        for (client = clients->unanswered.first; client; client = client->next)
                if (client->state == LOCAL_CLIENT_STATE_DIALLING && host_dial_due(&client->dial) < deadline_usec)
                        deadline_usec = host_dial_due(&client->dial);
        return deadline_usec;
}

LocalClient *local_clients_due(const LocalClients *clients, uint64_t now_usec) {
        LocalClient *client = clients->unanswered.first;

        while (client && (client->state != LOCAL_CLIENT_STATE_DIALLING || host_dial_due(&client->dial) > now_usec))
                client = client->next;
        return client;
}

int local_clients_on_deadline(LocalClients *clients, uint64_t now_usec) {
        LocalClient *client;

        while ((client = local_clients_first_reading(clients)) && client->deadline_usec <= now_usec) {
                log_warning("a local client did not say what it wants in time: closed");
                local_clients_remove(clients, client);
        }
        if (clients->pause_usec == 0 || clients->pause_usec > now_usec)
                return 0;
        clients->pause_usec = 0;
        return local_clients_watch(clients, EPOLL_CTL_MOD, clients->fd, EPOLLIN, &clients->watch);
}
