/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's end of a control connection, with its trigger socket, as a state machine. The input is what the daemon and eight
 * local clients do, step by step, and how much time goes by. Commands are not executed: each ends at once.
 * The first byte says over what: with vsock a socket pair stands for what was dialled, and every second dial for data fails.
 *
 * Whatever they do: the daemon hears whole messages of an agent of the version that was agreed upon; a client hears one answer
 * or nothing; nothing happens behind a broken protocol; and what is held for all of them stays within its limits.
 */
#include "folder.h"
#include "peer.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/localclients.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/socket.h"
#include "wire/trigger.h"

#define CLIENTS_N 8
#define OWN       42
/** What may wait for the daemon: one request, and an end for each client and each order that was taken meanwhile. */
#define OUT_MAX (WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX + (CLIENTS_N + 1) * (WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE))

enum {
        STEP_RAW,
        STEP_ORDER,
        STEP_HELLO,
        STEP_RECEIVE,
        STEP_HANG_UP,
        STEP_REQUEST,
        STEP_CLIENT,
        STEP_TIME,
        _STEP_N,
};

typedef struct World {
        Script script;
        Medium medium;
        Control control;
        LocalClients clients;
        int epoll_fd;
        uint64_t now_usec;
        bool broken;
        unsigned n_dials;
        Peer daemon, peers[CLIENTS_N];
} World;

static char trigger_path[64];

/*
 * The agent: agent/vchan.c without what needs processes
 */

static int agent_dial(World *world, LocalClient *client) {
        int fds[2];

        if (world->n_dials++ % 2)
                return LOCAL_CLIENTS_E_GONE;
        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        fuzz_check(local_clients_give(&world->clients, client, fds[0]) == LOCAL_CLIENTS_E_GONE);
        fd_close(fds[1]);
        return LOCAL_CLIENTS_E_GONE;
}

static void agent_on_order(World *world, const DaemonOrder *order) {
        LocalClient *client = NULL;
        int r = LOCAL_CLIENTS_E_GONE;

        if (order->type != DAEMON_ORDER_TYPE_EXEC)
                client = local_clients_find(&world->clients, order->text);
        if (order->type == DAEMON_ORDER_TYPE_REFUSE) {
                if (client)
                        local_clients_refuse(&world->clients, client, REPLY_REASON_REFUSED);
                return;
        }
        if (client)
                r = local_clients_connect(&world->clients, client, &order->params, world->now_usec);
        if (client && client->state == LOCAL_CLIENT_STATE_DIALLING)
                r = agent_dial(world, client);
        fuzz_check(r == 0 || r == LOCAL_CLIENTS_E_GONE);
        if (r == 0)
                return;
        if (client)
                local_clients_remove(&world->clients, client);
        fuzz_check(control_terminated(&world->control, &order->params) == 0);
}

static void agent_on_control(World *world) {
        int r;

        if (world->control.state == CONTROL_STATE_DIALLING)
                return;
        if (world->control.state == CONTROL_STATE_LISTENING) {
                r = control_establish(&world->control, world->now_usec);
                fuzz_check(r == 0 || r == CONTROL_E_AGAIN);
                return;
        }
        fuzz_check(control_flush(&world->control) == 0);
        while (control_is_flushed(&world->control)) {
                DaemonOrder order;

                r = control_receive(&world->control, world->now_usec, &order);
                switch (r) {
                case 0:
                        fuzz_check(world->control.state == CONTROL_STATE_UP && memchr(order.text, 0, 65544) != NULL);
                        agent_on_order(world, &order);
                        break;
                case CONTROL_E_HELLO:
                        fuzz_check(world->control.version >= 2 && world->control.version <= 4);
                        fuzz_check(local_clients_open(&world->clients) == 0);
                        break;
                case CONTROL_E_AGAIN:
                        return;
                case CONTROL_E_LOST:
                        local_clients_close(&world->clients);
                        fuzz_check(control_open(&world->control) == 0);
                        return;
                default:
                        fuzz_check(r == CONTROL_E_BROKEN);
                        world->broken = true;
                        return;
                }
        }
}

static void agent_on_client(World *world, LocalClient *client) {
        int r = LOCAL_CLIENTS_E_GONE;

        if (client->state == LOCAL_CLIENT_STATE_READING)
                r = local_clients_read(&world->clients, client);
        fuzz_check(r == 0 || r == LOCAL_CLIENTS_E_AGAIN || r == LOCAL_CLIENTS_E_GONE);
        if (r != LOCAL_CLIENTS_E_GONE)
                return;
        if (client->state == LOCAL_CLIENT_STATE_CONNECTED)
                fuzz_check(control_terminated(&world->control, &client->params) == 0);
        local_clients_remove(&world->clients, client);
}

