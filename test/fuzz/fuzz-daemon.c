/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole qrexec-daemon. The input is what its agent and six clients do, step by step, in a thread beside it. Nobody answers
 * for the policy, so its workers refuse what clients have not allowed by then.
 *
 * Whatever they do: the agent hears whole messages of a daemon, no more refusals than it made requests, and no more commands
 * than clients gave; a client hears one answer or none; the daemon ends only for an agent that breaks the protocol, or when it
 * is told to; and leaves no socket behind.
 */
#include "folder.h"
#include "leftovers.h"
#include "peer.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/socket.h"
#include "daemon/daemon.h"
#include "vchan/endpoint.h"
#include "wire/exec.h"
#include "wire/refusal.h"
#include "wire/trigger.h"

#define CLIENTS_N 6
#define OWN       42
/** How long a step that waits for the daemon does so: a while on any machine, so what it waits for has come or does not. */
#define WAIT_MSEC 20

enum {
        STEP_RAW,
        STEP_TRIGGER,
        STEP_HELLO,
        STEP_RECEIVE,
        STEP_HANG_UP,
        STEP_TERMINATED,
        STEP_COMMAND,
        STEP_CLIENT,
        _STEP_N,
};

typedef struct World {
        Script script;
        pthread_t daemon_thread;
        VchanListener listener;
        Peer agent, clients[CLIENTS_N];
        unsigned n_commands;
        bool faulty; /* the agent gave a reason to end */
} World;

static int home_fd = -1; /* where we were started */

/*
 * What was said, judged
 */

/* Does what the agent said end its connection, if it ends here? */
static bool agent_is_faulty(const Peer *agent) {
        uint32_t version = 0;
        WireHeader header;
        size_t at = 0;

        while (wire_header_decode(agent->sent.data + at, agent->sent.n - at, &header) == 0) {
                const uint8_t *payload = agent->sent.data + at + WIRE_HEADER_SIZE;
                size_t n_left = agent->sent.n - at - WIRE_HEADER_SIZE;
                ExecParams params;
                Hello hello;

                if (version == 0 ? header.type != WIRE_TYPE_HELLO || header.length != HELLO_SIZE
                    : header.type == WIRE_TYPE_CONNECTION_TERMINATED
                            ? header.length != EXEC_PARAMS_SIZE
                            : !trigger_size_is_valid(header.type, header.length) ||
                                      (header.type == WIRE_TYPE_TRIGGER_SERVICE2) != (version == 2) ||
                                      (header.type == WIRE_TYPE_TRIGGER_SERVICE4 && version < 4))
                        return true;
                if (n_left < header.length)
                        return true;
                if (version == 0) {
                        if (hello_decode(payload, header.length, WIRE_VERSION_MIN, &hello))
                                return true;
                        version = hello_effective_version(&hello, WIRE_VERSION);
                } else if (header.type == WIRE_TYPE_CONNECTION_TERMINATED) {
                        fuzz_check(exec_params_decode(payload, header.length, &params) == 0);
                        if (params.connect_port < 513 || params.connect_port > 768)
                                return true;
                }
                at += WIRE_HEADER_SIZE + header.length;
        }
        return at < agent->sent.n || version == 0;
}

static unsigned count_triggers(const Transcript *transcript) {
        const uint8_t *payload;
        WireHeader header;
        unsigned n = 0;
        size_t at = 0;

        while (transcript_next(transcript, &at, &header, &payload))
                n += header.type != WIRE_TYPE_HELLO && header.type != WIRE_TYPE_CONNECTION_TERMINATED;
        return n;
}

static void check_agent(void *userdata, const Peer *agent) {
        unsigned n_refused = 0, n_commands = 0, n_hellos = 0;
        World *world = userdata;
        const uint8_t *payload;
        WireHeader header;
        size_t at = 0;

        world->faulty |= agent_is_faulty(agent);
        while (transcript_next(&agent->received, &at, &header, &payload)) {
                if (n_hellos++ == 0) {
                        fuzz_check(header.type == WIRE_TYPE_HELLO && header.length == HELLO_SIZE);
                        fuzz_check(payload[0] >= 2 && payload[0] <= 4);
                        fuzz_check(payload[0] == 4 || payload[0] == agent->sent.data[WIRE_HEADER_SIZE]);
                } else if (header.type == WIRE_TYPE_SERVICE_REFUSED) {
                        fuzz_check(header.length == IDENT_SIZE);
                        ++n_refused;
                } else {
                        fuzz_check(header.type == WIRE_TYPE_EXEC_CMDLINE || header.type == WIRE_TYPE_JUST_EXEC ||
                                   header.type == WIRE_TYPE_SERVICE_CONNECT);
                        fuzz_check(header.length > EXEC_PARAMS_SIZE && payload[header.length - 1] == '\0');
                        ++n_commands;
                }
        }
        fuzz_check(n_refused <= count_triggers(&agent->sent));
        fuzz_check(n_commands <= world->n_commands);
}

