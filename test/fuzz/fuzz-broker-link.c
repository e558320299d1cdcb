/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's end of local links, with its call table: what agents, callers, an administrator and the supervisor do, step by
 * step, and brokers that end in the middle of it.
 *
 * Whatever they do: a link is closed for what the protocol forbids there, and for nothing else; an order is given once, with its
 * descriptors, to the live agent of its target; a call is killed only where it may run; whoever was told that a call runs, its agent
 * was told before, and who was refused, nobody was; an end is believed of the target alone; each call has one start and one
 * end in the records, across all brokers; and when all are gone nothing is left of them, not even a descriptor.
 */
#include "broker-host.h"
#include "leftovers.h"
#include "script.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "wire/call.h"
#include "wire/exec.h"
#include "wire/header.h"
#include "wire/hello.h"
#include "wire/refusal.h"
#include "wire/reply.h"
#include "wire/trigger.h"

#define AGENTS_N  6
#define CALLERS_N 24
#define BURST     8
/** Each domain has its own statuses of services, so that an end says who has reported it. */
#define STATUS_DOMAIN 64
#define PACKET_MAX    (WIRE_HEADER_SIZE + WIRE_LINK_PAYLOAD_MAX)
/** Numbers of calls that are remembered: more than a script makes. */
#define KNOWN_MAX 8192
/** Calls of one domain that are looked at when its agent lists them. */
#define RUNNING_MAX 256

enum {
        STEP_CONNECT,
        STEP_HELLO,
        STEP_LIST,
        STEP_DRAIN,
        STEP_ENDED,
        STEP_RAW,
        STEP_HEAR,
        STEP_LEAVE,
        STEP_CALL,
        STEP_BURST,
        STEP_CALLER,
        STEP_KILL,
        STEP_SUPERVISOR,
        STEP_ANSWER,
        STEP_MANAGE,
        STEP_RESTART,
        _STEP_N,
};

/** What the protocol says of a link (doc/protocol.md, 5.1 and 5.2), worked out here again. */
typedef enum AgentState {
        AGENT_STATE_CLOSED,
        AGENT_STATE_NEW,
        AGENT_STATE_LIST,
        AGENT_STATE_READY,
        AGENT_STATE_DRAINING,
} AgentState;

typedef struct Agent {
        int fd; /* -1: nobody */
        AgentState state;
        unsigned domain;
        unsigned generation; /* of its domain: one that was removed, and is there again, is another */
        unsigned n_heard;
        int question_fd; /* the stream of the last call that it got over one, or -1 */
} Agent;

typedef struct Caller {
        int fd; /* -1: nobody */
        unsigned n_asked, n_answered;
        int stream_fd; /* of a call that ends in the broker, or -1 */
} Caller;

/** A number of a call, and who has said what of it. Domains are bits, and so are agents. */
typedef struct Known {
        uint32_t id;
        unsigned ordered, listed, reported;
        unsigned holders; /* agents to whom it was ordered, or that have listed it */
        bool is_connected, is_refused;
        bool is_odd; /* an end was reported with another's status */
        unsigned n_starts, n_ends;
} Known;

typedef struct World {
        Script script;
        Host host;
        Agent agents[AGENTS_N];
        Caller callers[CALLERS_N];
        unsigned next_caller;
        unsigned generations[HOST_DOMAINS_N];
        bool keeps_calls[HOST_DOMAINS_N]; /* an administrator said so */
        Agent *live[HOST_DOMAINS_N];
        Known known[KNOWN_MAX];
        size_t n_known;
} World;

static Known *world_know(World *world, uint32_t id) {
        for (size_t i = world->n_known; i > 0; --i)
                if (world->known[i - 1].id == id)
                        return &world->known[i - 1];
        fuzz_check(world->n_known < KNOWN_MAX);
        world->known[world->n_known] = (Known){ .id = id };
        return &world->known[world->n_known++];
}

