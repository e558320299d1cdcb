/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets of the broker on which it is asked: for calls, by a domain, by root and by a stranger to the protocol; for commands, by
 * programs of the host. The input is what eight of them say, in whatever pieces, and when they stop listening or go; the target's
 * agent comes and goes, and starts nothing.
 *
 * Whatever they say: a request is answered once, where its ident says that an answer is understood, and nothing else is; a message that
 * none of them may send closes its connection, as soon as its header is there, and no other; each call that begins has one start
 * and one end in the records; and nothing is left when all are gone.
 */
#include "broker-host.h"
#include "leftovers.h"
#include "peer.h"

#include <poll.h>
#include <stdio.h>

#include "base/log.h"
#include "base/socket.h"
#include "wire/exec.h"
#include "wire/refusal.h"
#include "wire/reply.h"
#include "wire/trigger.h"

#define PEERS_N     8
#define CALL_ID_MAX 1024
#define TARGET      2

enum {
        STEP_CONNECT,
        STEP_RAW,
        STEP_REQUEST,
        STEP_COMMAND,
        STEP_HEAR,
        STEP_LEAVE,
        STEP_END,
        STEP_AGENT,
        _STEP_N,
};

typedef struct Asker {
        Peer peer;
        HostSocket socket;
} Asker;

typedef struct World {
        Script script;
        Host host;
        Asker askers[PEERS_N];
        int agent_fd; /* -1: the target has none */
        unsigned n_starts[CALL_ID_MAX], n_ends[CALL_ID_MAX];
} World;

/*
 * What they may say, and hear
 */