static void check_client(void *userdata, const Peer *client) {
        static const uint8_t hello[] = { 0, 3, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0 };
        const uint8_t *answer = client->received.data + sizeof(hello);

        fuzz_check(client->received.n == 0 || client->received.n == sizeof(hello) ||
                   client->received.n == sizeof(hello) + WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE);
        fuzz_check(memcmp(client->received.data, hello, client->received.n > 0 ? sizeof(hello) : 0) == 0);
        if (client->received.n > sizeof(hello)) {
                uint32_t port = (uint32_t)answer[12] | (uint32_t)answer[13] << 8;

                fuzz_check(answer[1] == 2 && answer[4] == EXEC_PARAMS_SIZE && answer[8] == OWN);
                fuzz_check(port >= 513 && port <= 768);
        }
}

/*
 * The agent and the clients
 */

static void wait_for(int fd) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

        (void)poll(&poll_fd, 1, WAIT_MSEC);
}

static void agent_listen(World *world) {
        int error;

        fuzz_check(vchan_listen(&(VchanPlace){ folder(), OWN }, VCHAN_DOMAIN_HOST, VCHAN_PORT_CONTROL, &error,
                                &world->listener) == 0);
}

static void agent_accept(World *world) {
        int fd;

        if (world->agent.fd < 0 && world->listener.fd >= 0 &&
            vchan_accept_until(&world->listener, clock_now() + UINT64_C(1000) * WAIT_MSEC, &fd) == 0)
                world->agent.fd = fd;
}

static void agent_trigger(World *world, unsigned choice) {
        static const uint32_t types[] = { WIRE_TYPE_TRIGGER_SERVICE4, WIRE_TYPE_TRIGGER_SERVICE3,
                                          WIRE_TYPE_TRIGGER_SERVICE2, WIRE_TYPE_TRIGGER_SERVICE4 };
        static const size_t lengths[] = { TRIGGER4_SIZE_MIN + 1, TRIGGER3_SIZE_MIN + 1, TRIGGER2_SIZE,
                                          TRIGGER4_SIZE_MIN };
        static const size_t idents[] = { 128, 64, 96, 128 };
        uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MIN + 1] = {};
        unsigned which = choice & 3;

        wire_header_encode((WireHeader){ types[which], (uint32_t)lengths[which] }, message);
        message[WIRE_HEADER_SIZE + idents[which]] = (uint8_t)('a' + choice / 4);
        if (which == 2)
                message[WIRE_HEADER_SIZE] = 's';
        else if (which != 3)
                message[WIRE_HEADER_SIZE + lengths[which] - 2] = 's';
        (void)peer_say(&world->agent, message, WIRE_HEADER_SIZE + lengths[which]);
}

/* The daemon answers its agent first, and makes its socket then: nothing tells when. */
static void client_connect(Peer *client) {
        for (int i = 0; client->fd < 0 && i < WAIT_MSEC; ++i) {
                if (socket_connect("qrexec.42", SOCK_STREAM, &client->fd) == 0)
                        return;
                client->fd = -1;
                (void)usleep(1000);
        }
}

/* HELLO and a command: EXEC_CMDLINE or SERVICE_CONNECT, for a port of its own or a known one. */
static void client_command(World *world, unsigned choice) {
        uint8_t message[2 * WIRE_HEADER_SIZE + HELLO_SIZE + EXEC_PARAMS_SIZE + 12] = {};
        uint8_t *command = message + WIRE_HEADER_SIZE + HELLO_SIZE,
                *text = command + WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE;
        Peer *client = &world->clients[choice % CLIENTS_N];
        uint8_t how = script_byte(&world->script);
        bool connects = how & 1;

        client_connect(client);
        wire_header_encode((WireHeader){ WIRE_TYPE_HELLO, HELLO_SIZE }, message);
        hello_encode(&(Hello){ .version = how & 128 ? 2 : 3 }, message + WIRE_HEADER_SIZE);
        wire_header_encode((WireHeader){ connects   ? WIRE_TYPE_SERVICE_CONNECT
                                         : how & 64 ? WIRE_TYPE_JUST_EXEC
                                                    : WIRE_TYPE_EXEC_CMDLINE,
                                         EXEC_PARAMS_SIZE + 12 },
                           command);
        exec_params_encode(&(ExecParams){ (how & 32) + 10, how & 2 ? 513 + how / 4 : 0 }, command + WIRE_HEADER_SIZE);
        if (connects)
                text[0] = (uint8_t)('a' + how / 4 % 8);
        else
                memcpy(text, "DEFAULT:cmd", 12);
        ++world->n_commands;
        (void)peer_say(client, message, sizeof(message));
}

