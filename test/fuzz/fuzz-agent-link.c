/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole agent on a local link. The input is what its broker does, step by step, in a thread beside it: orders for real services
 * (a program that ends, one that reads to the end of its input, a socket, and none), with the descriptors that belong to them
 * or others; brokers that break the protocol or hang up, and the next one; and being told to stop.
 *
 * Whatever it does: a broker hears HELLO, what runs, and then ends; each order has one end, told on this link or the next, and
 * what is listed is what was ordered and has not ended; its caller hears the status that the broker is told; whoever breaks the
 * protocol is left; and the agent ends when it is told to, leaving no process and no descriptor behind.
 */
#include "folder.h"
#include "leftovers.h"
#include "script.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "wire/call.h"
#include "wire/exec.h"
#include "wire/header.h"
#include "wire/hello.h"

#define IDS_N    16
#define ORDERS_N 24
/** Links of one script: the agent waits longer before each. */
#define LINKS_MAX 3
/** How long a step that waits does so; and until when the agent must have ended. */
#define WAIT_MSEC 10
#define END_USEC  (20 * USEC_PER_SEC)

enum {
        STEP_RAW,
        STEP_HELLO,
        STEP_EXEC,
        STEP_KILL,
        STEP_HEAR,
        STEP_CALLER,
        STEP_HANG_UP,
        STEP_STOP,
        _STEP_N,
};

typedef enum LinkPhase {
        LINK_PHASE_NONE, /* nobody is connected */
        LINK_PHASE_NEW,  /* we owe our HELLO */
        LINK_PHASE_UP,   /* orders may be given */
        LINK_PHASE_DONE, /* it drains, or we have broken the protocol: nothing that we say counts */
} LinkPhase;

/** What was ordered under one id, and what was said of it since. */
typedef struct Id {
        unsigned n_orders, n_ended, statuses[ORDERS_N];
        unsigned n_before; /* orders of earlier links */
} Id;

/** A caller: our ends. */
typedef struct Caller {
        uint32_t id;
        int status_fd, stdin_fd, stdout_fd; /* -1: none, or closed */
        bool is_good;                       /* with all that belongs to it */
} Caller;

typedef struct World {
        Script script;
        pthread_t agent_thread;
        int listener_fd, service_fd, fd;
        LinkPhase phase;
        unsigned n_links, n_heard; /* of all links; messages of this one */
        bool told_to_stop, was_lost;
        Id ids[IDS_N];
        Caller callers[ORDERS_N];
        size_t n_callers;
        atomic_bool is_over;
} World;

static char link_path[64], rpc_path[64], socket_path[96];

static void write_service(const char *name, const char *script) {
        char path[96];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/%s", rpc_path, name);
        file = fopen(path, "we");
        fuzz_check(file && fputs(script, file) >= 0 && fchmod(fileno(file), 0755) == 0 && fclose(file) == 0);
}

static void remove_services(void) {
        static const char *const names[] = { "test.End", "test.Read", "test.Socket" };

        for (size_t i = 0; i < ARRAY_SIZE(names); ++i) {
                char path[96];

                (void)snprintf(path, sizeof(path), "%s/%s", rpc_path, names[i]);
                (void)unlink(path);
        }
        (void)rmdir(rpc_path);
}

static void make_services(void) {
        if (rpc_path[0] != '\0')
                return;
        (void)snprintf(link_path, sizeof(link_path), "%s/link", folder());
        (void)snprintf(rpc_path, sizeof(rpc_path), "%s/rpc", folder());
        (void)snprintf(socket_path, sizeof(socket_path), "%s/test.Socket", rpc_path);
        fuzz_check(mkdir(rpc_path, 0755) == 0);
        (void)atexit(remove_services);
        write_service("test.End", "#!/bin/sh\nexit 7\n");
        write_service("test.Read", "#!/bin/sh\nexec cat\n");
}

static int listen_at(const char *path, int type) {
        struct sockaddr_un address;
        socklen_t n;
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        fuzz_check(socket_address(path, &address, &n) == 0);
        fuzz_check(fd >= 0 && bind(fd, (struct sockaddr *)&address, n) == 0 && listen(fd, 32) == 0);
        return fd;
}

