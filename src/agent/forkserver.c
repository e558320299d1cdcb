/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/forkserver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/runner.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "wire/forkserver.h"
#include "wire/header.h"

/** Of calls that dial their callers, which have a port and no id: above all that brokers give out. */
#define FORKSERVER_OWN_IDS UINT32_C(0x40000000)
/** Events taken from the kernel at a time. */
#define FORKSERVER_EVENTS_MAX 64

typedef struct ForkserverPeer ForkserverPeer;

struct ForkserverPeer {
        ForkserverPeer *next, **place; /* in the server's list, the newest first; closed: in its list of those */
        int fd;                        /* -1: closed */
        Watch watch;
        bool running;
        bool dials; /* RUNNING: it is an upstream agent's, or one that speaks like it: there is no answer */
        uint32_t call_id;
        uint64_t deadline_usec; /* READING */
        size_t n_data;          /* how much of a request there is, or in RUNNING of a CALL_KILL */
        size_t n_wanted;
        uint8_t header[FORKSERVER_HEADER_SIZE];
        uint8_t *data; /* READING, after the header: all of the request */
        int fds[SOCKET_FDS_MAX];
        size_t n_fds;
        bool lost_fds;
};

struct Forkserver {
        Runner runner;
        const ServiceSettings *settings;
        int listen_fd;
        int reserve_fd; /* given up for a moment when descriptors run out, to refuse instead of spin */
        Watch listen_watch;
        ForkserverPeer *first, *closed;
        size_t n_peers, n_reading;
        uint32_t n_own_ids;
        bool listening; /* else there are too many peers */
};

/* --- peers ------------------------------------------------------------------------------------------------------ */

static void forkserver_link(ForkserverPeer **list, ForkserverPeer *peer) {
        peer->next = *list;
        if (peer->next)
                peer->next->place = &peer->next;
        *list = peer;
        peer->place = list;
}

static void forkserver_unlink(ForkserverPeer *peer) {
        *peer->place = peer->next;
        if (peer->next)
                peer->next->place = peer->place;
}

static void forkserver_drop_request(Forkserver *server, ForkserverPeer *peer) {
        for (size_t i = 0; i < peer->n_fds; ++i)
                peer->fds[i] = fd_close(peer->fds[i]);
        peer->n_fds = 0;
        free(peer->data);
        peer->data = NULL;
        if (!peer->running)
                --server->n_reading;
}

/* Freed only after the events that were taken together, one of which may be its own. */
static void forkserver_close(Forkserver *server, ForkserverPeer *peer) {
        if (peer->fd < 0)
                return;
        forkserver_drop_request(server, peer);
        peer->fd = watch_set_close(&server->runner.watches, peer->fd);
        forkserver_unlink(peer);
        forkserver_link(&server->closed, peer);
        --server->n_peers;
        if (peer->running) {
                Call *call = calls_lookup(&server->runner.calls, peer->call_id);

                if (call && call->owner == peer)
                        call->owner = NULL;
        }
}

static void forkserver_collect(Forkserver *server) {
        while (server->closed) {
                ForkserverPeer *peer = server->closed;

                forkserver_unlink(peer);
                free(peer);
        }
}

static int forkserver_listen(Forkserver *server, bool listening) {
        if (server->listening == listening)
                return 0;
        server->listening = listening;
        return error_origin(watch_set_change(&server->runner.watches, server->listen_fd, listening ? EPOLLIN : 0,
                                             &server->listen_watch));
}

static void forkserver_add(Forkserver *server, int fd) {
        ForkserverPeer *peer = malloc(sizeof(*peer));

        if (peer)
                *peer = (ForkserverPeer){
                        .fd = fd,
                        .watch = { WATCH_KIND_PEER },
                        .deadline_usec = clock_now() + FORKSERVER_READ_USEC,
                        .n_wanted = FORKSERVER_HEADER_SIZE,
                };
        if (!peer || watch_set_add(&server->runner.watches, fd, EPOLLIN, &peer->watch) < 0) {
                free(peer);
                fd_close(fd);
                return;
        }
        forkserver_link(&server->first, peer);
        ++server->n_peers;
        ++server->n_reading;
}

static int forkserver_on_listener(Forkserver *server) {
        struct ucred credentials;
        int fd;

        fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE) && server->reserve_fd >= 0) {
                server->reserve_fd = fd_close(server->reserve_fd);
                fd_close(accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC));
                server->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
                log_warning("too many files are open: a call was refused");
                return 0;
        }
        if (fd < 0)
                return errno == EINVAL || errno == EBADF || errno == ENOTSOCK ? error_origin(-errno) : 0;
        if (socket_peer(fd, &credentials) < 0 || credentials.uid != geteuid()) {
                log_warning("a process of uid %u is not served", credentials.uid);
                fd_close(fd);
                return 0;
        }
        forkserver_add(server, fd);
        return server->n_peers < FORKSERVER_PEERS_MAX ? 0 : error_trace(forkserver_listen(server, false));
}

