/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/client.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/watch.h"
#include "broker/broker.h"
#include "broker/caller.h"
#include "broker/inbox.h"
#include "wire/exec.h"
#include "wire/header.h"
#include "wire/hello.h"

/* Payload of a command: protocol specification, 2.5. */
#define CLIENT_COMMAND_SIZE_MIN 9
#define CLIENT_COMMAND_SIZE_MAX 65535

typedef enum ClientState {
        CLIENT_STATE_HELLO,
        CLIENT_STATE_COMMAND,
        CLIENT_STATE_WAITING,
} ClientState;

typedef struct Client {
        CallOrigin origin;
        Broker *broker;
        Domain *target;
        Domain *payer; /* whose connection it is: the host's */
        int fd;
        ClientState state;
        Inbox inbox;
        sd_event_source *source;
        sd_event_source *deadline;
        uint32_t type; /* of its command: the answer repeats it */
        Call *call;    /* while WAITING */
} Client;

static Client *client_free(Client *client) {
        if (!client)
                return NULL;
        if (client->call)
                call_cancel(client->call);
        sd_event_source_disable_unref(client->deadline);
        sd_event_source_disable_unref(client->source);
        inbox_deinit(&client->inbox);
        fd_close(client->fd);
        if (client->payer)
                --client->payer->n_connections;
        domain_unref(client->payer);
        domain_unref(client->target);
        free(client);
        return NULL;
}
DEFINE_CLEANUP(Client *, client_free)

static int client_send(Client *client, const uint8_t *data, size_t n, const int *fds, size_t n_fds, bool *ret_gone) {
        int r = socket_send(client->fd, data, n, fds, n_fds, NULL);

        *ret_gone = r > 0;
        return r < 0 ? error_trace(r) : 0;
}

static int client_connected(CallOrigin *origin, uint32_t id, uint32_t mode, const int *fds, size_t n_fds) {
        Client *client = container_of(origin, Client, origin);
        uint8_t data[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];
        bool gone;
        int r;

        client->call = NULL;
        wire_header_encode((WireHeader){ .type = client->type, .length = EXEC_PARAMS_SIZE }, data);
        exec_params_encode(&(ExecParams){ .connect_domain = mode, .connect_port = id }, data + WIRE_HEADER_SIZE);
        r = client_send(client, data, sizeof(data), fds, n_fds, &gone);
        client_free(client);
        return error_trace(r);
}

static int client_refused(CallOrigin *origin, uint32_t id, ReplyReason reason) {
        Client *client = container_of(origin, Client, origin);

        /* The protocol has no word for it: the connection closes. */
        client->call = NULL;
        client_free(client);
        return 0;
}

static bool client_may_send_hello(uint32_t type, size_t n) {
        return type == WIRE_TYPE_HELLO && n == HELLO_SIZE;
}

static bool client_may_send_command(uint32_t type, size_t n) {
        return (type == WIRE_TYPE_EXEC_CMDLINE || type == WIRE_TYPE_JUST_EXEC) && n >= CLIENT_COMMAND_SIZE_MIN &&
               n <= CLIENT_COMMAND_SIZE_MAX;
}

/* A client says which descriptors it can be handed; upstream's, which takes none, says 0. */
static bool client_mode_is_served(uint32_t mode) {
        return mode == WIRE_DOMAIN_FRAMED || mode == WIRE_DOMAIN_DIRECT;
}

/* Frees the client, or leaves it waiting for its call: it must not be touched afterwards. */
static int client_handle_command(Client *client, const InboxMessage *message) {
        Domain *dom0 = domain_table_find(&client->broker->domains, DOM0_NAME);
        CallCommand command;
        Exec exec;
        Call *call;
        int r;

        if (!dom0 || domain_is_dom0(client->target) || exec_decode(message->payload, message->header.length, &exec) ||
            !client_mode_is_served(exec.params.connect_domain) || exec.params.connect_port != 0) {
                domain_note(client->target, "a client on its daemon socket asked for something that is not served");
                client_free(client);
                return 0;
        }
        client->state = CLIENT_STATE_WAITING;
        client->type = message->header.type;
        client->deadline = sd_event_source_disable_unref(client->deadline);
        command = (CallCommand){
                .source = dom0,
                .target = client->target,
                .command = exec.text,
                .mode = exec.params.connect_domain,
                .just_exec = message->header.type == WIRE_TYPE_JUST_EXEC,
                .origin = &client->origin,
        };
        r = call_command(client->broker, &command, &call);
        if (r)
                return error_trace(r);
        if (call)
                client->call = call;
        return 0;
}

static int client_handle_hello(Client *client, const InboxMessage *message) {
        Hello hello;

        if (hello_decode(message->payload, message->header.length, WIRE_VERSION_DAEMON, &hello))
                client_free(client);
        else
                client->state = CLIENT_STATE_COMMAND;
        return 0;
}

static int client_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Client *client = userdata;
        InboxMessage message;
        int r;

        if (client->state == CLIENT_STATE_WAITING) {
                client_free(client);
                return 0;
        }
        /* A client may send its command right behind its HELLO: of the first, take no byte too many. */
        if (client->state == CLIENT_STATE_HELLO)
                r = inbox_receive(&client->inbox, fd, client->broker->scratch, WIRE_HEADER_SIZE + HELLO_SIZE,
                                  client_may_send_hello, client->broker->watchdog, &message);
        else
                r = inbox_receive(&client->inbox, fd, client->broker->scratch, BROKER_SCRATCH_SIZE,
                                  client_may_send_command, client->broker->watchdog, &message);
        inbox_take(&client->inbox, fd, client->broker->watchdog);
        switch (r) {
        case 0:
                return error_trace(client->state == CLIENT_STATE_HELLO ? client_handle_hello(client, &message)
                                                                       : client_handle_command(client, &message));
        case INBOX_E_MORE:
                return 0;
        case INBOX_E_REFUSED:
        case INBOX_E_EOF:
                client_free(client);
                return 0;
        default:
                return error_fold(r);
        }
}

static int client_on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        client_free(userdata);
        return 0;
}

int client_new(Broker *broker, Domain *target, Domain *payer, int fd) {
        _cleanup_(client_freep) Client *client = NULL;
        uint8_t hello[WIRE_HEADER_SIZE + HELLO_SIZE];
        bool gone;
        int r;

        client = malloc(sizeof(*client));
        if (!client) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        *client = (Client){
                .origin = { .connected = client_connected, .refused = client_refused },
                .broker = broker,
                .target = domain_ref(target),
                .payer = domain_ref(payer),
                .fd = fd,
        };
        ++payer->n_connections;

        wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, hello);
        hello_encode(&(Hello){ .version = WIRE_VERSION_DAEMON }, hello + WIRE_HEADER_SIZE);
        r = client_send(client, hello, sizeof(hello), NULL, 0, &gone);
        if (r)
                return error_trace(r);
        if (gone)
                return 0;
        r = watch_io(broker->event, fd, EPOLLIN, client_on_io, client, &client->source);
        r = r
                    ?: watch_time(broker->event, CALLER_READ_USEC, USEC_PER_SEC, client_on_deadline, client,
                                  &client->deadline);
        if (r)
                return error_trace(r);
        steal_ptr(&client);
        return 0;
}
