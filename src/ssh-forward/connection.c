/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh-forward/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"

#define STATUS_NOT_STARTED 125
#define STATUS_NO_SERVICE  127

static const uint32_t connection_transitions[_CONNECTION_STATE_N] = {
        [CONNECTION_STATE_ASKING] =
                BIT(CONNECTION_STATE_RUNNING) | BIT(CONNECTION_STATE_ENDING) | BIT(CONNECTION_STATE_CLOSED),
        [CONNECTION_STATE_RUNNING] = BIT(CONNECTION_STATE_ENDING) | BIT(CONNECTION_STATE_CLOSED),
        [CONNECTION_STATE_ENDING] = BIT(CONNECTION_STATE_CLOSED),
};

static int connection_set_state(Connection *connection, ConnectionState state) {
        if (!(connection_transitions[connection->state] & BIT(state)))
                return error_origin(-ENOTRECOVERABLE);
        connection->state = state;
        connection->deadline_usec = UINT64_MAX;
        return 0;
}

/*
 * Descriptors and events. Data moves by edges, since the same state is no news; what is read of a call is little.
 */

static int connection_watch(const Connection *connection, int operation, ConnectionPart part, int fd, uint32_t events) {
        struct epoll_event event = { .events = events, .data.u64 = connection->key + part };

        return epoll_ctl(connection->epoll_fd, operation, fd, &event) < 0 ? error_origin(-errno) : 0;
}

static uint32_t connection_client_events(const Connection *connection) {
        return EPOLLET | EPOLLIN | EPOLLRDHUP | (connection->down_full ? (uint32_t)EPOLLOUT : 0);
}

static uint32_t connection_stdin_events(const Connection *connection) {
        return EPOLLET | (connection->up_full ? (uint32_t)EPOLLOUT : 0);
}

/* The trigger connection outlives the request in libqair, so it has to be taken out. */
static void connection_unwatch_call(Connection *connection) {
        if (connection->call_fd >= 0)
                (void)epoll_ctl(connection->epoll_fd, EPOLL_CTL_DEL, connection->call_fd, NULL);
        connection->call_fd = -1;
}

static int connection_watch_call(Connection *connection) {
        int fd = qair_call_fd(connection->call);

        if (fd < 0)
                return 0;
        connection->call_fd = fd;
        return connection_watch(connection, EPOLL_CTL_ADD, CONNECTION_PART_CALL, fd, EPOLLIN);
}

static void connection_drop_call(Connection *connection) {
        connection_unwatch_call(connection);
        qair_call_free(connection->call);
        connection->call = NULL;
}

static void connection_close_client(Connection *connection) {
        connection->client_fd = fd_close(connection->client_fd);
        connection->up_open = false;
        connection->up_due = connection->down_due = false;
}

static int connection_close(Connection *connection) {
        connection_close_client(connection);
        connection_drop_call(connection);
        return error_trace(connection_set_state(connection, CONNECTION_STATE_CLOSED));
}

Connection *connection_free(Connection *connection) {
        if (!connection)
                return NULL;
        connection_close_client(connection);
        connection_drop_call(connection);
        free(connection);
        return NULL;
}

/* ENDING: is there anything left to wait for? */
static int connection_settle(Connection *connection) {
        if (connection->call && qair_call_state(connection->call) != QAIR_STATE_RUNNING)
                connection_drop_call(connection);
        return connection->call || connection->client_fd >= 0 ? 0 : error_trace(connection_close(connection));
}

/*
 * What the log says of a call. Its stderr is the vault's, and only text.
 */

static void connection_on_stderr(void *userdata, const void *data, size_t n) {
        const Connection *connection = userdata;
        const char *text = data;

        while (n > 0 && text[n - 1] == '\n')
                --n;
        if (n > 0)
                log_info("call %u: %s says: %s", qair_call_id(connection->call), connection->target->domain,
                         ESCAPED(text, n));
}

