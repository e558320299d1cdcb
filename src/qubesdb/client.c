/* SPDX-License-Identifier: Apache-2.0 */
#include "qubesdb/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"

struct QubesdbClient {
        int fd;
        char *domain; /* NULL: our own */
        QubesdbPath *events;
        size_t n_events;
};

static int qubesdb_client_connect(QubesdbClient *client) {
        static const char *const suffixes[] = { "sock", "ro.sock" };
        char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
        int first_error = 0;

        client->fd = fd_close(client->fd);
        for (size_t i = 0; i < ARRAY_SIZE(suffixes); ++i) {
                int n = snprintf(path, sizeof(path), QUBESDB_RUN_DIR "/qubesdb%s%s.%s", client->domain ? "." : "",
                                 client->domain ?: "", suffixes[i]),
                    r;

                if (n < 0 || (size_t)n >= sizeof(path))
                        return QUBESDB_CLIENT_E_PATH;
                r = socket_connect(path, SOCK_STREAM, &client->fd);
                if (!r)
                        return 0;
                first_error = first_error ?: r;
        }
        errno = first_error < 0 ? -first_error : ENAMETOOLONG;
        return QUBESDB_CLIENT_E_CONNECT;
}

int qubesdb_client_open(const char *domain, QubesdbClient **ret_client) {
        _cleanup_(qubesdb_client_closep) QubesdbClient *client = NULL;
        int r;

        client = malloc(sizeof(*client));
        if (!client)
                return error_origin(-ENOMEM);
        *client = (QubesdbClient){ .fd = -1 };
        if (domain) {
                client->domain = strdup(domain);
                if (!client->domain)
                        return error_origin(-ENOMEM);
        }
        r = qubesdb_client_connect(client);
        if (r)
                return r < 0 ? error_trace(r) : QUBESDB_CLIENT_E_CONNECT;
        *ret_client = steal_ptr(&client);
        return 0;
}

QubesdbClient *qubesdb_client_close(QubesdbClient *client) {
        int kept = errno;

        if (!client)
                return NULL;
        fd_close(client->fd);
        free(client->domain);
        free(client->events);
        free(client);
        errno = kept;
        return NULL;
}

static int qubesdb_client_push_event(QubesdbClient *client, const QubesdbPath *path) {
        QubesdbPath *larger = reallocarray(client->events, client->n_events + 1, sizeof(*larger));

        if (!larger)
                return error_origin(-ENOMEM);
        client->events = larger;
        client->events[client->n_events++] = *path;
        return 0;
}

/* One message, and its data if there are any. The daemon is trusted not to lie, but not to be without faults. */
static int qubesdb_client_receive(QubesdbClient *client, QubesdbMessage *ret_message, char **ret_data) {
        uint8_t header[QUBESDB_HEADER_SIZE];
        _cleanup_free_ char *data = NULL;
        QubesdbMessage message;

        if (fd_read_full(client->fd, header, sizeof(header)))
                return QUBESDB_CLIENT_E_GONE;
        qubesdb_message_decode(header, &message);
        if (message.n_data > QUBESDB_VALUE_MAX || !qubesdb_path_is_sane(&message.path))
                return QUBESDB_CLIENT_E_GONE;
        data = calloc(message.n_data + 1, 1);
        if (!data)
                return error_origin(-ENOMEM);
        if (fd_read_full(client->fd, data, message.n_data))
                return QUBESDB_CLIENT_E_GONE;
        *ret_message = message;
        *ret_data = steal_ptr(&data);
        return 0;
}

/* The next message that is no event. */
static int qubesdb_client_receive_reply(QubesdbClient *client, QubesdbMessage *ret_message, char **ret_data) {
        for (;;) {
                _cleanup_free_ char *data = NULL;
                QubesdbMessage message;
                int r;

                r = qubesdb_client_receive(client, &message, &data);
                if (r)
                        return r;
                if (message.type != QUBESDB_TYPE_RESP_WATCH) {
                        *ret_message = message;
                        *ret_data = steal_ptr(&data);
                        return 0;
                }
                r = qubesdb_client_push_event(client, &message.path);
                if (r)
                        return error_trace(r);
        }
}

static int qubesdb_client_send(QubesdbClient *client, const uint8_t *data, size_t n) {
        while (n > 0) {
                ssize_t n_sent = send(client->fd, data, n, MSG_NOSIGNAL);

                if (n_sent < 0 && errno == EINTR)
                        continue;
                if (n_sent < 0)
                        return QUBESDB_CLIENT_E_GONE;
                data += n_sent;
                n -= (size_t)n_sent;
        }
        return 0;
}

/* A daemon that was started again has closed the old connection: one more try (3.5). */
static int qubesdb_client_command(QubesdbClient *client, QubesdbType type, const char *path, const char *value,
                                  size_t n_value, QubesdbMessage *ret_reply, char **ret_data) {
        QubesdbMessage command = { .type = (uint8_t)type, .n_data = (uint32_t)n_value };
        uint8_t data[QUBESDB_HEADER_SIZE + QUBESDB_VALUE_MAX];

        if (!qubesdb_path_parse(path, &command.path) || n_value > QUBESDB_VALUE_MAX ||
            (path[0] != '/' && path[0] != '\0'))
                return QUBESDB_CLIENT_E_PATH;
        qubesdb_message_encode(&command, data);
        if (n_value > 0)
                memcpy(data + QUBESDB_HEADER_SIZE, value, n_value);
        for (unsigned attempt = 0; attempt < 2; ++attempt) {
                int r = attempt > 0 ? qubesdb_client_connect(client) : 0;

                if (r)
                        return r;
                if (qubesdb_client_send(client, data, QUBESDB_HEADER_SIZE + n_value))
                        continue;
                r = qubesdb_client_receive_reply(client, ret_reply, ret_data);
                if (r != QUBESDB_CLIENT_E_GONE)
                        return r;
        }
        return QUBESDB_CLIENT_E_GONE;
}

