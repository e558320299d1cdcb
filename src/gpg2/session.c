/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/socket.h"
#include "gpg2/permission.h"

/** One end: what it wrote and nobody has read yet. */
typedef struct Peer {
        int fd; /* -1: not there */
        bool is_at_end;
        size_t n;
        size_t n_taken; /* of the line that was handed out last */
        char buffer[2 * (ASSUAN_LINE_MAX + 1)];
} Peer;

typedef struct Session {
        const SessionOptions *options;
        Filter filter;
        Peer client, agent, lister; /* lister: the agent's unrestricted socket, opened when a list is asked for */
        bool lists;                 /* the lister owes the answer */
        int result;                 /* SESSION_E_… */
        char shown[256];            /* the client's last command, for the log */
} Session;

/* Beside SESSION_E_…, which functions here return as well. */
enum {
        PEER_E_AGAIN = _SESSION_E_N,
        PEER_E_EOF,
        PEER_E_LONG,
};

static void session_deinit(Session *session) {
        fd_close(session->agent.fd);
        fd_close(session->lister.fd);
}

static int peer_read(Peer *peer) {
        ssize_t n = read(peer->fd, peer->buffer + peer->n, sizeof(peer->buffer) - peer->n);

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return 0;
        if (n < 0 && errno != ECONNRESET)
                return error_origin(-errno);
        if (n <= 0)
                peer->is_at_end = true;
        else
                peer->n += (size_t)n;
        return 0;
}

/* Its next line, without the end; borrowed until the next call. */
static int peer_next(Peer *peer, const char **ret_line, size_t *ret_n) {
        const char *end;

        memmove(peer->buffer, peer->buffer + peer->n_taken, peer->n - peer->n_taken);
        peer->n -= peer->n_taken;
        peer->n_taken = 0;
        end = memchr(peer->buffer, '\n', peer->n);
        if (!end && peer->n <= ASSUAN_LINE_MAX)
                return peer->is_at_end ? PEER_E_EOF : PEER_E_AGAIN;
        if (!end || end - peer->buffer > ASSUAN_LINE_MAX)
                return PEER_E_LONG;
        *ret_line = peer->buffer;
        *ret_n = (size_t)(end - peer->buffer);
        peer->n_taken = *ret_n + 1;
        return 0;
}

/* A peer that is gone is no error: the next read tells. */
static int peer_write(int fd, const char *data, size_t n) {
        int r = n > 0 ? fd_write_full(fd, data, n) : 0;

        return r == -EPIPE || r == -ECONNRESET ? 0 : error_origin(r);
}

static int session_connect(Session *session, const char *path, Peer *peer) {
        int r = socket_connect(path, SOCK_STREAM, &peer->fd);

        if (r >= 0)
                return 0;
        syslog(LOG_ERR, "ev=agent src=%s why=unreachable path=%s error=%s", session->options->source, path,
               strerror(-r));
        return SESSION_E_AGENT;
}

/* The agent greets every connection; the client has had its greeting. */
static int session_open_lister(Session *session) {
        const char *line;
        size_t n;
        int r;

        if (session->lister.fd >= 0)
                return 0;
        r = session_connect(session, session->options->keyring->socket, &session->lister);
        while (r == 0) {
                r = peer_next(&session->lister, &line, &n);
                if (r == 0 && assuan_word(line, n) == ASSUAN_WORD_OK)
                        return 0;
                if (r == PEER_E_AGAIN)
                        r = peer_read(&session->lister);
                else if (r > 0)
                        r = SESSION_E_AGENT;
        }
        return r;
}

static const char *operation_text(FilterOperation operation) {
        return operation == FILTER_OPERATION_SIGN ? "sign" : "decrypt";
}

static void session_log_operation(const Session *session, bool is_allowed, const char *why) {
        const Filter *filter = &session->filter;

        syslog(is_allowed ? LOG_INFO : LOG_NOTICE, "ev=%s src=%s verdict=%s why=%s key=%s hash=%u",
               operation_text(filter->operation), session->options->source, is_allowed ? "allow" : "deny", why,
               filter->key               ? filter->key->fingerprint
               : filter->grip[0] != '\0' ? filter->grip
                                         : "-",
               filter->operation == FILTER_OPERATION_SIGN ? filter->hash : 0);
}

static int session_apply(Session *session, const FilterAction *action);

/* Somebody has to say yes; the client may go away meanwhile. */
static int session_ask(Session *session, FilterOperation operation) {
        const SessionOptions *options = session->options;
        Permission permission;
        FilterAction action;
        int r;

        r = permission_get(options->source, operation, session->filter.key, options->config->accept_sec[operation],
                           &permission);
        if (r)
                return error_trace(r);
        session_log_operation(session, permission_is_yes(permission), permission_text(permission));
        if (permission_is_yes(permission))
                permission_tell(options->source, operation_text(operation));
        filter_on_consent(&session->filter, permission_is_yes(permission), &action);
        return session_apply(session, &action);
}