static bool wait_for(int fd) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

        return poll(&poll_fd, 1, WAIT_MSEC) == 1;
}

/*
 * What the agent says
 */

static Id *world_id(World *world, uint32_t id) {
        fuzz_check(id < IDS_N && world->ids[id].n_orders > 0);
        return &world->ids[id];
}

static void check_ended(World *world, const uint8_t *payload, size_t n) {
        CallEnded ended;
        Id *id;

        fuzz_check(call_ended_decode(payload, n, &ended) == 0);
        id = world_id(world, ended.id);
        fuzz_check(id->n_ended < id->n_orders);
        id->statuses[id->n_ended++] = (unsigned)ended.status;
}

/* Where an id was used twice nobody knows which of the two was refused. */
static void check_list(World *world, const uint8_t *payload, size_t n) {
        static uint32_t ids[CALL_LIST_MAX];
        bool is_listed[IDS_N] = {};
        size_t n_ids;

        fuzz_check(call_list_decode(payload, n, ids, &n_ids) == 0);
        for (size_t i = 0; i < n_ids; ++i) {
                const Id *id = world_id(world, ids[i]);

                fuzz_check(!is_listed[ids[i]] && id->n_ended < id->n_before);
                is_listed[ids[i]] = true;
        }
        for (uint32_t i = 0; i < IDS_N && !world->was_lost; ++i)
                if (world->ids[i].n_before <= 1)
                        fuzz_check(is_listed[i] == (world->ids[i].n_before == 1 && world->ids[i].n_ended == 0));
}

static void check_packet(World *world, const uint8_t *data, size_t n) {
        const uint8_t *payload = data + WIRE_HEADER_SIZE;
        WireHeader header;

        fuzz_check(wire_header_decode(data, n, &header) == 0 && header.length == n - WIRE_HEADER_SIZE);
        switch (world->n_heard++) {
        case 0:
                if (header.type == WIRE_TYPE_CALL_DRAIN && world->told_to_stop) {
                        check_list(world, payload, header.length);
                        world->phase = LINK_PHASE_DONE;
                        ++world->n_heard; /* there is no list to come */
                        return;
                }
                fuzz_check(header.type == WIRE_TYPE_HELLO && header.length == HELLO_SIZE && payload[0] == 4);
                return;
        case 1:
                fuzz_check(header.type == WIRE_TYPE_CALL_LIST && world->phase != LINK_PHASE_NEW);
                check_list(world, payload, header.length);
                return;
        default:
                if (header.type == WIRE_TYPE_CALL_DRAIN)
                        fuzz_check(world->told_to_stop && header.length == 0);
                else if (header.type == WIRE_TYPE_CALL_ENDED)
                        check_ended(world, payload, header.length);
                else
                        fuzz_check(!"a message that agents have");
        }
}

/* Return: false: there is no more now */
static bool link_hear(World *world) {
        static uint8_t data[WIRE_HEADER_SIZE + WIRE_LINK_PAYLOAD_MAX];
        size_t n;
        int r;

        if (world->fd < 0)
                return false;
        do
                r = socket_receive(world->fd, data, sizeof(data), &n, NULL, 0, NULL);
        while (r == SOCKET_E_GONE);
        fuzz_check(r == 0 || r == SOCKET_E_AGAIN || r == SOCKET_E_EOF);
        if (r == 0)
                check_packet(world, data, n);
        if (r == SOCKET_E_EOF) {
                /* It leaves only those who break the protocol, or all. */
                fuzz_check(world->phase == LINK_PHASE_DONE || world->told_to_stop);
                world->fd = fd_close(world->fd);
                world->phase = LINK_PHASE_NONE;
        }
        return r == 0;
}

