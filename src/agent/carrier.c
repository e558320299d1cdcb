/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/carrier.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "agent/dial.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "data/flow.h"
#include "data/status.h"

#define CARRIER_SOCKET_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

typedef enum CarrierState {
        CARRIER_STATE_DIALING,
        CARRIER_STATE_CARRYING,
        CARRIER_STATE_GONE,
} CarrierState;

/* What only a call that is DIALING needs. */
typedef struct CarrierDial {
        DialAddress address;
        char *text;             /* the address, for the log */
        uint64_t deadline_usec; /* then it is given up */
        uint64_t next_usec;     /* when it is looked at: not after deadline_usec */
        uint64_t retry_usec;    /* how long until the next attempt, if there is one */
} CarrierDial;

struct Carrier {
        Carrier *next, **place; /* in the table's list; GONE: in its list of those */
        Carrier *next_ready;
        uint32_t call_id;
        CarrierState state;
        bool just_exec, exit_on_client_eof, exit_on_service_eof;
        bool ready;                 /* it is in the table's list of those */
        bool in_turn, out_turn;     /* which direction it is ready for */
        bool room_watched;          /* room in the socket is waited for */
        bool out_watched;           /* and room in the pipe to the caller */
        bool in_closed, out_closed; /* 5.3: as far as the end of the call is concerned */
        bool in_drops, out_drops;   /* nobody takes it any more */
        bool failed;                /* we cannot go on, for want of memory */
        int socket_fd;
        Channel channel;
        DataFlow in, out;  /* from the caller to the service, and back */
        CarrierDial *dial; /* DIALING */
        uint8_t *prefix;   /* what is to be sent before the caller's data; NULL: nothing more */
        size_t n_prefix, n_prefix_sent;
        Watch socket_watch, stdin_watch, stdout_watch, status_watch;
};

/* --- life ------------------------------------------------------------------------------------------------------- */

static void carrier_link(Carrier **list, Carrier *carrier) {
        carrier->next = *list;
        if (carrier->next)
                carrier->next->place = &carrier->next;
        *list = carrier;
        carrier->place = list;
}

static void carrier_unlink(Carrier *carrier) {
        *carrier->place = carrier->next;
        if (carrier->next)
                carrier->next->place = carrier->place;
}

static void carrier_free_dial(Carrier *carrier) {
        if (!carrier->dial)
                return;
        dial_address_deinit(&carrier->dial->address);
        free(carrier->dial->text);
        free(carrier->dial);
        carrier->dial = NULL;
}

static void carrier_free_prefix(Carrier *carrier) {
        free(carrier->prefix);
        carrier->prefix = NULL;
}

static void carrier_close(CarrierTable *table, Carrier *carrier) {
        Channel *channel = &carrier->channel;

        carrier->socket_fd = watch_set_close(table->watches, carrier->socket_fd);
        channel->stdin_fd = watch_set_close(table->watches, channel->stdin_fd);
        channel->stdout_fd = watch_set_close(table->watches, channel->stdout_fd);
        channel->status_fd = watch_set_close(table->watches, channel->status_fd);
        carrier_free_dial(carrier);
        carrier_free_prefix(carrier);
}

/* The call is over: tell the caller @status, unless it is gone, and close everything. */
static DataOutcome carrier_end(CarrierTable *table, Carrier *carrier, CallHow how, int status) {
        DataStatus stream = { .fd = carrier->channel.status_fd };
        DataOutcome outcome = { .how = how, .status = status };

        /*
         * It is the first thing that is sent, so there is room. Where the kernel has no memory for it, the end of the
         * stream has to do.
         */
        if (data_status_exit(&stream, status) != 0 && how == CALL_HOW_EXITED)
                outcome.how = CALL_HOW_ABANDONED;
        carrier->channel.status_fd = stream.fd;
        carrier_close(table, carrier);
        carrier->state = CARRIER_STATE_GONE;
        carrier_unlink(carrier);
        /* One that is ready is still in that list. */
        if (!carrier->ready)
                carrier_link(&table->gone, carrier);
        return outcome;
}

