/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link.h"
#include "agent/notify.h"
#include "agent/runner.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

/** Events taken from the kernel at a time. */
#define AGENT_EVENTS_MAX 64

/** How long an agent that has nothing else left waits for a broker that is there to take the last ends. */
#define AGENT_TELL_USEC (3 * USEC_PER_SEC)
/** … and, where none is there, for how long after the last one: a restart of the host's programs takes a tenth of this. */
#define AGENT_RESTART_USEC (1 * USEC_PER_SEC)

struct Agent {
        Runner runner;
        Link link;
        Watch link_watch;
        bool link_full;                 /* it takes no more: room is waited for */
        bool link_deaf;                 /* the broker is gone: what it had ordered before is still to be read */
        bool link_drains;               /* it knows that no more calls are taken */
        bool link_orderless;            /* it knew that from its first message */
        bool link_one_way;              /* no more orders are taken from it: there are ends to be told */
        const char *notify;             /* NULL once READY=1 was sent */
        bool draining;                  /* no more calls are taken */
        uint64_t stop_usec;             /* how long that may last; 0: as long as it takes */
        uint64_t kill_usec;             /* when what runs is ended; UINT64_MAX: never */
        uint64_t drained_usec;          /* since when none runs; 0: some do */
        uint8_t packet[ORDER_SIZE_MAX]; /* the order in hand; also the CALL_LIST being sent */
};

Agent *agent_free(Agent *agent) {
        if (!agent)
                return NULL;
        link_deinit(&agent->link);
        runner_deinit(&agent->runner);
        free(agent);
        return NULL;
}
DEFINE_CLEANUP(Agent *, agent_free)

int agent_new(const ServiceSettings *settings, const char *link_path, uint64_t stop_usec, const char *notify,
              Agent **ret_agent) {
        _cleanup_(agent_freep) Agent *agent = NULL;
        int r;

        agent = malloc(sizeof(*agent));
        if (!agent)
                return error_origin(-ENOMEM);
        agent->link_watch = (Watch){ WATCH_KIND_LINK };
        agent->notify = notify;
        agent->draining = agent->link_full = agent->link_deaf = agent->link_drains = false;
        agent->link_orderless = agent->link_one_way = false;
        agent->drained_usec = 0;
        agent->stop_usec = stop_usec;
        agent->kill_usec = UINT64_MAX;
        link_init(&agent->link, link_path);
        r = runner_init(&agent->runner, settings);
        if (r)
                return r;
        agent->runner.waits_for_session = true;
        *ret_agent = steal_ptr(&agent);
        return 0;
}

/* --- the link --------------------------------------------------------------------------------------------------- */

/* Ends that nobody was told stay: the CALL_LIST of the next link names these calls too, and their ends follow it. */
static void agent_lose_link(Agent *agent, const char *reason) {
        /* A handler that was just forked holds a copy for a moment: closing alone would not end the events. */
        if (agent->link.fd >= 0)
                watch_set_remove(&agent->runner.watches, agent->link.fd);
        link_lose(&agent->link, clock_now(), reason);
}

static int agent_send_ended(Agent *agent, const CallEnded *ended) {
        uint8_t message[WIRE_HEADER_SIZE + CALL_ENDED_SIZE];

        call_ended_encode(ended, message);
        return link_send(&agent->link, message, sizeof(message));
}

/* The end of the link is told in any case. */
static uint32_t agent_link_events(const Agent *agent) {
        return agent->link_full ? EPOLLOUT : agent->link_one_way ? 0 : EPOLLIN;
}

/* While a broker does not take what we tell it, nothing more is taken from it. */
static int agent_watch_link(Agent *agent, bool full) {
        if (agent->link_full == full)
                return 0;
        agent->link_full = full;
        return error_origin(
                watch_set_change(&agent->runner.watches, agent->link.fd, agent_link_events(agent), &agent->link_watch));
}

/* The callers of what is in our socket were told that their calls run: so it is read to its end before the link is given up. */
static void agent_hear_out(Agent *agent) {
        agent->link_deaf = true;
        (void)shutdown(agent->link.fd, SHUT_RDWR);
}

static bool agent_can_tell(const Agent *agent) {
        return agent->link.state == LINK_STATE_UP && !agent->link_deaf;
}