static void link_accept(World *world) {
        if (world->fd >= 0)
                return;
        world->fd = accept4(world->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (world->fd < 0)
                return;
        world->phase = LINK_PHASE_NEW;
        world->n_heard = 0;
        ++world->n_links;
        for (size_t i = 0; i < IDS_N; ++i)
                world->ids[i].n_before = world->ids[i].n_orders;
}

/*
 * What its broker says
 */

/* What this makes of the link. One that is told by an agent that stops it does not hear at all. */
static LinkPhase link_judge(const World *world, const uint8_t *data, size_t n) {
        const uint8_t *payload = data + WIRE_HEADER_SIZE;
        uint32_t type, length;

        if (n < WIRE_HEADER_SIZE || world->phase == LINK_PHASE_DONE)
                return LINK_PHASE_DONE;
        type = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        length = (uint32_t)data[4] | (uint32_t)data[5] << 8 | (uint32_t)data[6] << 16 | (uint32_t)data[7] << 24;
        if (length != n - WIRE_HEADER_SIZE)
                return LINK_PHASE_DONE;
        if (world->phase == LINK_PHASE_NEW)
                return type == WIRE_TYPE_HELLO && length == 4 &&
                                       (payload[0] >= 2 || payload[1] || payload[2] || payload[3])
                               ? LINK_PHASE_UP
                               : LINK_PHASE_DONE;
        if (type == WIRE_TYPE_CALL_KILL)
                return length == 4 ? LINK_PHASE_UP : LINK_PHASE_DONE;
        return (type == WIRE_TYPE_EXEC_CMDLINE || type == WIRE_TYPE_JUST_EXEC) && length > 8 && length <= 8 + 65535 &&
                               payload[length - 1] == '\0'
                       ? LINK_PHASE_UP
                       : LINK_PHASE_DONE;
}

/* Return: did the agent get it, in a phase in which it counts? */
static bool link_say(World *world, const uint8_t *data, size_t n, const int *fds, size_t n_fds) {
        bool was_up = world->phase == LINK_PHASE_UP;

        /* A message of nothing is an end. */
        if (world->fd < 0 || n == 0 || world->phase == LINK_PHASE_DONE)
                return false;
        if (socket_send(world->fd, data, n, fds, n_fds, NULL) != 0)
                return false;
        world->phase = link_judge(world, data, n);
        return was_up && world->phase == LINK_PHASE_UP;
}

static void caller_open(Caller *caller, bool is_direct, int *ret_fds, size_t *ret_n) {
        int stream[2], in[2], out[2];

        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, stream) == 0);
        caller->status_fd = stream[0];
        ret_fds[0] = stream[1];
        *ret_n = 1;
        if (!is_direct)
                return;
        fuzz_check(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        caller->stdin_fd = in[1];
        caller->stdout_fd = out[0];
        ret_fds[1] = in[0];
        ret_fds[2] = out[1];
        *ret_n = 3;
}

/* Nothing is left to be read or to be written for the service. */
static void caller_end_input(Caller *caller) {
        static const uint8_t end[] = { 0x90, 1, 0, 0, 0, 0, 0, 0 };

        if (caller->stdin_fd < 0 && caller->status_fd >= 0)
                (void)send(caller->status_fd, end, sizeof(end), MSG_DONTWAIT | MSG_NOSIGNAL);
        caller->stdin_fd = fd_close(caller->stdin_fd);
        caller->stdout_fd = fd_close(caller->stdout_fd);
}

static void order_give(World *world, unsigned choice) {
        static const char *const services[] = { "test.End", "test.Read", "test.Socket", "test.None" };
        static const uint8_t hello[] = { 0, 3, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0 };
        uint8_t what = script_byte(&world->script), message[128];
        uint32_t mode = what & 16 ? WIRE_DOMAIN_FRAMED : what & 32 ? 43 : WIRE_DOMAIN_DIRECT;
        bool is_just = what & 128, is_odd = what & 64;
        uint32_t type = is_just ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE;
        Caller *caller = &world->callers[world->n_callers];
        char command[64];
        int fds[3] = { -1, -1, -1 };
        size_t n_fds, n;

        if (world->n_callers == ORDERS_N || world->phase == LINK_PHASE_NONE)
                return;
        *caller = (Caller){ .id = choice % IDS_N, .status_fd = -1, .stdin_fd = -1, .stdout_fd = -1 };
        caller_open(caller, mode == WIRE_DOMAIN_DIRECT, fds, &n_fds);
        if (mode == WIRE_DOMAIN_FRAMED)
                (void)send(caller->status_fd, hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL);
        n = (size_t)snprintf(command, sizeof(command), "DEFAULT:QUBESRPC %s%s work", services[what & 3],
                             what & 8 ? "+x" : "");
        fuzz_check(exec_encode(type, &(Exec){ { mode, caller->id }, command, n }, message, sizeof(message), &n) == 0);
        if (link_say(world, message, n, fds, n_fds - is_odd)) {
                ++world->ids[caller->id].n_orders;
                caller->is_good = !is_odd && mode != 43 && !is_just;
        }
        for (size_t i = 0; i < n_fds; ++i)
                fd_close(fds[i]);
        ++world->n_callers;
}