/* --- requests --------------------------------------------------------------------------------------------------- */

/* A copy of our environment with the request's folders: services are told where services are (6.8). */
static char **forkserver_environment(const Forkserver *server, const ForkserverRequest *request, char **ret_buffer) {
        static const char name[] = "QREXEC_SERVICE_PATH=";
        char *const *base = server->settings->environment;
        char **environment;
        size_t n = 0, n_kept = 0;

        while (base[n])
                ++n;
        environment = calloc(n + 2, sizeof(*environment));
        *ret_buffer = malloc(sizeof(name) + (request->service_path ? strlen(request->service_path) : 0));
        if (!environment || !*ret_buffer) {
                free(environment);
                return NULL;
        }
        for (size_t i = 0; i < n; ++i)
                if (!request->service_path || strncmp(base[i], name, strlen(name)) != 0)
                        environment[n_kept++] = base[i];
        if (request->service_path) {
                strcpy(*ret_buffer, name);
                strcat(*ret_buffer, request->service_path);
                environment[n_kept] = *ret_buffer;
        }
        return environment;
}

static void forkserver_answer(Forkserver *server, ForkserverPeer *peer, CallHow how, int status) {
        uint8_t data[FORKSERVER_ANSWER_SIZE];

        forkserver_answer_encode(&(ForkserverAnswer){ .how = how, .status = status }, data);
        if (!peer->dials)
                (void)socket_send(peer->fd, data, sizeof(data), NULL, 0, NULL);
        forkserver_close(server, peer);
}

static int forkserver_start(Forkserver *server, ForkserverPeer *peer, const ForkserverRequest *request) {
        _cleanup_free_ char *buffer = NULL;
        _cleanup_free_ char **environment = NULL;
        ServiceSettings settings = *server->settings;
        Order order = {
                .type = ORDER_TYPE_EXEC,
                .call_id = request->params.connect_port,
                .mode = request->params.connect_domain,
                .just_exec = request->type == WIRE_TYPE_JUST_EXEC,
                .text = request->command,
        };
        RunnerData data = { .fds = peer->fds, .n_fds = peer->n_fds, .lost_fds = peer->lost_fds };
        Call *call;
        int r;

        if (order.mode < WIRE_DOMAIN_REFUSED) {
                order.port = order.call_id;
                order.call_id = FORKSERVER_OWN_IDS + server->n_own_ids++ % FORKSERVER_OWN_IDS;
                peer->dials = true;
        }
        environment = forkserver_environment(server, request, &buffer);
        if (!environment)
                return error_origin(-ENOMEM);
        settings.environment = environment;
        settings.service_path = request->service_path ?: settings.service_path;
        settings.config_path = request->config_path ?: settings.config_path;
        r = runner_start(&server->runner, &settings, &order, &data);
        if (r < 0)
                return error_trace(r);
        if (r) {
                forkserver_answer(server, peer, CALL_HOW_NOT_STARTED, 125);
                return 0;
        }
        forkserver_drop_request(server, peer);
        peer->running = true;
        peer->call_id = order.call_id;
        peer->n_data = 0;
        peer->n_wanted = FORKSERVER_HEADER_SIZE;
        call = calls_lookup(&server->runner.calls, order.call_id);
        if (call)
                call->owner = peer;
        return 0;
}

static int forkserver_on_request(Forkserver *server, ForkserverPeer *peer) {
        ForkserverRequest request;

        if (forkserver_request_decode(peer->data, peer->n_data, &request)) {
                log_warning("a request is malformed");
                forkserver_close(server, peer);
                return 0;
        }
        return error_trace(forkserver_start(server, peer, &request));
}

/* The header of a request is there, or all of a CALL_KILL. */
static int forkserver_on_header(Forkserver *server, ForkserverPeer *peer) {
        ForkserverHeader header;

        if (forkserver_header_decode(peer->header, sizeof(peer->header), &header) ||
            (header.type == WIRE_TYPE_CALL_KILL) != peer->running) {
                log_warning("a request is malformed");
                forkserver_close(server, peer);
                return 0;
        }
        if (peer->running) {
                peer->n_data = 0;
                return header.params.connect_port == peer->call_id
                               ? error_trace(runner_kill(&server->runner, peer->call_id))
                               : 0;
        }
        peer->n_wanted = FORKSERVER_HEADER_SIZE + header.n_text;
        peer->data = malloc(peer->n_wanted);
        if (!peer->data)
                return error_origin(-ENOMEM);
        memcpy(peer->data, peer->header, sizeof(peer->header));
        return 0;
}