/* One of a call that is known, the first one last; or one that nobody has. */
static uint32_t world_choose_id(World *world) {
        static const uint32_t odd[] = { 0, UINT32_MAX, SUPERVISE_IDS_MAX, SUPERVISE_IDS_MAX - 4711 };
        uint8_t choice = script_byte(&world->script);

        if (choice >= 256 - ARRAY_SIZE(odd))
                return odd[choice - (256 - ARRAY_SIZE(odd))];
        if (choice < world->n_known)
                return world->known[world->n_known - 1 - choice].id;
        return choice;
}

/*
 * Agents
 */

static bool agent_is_gone(const World *world, const Agent *agent) {
        return !world->host.domains[agent->domain].is_there || agent->generation != world->generations[agent->domain];
}

static bool agent_is_live(const World *world, const Agent *agent) {
        return world->live[agent->domain] == agent;
}

static unsigned world_bit(const World *world, const Agent *agent) {
        return BIT(agent - world->agents);
}

static bool fd_is_closed(int fd) {
        struct pollfd poll_fd = { .fd = fd };

        return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & (POLLHUP | POLLERR);
}

static void agent_check_order(World *world, Agent *agent, const uint8_t *data, size_t n, int *fds, size_t n_fds) {
        Known *known;
        Exec exec;

        fuzz_check(exec_decode(data + WIRE_HEADER_SIZE, n - WIRE_HEADER_SIZE, &exec) == 0);
        fuzz_check(n_fds == (exec.params.connect_domain == WIRE_DOMAIN_DIRECT ? 3 : 1));
        fuzz_check(n_fds == 3 || exec.params.connect_domain == WIRE_DOMAIN_FRAMED);
        known = world_know(world, exec.params.connect_port);
        fuzz_check(known->id > 0 && known->id <= SUPERVISE_IDS_MAX);
        fuzz_check(known->ordered == 0 && !known->is_refused);
        known->ordered = BIT(agent->domain);
        known->holders |= world_bit(world, agent);
        if (n_fds == 1) {
                agent->question_fd = fd_close(agent->question_fd);
                agent->question_fd = fds[0];
                fds[0] = -1;
        }
}

/* HELLO, then orders; nothing to whoever has not introduced itself. */
static void agent_check_packet(World *world, Agent *agent, const uint8_t *data, size_t n, int *fds, size_t n_fds) {
        const Known *known;
        WireHeader header;
        uint32_t id;

        fuzz_check(wire_header_decode(data, n, &header) == 0 && header.length == n - WIRE_HEADER_SIZE);
        if (header.type == WIRE_TYPE_HELLO) {
                fuzz_check(agent->n_heard++ == 0 && header.length == HELLO_SIZE && data[8] == 4 && n_fds == 0);
        } else if (header.type == WIRE_TYPE_CALL_KILL) {
                fuzz_check(call_kill_decode(data + WIRE_HEADER_SIZE, header.length, &id) == 0 && n_fds == 0);
                known = world_know(world, id);
                fuzz_check(known->holders & world_bit(world, agent));
        } else {
                fuzz_check(header.type == WIRE_TYPE_EXEC_CMDLINE && agent->n_heard > 0);
                agent_check_order(world, agent, data, n, fds, n_fds);
        }
}

static void agent_hear(World *world, Agent *agent, unsigned n_max) {
        static uint8_t data[PACKET_MAX];

        for (unsigned i = 0; i < n_max && agent->fd >= 0; ++i) {
                int fds[SOCKET_FDS_MAX] = { -1, -1, -1 };
                size_t n, n_fds;
                int r;

                do
                        r = socket_receive(agent->fd, data, sizeof(data), &n, fds, ARRAY_SIZE(fds), &n_fds);
                while (r == SOCKET_E_GONE); /* once: it was closed with something unread; what it said is behind that */
                fuzz_check(r == 0 || r == SOCKET_E_AGAIN || r == SOCKET_E_EOF);
                if (r)
                        return;
                agent_check_packet(world, agent, data, n, fds, n_fds);
                for (size_t j = 0; j < n_fds; ++j)
                        fd_close(fds[j]);
        }
}