static void caller_do(World *world, unsigned choice) {
        Caller *caller;

        if (world->n_callers == 0)
                return;
        caller = &world->callers[world->n_callers - 1 - choice / 2 % world->n_callers];
        caller_end_input(caller);
        if (choice & 1)
                caller->status_fd = fd_close(caller->status_fd);
}

static void world_tell_to_stop(World *world) {
        if (!world->told_to_stop)
                fuzz_check(pthread_kill(world->agent_thread, SIGTERM) == 0);
        world->told_to_stop = true;
}

/* What it has said by then is heard; what it says at this very moment is lost. */
static void world_hang_up(World *world) {
        while (link_hear(world))
                ;
        if (world->fd < 0 || world->n_links == LINKS_MAX)
                return;
        world->fd = fd_close(world->fd);
        world->phase = LINK_PHASE_NONE;
        world->was_lost = true;
}

static void world_step(World *world) {
        uint8_t step = script_byte(&world->script), message[WIRE_HEADER_SIZE + HELLO_SIZE];
        unsigned choice = step / _STEP_N;
        const uint8_t *data;
        size_t n;

        link_accept(world);
        switch (step % _STEP_N) {
        case STEP_RAW:
                n = script_bytes(&world->script, script_byte(&world->script), &data);
                /* An order that is whole would be one that we know nothing of. */
                if (n > 0 && (world->phase != LINK_PHASE_UP || link_judge(world, data, n) == LINK_PHASE_DONE) &&
                    world->n_links < LINKS_MAX)
                        (void)link_say(world, data, n, NULL, 0);
                break;
        case STEP_HELLO:
                wire_header_encode((WireHeader){ WIRE_TYPE_HELLO, HELLO_SIZE }, message);
                hello_encode(&(Hello){ .version = choice ? choice - 1 : 4 }, message + WIRE_HEADER_SIZE);
                if (world->phase == LINK_PHASE_NEW ? choice == 0 || choice > 2 || world->n_links < LINKS_MAX
                                                   : world->n_links < LINKS_MAX)
                        (void)link_say(world, message, sizeof(message), NULL, 0);
                break;
        case STEP_EXEC:
                /* A broker orders nothing before it has heard what runs. */
                while (world->phase == LINK_PHASE_UP && world->n_heard < 2 && wait_for(world->fd))
                        (void)link_hear(world);
                if (world->phase == LINK_PHASE_UP ? world->n_heard >= 2 : world->n_links < LINKS_MAX)
                        order_give(world, choice);
                break;
        case STEP_KILL:
                call_kill_encode(choice, message);
                if (world->phase == LINK_PHASE_UP)
                        (void)link_say(world, message, WIRE_HEADER_SIZE + CALL_KILL_SIZE, NULL, 0);
                break;
        case STEP_HEAR:
                (void)wait_for(world->fd >= 0 ? world->fd : world->listener_fd);
                while (link_hear(world))
                        ;
                break;
        case STEP_CALLER:
                caller_do(world, choice);
                break;
        case STEP_HANG_UP:
                world_hang_up(world);
                break;
        default:
                world_tell_to_stop(world);
                break;
        }
}