static uint32_t u32_at(const Transcript *record, size_t at) {
        const uint8_t *data = record->data + at;

        return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

/** What the bytes so far amount to. */
typedef struct Said {
        bool is_bad;      /* a header that may not come */
        unsigned n_asked; /* what may be answered */
} Said;

static bool ident_is(const uint8_t *payload, const char *ident) {
        return memcmp(payload + 128, ident, strlen(ident) + 1) == 0;
}

/* doc/protocol.md, 4.1 and 4.2. What follows a request that does not want more is nobody's business. */
static Said judge_caller(const Transcript *sent) {
        Said said = {};

        for (size_t at = 0; sent->n - at >= WIRE_HEADER_SIZE;) {
                uint32_t type = u32_at(sent, at), length = u32_at(sent, at + 4);
                const uint8_t *payload = sent->data + at + WIRE_HEADER_SIZE;

                said.is_bad = type != 0x213 || length < 161 || length > 65160;
                if (said.is_bad || sent->n - at - WIRE_HEADER_SIZE < length)
                        break;
                said.n_asked += ident_is(payload, "QAIR1 more") || ident_is(payload, "QAIR1");
                if (!ident_is(payload, "QAIR1 more"))
                        break;
                at += WIRE_HEADER_SIZE + length;
        }
        return said;
}

/* doc/protocol.md, 6. */
static Said judge_client(const Transcript *sent) {
        Said said = {};
        uint32_t type, length;

        if (sent->n < 8)
                return said;
        said.is_bad = u32_at(sent, 0) != 0x300 || u32_at(sent, 4) != 4;
        if (said.is_bad || sent->n < 12)
                return said;
        said.is_bad = u32_at(sent, 8) < 3;
        if (said.is_bad || sent->n < 20)
                return said;
        type = u32_at(sent, 12);
        length = u32_at(sent, 16);
        said.is_bad = (type != 0x200 && type != 0x201) || length < 9 || length > 65535;
        if (said.is_bad || sent->n - 20 < length)
                return said;
        said.is_bad = u32_at(sent, 24) != 0 || (u32_at(sent, 20) != 0x7fff0001 && u32_at(sent, 20) != 0x7fff0003) ||
                      sent->data[20 + length - 1] != '\0';
        said.n_asked = !said.is_bad;
        return said;
}

static unsigned count_answers(const Transcript *received) {
        unsigned n = 0;

        for (size_t at = 0; at < received->n; ++n) {
                uint32_t mode;

                fuzz_check(received->n - at >= REPLY_SIZE);
                mode = u32_at(received, at);
                fuzz_check(mode == 0x7fff0000 || mode == 0x7fff0001 || mode == 0x7fff0003);
                fuzz_check(mode == 0x7fff0000 || u32_at(received, at + 4) > 0);
                at += mode == 0x7fff0000 ? REPLY_REFUSED_SIZE : REPLY_SIZE;
                fuzz_check(at <= received->n);
        }
        return n;
}

static void check_asker(void *userdata, const Peer *peer) {
        const Asker *asker = container_of(peer, const Asker, peer);
        Said said;

        if (asker->socket == HOST_SOCKET_TRIGGER) {
                said = judge_caller(&peer->sent);
                fuzz_check(count_answers(&peer->received) <= said.n_asked);
                return;
        }
        said = judge_client(&peer->sent);
        fuzz_check(peer->received.n == 12 || (peer->received.n == 28 && said.n_asked == 1));
        fuzz_check(u32_at(&peer->received, 0) == 0x300 && u32_at(&peer->received, 4) == 4 &&
                   u32_at(&peer->received, 8) == 3);
        if (peer->received.n == 12)
                return;
        fuzz_check(u32_at(&peer->received, 12) == u32_at(&peer->sent, 12) && u32_at(&peer->received, 16) == 8);
        fuzz_check(u32_at(&peer->received, 20) == u32_at(&peer->sent, 20) && u32_at(&peer->received, 24) > 0);
}

/* Who has said what may not be said is closed by now; but nobody looks at it while it waits for an answer. */
static void check_open(const Asker *asker) {
        struct pollfd poll_fd = { .fd = asker->peer.fd };
        Said said = asker->socket == HOST_SOCKET_TRIGGER ? judge_caller(&asker->peer.sent)
                                                         : judge_client(&asker->peer.sent);

        if (asker->peer.fd < 0 || !said.is_bad)
                return;
        if (said.n_asked > 0 && count_answers(&asker->peer.received) < said.n_asked)
                return;
        fuzz_check(poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & (POLLHUP | POLLERR));
}

/*
 * What they do
 */

static void asker_leave(World *world, Asker *asker) {
        peer_leave(&asker->peer, check_asker, world);
}

static void asker_connect(World *world, Asker *asker, unsigned choice) {
        static const struct {
                unsigned domain;
                HostSocket socket;
        } places[] = { { 1, HOST_SOCKET_TRIGGER },
                       { TARGET, HOST_SOCKET_DAEMON },
                       { HOST_DOM0, HOST_SOCKET_TRIGGER },
                       { HOST_DOM0, HOST_SOCKET_DAEMON } };

        asker_leave(world, asker);
        choice %= ARRAY_SIZE(places);
        asker->socket = places[choice].socket;
        asker->peer.fd = host_connect(&world->host, places[choice].domain, places[choice].socket);
        fuzz_check(asker->peer.fd >= 0);
}

/* The beginning of a request, or its rest from there on; or all of it. */
static void say_piece(World *world, Asker *asker, const uint8_t *message, size_t n) {
        uint8_t piece = script_byte(&world->script);
        size_t at = piece % 64 * 4 < n ? piece % 64 * 4 : n;

        if (piece & 128)
                (void)peer_say(&asker->peer, message, at);
        else if (piece & 64)
                (void)peer_say(&asker->peer, message + at, n - at);
        else
                (void)peer_say(&asker->peer, message, n);
}

static void asker_request(World *world, Asker *asker) {
        static const char *const services[] = { "my.Echo",          "my.Echo+with an argument",
                                                "my.Denied",        "my.Ask",
                                                "qair.Status",      "qair.Calls",
                                                "qair.Kill+1",      "+",
                                                "qair.Timing+all",  "qair.DomainStart+b",
                                                "qair.Nothing",     "my.Echo+",
                                                "qair.Grants+9999", "qair.Revoke+all",
                                                "qair.Kill",        "my.Echo/../x" };
        static const char *const targets[] = { "b", "", "dom0", "@default", "nobody", "@dispvm", "a", "\xff" };
        static const char *const idents[] = { "QAIR1", "QAIR1 more", "SOCKET", "" };
        uint8_t what = script_byte(&world->script), who = script_byte(&world->script);
        uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MIN + 64] = {}, *payload = message + WIRE_HEADER_SIZE;
        const char *service = services[what % ARRAY_SIZE(services)];
        size_t n = TRIGGER4_SIZE_MIN + strlen(service);

        wire_header_encode((WireHeader){ WIRE_TYPE_TRIGGER_SERVICE4, (uint32_t)n }, message);
        if (what & 128)
                payload[0] = 'c'; /* for somebody else */
        (void)snprintf((char *)payload + 64, 64, "%s", targets[who % ARRAY_SIZE(targets)]);
        (void)snprintf((char *)payload + 128, IDENT_SIZE, "%s", idents[who / 8 % ARRAY_SIZE(idents)]);
        memcpy(payload + 160, service, strlen(service));
        if (who & 128)
                payload[n - 1] = 'x'; /* without its NUL */
        say_piece(world, asker, message, WIRE_HEADER_SIZE + n);
}