/* The broker has said what it had to say, and closed it or not. */
static void agent_check_link(World *world, Agent *agent) {
        if (agent->fd < 0)
                return;
        fuzz_check(fd_is_closed(agent->fd) == (agent->state == AGENT_STATE_CLOSED));
}

/* A call that runs costs no descriptor. */
static void check_calls(const CallTable *table) {
        for (size_t i = 0; i < table->n_buckets; ++i)
                for (const Call *call = table->buckets[i]; call; call = call->next)
                        fuzz_check(call->channel.n_fds == 0 || call->state == CALL_STATE_CONNECTING);
}

static void world_check(World *world) {
        check_calls(&world->host.broker->calls);
        for (unsigned i = 0; i < AGENTS_N; ++i)
                agent_check_link(world, &world->agents[i]);
        for (unsigned i = 0; i < HOST_DOMAINS_N; ++i) {
                const Domain *domain = host_domain(&world->host, i);

                fuzz_check(!!domain == world->host.domains[i].is_there);
                fuzz_check(!domain || !!domain->link == !!world->live[i]);
        }
}

static void agent_set_state(World *world, Agent *agent, AgentState state) {
        if (agent_is_live(world, agent))
                world->live[agent->domain] = NULL;
        if (state == AGENT_STATE_READY && !agent_is_gone(world, agent))
                world->live[agent->domain] = agent;
        agent->state = state;
}

static bool ids_are_good(size_t n) {
        return n % 4 == 0 && n / 4 <= CALL_LIST_MAX;
}

/* What becomes of a link in which this was said (5.1, 5.2). */
static AgentState agent_judge(World *world, Agent *agent, const uint8_t *data, size_t n) {
        bool is_taken = world->live[agent->domain] || agent_is_gone(world, agent);
        const uint8_t *payload = data + WIRE_HEADER_SIZE;
        WireHeader header;
        CallEnded ended;

        if (wire_header_decode(data, n, &header) || header.length != n - WIRE_HEADER_SIZE)
                return AGENT_STATE_CLOSED;
        switch (agent->state) {
        case AGENT_STATE_NEW:
                if (header.type == WIRE_TYPE_HELLO && header.length == 4 && !is_taken &&
                    (payload[0] >= 2 || payload[1] || payload[2] || payload[3]))
                        return AGENT_STATE_LIST;
                return header.type == WIRE_TYPE_CALL_DRAIN && ids_are_good(header.length) &&
                                       !agent_is_gone(world, agent)
                               ? AGENT_STATE_DRAINING
                               : AGENT_STATE_CLOSED;
        case AGENT_STATE_LIST:
                return header.type == WIRE_TYPE_CALL_LIST && ids_are_good(header.length) && !is_taken
                               ? AGENT_STATE_READY
                               : AGENT_STATE_CLOSED;
        case AGENT_STATE_READY:
                if (header.type == WIRE_TYPE_CALL_DRAIN && header.length == 0)
                        return AGENT_STATE_DRAINING;
                break;
        case AGENT_STATE_DRAINING:
                break;
        case AGENT_STATE_CLOSED:
                return AGENT_STATE_CLOSED;
        }
        return header.type == WIRE_TYPE_CALL_ENDED && call_ended_decode(payload, header.length, &ended) == 0
                       ? agent->state
                       : AGENT_STATE_CLOSED;
}