static void connection_say_ended(const Connection *connection) {
        const ConnectionTarget *target = connection->target;
        unsigned id = qair_call_id(connection->call);
        int status = qair_call_status(connection->call);

        if (status == STATUS_NO_SERVICE)
                log_warning("call %u: %s has no service %s: install split-ssh there", id, target->domain,
                            target->service);
        else if (status == STATUS_NOT_STARTED)
                log_warning("call %u: %s could not be started in %s: see the log there", id, target->service,
                            target->domain);
        else if (status != 0)
                log_notice("call %u: %s in %s ended with status %d", id, target->service, target->domain, status);
}

static void connection_say_refused(const Connection *connection) {
        const ConnectionTarget *target = connection->target;

        log_warning("call %u of %s in %s: %s: the administrator finds the reason in the audit log (qair log)",
                    qair_call_id(connection->call), target->service, target->domain,
                    qair_reason_text(qair_call_reason(connection->call)));
}

/*
 * ENDING
 */

static bool connection_client_is_gone(const Connection *connection) {
        struct pollfd client = { .fd = connection->client_fd };

        return poll(&client, 1, 0) == 1;
}

static int connection_enter_ending(Connection *connection) {
        int r;

        r = connection_set_state(connection, CONNECTION_STATE_ENDING);
        if (r)
                return error_trace(r);
        connection->up_open = connection->up_due = connection->down_due = false;
        connection->deadline_usec = clock_now() + CONNECTION_ENDING_USEC;
        if (connection->call)
                qair_call_close_stdin(connection->call);
        return 0;
}

/* Nothing more will come: the client is told, and need not wait. */
static int connection_end(Connection *connection) {
        int r;

        r = connection_enter_ending(connection);
        if (r)
                return error_trace(r);
        /* A client that was done before us hangs up by this, which is no event. */
        if (shutdown(connection->client_fd, SHUT_WR) < 0 || connection_client_is_gone(connection))
                connection_close_client(connection);
        return error_trace(connection_settle(connection));
}

/* The client is gone altogether: its last words may wait here, but nobody wants an answer. */
static int connection_hang_up(Connection *connection) {
        int r;

        if (connection->up_open)
                (void)data_flow_run(&connection->up, connection->client_fd, qair_call_stdin(connection->call));
        connection_close_client(connection);
        r = connection_enter_ending(connection);
        if (r)
                return error_trace(r);
        (void)fd_close(qair_call_take_stdout(connection->call));
        return error_trace(connection_settle(connection));
}

/*
 * ASKING
 */

/* Nobody there now, or no room: somebody may be in a moment. */
static bool connection_may_retry(int error) {
        return error == -EAGAIN || error == -ENOENT || error == -ECONNREFUSED || error == -ECONNRESET;
}

static int connection_on_failure(Connection *connection, int error) {
        connection_drop_call(connection);
        if (connection_may_retry(error) && connection->n_attempts < CONNECTION_ATTEMPTS) {
                connection->deadline_usec = clock_now() + CONNECTION_PAUSE_USEC;
                return 0;
        }
        log_error("%s: cannot ask for %s in %s: %s%s", qair_client_path(connection->target->client),
                  connection->target->service, connection->target->domain, strerror(-error),
                  connection_may_retry(error) ? "; is the service running? Try: systemctl status qair" : "");
        return error_trace(connection_end(connection));
}

static int connection_begin(Connection *connection) {
        int r;

        r = connection_set_state(connection, CONNECTION_STATE_RUNNING);
        if (!r)
                r = connection_watch(connection, EPOLL_CTL_ADD, CONNECTION_PART_STDIN,
                                     qair_call_stdin(connection->call), connection_stdin_events(connection));
        if (!r)
                r = connection_watch(connection, EPOLL_CTL_ADD, CONNECTION_PART_STDOUT,
                                     qair_call_stdout(connection->call), EPOLLET | EPOLLIN);
        connection->up_open = true;
        connection->up_due = connection->down_due = true;
        return error_trace(r);
}