/* Descriptors come with the first byte, and later none. */
static int forkserver_receive(ForkserverPeer *peer, size_t *ret_n) {
        uint8_t *at = peer->data ? peer->data + peer->n_data : peer->header + peer->n_data;
        size_t n = peer->n_wanted - peer->n_data;

        if (peer->running || peer->n_data > 0)
                return socket_receive(peer->fd, at, n, ret_n, NULL, 0, NULL);
        return socket_receive_partial(peer->fd, at, n, ret_n, peer->fds, SOCKET_FDS_MAX, &peer->n_fds, &peer->lost_fds);
}

static int forkserver_on_peer(Forkserver *server, ForkserverPeer *peer) {
        size_t n;
        int r;

        if (peer->fd < 0)
                return 0;
        r = forkserver_receive(peer, &n);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
                return 0;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
        case SOCKET_E_TRUNCATED:
                forkserver_close(server, peer);
                return 0;
        default:
                return error_fold(r);
        }
        peer->n_data += n;
        if (peer->n_data < peer->n_wanted)
                return 0;
        return peer->data ? error_trace(forkserver_on_request(server, peer))
                          : error_trace(forkserver_on_header(server, peer));
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

static void forkserver_tell_ended(Forkserver *server) {
        Calls *calls = &server->runner.calls;

        while (calls->ended_first) {
                Call *call = calls->ended_first;
                ForkserverPeer *peer = call->owner;

                if (peer)
                        forkserver_answer(server, peer, call->ended.how, call->ended.status);
                calls_remove(calls, call);
        }
}

/* Close those whose time is over. Return: when the next one's is. */
static uint64_t forkserver_check_deadlines(Forkserver *server) {
        uint64_t now_usec = clock_now(), first_usec = UINT64_MAX;
        ForkserverPeer *next;

        if (server->n_reading == 0)
                return UINT64_MAX;
        for (ForkserverPeer *peer = server->first; peer; peer = next) {
                next = peer->next;
                if (peer->running)
                        continue;
                if (peer->deadline_usec <= now_usec)
                        forkserver_close(server, peer);
                else if (peer->deadline_usec < first_usec)
                        first_usec = peer->deadline_usec;
        }
        return first_usec;
}

static int forkserver_on_event(Forkserver *server, const struct epoll_event *event) {
        Watch *watch = event->data.ptr;

        if (watch == &server->listen_watch)
                return error_trace(forkserver_on_listener(server));
        if (watch->kind == WATCH_KIND_PEER)
                return error_trace(forkserver_on_peer(server, container_of(watch, ForkserverPeer, watch)));
        return error_trace(runner_on_event(&server->runner, event));
}

int forkserver_run(Forkserver *server) {
        struct epoll_event events[FORKSERVER_EVENTS_MAX];

        while (!server->runner.stopping) {
                uint64_t deadline_usec;
                int n = 0, r = 0;

                runner_settle(&server->runner);
                forkserver_tell_ended(server);
                deadline_usec = forkserver_check_deadlines(server);
                forkserver_collect(server);
                if (server->n_peers < FORKSERVER_PEERS_MAX)
                        r = forkserver_listen(server, true);
                if (!r)
                        r = runner_wait(&server->runner, deadline_usec, events, FORKSERVER_EVENTS_MAX, &n);
                for (int i = 0; !r && i < n && !server->runner.stopping; ++i)
                        r = forkserver_on_event(server, &events[i]);
                if (r)
                        return error_trace(r);
        }
        return 0;
}

Forkserver *forkserver_free(Forkserver *server) {
        if (!server)
                return NULL;
        while (server->first)
                forkserver_close(server, server->first);
        forkserver_collect(server);
        fd_close(server->listen_fd);
        fd_close(server->reserve_fd);
        runner_deinit(&server->runner);
        free(server);
        return NULL;
}

int forkserver_new(const ServiceSettings *settings, int listen_fd, Forkserver **ret_server) {
        Forkserver *server = malloc(sizeof(*server));
        int r;

        if (!server) {
                fd_close(listen_fd);
                return error_origin(-ENOMEM);
        }
        *server = (Forkserver){
                .settings = settings,
                .listen_fd = listen_fd,
                .reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
                .listen_watch = { WATCH_KIND_LISTENER },
                .listening = true,
        };
        r = runner_init(&server->runner, settings);
        if (!r)
                r = error_origin(watch_set_add(&server->runner.watches, listen_fd, EPOLLIN, &server->listen_watch));
        if (r) {
                forkserver_free(server);
                return r;
        }
        *ret_server = server;
        return 0;
}
