/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/watch.h"
#include "base/watchdog.h"
#include "broker/broker.h"
#include "wire/call.h"
#include "wire/header.h"
#include "wire/hello.h"

/* More than any message of an agent that has introduced itself: what fills it is too long. */
#define LINK_PACKET_SIZE 64
_Static_assert(LINK_PACKET_SIZE > WIRE_HEADER_SIZE + CALL_ENDED_SIZE, "a CALL_ENDED is never cut");

typedef enum LinkState {
        LINK_STATE_HELLO, /* the agent owes us HELLO */
        LINK_STATE_LIST,  /* … and then CALL_LIST */
        LINK_STATE_READY,
        LINK_STATE_DRAINING, /* takes no more calls, and is in the list of its domain */
        _LINK_STATE_N,
} LinkState;

/* A message that waits for room in the agent's socket. */
typedef struct LinkItem LinkItem;
struct LinkItem {
        LinkItem *next;
        uint32_t call_id;     /* whose channel goes with it, if it is still there */
        bool is_kill;         /* a CALL_KILL: nothing goes with it */
        const Domain *source; /* to be compared alone */
        uint64_t round;       /* each source has one turn a round */
        size_t n;
        uint8_t data[];
};

struct Link {
        Broker *broker;
        Domain *domain;
        int fd;
        LinkState state;
        sd_event_source *source;
        sd_event_source *deadline; /* until READY */
        LinkItem *queue;           /* in the order of their rounds */
        size_t n_queue;
        uint64_t round; /* of the message that was taken from the queue last */
        const Domain *last_source;
        Link *next_draining;
};

enum {
        _LINK_CLOSE_SUCCESS,
        LINK_CLOSE_VIOLATION, /* the agent did what the protocol forbids */
        LINK_CLOSE_EOF,
};

Link *link_free(Link *link) {
        if (!link)
                return NULL;
        sd_event_source_disable_unref(link->deadline);
        sd_event_source_disable_unref(link->source);
        while (link->queue) {
                LinkItem *item = link->queue;

                link->queue = item->next;
                free(item);
        }
        for (Link **place = &link->domain->draining; *place; place = &(*place)->next_draining) {
                if (*place == link) {
                        *place = link->next_draining;
                        break;
                }
        }
        fd_close(link->fd);
        --link->domain->n_links;
        domain_unref(link->domain);
        free(link);
        return NULL;
}

Link *link_next_draining(const Link *link) {
        return link->next_draining;
}

static int link_watch(Link *link) {
        int r = sd_event_source_set_io_events(link->source, link->queue ? EPOLLIN | EPOLLOUT : EPOLLIN);

        return r < 0 ? error_origin(r) : 0;
}

/* May it wait? It holds its channel meanwhile, at the cost of whoever calls. */
static bool link_may_wait(const Link *link, const Call *call) {
        size_t n = 0;

        if (link->n_queue >= LINK_QUEUE_MAX)
                return false;
        if (!call)
                return true;
        for (size_t i = 0; i < call->channel.n_fds; ++i)
                if (call->channel.agent_fds[i] >= link->broker->fds_end ||
                    call->channel.origin_fds[i] >= link->broker->fds_end)
                        return false;
        for (const LinkItem *item = link->queue; item; item = item->next)
                n += item->source == call->source;
        return n < LINK_QUEUE_SOURCE_MAX;
}

/* A source's next message comes a round after its last one, so a crowd of one source holds another's up by one message. */
static uint64_t link_next_round(const Link *link, const Domain *source) {
        uint64_t round = link->round + (link->last_source == source);

        for (const LinkItem *item = link->queue; item; item = item->next)
                if (item->source == source && item->round >= round)
                        round = item->round + 1;
        return round;
}

static int link_enqueue(Link *link, const uint8_t *data, size_t n, uint32_t call_id, bool is_kill) {
        const Call *call = is_kill ? NULL : call_table_find(&link->broker->calls, call_id);
        LinkItem *item, **place = &link->queue;

        if (!link_may_wait(link, call))
                return LINK_E_FULL;
        item = malloc(sizeof(*item) + n);
        if (!item)
                return error_origin(-ENOMEM);
        *item = (LinkItem){ .call_id = call_id, .is_kill = is_kill, .n = n };
        memcpy(item->data, data, n);
        if (call) {
                item->source = call->source;
                item->round = link_next_round(link, call->source);
        } else {
                item->round = link->round; /* what is to end has begun: it passes all that has not */
        }
        while (*place && (*place)->round <= item->round)
                place = &(*place)->next;
        item->next = *place;
        *place = item;
        ++link->n_queue;
        return link_watch(link) ?: LINK_E_QUEUED;
}