void carrier_table_init(CarrierTable *table, WatchSet *watches, int null_fd) {
        *table = CARRIER_TABLE_INIT;
        table->watches = watches;
        table->null_fd = null_fd;
        table->ready_last = &table->ready_first;
}

void carrier_table_collect(CarrierTable *table) {
        while (table->gone) {
                Carrier *carrier = table->gone;

                carrier_unlink(carrier);
                free(carrier);
        }
}

static void carrier_collect_ready(CarrierTable *table, Carrier *carrier) {
        carrier->ready = false;
        if (carrier->state == CARRIER_STATE_GONE)
                carrier_link(&table->gone, carrier);
}

void carrier_table_deinit(CarrierTable *table) {
        while (table->ready_first) {
                Carrier *carrier = table->ready_first;

                table->ready_first = carrier->next_ready;
                carrier_collect_ready(table, carrier);
        }
        while (table->first) {
                Carrier *carrier = table->first;

                carrier_close(table, carrier);
                carrier_unlink(carrier);
                carrier_link(&table->gone, carrier);
        }
        carrier_table_collect(table);
}

/* --- both directions -------------------------------------------------------------------------------------------- */

static void carrier_make_ready(CarrierTable *table, Carrier *carrier, bool *turn) {
        *turn = true;
        if (carrier->ready)
                return;
        carrier->ready = true;
        carrier->next_ready = NULL;
        *table->ready_last = carrier;
        table->ready_last = &carrier->next_ready;
}

/* Only a stream that was held up once pays for events that tell of room; it keeps them. */
static void carrier_wait_for_socket(CarrierTable *table, Carrier *carrier) {
        if (carrier->room_watched)
                return;
        carrier->room_watched = true;
        if (watch_set_change(table->watches, carrier->socket_fd, CARRIER_SOCKET_EVENTS | EPOLLOUT,
                             &carrier->socket_watch) < 0)
                carrier->failed = true;
}

static void carrier_wait_for_stdout(CarrierTable *table, Carrier *carrier) {
        if (carrier->out_watched)
                return;
        carrier->out_watched = true;
        if (watch_set_add(table->watches, carrier->channel.stdout_fd, EPOLLOUT | EPOLLET, &carrier->stdout_watch) < 0)
                carrier->failed = true;
}

static void carrier_close_out(CarrierTable *table, Carrier *carrier);

/* The service gets no more. */
static void carrier_close_in(CarrierTable *table, Carrier *carrier) {
        if (carrier->in_closed)
                return;
        carrier->in_closed = true;
        carrier_free_prefix(carrier);
        if (carrier->exit_on_client_eof)
                carrier_close_out(table, carrier);
        /* Else the close that follows at once says the same. ENOTCONN: the service was faster. */
        if (!carrier->out_closed)
                (void)shutdown(carrier->socket_fd, SHUT_WR);
}

/* It takes no more; the caller, who cannot know, is not to be stopped by that. */
static void carrier_break_in(CarrierTable *table, Carrier *carrier) {
        carrier_close_in(table, carrier);
        carrier->in_drops = true;
        if (carrier->channel.stdin_fd >= 0)
                carrier_make_ready(table, carrier, &carrier->in_turn);
}

/* The caller gets no more. */
static void carrier_close_out(CarrierTable *table, Carrier *carrier) {
        if (carrier->out_closed)
                return;
        carrier->out_closed = true;
        carrier->channel.stdout_fd = watch_set_close(table->watches, carrier->channel.stdout_fd);
        if (carrier->exit_on_service_eof)
                carrier_close_in(table, carrier);
}