static void session_log_action(const Session *session, const FilterAction *action) {
        if (action->refused) {
                syslog(LOG_NOTICE, "ev=req src=%s verdict=deny what=%s", session->options->source, session->shown);
                permission_tell(session->options->source, "refused");
        } else if (action->ignored) {
                syslog(LOG_INFO, "ev=req src=%s verdict=ignore what=%s", session->options->source, session->shown);
        }
}

static int session_apply(Session *session, const FilterAction *action) {
        int r;

        session_log_action(session, action);
        if (action->refused)
                session->result = SESSION_E_REFUSED;
        if (action->n_to_agent > 0) {
                session->lists = action->lists;
                if (action->lists) {
                        r = session_open_lister(session);
                        if (r)
                                return r;
                }
                r = peer_write(session->lists ? session->lister.fd : session->agent.fd, action->to_agent,
                               action->n_to_agent);
                if (r)
                        return r;
        }
        r = peer_write(session->options->client_out_fd, action->to_client, action->n_to_client);
        if (r)
                return r;
        return action->ask != FILTER_OPERATION_NONE ? session_ask(session, action->ask) : 0;
}

/* For whoever looks for a fault: what was said, but not the data, which may be a session's key. */
static void session_debug(const Session *session, const char *who, const char *line, size_t n) {
        char shown[ESCAPE_MAX(ASSUAN_LINE_MAX)];

        if (session->options->debug_fd < 0)
                return;
        if (assuan_word(line, n) == ASSUAN_WORD_D)
                (void)dprintf(session->options->debug_fd, "%s: D (%zu bytes)\n", who, n);
        else
                (void)dprintf(session->options->debug_fd, "%s: %s\n", who, escape(shown, sizeof(shown), line, n));
}

/* A line of whoever owes one. Return: 0, PEER_E_AGAIN, PEER_E_EOF, SESSION_E_…, or a negative error */
static int session_step(Session *session, Peer *peer, bool is_client) {
        FilterAction action;
        const char *line;
        size_t n;
        int r;

        r = peer_next(peer, &line, &n);
        if (r == PEER_E_LONG) {
                (void)escape(session->shown, sizeof(session->shown), "a line that is too long", 23);
                filter_on_long_line(&session->filter, &action);
        } else if (r) {
                return r;
        } else if (is_client) {
                session_debug(session, "client", line, n);
                if (session->filter.state == FILTER_STATE_COMMAND)
                        (void)escape(session->shown, sizeof(session->shown), line, n);
                filter_on_client_line(&session->filter, line, n, clock_realtime() / USEC_PER_SEC, &action);
        } else {
                session_debug(session, "agent", line, n);
                filter_on_agent_line(&session->filter, line, n, &action);
                if (action.closes)
                        session->result = SESSION_E_AGENT;
        }
        return session_apply(session, &action);
}

/* Return: 0 if there is something to read, PEER_E_EOF if the client is gone, or a negative error. */
static int session_wait(const Session *session, const Peer *peer) {
        /* What the client reads with is gone when it is; that it writes no more says nothing. */
        struct pollfd polled[] = { { .fd = peer->fd, .events = POLLIN },
                                   { .fd = session->options->client_out_fd, .events = 0 } };

        while (poll(polled, ARRAY_SIZE(polled), -1) < 0)
                if (errno != EINTR)
                        return error_origin(-errno);
        return polled[1].revents & (POLLERR | POLLNVAL) || (polled[1].revents & POLLHUP && !polled[0].revents)
                       ? PEER_E_EOF
                       : 0;
}

int session_run(const SessionOptions *options) {
        _cleanup_(session_deinit) Session session = {
                .options = options,
                .client = { .fd = options->client_in_fd },
                .agent = { .fd = -1 },
                .lister = { .fd = -1 },
        };
        int r;

        filter_init(&session.filter, &(FilterOptions){ .keys = options->keyring->list.keys,
                                                       .n_keys = options->keyring->list.n_keys,
                                                       .allow_keygen = options->config->allow_keygen });
        /* New keys are made where nothing is restricted; all that is not allowed is filtered here anyway. */
        r = session_connect(&session,
                            options->config->allow_keygen ? options->keyring->socket : options->keyring->extra_socket,
                            &session.agent);
        while (r == 0 && session.filter.state != FILTER_STATE_CLOSED) {
                bool is_client = filter_wants_client(&session.filter);
                Peer *peer = is_client ? &session.client : session.lists ? &session.lister : &session.agent;

                r = session_step(&session, peer, is_client);
                if (r == PEER_E_AGAIN) {
                        r = session_wait(&session, peer);
                        if (r == 0)
                                r = peer_read(peer);
                        if (r == PEER_E_EOF)
                                return 0;
                } else if (r == PEER_E_EOF) {
                        if (is_client)
                                return 0;
                        syslog(LOG_ERR, "ev=agent src=%s why=gone", options->source);
                        return SESSION_E_AGENT;
                }
        }
        return r ?: session.result;
}