static int agent_flush_ended(Agent *agent) {
        while (agent_can_tell(agent) && agent->runner.calls.ended_first) {
                int r = agent_send_ended(agent, &agent->runner.calls.ended_first->ended);

                switch (r) {
                case 0:
                        calls_remove(&agent->runner.calls, agent->runner.calls.ended_first);
                        break;
                case LINK_E_AGAIN:
                        return agent_watch_link(agent, true);
                case LINK_E_LOST:
                        agent_hear_out(agent);
                        break;
                default:
                        return error_fold(r);
                }
        }
        return agent->link.state == LINK_STATE_UP ? agent_watch_link(agent, false) : 0;
}

/* CALL_LIST or CALL_DRAIN, in @agent->packet. */
static int agent_encode_list(Agent *agent, size_t *ret_n) {
        _cleanup_free_ uint32_t *ids = NULL;
        size_t n_ids;

        ids = malloc(CALL_LIST_MAX * sizeof(*ids));
        if (!ids)
                return error_origin(-ENOMEM);
        n_ids = calls_list(&agent->runner.calls, ids);
        return (agent->draining ? call_drain_encode : call_list_encode)(ids, n_ids, agent->packet,
                                                                        sizeof(agent->packet), ret_n);
}

static int agent_send_list(Agent *agent) {
        size_t n;
        int r;

        r = agent_encode_list(agent, &n);
        return r ? r : link_send(&agent->link, agent->packet, n);
}

/* Who only drains takes no orders, so there is nothing to agree on: the list comes first, and the ends behind it. */
static int agent_connect_draining(Agent *agent) {
        size_t n;
        int r;

        r = agent_encode_list(agent, &n);
        r = r ?: link_connect_saying(&agent->link, clock_now(), agent->packet, n);
        if (!r)
                link_set_up(&agent->link, clock_now());
        return r;
}

static int agent_connect(Agent *agent) {
        int r;

        r = agent->draining ? agent_connect_draining(agent) : link_connect(&agent->link, clock_now());
        switch (r) {
        case 0:
                agent->link_full = agent->link_deaf = agent->link_one_way = false;
                agent->link_drains = agent->link_orderless = agent->draining;
                r = error_origin(watch_set_add(&agent->runner.watches, agent->link.fd, EPOLLIN, &agent->link_watch));
                return !r && agent->draining ? agent_flush_ended(agent) : r;
        case LINK_E_LOST:
                return 0;
        default:
                return error_fold(r);
        }
}