static void agent_forward(World *world) {
        static uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX];
        LocalClient *client;

        while (world->control.state == CONTROL_STATE_UP && control_is_flushed(&world->control) &&
               (client = local_clients_ready(&world->clients))) {
                size_t n;
                int r = local_clients_forward(&world->clients, client, world->control.version, message, sizeof(message),
                                              &n);

                fuzz_check(r == 0 || r == LOCAL_CLIENTS_E_GONE);
                if (r)
                        local_clients_remove(&world->clients, client);
                else
                        fuzz_check(control_send(&world->control, message, n) == 0);
        }
}

static void agent_turn(World *world) {
        struct epoll_event event;

        if (world->broken)
                return;
        fuzz_check(local_clients_on_deadline(&world->clients, world->now_usec) == 0);
        agent_on_control(world);
        if (world->broken)
                return;
        while (epoll_wait(world->epoll_fd, &event, 1, 0) == 1) {
                VchanWatch *watch = event.data.ptr;

                if (watch->kind == VCHAN_WATCH_KIND_LISTENER)
                        fuzz_check(local_clients_accept(&world->clients, world->now_usec) == 0);
                else
                        agent_on_client(world, container_of(watch, LocalClient, watch));
        }
        agent_forward(world);
        fuzz_check(world->clients.n_unanswered <= CLIENTS_N);
        fuzz_check(world->control.messages.n_out <= OUT_MAX);
        fuzz_check(world->control.messages.n_in <= WIRE_HEADER_SIZE + CONTROL_PAYLOAD_MAX);
}

/*
 * Its daemon and its clients
 */

/* Whole messages of an agent, and perhaps a beginning of one more. */
static void check_daemon(void *userdata, const Peer *daemon) {
        uint32_t version = 0, n_hellos = 0;
        const uint8_t *payload;
        WireHeader header;
        size_t at = 0;

        if (daemon->sent.n >= WIRE_HEADER_SIZE + HELLO_SIZE)
                version = daemon->sent.data[8] < 4 && !daemon->sent.data[9] && !daemon->sent.data[10] &&
                                          !daemon->sent.data[11]
                                  ? daemon->sent.data[8]
                                  : 4;
        while (transcript_next(&daemon->received, &at, &header, &payload)) {
                if (n_hellos++ == 0) {
                        fuzz_check(header.type == WIRE_TYPE_HELLO && header.length == HELLO_SIZE && payload[0] == 4);
                        continue;
                }
                if (header.type == WIRE_TYPE_CONNECTION_TERMINATED) {
                        fuzz_check(header.length == EXEC_PARAMS_SIZE);
                        continue;
                }
                fuzz_check(trigger_size_is_valid(header.type, header.length));
                fuzz_check(header.type == (version == 2   ? WIRE_TYPE_TRIGGER_SERVICE2
                                           : version == 3 ? WIRE_TYPE_TRIGGER_SERVICE3
                                                          : WIRE_TYPE_TRIGGER_SERVICE4));
        }
}

static void check_client(void *userdata, const Peer *client) {
        fuzz_check(client->received.n == 0 || client->received.n == EXEC_PARAMS_SIZE ||
                   client->received.n == REPLY_REFUSED_SIZE);
}

static void daemon_dial(World *world) {
        int error, fd, fds[2];

        if (world->daemon.fd >= 0)
                return;
        if (world->medium.kind == MEDIUM_KIND_VSOCK) {
                if (world->control.state != CONTROL_STATE_DIALLING)
                        return;
                fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
                fuzz_check(control_begin(&world->control, fds[0]) == 0);
                world->daemon.fd = fds[1];
        } else if (vchan_dial(&(VchanPlace){ folder(), VCHAN_DOMAIN_HOST }, OWN, VCHAN_PORT_CONTROL, &error, &fd) == 0)
                world->daemon.fd = fd;
}

static void daemon_order(World *world, unsigned choice) {
        static const uint32_t types[] = { WIRE_TYPE_SERVICE_CONNECT, WIRE_TYPE_SERVICE_REFUSED, WIRE_TYPE_EXEC_CMDLINE,
                                          WIRE_TYPE_JUST_EXEC };
        uint32_t type = types[choice & 3];
        size_t n_params = type == WIRE_TYPE_SERVICE_REFUSED ? 0 : EXEC_PARAMS_SIZE;
        uint8_t message[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE + IDENT_SIZE] = {};

        wire_header_encode((WireHeader){ type, (uint32_t)(n_params + IDENT_SIZE) }, message);
        (void)snprintf((char *)message + WIRE_HEADER_SIZE + n_params, IDENT_SIZE, "SOCKET%u", choice / 4);
        (void)peer_say(&world->daemon, message, WIRE_HEADER_SIZE + n_params + IDENT_SIZE);
}