static void asker_command(World *world, Asker *asker) {
        static const char *const commands[] = { "DEFAULT:QUBESRPC my.Echo dom0", "user:shell command", "no colon",
                                                "DEFAULT:QUBESRPC" };
        uint8_t what = script_byte(&world->script), message[128];
        uint32_t mode = what & 16 ? WIRE_DOMAIN_FRAMED : what & 32 ? 0 : WIRE_DOMAIN_DIRECT;
        Exec exec = { { mode, what & 64 ? 7 : 0 }, commands[what % ARRAY_SIZE(commands)], 0 };
        size_t n;

        if (asker->peer.sent.n == 0)
                peer_say_hello(&asker->peer, what & 8 ? 2 : 3);
        exec.n_text = strlen(exec.text);
        fuzz_check(exec_encode(what & 4 ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE, &exec, message, sizeof(message),
                               &n) == 0);
        say_piece(world, asker, message, n);
}

/* What it is told it does not do: its calls end when it goes. */
static void agent_do(World *world, unsigned choice) {
        static const uint8_t says[] = { 0, 3, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0 }, list[] = { 2, 4, 0, 0, 0, 0, 0, 0 };

        if (world->agent_fd >= 0) {
                world->agent_fd = fd_close(world->agent_fd);
        } else {
                world->agent_fd = host_connect(&world->host, TARGET, HOST_SOCKET_LINK);
                fuzz_check(send(world->agent_fd, says, sizeof(says), MSG_NOSIGNAL) == sizeof(says));
                fuzz_check(send(world->agent_fd, list, sizeof(list), MSG_NOSIGNAL) == sizeof(list));
        }
        host_turn(&world->host);
        if (choice & 1)
                host_tell(&world->host, SUPERVISE_TYPE_ENDED, TARGET, 1);
}

static void world_step(World *world) {
        uint8_t step = script_byte(&world->script);
        unsigned choice = step / _STEP_N;
        Asker *asker = &world->askers[choice % PEERS_N];

        switch (step % _STEP_N) {
        case STEP_CONNECT:
                asker_connect(world, asker, choice / PEERS_N);
                break;
        case STEP_RAW:
                peer_say_script(&asker->peer, &world->script, script_byte(&world->script));
                break;
        case STEP_REQUEST:
                asker_request(world, asker);
                break;
        case STEP_COMMAND:
                asker_command(world, asker);
                break;
        case STEP_HEAR:
                peer_hear(&asker->peer, TRANSCRIPT_MAX);
                break;
        case STEP_LEAVE:
                asker_leave(world, asker);
                break;
        case STEP_END:
                if (asker->peer.fd >= 0)
                        (void)shutdown(asker->peer.fd, SHUT_WR);
                break;
        default:
                agent_do(world, choice);
                break;
        }
        host_turn(&world->host);
}

static void count_record(void *userdata, const HostRecord *record) {
        World *world = userdata;

        fuzz_check(record->call_id < CALL_ID_MAX);
        if (record->event == HOST_RECORD_START)
                fuzz_check(world->n_starts[record->call_id]++ == 0);
        else if (record->event == HOST_RECORD_END)
                fuzz_check(world->n_ends[record->call_id]++ == 0 && world->n_starts[record->call_id] == 1);
        else
                fuzz_check(record->call_id == 0 || world->n_starts[record->call_id] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static World world;
        unsigned n_fds;

        if (n > 1024)
                return 0;
        log_set_max_level(0);
        world.script = (Script){ data, n, 0 };
        world.agent_fd = -1;
        memset(world.n_starts, 0, sizeof(world.n_starts));
        memset(world.n_ends, 0, sizeof(world.n_ends));
        for (unsigned i = 0; i < PEERS_N; ++i)
                world.askers[i].peer.fd = -1;
        host_prepare();
        n_fds = leftovers_count_fds();
        host_init(&world.host);
        host_start(&world.host);
        while (!script_is_over(&world.script)) {
                world_step(&world);
                for (unsigned i = 0; i < PEERS_N; ++i)
                        check_open(&world.askers[i]);
        }
        for (unsigned i = 0; i < PEERS_N; ++i)
                asker_leave(&world, &world.askers[i]);
        world.agent_fd = fd_close(world.agent_fd);
        host_turn(&world.host);
        host_end(&world.host);
        host_read_records(&world.host, count_record, &world);
        for (unsigned i = 0; i < CALL_ID_MAX; ++i)
                fuzz_check(world.n_starts[i] == world.n_ends[i]);
        host_deinit(&world.host);
        fuzz_check(leftovers_count_fds() == n_fds);
        return 0;
}