/* Whatever state the call has reached. */
static int connection_look_at_answer(Connection *connection) {
        switch (qair_call_state(connection->call)) {
        case QAIR_STATE_ASKING:
                return error_trace(connection_watch_call(connection));
        case QAIR_STATE_RUNNING:
        case QAIR_STATE_ENDED:
                /* Services of the broker itself have no pipes, and are no agents. */
                if (qair_call_stdin(connection->call) < 0)
                        return error_trace(connection_on_failure(connection, -EPROTONOSUPPORT));
                return connection_watch_call(connection) ?: error_trace(connection_begin(connection));
        case QAIR_STATE_REFUSED:
                connection_say_refused(connection);
                return error_trace(connection_end(connection));
        case QAIR_STATE_LOST:
                return error_trace(connection_on_failure(connection, qair_call_error(connection->call)));
        }
        return error_origin(-ENOTRECOVERABLE);
}

static int connection_ask(Connection *connection) {
        const ConnectionTarget *target = connection->target;
        int r;

        ++connection->n_attempts;
        connection->deadline_usec = UINT64_MAX;
        r = qair_call_new(target->client, target->domain, target->service, &connection->call);
        if (r == -ENOMEM)
                return error_origin(r);
        if (r)
                return error_trace(connection_on_failure(connection, r));
        qair_call_on_stderr(connection->call, connection_on_stderr, connection);
        return error_trace(connection_look_at_answer(connection));
}

int connection_new(const ConnectionTarget *target, int epoll_fd, uint64_t key, int client_fd,
                   Connection **ret_connection) {
        _cleanup_(connection_freep) Connection *connection = NULL;
        int r;

        connection = malloc(sizeof(*connection));
        if (!connection) {
                fd_close(client_fd);
                return error_origin(-ENOMEM);
        }
        *connection = (Connection){
                .state = CONNECTION_STATE_ASKING,
                .target = target,
                .epoll_fd = epoll_fd,
                .key = key,
                .client_fd = client_fd,
                .call_fd = -1,
                .deadline_usec = UINT64_MAX,
                .up = { .from_socket = true },
        };
        r = connection_watch(connection, EPOLL_CTL_ADD, CONNECTION_PART_CLIENT, client_fd,
                             connection_client_events(connection));
        if (!r)
                r = connection_ask(connection);
        if (r)
                return error_trace(r);
        *ret_connection = steal_ptr(&connection);
        return 0;
}

/*
 * RUNNING
 */

static void connection_close_up(Connection *connection) {
        qair_call_close_stdin(connection->call);
        connection->up_open = connection->up_due = connection->up_full = false;
}

/* Ask for room where there is none, and no longer than that. Return: 0 or a negative error */
static int connection_set_full(Connection *connection, bool up, bool full) {
        bool *was = up ? &connection->up_full : &connection->down_full;

        if (*was == full)
                return 0;
        *was = full;
        if (up)
                return error_trace(connection_watch(connection, EPOLL_CTL_MOD, CONNECTION_PART_STDIN,
                                                    qair_call_stdin(connection->call),
                                                    connection_stdin_events(connection)));
        return error_trace(connection_watch(connection, EPOLL_CTL_MOD, CONNECTION_PART_CLIENT, connection->client_fd,
                                            connection_client_events(connection)));
}

static int connection_run_up(Connection *connection) {
        int r;

        connection->up_due = false;
        if (!connection->up_open)
                return 0;
        r = data_flow_run(&connection->up, connection->client_fd, qair_call_stdin(connection->call));
        switch (r) {
        case DATA_FLOW_E_TURN:
                connection->up_due = true;
                return 0;
        case DATA_FLOW_E_EMPTY:
        case DATA_FLOW_E_FULL:
                return error_trace(connection_set_full(connection, true, r == DATA_FLOW_E_FULL));
        default:
                /* The client has said all, or the service does not listen. What it still says goes on. */
                connection_close_up(connection);
                return 0;
        }
}