static int qubesdb_client_judge(const QubesdbMessage *reply, QubesdbType expected) {
        if (reply->type == expected)
                return 0;
        if (reply->type == QUBESDB_TYPE_RESP_NOENT)
                return QUBESDB_CLIENT_E_NONE;
        return reply->type == QUBESDB_TYPE_RESP_ERROR ? QUBESDB_CLIENT_E_REFUSED : QUBESDB_CLIENT_E_GONE;
}

int qubesdb_client_read(QubesdbClient *client, const char *path, char **ret_value, size_t *ret_n) {
        _cleanup_free_ char *data = NULL;
        QubesdbMessage reply;
        int r;

        r = qubesdb_client_command(client, QUBESDB_TYPE_READ, path, NULL, 0, &reply, &data);
        r = r ?: qubesdb_client_judge(&reply, QUBESDB_TYPE_RESP_READ);
        if (r)
                return r;
        *ret_n = reply.n_data;
        *ret_value = steal_ptr(&data);
        return 0;
}

static int qubesdb_client_simple(QubesdbClient *client, QubesdbType type, const char *path, const char *value,
                                 size_t n_value) {
        _cleanup_free_ char *data = NULL;
        QubesdbMessage reply;
        int r;

        r = qubesdb_client_command(client, type, path, value, n_value, &reply, &data);
        return r ?: qubesdb_client_judge(&reply, QUBESDB_TYPE_RESP_OK);
}

int qubesdb_client_write(QubesdbClient *client, const char *path, const char *value, size_t n_value) {
        return qubesdb_client_simple(client, QUBESDB_TYPE_WRITE, path, value, n_value);
}

int qubesdb_client_remove(QubesdbClient *client, const char *path) {
        int r = qubesdb_client_simple(client, QUBESDB_TYPE_RM, path, NULL, 0);

        return r == QUBESDB_CLIENT_E_NONE ? 0 : r;
}

int qubesdb_client_watch(QubesdbClient *client, const char *path) {
        return qubesdb_client_simple(client, QUBESDB_TYPE_WATCH, path, NULL, 0);
}

static int qubesdb_client_entries(QubesdbClient *client, QubesdbType command, QubesdbType expected, const char *prefix,
                                  QubesdbClientEntry entry, void *userdata) {
        _cleanup_free_ char *data = NULL;
        QubesdbMessage reply;
        int stopped = 0, r;

        r = qubesdb_client_command(client, command, prefix, NULL, 0, &reply, &data);
        while (!r) {
                r = qubesdb_client_judge(&reply, expected);
                if (r || reply.path.text[0] == '\0')
                        break;
                /* The rest has to be received in any case: it is not the reply to the next command. */
                if (!stopped)
                        stopped = entry(userdata, &reply.path, expected == QUBESDB_TYPE_RESP_LIST ? NULL : data,
                                        reply.n_data);
                free(steal_ptr(&data));
                r = qubesdb_client_receive_reply(client, &reply, &data);
        }
        return r ?: stopped;
}

int qubesdb_client_list(QubesdbClient *client, const char *prefix, QubesdbClientEntry entry, void *userdata) {
        return qubesdb_client_entries(client, QUBESDB_TYPE_LIST, QUBESDB_TYPE_RESP_LIST, prefix, entry, userdata);
}

int qubesdb_client_multiread(QubesdbClient *client, const char *prefix, QubesdbClientEntry entry, void *userdata) {
        return qubesdb_client_entries(client, QUBESDB_TYPE_MULTIREAD, QUBESDB_TYPE_RESP_MULTIREAD, prefix, entry,
                                      userdata);
}

int qubesdb_client_next(QubesdbClient *client, QubesdbPath *ret_path) {
        _cleanup_free_ char *data = NULL;
        QubesdbMessage message;
        int r;

        if (client->n_events > 0) {
                *ret_path = client->events[0];
                memmove(&client->events[0], &client->events[1], --client->n_events * sizeof(*client->events));
                return 0;
        }
        r = qubesdb_client_receive(client, &message, &data);
        if (r)
                return r;
        if (message.type != QUBESDB_TYPE_RESP_WATCH)
                return QUBESDB_CLIENT_E_GONE;
        *ret_path = message.path;
        return 0;
}

const char *qubesdb_client_error_text(int r) {
        switch (r) {
        case QUBESDB_CLIENT_E_CONNECT:
                return "cannot connect";
        case QUBESDB_CLIENT_E_PATH:
                return "is no path: at most 63 of A-Z a-z 0-9 . _ - / : @, the first a slash; a value has at most 3071 "
                       "bytes";
        case QUBESDB_CLIENT_E_NONE:
                return "there is no such entry";
        case QUBESDB_CLIENT_E_REFUSED:
                return "the daemon refused it";
        case QUBESDB_CLIENT_E_GONE:
                return "the daemon went away";
        default:
                return r < 0 ? strerror(-r) : "unknown error";
        }
}