static int agent_on_hello(Agent *agent) {
        int r;

        r = agent_send_list(agent);
        switch (r) {
        case 0:
                break;
        case LINK_E_AGAIN: /* the first message but one, and no room: no broker that could be talked to */
        case LINK_E_LOST:
                agent_lose_link(agent, "the broker went away");
                return 0;
        default:
                return error_fold(r);
        }
        link_set_up(&agent->link, clock_now());
        log_info("%s: the link is up", agent->link.path);
        if (agent->notify)
                notify_ready(agent->notify);
        agent->notify = NULL;
        return agent_flush_ended(agent);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

/* A call that never began, and is not in the table for want of room. */
static int agent_refuse_call(Agent *agent, uint32_t id) {
        int r;

        if (!agent_can_tell(agent))
                return 0;
        r = agent_send_ended(agent, &(CallEnded){ .id = id, .how = CALL_HOW_NOT_STARTED, .status = 125 });
        switch (r) {
        case 0:
                return 0;
        case LINK_E_AGAIN: /* a full table and a full socket: start afresh */
                agent_lose_link(agent, "the broker takes no messages");
                return 0;
        case LINK_E_LOST:
                agent_hear_out(agent);
                return 0;
        default:
                return error_fold(r);
        }
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

/* Takes the descriptors of the packet that it wants. */
static int agent_on_exec(Agent *agent, const Order *order, LinkPacket *packet) {
        RunnerData data = { .fds = packet->fds, .n_fds = packet->n_fds, .lost_fds = packet->lost_fds };
        int r;

        r = runner_start(&agent->runner, NULL, order, &data);
        switch (r) {
        case 0:
        case RUNNER_E_EXISTS:
                return 0;
        case RUNNER_E_FULL:
                return agent_refuse_call(agent, order->call_id);
        default:
                return error_fold(r);
        }
}

static int agent_on_packet(Agent *agent, LinkPacket *packet) {
        Order order;

        if (order_decode(agent->packet, packet->n, &order)) {
                agent_lose_link(agent, "the broker does not speak our protocol");
                return 0;
        }
        switch (order.type) {
        case ORDER_TYPE_HELLO:
                if (agent->link.state == LINK_STATE_HELLO)
                        return agent_on_hello(agent);
                break;
        case ORDER_TYPE_EXEC:
                if (agent->link.state == LINK_STATE_UP && !agent->link_orderless)
                        return agent_on_exec(agent, &order, packet);
                break;
        case ORDER_TYPE_KILL:
                if (agent->link.state == LINK_STATE_UP)
                        return runner_kill(&agent->runner, order.call_id);
                break;
        }
        agent_lose_link(agent, "the broker broke the protocol: HELLO comes first, and once, and before orders");
        return 0;
}

/* Return: 0, LINK_E_AGAIN, LINK_E_LOST, or a negative error */
static int agent_take_order(Agent *agent) {
        LinkPacket packet;
        int r;

        r = link_receive(&agent->link, agent->packet, sizeof(agent->packet), &packet);
        if (r)
                return r;
        r = agent_on_packet(agent, &packet);
        link_packet_close(&packet);
        return error_trace(r);
}

/* Those that the broker has told callers of: a later one fails when it is sent, and its caller is refused. */
static int agent_take_last_orders(Agent *agent) {
        int r;

        agent->link_one_way = true;
        if (shutdown(agent->link.fd, SHUT_RD) < 0)
                return 0;
        do
                r = agent_take_order(agent);
        while (!r && agent->link.state == LINK_STATE_UP);
        if (r < 0 || agent->link.state != LINK_STATE_UP)
                return error_trace(r);
        return error_origin(
                watch_set_change(&agent->runner.watches, agent->link.fd, agent_link_events(agent), &agent->link_watch));
}

/* One order a turn: what else has happened waits for no more than that. */
static int agent_on_link(Agent *agent) {
        int r;

        r = agent_flush_ended(agent);
        if (r || agent->link.state == LINK_STATE_DOWN || agent->link_one_way ||
            (agent_can_tell(agent) && agent->runner.calls.ended_first))
                return r;
        r = agent_take_order(agent);
        switch (r) {
        case 0:
        case LINK_E_AGAIN:
                return 0;
        case LINK_E_LOST:
                agent_lose_link(agent, "the broker closed the link");
                return 0;
        default:
                return error_fold(r);
        }
}

/* --- the end ---------------------------------------------------------------------------------------------------- */

static bool agent_has_running(const Agent *agent) {
        size_t n_ended = 0;

        for (const Call *call = agent->runner.calls.ended_first; call; call = call->next_ended)
                ++n_ended;
        return agent->runner.calls.n_calls > n_ended;
}

/* When the ends that nobody was told are given up; only for an agent that has nothing else left. */
static uint64_t agent_give_up_usec(const Agent *agent) {
        if (agent->link.state == LINK_STATE_DOWN && agent->link.absent)
                return agent->link.lost_usec + AGENT_RESTART_USEC;
        return agent->drained_usec + AGENT_TELL_USEC;
}

/*
 * Another agent can take the calls to come, and what runs here ends when we do. Without ids: what the broker believes to run here
 * does.
 */
static int agent_say_drain(Agent *agent) {
        size_t n;
        int r;

        if (!agent_can_tell(agent) || agent->link_drains)
                return 0;
        agent->link_drains = true;
        r = call_drain_encode(NULL, 0, agent->packet, sizeof(agent->packet), &n);
        r = r ?: link_send(&agent->link, agent->packet, n);
        if (r > 0)
                agent_hear_out(agent);
        return r < 0 ? r : 0;
}

/* The last call has ended, and the broker knows, or there is none that could be told. */
static int agent_check_drained(Agent *agent) {
        uint64_t now = clock_now();
        int r;

        if (!agent->draining || agent_has_running(agent)) {
                agent->drained_usec = 0;
                return 0;
        }
        if (agent->drained_usec == 0) {
                agent->drained_usec = now;
                if (agent->runner.calls.n_calls > 0 && agent->link.state == LINK_STATE_DOWN) {
                        link_try_soon(&agent->link, now);
                        r = agent_connect(agent);
                        if (r)
                                return error_trace(r);
                }
        }
        if (agent->runner.calls.n_calls > 0 && agent_give_up_usec(agent) > now)
                return 0;
        if (agent->runner.calls.n_calls > 0)
                log_warning("no broker could be told how the last %zu calls ended", agent->runner.calls.n_calls);
        if (agent_can_tell(agent) && !agent->link_one_way) {
                size_t n_calls = agent->runner.calls.n_calls;

                r = agent_take_last_orders(agent);
                if (!r && agent->runner.calls.n_calls > n_calls)
                        return error_trace(agent_say_drain(agent));
                if (r)
                        return error_trace(r);
        }
        agent->runner.stopping = true;
        return 0;
}

static int agent_on_signal(Agent *agent) {
        int r = 0;

        if (!runner_take_signal(&agent->runner))
                return 0;
        if (agent->draining) {
                agent->runner.stopping = true;
                return 0;
        }
        /* What the broker ordered before is done: it has told the callers so. */
        if (agent->link.state == LINK_STATE_UP)
                r = agent_on_link(agent);
        agent->draining = true;
        if (agent->stop_usec > 0)
                agent->kill_usec = clock_now() + agent->stop_usec;
        /* Its HELLO may be there already, and the answer to that would be no list. */
        if (agent->link.state == LINK_STATE_HELLO)
                agent_lose_link(agent, "told to stop before the broker answered");
        if (r || agent->runner.calls.n_calls == 0)
                return r;
        log_notice("told to stop: %zu calls still run here, and end first; a second signal ends this at once",
                   agent->runner.calls.n_calls);
        return error_trace(agent_say_drain(agent));
}

static int agent_on_deadline(Agent *agent) {
        uint64_t now = clock_now();

        if (agent->kill_usec <= now) {
                agent->kill_usec = UINT64_MAX;
                log_notice("told to stop %u s ago: ending what still runs here",
                           (unsigned)(agent->stop_usec / USEC_PER_SEC));
                return error_trace(runner_kill_all(&agent->runner));
        }

        if (agent->link.deadline_usec > now)
                return 0;
        switch (agent->link.state) {
        case LINK_STATE_DOWN:
                return agent_connect(agent);
        case LINK_STATE_HELLO:
                agent_lose_link(agent, "the broker did not answer our HELLO");
                return 0;
        case LINK_STATE_UP:
                break;
        }
        return 0;
}

static uint64_t agent_deadline(const Agent *agent) {
        uint64_t deadline_usec = agent->drained_usec > 0 ? agent_give_up_usec(agent) : agent->kill_usec;

        return deadline_usec < agent->link.deadline_usec ? deadline_usec : agent->link.deadline_usec;
}

static int agent_on_event(Agent *agent, const struct epoll_event *event) {
        if (event->data.ptr == &agent->runner.signal_watch)
                return agent_on_signal(agent);
        if (event->data.ptr != &agent->link_watch)
                return runner_on_event(&agent->runner, event);
        if (agent->link.state == LINK_STATE_DOWN)
                return 0;
        if (agent->link_one_way && event->events & (EPOLLHUP | EPOLLERR)) {
                agent_lose_link(agent, "the broker closed the link");
                return 0;
        }
        return agent_on_link(agent);
}

int agent_run(Agent *agent) {
        struct epoll_event events[AGENT_EVENTS_MAX];

        while (!agent->runner.stopping) {
                int n = 0, r;

                runner_settle(&agent->runner);
                r = agent_on_deadline(agent);
                if (!r && !agent->link_full)
                        r = agent_flush_ended(agent);
                r = r ?: agent_check_drained(agent);
                if (!r && !agent->runner.stopping)
                        r = runner_wait(&agent->runner, agent_deadline(agent), events, AGENT_EVENTS_MAX, &n);
                for (int i = 0; !r && i < n && !agent->runner.stopping; ++i)
                        r = agent_on_event(agent, &events[i]);
                if (r)
                        return error_trace(r);
        }
        return 0;
}