/* It takes no more; the service is read on, to its end. */
static void carrier_break_out(CarrierTable *table, Carrier *carrier) {
        carrier->out_drops = true;
        carrier->channel.stdout_fd = watch_set_close(table->watches, carrier->channel.stdout_fd);
        carrier_make_ready(table, carrier, &carrier->out_turn);
}

/* Keep what of @data cannot be sent yet. */
static void carrier_keep_prefix(Carrier *carrier, const void *data, size_t n) {
        carrier->prefix = malloc(n);
        if (!carrier->prefix) {
                carrier->failed = true;
                return;
        }
        memcpy(carrier->prefix, data, n);
        carrier->n_prefix = n;
        carrier->n_prefix_sent = 0;
}

/* As much of the prefix as goes now. Return: its bytes, or -1: the service takes none */
static ssize_t carrier_send(Carrier *carrier, const void *data, size_t n) {
        ssize_t sent;

        do
                sent = send(carrier->socket_fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        return sent < 0 && errno == EAGAIN ? 0 : sent;
}

static void carrier_run_prefix(CarrierTable *table, Carrier *carrier) {
        ssize_t sent = carrier_send(carrier, carrier->prefix + carrier->n_prefix_sent,
                                    carrier->n_prefix - carrier->n_prefix_sent);

        if (sent < 0) {
                carrier_break_in(table, carrier);
                return;
        }
        carrier->n_prefix_sent += (size_t)sent;
        if (carrier->n_prefix_sent < carrier->n_prefix)
                carrier_wait_for_socket(table, carrier);
        else
                carrier_free_prefix(carrier);
}

static void carrier_run_in(CarrierTable *table, Carrier *carrier) {
        int *stdin_fd = &carrier->channel.stdin_fd, r;

        if (carrier->prefix)
                carrier_run_prefix(table, carrier);
        if (carrier->prefix || *stdin_fd < 0)
                return;
        r = carrier->in_drops ? data_flow_drop(&carrier->in, *stdin_fd, table->null_fd)
                              : data_flow_run(&carrier->in, *stdin_fd, carrier->socket_fd);
        switch (r) {
        case DATA_FLOW_E_EMPTY:
                break;
        case DATA_FLOW_E_FULL:
                carrier_wait_for_socket(table, carrier);
                break;
        case DATA_FLOW_E_TURN:
                carrier_make_ready(table, carrier, &carrier->in_turn);
                break;
        case DATA_FLOW_E_END:
                *stdin_fd = watch_set_close(table->watches, *stdin_fd);
                carrier_close_in(table, carrier);
                break;
        case DATA_FLOW_E_GONE:
                carrier_break_in(table, carrier);
                break;
        }
}

static void carrier_run_out(CarrierTable *table, Carrier *carrier) {
        int r;

        if (carrier->out_closed)
                return;
        r = carrier->out_drops ? data_flow_drop(&carrier->out, carrier->socket_fd, table->null_fd)
                               : data_flow_run(&carrier->out, carrier->socket_fd, carrier->channel.stdout_fd);
        switch (r) {
        case DATA_FLOW_E_EMPTY:
                break;
        case DATA_FLOW_E_FULL:
                carrier_wait_for_stdout(table, carrier);
                break;
        case DATA_FLOW_E_TURN:
                carrier_make_ready(table, carrier, &carrier->out_turn);
                break;
        case DATA_FLOW_E_END:
                carrier_close_out(table, carrier);
                break;
        case DATA_FLOW_E_GONE:
                carrier_break_out(table, carrier);
                break;
        }
}

/* 5.3 rule 2, and 5.9. Return: 0 or CARRIER_E_ENDED */
static int carrier_check_ended(CarrierTable *table, Carrier *carrier, DataOutcome *ret_outcome) {
        if (carrier->failed)
                *ret_outcome = carrier_end(table, carrier, CALL_HOW_ABANDONED, 125);
        else if (carrier->state == CARRIER_STATE_DIALING)
                return 0;
        else if (carrier->just_exec && carrier->in_drops)
                *ret_outcome = carrier_end(table, carrier, CALL_HOW_NOT_STARTED, 125);
        else if (carrier->just_exec && !carrier->prefix)
                *ret_outcome = carrier_end(table, carrier, CALL_HOW_DETACHED, 0);
        else if (carrier->in_closed && carrier->out_closed)
                *ret_outcome = carrier_end(table, carrier, CALL_HOW_EXITED, 0);
        else
                return 0;
        return CARRIER_E_ENDED;
}

/* --- beginnings ------------------------------------------------------------------------------------------------- */

static void carrier_watch(CarrierTable *table, Carrier *carrier, int fd, uint32_t events, Watch *watch) {
        if (fd >= 0 && watch_set_add(table->watches, fd, events | EPOLLET, watch) < 0)
                carrier->failed = true;
}

static void carrier_watch_socket(CarrierTable *table, Carrier *carrier) {
        carrier->room_watched |= carrier->state == CARRIER_STATE_DIALING || carrier->prefix;
        carrier_watch(table, carrier, carrier->socket_fd,
                      CARRIER_SOCKET_EVENTS | (carrier->room_watched ? (uint32_t)EPOLLOUT : 0), &carrier->socket_watch);
}

/* Nobody sends anything there: what there is to hear is that the caller is gone. */
static void carrier_watch_status(CarrierTable *table, Carrier *carrier) {
        carrier_watch(table, carrier, carrier->channel.status_fd, 0, &carrier->status_watch);
}

static void carrier_watch_pipes(CarrierTable *table, Carrier *carrier) {
        if (carrier->state == CARRIER_STATE_DIALING)
                return;
        carrier_watch(table, carrier, carrier->channel.stdin_fd, EPOLLIN, &carrier->stdin_watch);
        if (carrier->out_watched)
                carrier_watch(table, carrier, carrier->channel.stdout_fd, EPOLLOUT, &carrier->stdout_watch);
}

/* Everything that the state is interested in, in a WatchSet that has nothing of it yet. */
static void carrier_watch_all(CarrierTable *table, Carrier *carrier) {
        carrier_watch_socket(table, carrier);
        carrier_watch_status(table, carrier);
        carrier_watch_pipes(table, carrier);
}

/* The socket is connected. */
static void carrier_begin(CarrierTable *table, Carrier *carrier, const void *prefix, size_t n_prefix) {
        ssize_t sent = n_prefix > 0 ? carrier_send(carrier, prefix, n_prefix) : 0;

        carrier->state = CARRIER_STATE_CARRYING;
        if (sent < 0)
                carrier_break_in(table, carrier);
        else if ((size_t)sent < n_prefix)
                carrier_keep_prefix(carrier, (const uint8_t *)prefix + sent, n_prefix - (size_t)sent);
}

static Carrier *carrier_new(CarrierTable *table, const Service *service, Channel *channel, bool just_exec) {
        Carrier *carrier = malloc(sizeof(*carrier));

        if (!carrier)
                return NULL;
        *carrier = (Carrier){
                .call_id = service->call_id,
                .state = CARRIER_STATE_DIALING,
                .just_exec = just_exec,
                .exit_on_client_eof = service->config.exit_on_client_eof,
                .exit_on_service_eof = service->config.exit_on_service_eof,
                .socket_fd = -1,
                .channel = *channel,
                .out = { .from_socket = true },
                .socket_watch = { WATCH_KIND_CARRIER_SOCKET },
                .stdin_watch = { WATCH_KIND_CARRIER_STDIN },
                .stdout_watch = { WATCH_KIND_CARRIER_STDOUT },
                .status_watch = { WATCH_KIND_CARRIER_STATUS },
        };
        *channel = CHANNEL_INIT;
        if (just_exec) {
                carrier->channel.stdin_fd = fd_close(carrier->channel.stdin_fd);
                carrier->channel.stdout_fd = fd_close(carrier->channel.stdout_fd);
        }
        carrier_link(&table->first, carrier);
        return carrier;
}

static void carrier_due(CarrierTable *table, const CarrierDial *dial) {
        if (dial->next_usec < table->dial_usec)
                table->dial_usec = dial->next_usec;
}

/* What dial_start() said without being done: prepare for the time until it is. Takes the address. */
static void carrier_keep_dialing(CarrierTable *table, Carrier *carrier, const Service *service, DialAddress *address,
                                 bool again, uint64_t now_usec) {
        const void *prefix;
        CarrierDial *dial;
        size_t n_prefix;

        dial = carrier->dial = malloc(sizeof(*dial));
        if (!dial) {
                carrier->failed = true;
                return;
        }
        *dial = (CarrierDial){ .address = *address,
                               .text = service_address_text(service),
                               .deadline_usec = now_usec + DIAL_LIMIT_USEC,
                               .retry_usec = CARRIER_RETRY_MIN_USEC };
        *address = DIAL_ADDRESS_INIT;
        dial->next_usec = again ? now_usec + dial->retry_usec : dial->deadline_usec;
        carrier_due(table, dial);
        service_descriptor(service, &prefix, &n_prefix);
        if (n_prefix > 0)
                carrier_keep_prefix(carrier, prefix, n_prefix);
}

/* Return: 0, DIAL_E_AGAIN, DIAL_E_PROGRESS, or DIAL_E_FAILED (logged) */
static int carrier_dial(const Service *service, DialAddress *ret_address, int *ret_fd) {
        int error = 0, r;

        if (service_address(service, ret_address))
                return DIAL_E_FAILED;
        r = dial_start(ret_address, &error, ret_fd);
        if (r == DIAL_E_FAILED) {
                _cleanup_free_ char *text = service_address_text(service);

                SERVICE_LOG(service, "cannot connect to %s: %s", text ?: "it", strerror(error));
        }
        return r < 0 ? DIAL_E_FAILED : r;
}

int carrier_start(CarrierTable *table, const Service *service, Channel *channel, bool just_exec, uint64_t now_usec,
                  Carrier **ret_carrier, DataOutcome *ret_outcome) {
        _cleanup_(dial_address_deinit) DialAddress address = DIAL_ADDRESS_INIT;
        _cleanup_fd_ int fd = -1;
        const void *prefix;
        Carrier *carrier;
        size_t n_prefix;
        int r;

        r = carrier_dial(service, &address, &fd);
        carrier = r != DIAL_E_FAILED ? carrier_new(table, service, channel, just_exec) : NULL;
        if (!carrier) {
                *ret_outcome = (DataOutcome){ .how = CALL_HOW_NOT_STARTED, .status = 125 };
                channel_refuse(channel, ret_outcome->status);
                return CARRIER_E_ENDED;
        }
        carrier->socket_fd = fd_steal(&fd);
        service_descriptor(service, &prefix, &n_prefix);
        if (r == 0)
                carrier_begin(table, carrier, prefix, n_prefix);
        else
                carrier_keep_dialing(table, carrier, service, &address, r == DIAL_E_AGAIN, now_usec);

        r = carrier_check_ended(table, carrier, ret_outcome);
        if (!r) {
                carrier_watch_all(table, carrier);
                r = carrier->failed ? carrier_check_ended(table, carrier, ret_outcome) : 0;
        }
        if (!r)
                *ret_carrier = carrier;
        return r;
}

/* --- events ----------------------------------------------------------------------------------------------------- */

static void carrier_report_ended(CarrierTable *table, Carrier *carrier) {
        DataOutcome outcome;

        if (carrier_check_ended(table, carrier, &outcome))
                table->on_ended(table->userdata, carrier->call_id, &outcome);
}

static void carrier_give_up(CarrierTable *table, Carrier *carrier, int error) {
        DataOutcome outcome;

        log_notice("call %u: cannot connect to %s: %s", carrier->call_id, carrier->dial->text ?: "its socket",
                   strerror(error));
        outcome = carrier_end(table, carrier, CALL_HOW_NOT_STARTED, 125);
        table->on_ended(table->userdata, carrier->call_id, &outcome);
}

/* The socket was connected after a while. */
static void carrier_connected(CarrierTable *table, Carrier *carrier) {
        uint8_t *prefix = carrier->prefix;

        carrier_free_dial(carrier);
        carrier->prefix = NULL;
        carrier_begin(table, carrier, prefix, prefix ? carrier->n_prefix : 0);
        free(prefix);
        carrier_watch_pipes(table, carrier);
}

/* Connect again: its backlog was full. */
static void carrier_dial_again(CarrierTable *table, Carrier *carrier, uint64_t now_usec) {
        CarrierDial *dial = carrier->dial;
        int error = 0, r;

        r = dial_start(&dial->address, &error, &carrier->socket_fd);
        switch (r) {
        case 0:
                carrier_connected(table, carrier);
                carrier_watch_socket(table, carrier);
                carrier_report_ended(table, carrier);
                return;
        case DIAL_E_PROGRESS:
                dial->next_usec = dial->deadline_usec;
                carrier_watch_socket(table, carrier);
                carrier_report_ended(table, carrier);
                return;
        case DIAL_E_AGAIN:
                dial->retry_usec =
                        dial->retry_usec * 2 < CARRIER_RETRY_MAX_USEC ? dial->retry_usec * 2 : CARRIER_RETRY_MAX_USEC;
                dial->next_usec = now_usec + dial->retry_usec;
                if (dial->next_usec > dial->deadline_usec)
                        dial->next_usec = dial->deadline_usec;
                return;
        default:
                carrier_give_up(table, carrier, r < 0 ? -r : error);
        }
}

static void carrier_on_dialed(CarrierTable *table, Carrier *carrier) {
        int error = 0, r;

        r = dial_finish(carrier->socket_fd, &error);
        if (r == DIAL_E_PROGRESS)
                return;
        if (r) {
                carrier_give_up(table, carrier, r < 0 ? -r : error);
                return;
        }
        carrier_connected(table, carrier);
        /* Its socket is watched already, and may have told us of the first data with the same event. */
        carrier_run_out(table, carrier);
        carrier_report_ended(table, carrier);
}

static void carrier_on_socket(CarrierTable *table, Carrier *carrier, uint32_t events) {
        /* Hung up, both ways: no end-of-file of the caller's is waited for any more (5.3 rule 4). */
        if (events & (EPOLLHUP | EPOLLERR))
                carrier_break_in(table, carrier);
        else if (events & EPOLLOUT)
                carrier_run_in(table, carrier);
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                carrier_run_out(table, carrier);
        carrier_report_ended(table, carrier);
}

/* The caller is gone: the service loses its end (5.8). */
static void carrier_on_status(CarrierTable *table, Carrier *carrier, uint32_t events) {
        DataOutcome outcome;

        if (!(events & (EPOLLHUP | EPOLLERR)))
                return;
        outcome = carrier_end(table, carrier, CALL_HOW_ABANDONED, 0);
        table->on_ended(table->userdata, carrier->call_id, &outcome);
}

static Carrier *carrier_of(Watch *watch) {
        switch (watch->kind) {
        case WATCH_KIND_CARRIER_SOCKET:
                return container_of(watch, Carrier, socket_watch);
        case WATCH_KIND_CARRIER_STDIN:
                return container_of(watch, Carrier, stdin_watch);
        case WATCH_KIND_CARRIER_STDOUT:
                return container_of(watch, Carrier, stdout_watch);
        case WATCH_KIND_CARRIER_STATUS:
                return container_of(watch, Carrier, status_watch);
        case WATCH_KIND_SIGNALS:
        case WATCH_KIND_REPORTS:
        case WATCH_KIND_SESSION:
        case WATCH_KIND_LINK:
        case WATCH_KIND_LISTENER:
        case WATCH_KIND_PEER:
        case WATCH_KIND_HANDLER:
        case WATCH_KIND_HANDED:
        case WATCH_KIND_PROGRAM:
        case WATCH_KIND_STDERR:
        case WATCH_KIND_STATUS:
                break;
        }
        return NULL;
}

void carrier_on_event(CarrierTable *table, Watch *watch, uint32_t events) {
        Carrier *carrier = carrier_of(watch);

        /* Events that were taken together with the one that ended it are stale. */
        if (!carrier || carrier->state == CARRIER_STATE_GONE)
                return;
        if (watch->kind == WATCH_KIND_CARRIER_STATUS) {
                carrier_on_status(table, carrier, events);
        } else if (carrier->state == CARRIER_STATE_DIALING) {
                carrier_on_dialed(table, carrier);
        } else if (watch->kind == WATCH_KIND_CARRIER_SOCKET) {
                carrier_on_socket(table, carrier, events);
        } else if (watch->kind == WATCH_KIND_CARRIER_STDIN) {
                carrier_run_in(table, carrier);
                carrier_report_ended(table, carrier);
        } else {
                if (events & EPOLLERR && carrier->channel.stdout_fd >= 0)
                        carrier_break_out(table, carrier);
                carrier_run_out(table, carrier);
                carrier_report_ended(table, carrier);
        }
}

/* --- turns and times -------------------------------------------------------------------------------------------- */

uint64_t carrier_table_deadline(const CarrierTable *table) {
        return table->ready_first ? 0 : table->dial_usec;
}

static void carrier_table_dial(CarrierTable *table, uint64_t now_usec) {
        Carrier *next;

        table->dial_usec = UINT64_MAX;
        for (Carrier *carrier = table->first; carrier; carrier = next) {
                next = carrier->next;
                if (carrier->state != CARRIER_STATE_DIALING)
                        continue;
                if (now_usec >= carrier->dial->deadline_usec)
                        carrier_give_up(table, carrier, ETIMEDOUT);
                else if (now_usec >= carrier->dial->next_usec)
                        carrier_dial_again(table, carrier, now_usec);
                if (carrier->state == CARRIER_STATE_DIALING)
                        carrier_due(table, carrier->dial);
        }
}

void carrier_table_run(CarrierTable *table, uint64_t now_usec) {
        Carrier *ready = table->ready_first;

        /* Those that are not done after this turn form the next list. */
        table->ready_first = NULL;
        table->ready_last = &table->ready_first;
        while (ready) {
                Carrier *carrier = ready;
                bool in = carrier->in_turn, out = carrier->out_turn;

                ready = carrier->next_ready;
                carrier->in_turn = carrier->out_turn = false;
                carrier_collect_ready(table, carrier);
                if (carrier->state == CARRIER_STATE_GONE)
                        continue;
                if (in)
                        carrier_run_in(table, carrier);
                if (out)
                        carrier_run_out(table, carrier);
                carrier_report_ended(table, carrier);
        }
        if (now_usec >= table->dial_usec)
                carrier_table_dial(table, now_usec);
}

/* --- orders, and the end of the agent --------------------------------------------------------------------------- */

void carrier_kill(CarrierTable *table, Carrier *carrier, DataOutcome *ret_outcome) {
        *ret_outcome = carrier_end(table, carrier, CALL_HOW_KILLED, 128 + SIGTERM);
}

void carrier_table_resume(CarrierTable *table, WatchSet *watches) {
        table->watches = watches;
        for (Carrier *carrier = table->first, *next; carrier; carrier = next) {
                next = carrier->next;
                carrier_watch_all(table, carrier);
                carrier_report_ended(table, carrier);
        }
}