/* Where it cannot be set it stays as it was: more orders wait in the agent's socket then, first come, first served. */
static void link_set_buffer(Link *link, int size) {
        (void)setsockopt(link->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static int link_send(Link *link, const uint8_t *data, size_t n, const int *fds, size_t n_fds) {
        int r;

        /* A message that is larger than the buffer is none that the kernel would wait with. */
        if (n > LINK_SEND_BUFFER)
                link_set_buffer(link, (int)n);
        r = socket_send(link->fd, data, n, fds, n_fds, NULL);
        if (n > LINK_SEND_BUFFER)
                link_set_buffer(link, LINK_SEND_BUFFER);

        switch (r) {
        case SOCKET_E_AGAIN:
                return LINK_E_QUEUED;
        case SOCKET_E_LIMIT: /* too many descriptors in flight, or no memory: waiting for room in the socket would not help */
                return LINK_E_FULL;
        case SOCKET_E_GONE:
                return LINK_E_GONE;
        default:
                return error_fold(r);
        }
}

int link_send_exec(Link *link, uint32_t type, const Exec *exec, const int *fds, size_t n_fds) {
        uint8_t *data = link->broker->outgoing;
        size_t n;
        int r;

        r = exec_encode(type, exec, data, BROKER_SCRATCH_SIZE, &n);
        if (r)
                return error_trace(r);
        /* What was queued before goes first. */
        r = link->queue ? LINK_E_QUEUED : link_send(link, data, n, fds, n_fds);
        if (r == LINK_E_QUEUED)
                return link_enqueue(link, data, n, exec->params.connect_port, false);
        return r;
}

int link_send_kill(Link *link, uint32_t call_id) {
        uint8_t data[WIRE_HEADER_SIZE + CALL_KILL_SIZE];
        int r;

        call_kill_encode(call_id, data);
        r = link->queue ? LINK_E_QUEUED : link_send(link, data, sizeof(data), NULL, 0);
        if (r == LINK_E_QUEUED)
                return link_enqueue(link, data, sizeof(data), call_id, true);
        return r;
}

static void link_drop(Link *link, LinkItem **place) {
        LinkItem *item = *place;

        *place = item->next;
        --link->n_queue;
        free(item);
}

void link_forget(Link *link, uint32_t call_id) {
        LinkItem **place = &link->queue;

        while (*place && ((*place)->is_kill || (*place)->call_id != call_id))
                place = &(*place)->next;
        if (*place)
                link_drop(link, place);
}

/* There is room again. Return: 0, LINK_CLOSE_EOF, or a negative error. */
static int link_flush(Link *link) {
        while (link->queue) {
                LinkItem *item = link->queue;
                Call *call = call_table_find(&link->broker->calls, item->call_id);
                int r = 0;

                /* A call that was cancelled meanwhile is not even started. */
                if (item->is_kill)
                        r = link_send(link, item->data, item->n, NULL, 0);
                else if (call)
                        r = link_send(link, item->data, item->n, call->channel.agent_fds, call->channel.n_fds);
                if (r == LINK_E_QUEUED)
                        return 0;
                if (r == LINK_E_GONE)
                        return LINK_CLOSE_EOF;
                if (r && r != LINK_E_FULL)
                        return error_fold(r);

                link->round = item->round;
                link->last_source = item->source;
                if (item->is_kill)
                        call = NULL; /* its end will come as CALL_ENDED */
                link_drop(link, &link->queue);
                if (call) {
                        r = r ? call_on_not_sent(call) : call_on_sent(call);
                        if (r)
                                return error_trace(r);
                }
        }
        return link_watch(link);
}

static int link_handle_hello(Link *link, const uint8_t *payload, size_t n) {
        uint8_t answer[WIRE_HEADER_SIZE + HELLO_SIZE];
        Hello hello;
        int r;

        if (hello_decode(payload, n, WIRE_VERSION_MIN, &hello))
                return LINK_CLOSE_VIOLATION;
        if (link->domain->is_gone)
                return LINK_CLOSE_EOF;
        if (link->domain->link) {
                domain_note(link->domain, "a second agent connected: the live one stays, the new one is closed");
                return LINK_CLOSE_EOF;
        }
        wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, answer);
        hello_encode(&(Hello){ .version = WIRE_VERSION }, answer + WIRE_HEADER_SIZE);
        r = link_send(link, answer, sizeof(answer), NULL, 0);
        if (r)
                return r > 0 ? LINK_CLOSE_EOF : error_trace(r);
        link->state = LINK_STATE_LIST;
        return 0;
}

/* Return: 0, LINK_CLOSE_VIOLATION, or a negative error */
static int link_read_list(const uint8_t *payload, size_t n, uint32_t **ret_ids, size_t *ret_n_ids) {
        _cleanup_free_ uint32_t *ids = malloc(CALL_LIST_MAX * sizeof(*ids));

        if (!ids)
                return error_origin(-ENOMEM);
        if (call_list_decode(payload, n, ids, ret_n_ids))
                return LINK_CLOSE_VIOLATION;
        *ret_ids = steal_ptr(&ids);
        return 0;
}

static int link_handle_list(Link *link, const uint8_t *payload, size_t n) {
        _cleanup_free_ uint32_t *ids = NULL;
        size_t n_ids;
        int r;

        /* Another agent of the same domain may have come first, or the domain may be gone since HELLO. */
        if (link->domain->link || link->domain->is_gone)
                return LINK_CLOSE_EOF;
        r = link_read_list(payload, n, &ids, &n_ids);
        if (r)
                return r;
        r = call_table_on_list(&link->broker->calls, link->domain, ids, n_ids);
        if (r)
                return error_trace(r);
        link->state = LINK_STATE_READY;
        link->deadline = sd_event_source_disable_unref(link->deadline);
        log_debug("domain %s: agent connected, %zu calls run there", link->domain->name.text, n_ids);
        return error_trace(domain_on_link_up(link->domain, link));
}

/* It runs what it runs to its end, and takes no more. Return: 0, LINK_CLOSE_EOF, or a negative error. */
static int link_begin_draining(Link *link) {
        Domain *domain = link->domain;
        unsigned n = 1;

        for (const Link *other = domain->draining; other; other = other->next_draining)
                ++n;
        if (n > LINK_DRAINING_MAX) {
                domain_note(domain, "more than %d agents of its drain: closed the newest", LINK_DRAINING_MAX);
                return LINK_CLOSE_EOF;
        }
        link->state = LINK_STATE_DRAINING;
        link->next_draining = domain->draining;
        domain->draining = link;
        if (!domain->is_gone)
                link->deadline = sd_event_source_disable_unref(link->deadline);
        log_debug("domain %s: an agent drains", domain->name.text);
        return 0;
}

/* The live agent was told to stop: all that we believe to run there goes with it. */
static int link_handle_drain(Link *link, const uint8_t *payload, size_t n) {
        int r;

        if (n > 0)
                return LINK_CLOSE_VIOLATION;
        r = link_begin_draining(link);
        if (r)
                return r;
        call_table_on_drain(&link->broker->calls, link->domain, link);
        return error_trace(domain_on_link_drains(link->domain));
}

/* One that drains already found its way to us, beside the live one. */
static int link_handle_drain_list(Link *link, const uint8_t *payload, size_t n) {
        _cleanup_free_ uint32_t *ids = NULL;
        size_t n_ids;
        int r;

        if (link->domain->is_gone)
                return LINK_CLOSE_EOF;
        r = link_read_list(payload, n, &ids, &n_ids);
        r = r ?: link_begin_draining(link);
        return r ? r : error_trace(call_table_on_drain_list(&link->broker->calls, link->domain, link, ids, n_ids));
}

static int link_handle_ended(Link *link, const uint8_t *payload, size_t n) {
        CallEnded ended;
        Call *call;

        if (call_ended_decode(payload, n, &ended))
                return LINK_CLOSE_VIOLATION;
        call = call_table_find(&link->broker->calls, ended.id);
        if (!call || call->target != link->domain || call->state != CALL_STATE_RUNNING) {
                domain_note(link->domain, "its agent reported the end of call %u, which does not run there: ignored",
                            ended.id);
                return 0;
        }
        call_on_ended(call, &ended);
        return 0;
}

static int link_handle(Link *link, const uint8_t *data, size_t n) {
        static const struct {
                uint32_t type;
                LinkState state; /* where this message is legal */
                int (*handle)(Link *link, const uint8_t *payload, size_t n);
        } messages[] = {
                { WIRE_TYPE_HELLO, LINK_STATE_HELLO, link_handle_hello },
                { WIRE_TYPE_CALL_LIST, LINK_STATE_LIST, link_handle_list },
                { WIRE_TYPE_CALL_ENDED, LINK_STATE_READY, link_handle_ended },
                { WIRE_TYPE_CALL_DRAIN, LINK_STATE_READY, link_handle_drain },
                { WIRE_TYPE_CALL_DRAIN, LINK_STATE_HELLO, link_handle_drain_list },
                { WIRE_TYPE_CALL_ENDED, LINK_STATE_DRAINING, link_handle_ended },
        };
        WireHeader header;

        if (wire_header_decode(data, n, &header) || header.length != n - WIRE_HEADER_SIZE)
                return LINK_CLOSE_VIOLATION;
        for (size_t i = 0; i < ARRAY_SIZE(messages); ++i)
                if (messages[i].type == header.type && messages[i].state == link->state)
                        return messages[i].handle(link, data + WIRE_HEADER_SIZE, header.length);
        return LINK_CLOSE_VIOLATION;
}

/* Introductions may be long. Return: 0, LINK_CLOSE_…, or a negative error. */
static int link_receive_one(Link *link) {
        uint8_t *data = link->broker->scratch;
        size_t n;
        int r;

        watchdog_arm(link->broker->watchdog);
        r = socket_receive(link->fd, data, BROKER_SCRATCH_SIZE, &n, NULL, 0, NULL);
        if (watchdog_disarm(link->broker->watchdog))
                return LINK_CLOSE_VIOLATION;
        switch (r) {
        case 0:
                return link_handle(link, data, n);
        case SOCKET_E_AGAIN:
                return 0;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                return LINK_CLOSE_EOF;
        case SOCKET_E_TRUNCATED:
                return LINK_CLOSE_VIOLATION;
        default:
                return error_fold(r);
        }
}

/*
 * Ends come in bursts, and are short: those that are there, but no more than leaves the other links their turn. Where a
 * watchdog is needed each receive is guarded by itself, so that one message is what an agent can make us wait for.
 * Return: 0, LINK_CLOSE_…, or a negative error.
 */
static int link_receive_packets(Link *link) {
        uint8_t data[SOCKET_PACKETS_MAX][LINK_PACKET_SIZE];
        size_t sizes[SOCKET_PACKETS_MAX], n;
        int r;

        watchdog_arm(link->broker->watchdog);
        r = socket_receive_packets(link->fd, data, sizeof(data[0]), link->broker->watchdog ? 1 : ARRAY_SIZE(data),
                                   sizes, &n);
        if (watchdog_disarm(link->broker->watchdog))
                return LINK_CLOSE_VIOLATION;
        if (r == SOCKET_E_AGAIN)
                return 0;
        if (r == SOCKET_E_GONE)
                return LINK_CLOSE_EOF;
        if (r)
                return error_fold(r);
        for (size_t i = 0; i < n; ++i) {
                if (sizes[i] == 0)
                        return LINK_CLOSE_EOF;
                r = link_handle(link, data[i], sizes[i]);
                if (r)
                        return r;
        }
        return 0;
}

/* Return: 0, LINK_CLOSE_…, or a negative error. */
static int link_dispatch(Link *link, uint32_t revents) {
        if (revents & EPOLLOUT) {
                int r = link_flush(link);

                /* What an agent said before it went, or took no more, is heard first. */
                if (r && (r != LINK_CLOSE_EOF || !(revents & EPOLLIN)))
                        return r;
        }
        return link->state >= LINK_STATE_READY ? link_receive_packets(link) : link_receive_one(link);
}

static int link_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Link *link = userdata;
        _cleanup_(domain_unrefp) Domain *domain = domain_ref(link->domain);
        int r;

        r = link_dispatch(link, revents);
        switch (r) {
        case 0:
                return 0;
        case LINK_CLOSE_VIOLATION:
                domain_note(domain, "its agent broke the protocol: closed its link");
                break;
        case LINK_CLOSE_EOF:
                break;
        default:
                return error_fold(r);
        }
        if (link->state == LINK_STATE_DRAINING)
                return error_trace(domain_on_drained(domain, link));
        if (domain->link != link) {
                link_free(link); /* it never was the live one, or the domain is gone */
                return 0;
        }
        return error_trace(domain_on_link_lost(domain));
}