/* All input ends, and with it every service; the agent is told to stop, tells every end, and stops. */
static void *world_run(void *userdata) {
        static const uint8_t hello[] = { 0, 3, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0 };
        World *world = userdata;
        uint64_t deadline_usec;

        while (!script_is_over(&world->script) && !world->is_over)
                world_step(world);
        for (size_t i = 0; i < world->n_callers; ++i)
                caller_end_input(&world->callers[i]);
        world->service_fd = fd_close(world->service_fd);
        deadline_usec = clock_now() + END_USEC;
        while (!world->is_over) {
                fuzz_check(clock_now() < deadline_usec);
                link_accept(world);
                if (world->phase == LINK_PHASE_NEW && !world->told_to_stop)
                        (void)link_say(world, hello, sizeof(hello), NULL, 0);
                world_tell_to_stop(world);
                if (wait_for(world->fd >= 0 ? world->fd : world->listener_fd))
                        while (link_hear(world))
                                ;
        }
        /* What it said last may be on a link that nobody has taken yet. */
        for (int i = 0; i < 2; ++i) {
                while (link_hear(world))
                        ;
                link_accept(world);
        }
        world->fd = fd_close(world->fd);
        return NULL;
}

/* The exit code is what a caller hears last; one of those that the broker was told, or that a second order of the id was refused. */
static void check_caller(const World *world, const Caller *caller) {
        const Id *id = &world->ids[caller->id];
        uint8_t data[4096], *last;
        bool is_known = id->n_orders > 1;
        ssize_t n = recv(caller->status_fd, data, sizeof(data), MSG_DONTWAIT);

        if (!caller->is_good || n < 0)
                return;
        fuzz_check(n >= WIRE_HEADER_SIZE + HELLO_SIZE && n < (ssize_t)sizeof(data));
        last = data + n - WIRE_HEADER_SIZE - 4;
        fuzz_check(memcmp(data, "\0\3\0\0\4\0\0\0\4\0\0\0", WIRE_HEADER_SIZE + HELLO_SIZE) == 0);
        if (memcmp(last, "\x93\1\0\0\4\0\0\0", WIRE_HEADER_SIZE) != 0)
                return; /* it was killed, and there was no exit code */
        fuzz_check(last[9] == 0 && last[10] == 0 && last[11] == 0);
        for (unsigned i = 0; i < id->n_ended; ++i)
                is_known |= id->statuses[i] == last[8];
        fuzz_check(is_known || world->was_lost);
}

static void check_ends(World *world) {
        for (uint32_t i = 0; i < IDS_N; ++i) {
                const Id *id = &world->ids[i];

                fuzz_check(id->n_ended <= id->n_orders);
                fuzz_check(id->n_orders == 0 || id->n_ended > 0 || world->was_lost);
        }
        for (size_t i = 0; i < world->n_callers; ++i) {
                Caller *caller = &world->callers[i];

                if (caller->status_fd >= 0)
                        check_caller(world, caller);
                caller->status_fd = fd_close(caller->status_fd);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static World world;
        static char *const environment[] = { (char *)"PATH=/usr/bin:/bin", NULL };
        ServiceSettings settings = { .config_path = "/nonexistent", .environment = environment };
        pthread_t thread;
        Agent *agent;
        unsigned n_fds;

        if (n > 512)
                return 0;
        log_set_max_level(0);
        make_services();
        n_fds = leftovers_count_fds();
        memset(&world, 0, sizeof(world));
        world.script = (Script){ data, n, 0 };
        world.agent_thread = pthread_self();
        world.fd = -1;
        world.listener_fd = listen_at(link_path, SOCK_SEQPACKET);
        world.service_fd = listen_at(socket_path, SOCK_STREAM);
        settings.service_path = rpc_path;
        fuzz_check(agent_new(&settings, link_path, 0, NULL, &agent) == 0);
        fuzz_check(pthread_create(&thread, NULL, world_run, &world) == 0);
        fuzz_check(agent_run(agent) == 0);
        agent_free(agent);
        world.is_over = true;
        fuzz_check(pthread_join(thread, NULL) == 0);
        leftovers_forget_signal();
        leftovers_reap();
        fd_close(world.listener_fd);
        (void)unlink(link_path);
        (void)unlink(socket_path);
        check_ends(&world);
        fuzz_check(leftovers_count_fds() == n_fds);
        return 0;
}