static void client_do(World *world, unsigned choice) {
        Peer *client = &world->clients[choice % CLIENTS_N];

        switch (choice / CLIENTS_N) {
        case 0:
                peer_leave(client, check_client, world);
                break;
        case 1:
                if (client->fd >= 0)
                        wait_for(client->fd);
                peer_hear(client, TRANSCRIPT_MAX);
                break;
        default:
                client_connect(client);
                peer_say_script(client, &world->script, choice);
                ++world->n_commands; /* who knows */
                break;
        }
}

static void world_step(World *world) {
        uint8_t step = script_byte(&world->script), message[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];
        unsigned choice = step / _STEP_N;

        agent_accept(world);
        switch (step % _STEP_N) {
        case STEP_RAW:
                peer_say_script(&world->agent, &world->script, choice + 1);
                break;
        case STEP_TRIGGER:
                agent_trigger(world, choice);
                break;
        case STEP_HELLO:
                peer_say_hello(&world->agent, choice);
                break;
        case STEP_RECEIVE:
                if (world->agent.fd >= 0)
                        wait_for(world->agent.fd);
                peer_hear(&world->agent, (choice + 1) * 1024);
                break;
        case STEP_HANG_UP:
                peer_leave(&world->agent, check_agent, world);
                if (world->listener.fd < 0 && !world->faulty)
                        agent_listen(world);
                break;
        case STEP_TERMINATED:
                wire_header_encode((WireHeader){ WIRE_TYPE_CONNECTION_TERMINATED, EXEC_PARAMS_SIZE }, message);
                exec_params_encode(&(ExecParams){ choice & 1 ? 10 : 42, 512 + choice / 2 }, message + WIRE_HEADER_SIZE);
                (void)peer_say(&world->agent, message, sizeof(message));
                break;
        case STEP_COMMAND:
                client_command(world, choice);
                break;
        default:
                client_do(world, choice);
                break;
        }
}

static void *world_run(void *userdata) {
        World *world = userdata;

        while (!script_is_over(&world->script))
                world_step(world);
        /* If it has ended already, the signal waits, and is taken away below. */
        fuzz_check(pthread_kill(world->daemon_thread, SIGTERM) == 0);
        return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static World world;
        DaemonSettings settings = {
                .place = { folder(), VCHAN_DOMAIN_HOST },
                .domain = OWN,
                .name = "work",
                .uuid = "d0c2b1e4-0000-4000-8000-000000000042",
                .user = "user",
                .policy_program = "/nonexistent",
                .host_call = "/nonexistent",
        };
        pthread_t thread;
        Daemon *daemon;
        int r;

        if (n > 1024)
                return 0;
        log_set_max_level(0);
        if (home_fd < 0)
                home_fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fuzz_check(home_fd >= 0 && chdir(folder()) == 0);
        world.script = (Script){ data, n, 0 };
        world.daemon_thread = pthread_self();
        world.listener = VCHAN_LISTENER_INIT;
        world.agent.fd = -1;
        world.n_commands = 0;
        world.faulty = false;
        for (size_t i = 0; i < CLIENTS_N; ++i)
                world.clients[i].fd = -1;
        fuzz_check(daemon_new(&settings, NULL, NULL, &daemon) == 0);
        agent_listen(&world);
        fuzz_check(pthread_create(&thread, NULL, world_run, &world) == 0);
        r = daemon_run(daemon);
        fuzz_check(pthread_join(thread, NULL) == 0);
        daemon_free(daemon);
        leftovers_forget_signal();
        leftovers_reap();

        peer_leave(&world.agent, check_agent, &world);
        for (size_t i = 0; i < CLIENTS_N; ++i)
                peer_leave(&world.clients[i], check_client, &world);
        vchan_listener_deinit(&world.listener);
        fuzz_check(r == 0 || (r == DAEMON_E_BROKEN && world.faulty));
        fuzz_check(access("qrexec.42", F_OK) < 0 && access("qrexec.work", F_OK) < 0);
        fuzz_check(fchdir(home_fd) == 0);
        return 0;
}