static int connection_run_down(Connection *connection) {
        int r;

        connection->down_due = false;
        r = data_flow_run(&connection->down, qair_call_stdout(connection->call), connection->client_fd);
        switch (r) {
        case DATA_FLOW_E_TURN:
                connection->down_due = true;
                return 0;
        case DATA_FLOW_E_EMPTY:
        case DATA_FLOW_E_FULL:
                return error_trace(connection_set_full(connection, false, r == DATA_FLOW_E_FULL));
        case DATA_FLOW_E_END:
                return error_trace(connection_end(connection));
        default:
                return error_trace(connection_hang_up(connection));
        }
}

/*
 * Events
 */

static int connection_on_call(Connection *connection) {
        int r;

        connection_unwatch_call(connection);
        /* What becomes of it is in its state. */
        (void)qair_call_dispatch(connection->call);
        if (connection->state == CONNECTION_STATE_ASKING)
                return error_trace(connection_look_at_answer(connection));
        r = connection_watch_call(connection);
        if (r || qair_call_state(connection->call) == QAIR_STATE_RUNNING)
                return error_trace(r);
        if (qair_call_state(connection->call) == QAIR_STATE_ENDED)
                connection_say_ended(connection);
        return connection->state == CONNECTION_STATE_ENDING ? error_trace(connection_settle(connection)) : 0;
}

static int connection_on_client(Connection *connection, uint32_t events) {
        if (events & (EPOLLHUP | EPOLLERR))
                switch (connection->state) {
                case CONNECTION_STATE_ASKING:
                        return error_trace(connection_close(connection));
                case CONNECTION_STATE_RUNNING:
                        return error_trace(connection_hang_up(connection));
                case CONNECTION_STATE_ENDING:
                        connection_close_client(connection);
                        return error_trace(connection_settle(connection));
                case CONNECTION_STATE_CLOSED:
                case _CONNECTION_STATE_N:
                        return error_origin(-ENOTRECOVERABLE);
                }
        if (connection->state != CONNECTION_STATE_RUNNING)
                return 0;
        connection->up_due |= (events & (EPOLLIN | EPOLLRDHUP)) != 0;
        connection->down_due |= (events & EPOLLOUT) != 0;
        return 0;
}

int connection_on_event(Connection *connection, ConnectionPart part, uint32_t events) {
        switch (part) {
        case CONNECTION_PART_CLIENT:
                return connection->client_fd >= 0 ? error_trace(connection_on_client(connection, events)) : 0;
        case CONNECTION_PART_CALL:
                return connection->call_fd >= 0 ? error_trace(connection_on_call(connection)) : 0;
        case CONNECTION_PART_STDIN:
                connection->up_due |= connection->up_open;
                return 0;
        case CONNECTION_PART_STDOUT:
                connection->down_due |= connection->state == CONNECTION_STATE_RUNNING;
                return 0;
        case _CONNECTION_PART_N:
                break;
        }
        return error_origin(-ENOTRECOVERABLE);
}

static int connection_on_deadline(Connection *connection) {
        if (connection->state == CONNECTION_STATE_ASKING)
                return error_trace(connection_ask(connection));
        if (connection->call)
                log_notice("call %u: %s in %s goes on although the connection has ended: left alone",
                           qair_call_id(connection->call), connection->target->service, connection->target->domain);
        return error_trace(connection_close(connection));
}

int connection_run(Connection *connection, uint64_t now_usec) {
        int r = 0;

        if (connection->deadline_usec <= now_usec)
                r = connection_on_deadline(connection);
        if (!r && connection->up_due)
                r = connection_run_up(connection);
        if (!r && connection->down_due)
                r = connection_run_down(connection);
        return error_trace(r);
}