static int link_on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Link *link = userdata;

        /* Its domain is gone, and there was time enough to say what ended. */
        if (link->state == LINK_STATE_READY)
                return error_trace(domain_on_link_lost(link->domain));
        if (link->state == LINK_STATE_DRAINING)
                return error_trace(domain_on_drained(link->domain, link));
        domain_note(link->domain, "its agent connected and did not introduce itself: closed its link");
        link_free(link);
        return 0;
}

int link_close_later(Link *link) {
        link->deadline = sd_event_source_disable_unref(link->deadline);
        return error_trace(
                watch_time(link->broker->event, LINK_GONE_USEC, USEC_PER_SEC, link_on_deadline, link, &link->deadline));
}

int link_new(Broker *broker, Domain *domain, int fd) {
        _cleanup_(link_freep) Link *link = NULL;
        int r;

        link = malloc(sizeof(*link));
        if (!link) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        *link = (Link){ .broker = broker, .domain = domain_ref(domain), .fd = fd };
        ++domain->n_links;
        link_set_buffer(link, LINK_SEND_BUFFER);

        r = watch_io(broker->event, fd, EPOLLIN, link_on_io, link, &link->source);
        r = r ?: watch_time(broker->event, LINK_HANDSHAKE_USEC, USEC_PER_SEC, link_on_deadline, link, &link->deadline);
        if (r)
                return error_trace(r);
        steal_ptr(&link);
        return 0;
}