static void client_request(World *world, unsigned choice) {
        static uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX];
        Peer *client = &world->peers[choice % CLIENTS_N];
        size_t n = TRIGGER4_SIZE_MIN + (size_t)script_byte(&world->script) * (choice & 8 ? 254 : 1);
        size_t n_sent = choice & 16 ? n / 2 : n;

        if (client->fd < 0 && socket_connect(trigger_path, SOCK_STREAM, &client->fd))
                client->fd = -1;
        memset(message + WIRE_HEADER_SIZE, 0, n);
        memset(message + WIRE_HEADER_SIZE + TRIGGER4_SIZE_MIN - 1, 's', n - TRIGGER4_SIZE_MIN);
        memcpy(message + WIRE_HEADER_SIZE + 64, "work", 4);
        if (world->medium.kind == MEDIUM_KIND_VSOCK)
                memcpy(message + WIRE_HEADER_SIZE + 128, IDENT_QAIR, strlen(IDENT_QAIR));
        wire_header_encode((WireHeader){ WIRE_TYPE_TRIGGER_SERVICE4, (uint32_t)n }, message);
        (void)peer_say(client, message, WIRE_HEADER_SIZE + n_sent);
}

static void client_do(World *world, unsigned choice) {
        Peer *client = &world->peers[choice % CLIENTS_N];

        switch (choice / CLIENTS_N) {
        case 0:
                peer_leave(client, check_client, world);
                break;
        case 1:
                peer_hear(client, TRANSCRIPT_MAX);
                break;
        case 2:
                if (client->fd >= 0)
                        (void)shutdown(client->fd, SHUT_WR);
                break;
        default:
                if (client->fd < 0 && socket_connect(trigger_path, SOCK_STREAM, &client->fd))
                        client->fd = -1;
                peer_say_script(client, &world->script, 8);
                break;
        }
}

static void world_step(World *world) {
        uint8_t step = script_byte(&world->script);
        unsigned choice = step / _STEP_N;

        switch (step % _STEP_N) {
        case STEP_RAW:
                daemon_dial(world);
                peer_say_script(&world->daemon, &world->script, choice + 1);
                break;
        case STEP_ORDER:
                daemon_dial(world);
                daemon_order(world, choice);
                break;
        case STEP_HELLO:
                daemon_dial(world);
                peer_say_hello(&world->daemon, choice);
                break;
        case STEP_RECEIVE:
                peer_hear(&world->daemon, (choice + 1) * 4096);
                break;
        case STEP_HANG_UP:
                peer_leave(&world->daemon, check_daemon, world);
                break;
        case STEP_REQUEST:
                client_request(world, choice);
                break;
        case STEP_CLIENT:
                client_do(world, choice);
                break;
        default:
                world->now_usec += (choice + 1) * LOCAL_CLIENTS_REQUEST_USEC / 8;
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static World world;

        if (n > 4096)
                return 0;
        log_set_max_level(0);
        (void)snprintf(trigger_path, sizeof(trigger_path), "%s/agent", folder());
        world.script = (Script){ data, n, 0 };
        world.medium =
                (Medium){ script_byte(&world.script) % 2 ? MEDIUM_KIND_VSOCK : MEDIUM_KIND_VCHAN, { folder(), OWN } };
        world.n_dials = 0;
        world.now_usec = 1;
        world.broken = false;
        world.daemon.fd = -1;
        for (size_t i = 0; i < CLIENTS_N; ++i)
                world.peers[i].fd = -1;
        world.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        fuzz_check(world.epoll_fd >= 0);
        control_init(&world.control, &world.medium, world.epoll_fd);
        local_clients_init(&world.clients, world.epoll_fd, trigger_path, &world.medium);
        fuzz_check(control_open(&world.control) == 0);

        while (!script_is_over(&world.script)) {
                world_step(&world);
                agent_turn(&world);
        }
        local_clients_close(&world.clients);
        control_deinit(&world.control);
        fd_close(world.epoll_fd);
        peer_leave(&world.daemon, check_daemon, &world);
        for (size_t i = 0; i < CLIENTS_N; ++i)
                peer_leave(&world.peers[i], check_client, &world);
        fuzz_check(access(trigger_path, F_OK) < 0);
        return 0;
}