/* What it said is remembered, for what is in the records. */
static void agent_note(World *world, const Agent *agent, const uint8_t *data, size_t n) {
        WireHeader header;

        if (wire_header_decode(data, n, &header))
                return;
        for (size_t at = WIRE_HEADER_SIZE; header.type != WIRE_TYPE_HELLO && n - at >= 4; at += 4) {
                Known *known = world_know(world, (uint32_t)data[at] | (uint32_t)data[at + 1] << 8 |
                                                         (uint32_t)data[at + 2] << 16 | (uint32_t)data[at + 3] << 24);

                if (header.type == WIRE_TYPE_CALL_ENDED) {
                        known->reported |= BIT(agent->domain);
                        known->is_odd |=
                                n < WIRE_HEADER_SIZE + CALL_ENDED_SIZE || data[16] / STATUS_DOMAIN != agent->domain;
                        return;
                }
                known->listed |= BIT(agent->domain);
                known->holders |= world_bit(world, agent);
        }
}

static void agent_say(World *world, Agent *agent, const uint8_t *data, size_t n) {
        AgentState state = n > 0 ? agent_judge(world, agent, data, n) : agent->state;

        if (agent->fd < 0 || n == 0)
                return;
        if (agent->state != AGENT_STATE_CLOSED) {
                fuzz_check(send(agent->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n);
                agent_note(world, agent, data, n);
        }
        agent_set_state(world, agent, state);
        host_turn(&world->host);
}

static void agent_leave(World *world, Agent *agent) {
        if (agent->fd < 0)
                return;
        agent_hear(world, agent, UINT32_MAX);
        agent->fd = fd_close(agent->fd);
        agent->question_fd = fd_close(agent->question_fd);
        agent_set_state(world, agent, AGENT_STATE_CLOSED);
        host_turn(&world->host);
}

static void agent_connect(World *world, Agent *agent, unsigned domain) {
        agent_leave(world, agent);
        if (!world->host.domains[domain].is_there)
                return; /* its sockets are nobody's */
        *agent = (Agent){ .fd = host_connect(&world->host, domain, HOST_SOCKET_LINK),
                          .state = AGENT_STATE_NEW,
                          .domain = domain,
                          .generation = world->generations[domain],
                          .question_fd = -1 };
        fuzz_check(agent->fd >= 0);
        for (size_t i = 0; i < world->n_known; ++i)
                world->known[i].holders &= ~world_bit(world, agent);
        host_turn(&world->host);
}

/* The calls that the agents of a domain are believed to run, but for those that drain. Return: how many */
static size_t running_calls(const World *world, unsigned domain, uint32_t *ret_ids) {
        const CallTable *table = &world->host.broker->calls;
        const Domain *target = host_domain(&world->host, domain);
        size_t n = 0;

        for (size_t i = 0; i < table->n_buckets; ++i)
                for (const Call *call = table->buckets[i]; call; call = call->next)
                        if (call->target == target && call->state == CALL_STATE_RUNNING && !call->drained_by &&
                            n < RUNNING_MAX)
                                ret_ids[n++] = call->id;
        return n;
}

/* What it did not list has ended; what ran when it began to drain is its own to end. */
static void agent_say_ids(World *world, Agent *agent, bool drains) {
        uint8_t message[WIRE_HEADER_SIZE + 16 * sizeof(uint32_t)];
        uint32_t ids[16], before[RUNNING_MAX];
        size_t n_ids = script_byte(&world->script) % ARRAY_SIZE(ids), n;
        bool was_live = agent_is_live(world, agent);
        size_t n_before = running_calls(world, agent->domain, before);

        for (size_t i = 0; i < n_ids; ++i)
                ids[i] = world_choose_id(world);
        fuzz_check((drains ? call_drain_encode : call_list_encode)(ids, n_ids, message, sizeof(message), &n) == 0);
        agent_say(world, agent, message, n);
        for (size_t i = 0; i < n_before; ++i) {
                const Call *call = call_table_find(&world->host.broker->calls, before[i]);
                bool is_listed = false;

                for (size_t j = 0; j < n_ids; ++j)
                        is_listed |= ids[j] == before[i];
                fuzz_check(drains || was_live || !agent_is_live(world, agent) || is_listed == !!call);
                fuzz_check(!drains || !was_live || agent->state != AGENT_STATE_DRAINING || (call && call->drained_by));
        }
}

static void agent_say_ended(World *world, Agent *agent) {
        uint8_t message[WIRE_HEADER_SIZE + CALL_ENDED_SIZE], how;
        CallEnded ended = { .id = world_choose_id(world), .run_usec = 1 };

        how = script_byte(&world->script);
        ended.how = (CallHow)(how % _CALL_HOW_N);
        ended.status = (int32_t)(agent->domain * STATUS_DOMAIN + how % STATUS_DOMAIN);
        call_ended_encode(&ended, message);
        agent_say(world, agent, message, sizeof(message));
}

static void agent_say_hello(World *world, Agent *agent, unsigned choice) {
        static const uint32_t versions[] = { 4, 3, 1 };
        uint8_t message[WIRE_HEADER_SIZE + HELLO_SIZE];

        wire_header_encode((WireHeader){ WIRE_TYPE_HELLO, HELLO_SIZE }, message);
        hello_encode(&(Hello){ .version = versions[choice % ARRAY_SIZE(versions)] }, message + WIRE_HEADER_SIZE);
        agent_say(world, agent, message, sizeof(message));
}

/* What the person at this agent's says: to whoever asks over the stream that came with the last order of that kind. */
static void agent_answer(World *world, Agent *agent, unsigned choice) {
        static const uint8_t yes[] = "\x91\1\0\0\7\0\0\0allow:b\x91\1\0\0\0\0\0\0\x93\1\0\0\4\0\0\0\0\0\0\0",
                             no[] = "\x91\1\0\0\4\0\0\0deny\x91\1\0\0\0\0\0\0\x93\1\0\0\4\0\0\0\0\0\0\0",
                             hello[] = "\0\3\0\0\4\0\0\0\4\0\0";
        const uint8_t *data;
        size_t n;

        if (agent->question_fd < 0)
                return;
        switch (choice % 4) {
        case 0:
                (void)send(agent->question_fd, hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL);
                (void)send(agent->question_fd, yes, sizeof(yes) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
                break;
        case 1:
                (void)send(agent->question_fd, hello, sizeof(hello), MSG_DONTWAIT | MSG_NOSIGNAL);
                (void)send(agent->question_fd, no, sizeof(no) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
                break;
        case 2:
                n = script_bytes(&world->script, script_byte(&world->script), &data);
                (void)send(agent->question_fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
                break;
        default:
                agent->question_fd = fd_close(agent->question_fd);
                break;
        }
        host_turn(&world->host);
}

/*
 * Callers
 */

static void caller_check_answer(World *world, Caller *caller, const uint8_t *data, size_t n, int *fds, size_t n_fds) {
        Known *known;
        Reply reply;

        fuzz_check(reply_decode(data, n, &reply) == 0);
        fuzz_check(++caller->n_answered <= caller->n_asked);
        if (reply.connect_domain == WIRE_DOMAIN_REFUSED) {
                fuzz_check(n_fds == 0);
                if (reply.connect_port == 0)
                        return;
                known = world_know(world, reply.connect_port);
                fuzz_check(known->ordered == 0 && !known->is_connected && !known->is_refused);
                known->is_refused = true;
                return;
        }
        known = world_know(world, reply.connect_port);
        fuzz_check(!known->is_connected && !known->is_refused);
        fuzz_check(n_fds == (reply.connect_domain == WIRE_DOMAIN_DIRECT ? 3 : 1));
        if (n_fds == 3) {
                known->is_connected = true;
                return;
        }
        fuzz_check(reply.connect_domain == WIRE_DOMAIN_FRAMED);
        caller->stream_fd = fd_close(caller->stream_fd);
        caller->stream_fd = fds[0];
        fds[0] = -1;
}

/* One answer: whoever may ask for more is answered before it does. */
static void caller_hear(World *world, Caller *caller) {
        int fds[SOCKET_FDS_MAX] = { -1, -1, -1 };
        uint8_t data[64];
        size_t n, n_fds;
        int r;

        if (caller->fd < 0)
                return;
        do
                r = socket_receive(caller->fd, data, sizeof(data), &n, fds, ARRAY_SIZE(fds), &n_fds);
        while (r == SOCKET_E_GONE);
        fuzz_check(r == 0 || r == SOCKET_E_AGAIN || r == SOCKET_E_EOF);
        if (r)
                return;
        caller_check_answer(world, caller, data, n, fds, n_fds);
        for (size_t i = 0; i < n_fds; ++i)
                fd_close(fds[i]);
}

static void caller_leave(World *world, Caller *caller) {
        caller_hear(world, caller);
        caller->fd = fd_close(caller->fd);
        caller->stream_fd = fd_close(caller->stream_fd);
}

static void caller_ask(World *world, Caller *caller, const char *target, const char *service, bool wants_more) {
        static uint8_t message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX];
        Trigger *trigger;
        size_t n;

        fuzz_check(trigger_new("", target, wants_more ? IDENT_QAIR_MORE : IDENT_QAIR, service, &trigger) == 0);
        fuzz_check(trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, message, sizeof(message), &n) == 0);
        trigger_free(trigger);
        caller_hear(world, caller); /* what it has asked before */
        if (send(caller->fd, message, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n)
                ++caller->n_asked;
        host_turn(&world->host);
}

/* The one that has waited longest makes room. */
static Caller *caller_connect(World *world, unsigned domain) {
        Caller *caller = &world->callers[world->next_caller++ % CALLERS_N];

        caller_leave(world, caller);
        *caller = (Caller){ .fd = -1, .stream_fd = -1 };
        if (!world->host.domains[domain].is_there)
                return NULL;
        caller->fd = host_connect(&world->host, domain, HOST_SOCKET_TRIGGER);
        fuzz_check(caller->fd >= 0);
        return caller;
}

static void world_call(World *world, unsigned choice) {
        static char longest[3000];
        const char *const services[] = { "my.Echo", "my.Ask", longest, "my.Denied" };
        unsigned source = 1 + choice % (HOST_DOMAINS_N - 1);
        uint8_t what = script_byte(&world->script);
        unsigned target = 1 + what % (HOST_DOMAINS_N - 1);
        Caller *caller = NULL;

        /* Longer than what a link's socket is given room for. */
        if (longest[0] == '\0')
                (void)snprintf(longest, sizeof(longest), "my.Echo+%0*d", (int)sizeof(longest) - 9, 0);
        if (what & 128) /* of one that may ask for more */
                caller = &world->callers[what % CALLERS_N];
        if (!caller || caller->fd < 0)
                caller = caller_connect(world, source);
        if (caller)
                caller_ask(world, caller, world->host.domains[target].name.text, services[what / 4 % 4], what & 64);
}

static void caller_do(World *world, unsigned choice) {
        Caller *caller = &world->callers[script_byte(&world->script) % CALLERS_N];

        if (choice & 1)
                caller_hear(world, caller);
        else if (choice & 2 && caller->fd >= 0)
                (void)shutdown(caller->fd, SHUT_WR);
        else
                caller_leave(world, caller);
        host_turn(&world->host);
}

/*
 * The host
 */

static void world_manage(World *world, unsigned choice) {
        static const char *const services[] = { "DomainStart", "DomainStop", "KeepCalls", "Calls", "Reload", "Status" };
        char service[64];
        unsigned domain = 1 + script_byte(&world->script) % (HOST_DOMAINS_N - 1);

        choice %= ARRAY_SIZE(services);
        (void)snprintf(service, sizeof(service), "qair.%s+%s", services[choice], world->host.domains[domain].name.text);
        if (strcmp(services[choice], "KeepCalls") == 0)
                world->keeps_calls[domain] = world->host.domains[domain].is_there;
        caller_ask(world, caller_connect(world, HOST_DOM0), "dom0", service, false);
}

static void world_kill(World *world) {
        char service[64];

        (void)snprintf(service, sizeof(service), "qair.Kill+%u", world_choose_id(world));
        caller_ask(world, caller_connect(world, HOST_DOM0), "dom0", service, false);
}

static void world_remove(World *world, unsigned domain) {
        /* Nobody will report the ends of calls that go on. */
        for (unsigned i = 0; i < AGENTS_N && world->keeps_calls[domain]; ++i)
                if (world->agents[i].domain == domain && world->agents[i].state >= AGENT_STATE_READY &&
                    !agent_is_gone(world, &world->agents[i]))
                        agent_set_state(world, &world->agents[i], AGENT_STATE_CLOSED);
        world->live[domain] = NULL;
        host_tell(&world->host, SUPERVISE_TYPE_GONE, domain, 0);
}

static void world_supervise(World *world, unsigned choice) {
        unsigned domain = 1 + choice % (HOST_DOMAINS_N - 1);

        switch (choice / (HOST_DOMAINS_N - 1)) {
        case 0:
                host_tell(&world->host, SUPERVISE_TYPE_ENDED, domain, 1);
                break;
        case 1:
                host_tell(&world->host, SUPERVISE_TYPE_STOPPED, domain, 0);
                break;
        case 2:
                host_tell(&world->host, SUPERVISE_TYPE_STOPPED, domain, 1);
                break;
        case 3:
                world_remove(world, domain);
                break;
        default:
                if (!world->host.domains[domain].is_there) {
                        ++world->generations[domain];
                        world->keeps_calls[domain] = false;
                }
                host_tell(&world->host, SUPERVISE_TYPE_FOLDER, domain, 0);
                break;
        }
}

/* Whoever had not been answered is not; agents find the next one, and drain or list there what they believe to run. */
static void world_restart(World *world) {
        for (unsigned i = 0; i < CALLERS_N; ++i) {
                caller_hear(world, &world->callers[i]);
                if (world->callers[i].n_answered == world->callers[i].n_asked)
                        caller_leave(world, &world->callers[i]);
        }
        for (unsigned i = 0; i < AGENTS_N; ++i)
                if (world->agents[i].state < AGENT_STATE_READY)
                        agent_leave(world, &world->agents[i]);
        host_turn(&world->host);
        for (unsigned i = 0; i < CALLERS_N; ++i)
                caller_leave(world, &world->callers[i]);
        host_stop(&world->host);
        memset(world->keeps_calls, 0, sizeof(world->keeps_calls));
        for (unsigned i = 0; i < AGENTS_N; ++i)
                if (world->agents[i].fd >= 0)
                        agent_set_state(world, &world->agents[i], AGENT_STATE_CLOSED);
        host_start(&world->host);
}

static void world_step(World *world) {
        uint8_t step = script_byte(&world->script);
        unsigned choice = step / _STEP_N;
        Agent *agent = &world->agents[choice % AGENTS_N];
        const uint8_t *data;
        size_t n;

        switch (step % _STEP_N) {
        case STEP_CONNECT:
                agent_connect(world, agent, 1 + (script_byte(&world->script) % (HOST_DOMAINS_N - 1)));
                break;
        case STEP_HELLO:
                agent_say_hello(world, agent, choice / AGENTS_N);
                break;
        case STEP_LIST:
        case STEP_DRAIN:
                agent_say_ids(world, agent, step % _STEP_N == STEP_DRAIN);
                break;
        case STEP_ENDED:
                agent_say_ended(world, agent);
                break;
        case STEP_RAW:
                n = script_bytes(&world->script, script_byte(&world->script), &data);
                agent_say(world, agent, data, n);
                break;
        case STEP_HEAR:
                agent_hear(world, agent, choice / AGENTS_N ? UINT32_MAX : 1);
                host_turn(&world->host);
                break;
        case STEP_LEAVE:
                agent_leave(world, agent);
                break;
        case STEP_CALL:
                world_call(world, choice);
                break;
        case STEP_BURST:
                for (unsigned i = 0; i < BURST && !script_is_over(&world->script); ++i) {
                        size_t at = world->script.at;

                        world_call(world, choice);
                        if (i < BURST - 1)
                                world->script.at = at; /* the same again */
                }
                break;
        case STEP_CALLER:
                caller_do(world, choice);
                break;
        case STEP_KILL:
                world_kill(world);
                break;
        case STEP_SUPERVISOR:
                world_supervise(world, choice);
                break;
        case STEP_ANSWER:
                agent_answer(world, agent, choice / AGENTS_N + (script_byte(&world->script) & 2));
                break;
        case STEP_MANAGE:
                world_manage(world, choice);
                break;
        default:
                world_restart(world);
                break;
        }
}

/*
 * The end
 */

/* All go, then all domains: nothing that was held for them may be left. */
static void world_leave(World *world) {
        for (unsigned i = 0; i < CALLERS_N; ++i)
                caller_leave(world, &world->callers[i]);
        host_turn(&world->host);
        for (unsigned i = 0; i < AGENTS_N; ++i)
                agent_leave(world, &world->agents[i]);
        host_end(&world->host);
}

static void check_record(void *userdata, const HostRecord *record) {
        static const char *const of_agents[] = { "exited",      "signalled", "not found",
                                                 "not started", "detached",  "abandoned" };
        World *world = userdata;
        Known *known;

        if (record->call_id == 0)
                return;
        known = world_know(world, record->call_id);
        switch (record->event) {
        case HOST_RECORD_START:
                fuzz_check(known->n_starts++ == 0 && known->n_ends == 0);
                break;
        case HOST_RECORD_END:
                ++known->n_ends;
                fuzz_check(known->n_ends == 1 || known->listed);
                fuzz_check(known->n_starts == 1 || known->listed);
                fuzz_check(known->ordered == 0 || strcmp(record->how, "not connected") != 0);
                for (size_t i = 0; i < ARRAY_SIZE(of_agents); ++i)
                        if (strcmp(record->how, of_agents[i]) == 0 && record->target != HOST_DOM0)
                                fuzz_check(record->target > 0 && known->reported & BIT(record->target) &&
                                           (known->is_odd || record->status / STATUS_DOMAIN == record->target));
                break;
        case HOST_RECORD_REFUSED:
                fuzz_check(known->n_starts == 0 && known->n_ends == 0 && known->ordered == 0);
                break;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static World world;
        unsigned n_fds;

        if (n > 1024)
                return 0;
        log_set_max_level(0);
        memset(&world, 0, sizeof(world));
        world.script = (Script){ data, n, 0 };
        for (unsigned i = 0; i < AGENTS_N; ++i)
                world.agents[i].fd = world.agents[i].question_fd = -1;
        for (unsigned i = 0; i < CALLERS_N; ++i)
                world.callers[i].fd = world.callers[i].stream_fd = -1;
        host_prepare();
        n_fds = leftovers_count_fds();
        host_init(&world.host);
        host_start(&world.host);
        while (!script_is_over(&world.script)) {
                world_step(&world);
                world_check(&world);
        }
        world_leave(&world);

        for (size_t i = 0; i < world.n_known; ++i)
                fuzz_check(!world.known[i].is_connected || world.known[i].ordered);
        host_read_records(&world.host, check_record, &world);
        for (size_t i = 0; i < world.n_known; ++i)
                fuzz_check(world.known[i].n_starts <= world.known[i].n_ends);
        host_deinit(&world.host);
        fuzz_check(leftovers_count_fds() == n_fds);
        return 0;
}
