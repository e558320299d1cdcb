/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "daemon/clients.h"
#include "daemon/deputy.h"
#include "daemon/guest.h"
#include "daemon/ports.h"
#include "daemon/requests.h"
#include "daemon/worker.h"
#include "vchan/endpoint.h"
#include "vchan/messages.h"
#include "vchan/vsock.h"
#include "wire/hello.h"
#include "wire/trigger.h"

/** Between two attempts to reach an agent that is not there: at first, and at most. */
#define DAEMON_RETRY_MIN_USEC VCHAN_RETRY_MIN_USEC
#define DAEMON_RETRY_MAX_USEC UINT64_C(100000)

/** Messages taken from the agent before other events are looked at again; and what came with the last of them. */
#define DAEMON_MESSAGES_MAX 64

/**
 * Refusals that may wait for an agent that goes on asking and does not read. Beside them waits at most a command of each
 * client.
 */
#define DAEMON_UNREAD_MAX (1024 * 1024)

/** A command with the domain's user in the place of DEFAULT. */
#define DAEMON_MESSAGE_MAX (WIRE_HEADER_SIZE + CLIENT_PAYLOAD_MAX + 256)

static const char daemon_default_user[] = "DEFAULT";

typedef enum DaemonState {
        DAEMON_STATE_DIALLING,
        DAEMON_STATE_HELLO,
        DAEMON_STATE_UP,
        DAEMON_STATE_LEFT, /* told to stop: what runs is waited for, and the agent is free for another daemon */
} DaemonState;

/* What an event is about: an address within Daemon, or a Request. */
struct Daemon {
        const DaemonSettings *settings;
        void (*on_up)(void *userdata); /* NULL once it was called */
        void *userdata;
        DaemonState state;
        Messages agent; /* HELLO, UP */
        Guest guest;    /* where it is a virtual machine */
        uint32_t version;
        Ports ports;
        Requests requests;
        Clients clients;
        Deputies deputies; /* none, where there is no broker */
        int epoll_fd, signal_fd;
        uint64_t deadline_usec; /* DIALLING: when it is too late; UINT64_MAX: never */
        uint64_t retry_usec, retry_at_usec;
        bool clients_are_watched; /* while the agent takes what it is told */
        uint32_t agent_events;    /* what the agent is watched for */
        size_t n_refusals;        /* bytes of them, since there was nothing that the agent had not taken */
        bool stopping;
        uint8_t message[DAEMON_MESSAGE_MAX];
};

Daemon *daemon_free(Daemon *daemon) {
        if (!daemon)
                return NULL;
        requests_deinit(&daemon->requests);
        clients_deinit(&daemon->clients);
        deputies_deinit(&daemon->deputies);
        guest_deinit(&daemon->guest);
        messages_close(&daemon->agent);
        fd_close(daemon->signal_fd);
        fd_close(daemon->epoll_fd);
        free(daemon);
        return NULL;
}
DEFINE_CLEANUP(Daemon *, daemon_free)

static bool daemon_has_agent(const Daemon *daemon) {
        return daemon->state == DAEMON_STATE_HELLO || daemon->state == DAEMON_STATE_UP;
}

static int daemon_watch(Daemon *daemon, int operation, int fd, uint32_t events, void *about) {
        struct epoll_event event = { .events = events, .data.ptr = about };

        return epoll_ctl(daemon->epoll_fd, operation, fd, &event) < 0 ? error_origin(-errno) : 0;
}

static int daemon_open_signals(Daemon *daemon) {
        struct sigaction by_default = { .sa_handler = SIG_DFL }, ignore = { .sa_handler = SIG_IGN };
        sigset_t set;

        if (sigaction(SIGCHLD, &by_default, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
                return error_origin(-errno);
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
                return error_origin(-errno);
        daemon->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (daemon->signal_fd < 0)
                return error_origin(-errno);
        return daemon_watch(daemon, EPOLL_CTL_ADD, daemon->signal_fd, EPOLLIN, &daemon->signal_fd);
}

int daemon_new(const DaemonSettings *settings, void (*on_up)(void *userdata), void *userdata, Daemon **ret_daemon) {
        _cleanup_(daemon_freep) Daemon *daemon = NULL;
        int r;

        daemon = calloc(1, sizeof(*daemon));
        if (!daemon)
                return error_origin(-ENOMEM);
        daemon->settings = settings;
        daemon->on_up = on_up;
        daemon->userdata = userdata;
        daemon->agent = MESSAGES_INIT;
        daemon->guest.acceptor = ACCEPTOR_INIT;
        daemon->ports = PORTS_INIT(settings->domain);
        daemon->signal_fd = daemon->deputies.epoll_fd = -1;
        daemon->clients.fd = daemon->clients.epoll_fd = daemon->clients.spare_fd = -1;
        daemon->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (daemon->epoll_fd < 0)
                return error_origin(-errno);
        r = clients_init(&daemon->clients, settings);
        if (!r)
                r = guest_init(&daemon->guest, settings, &daemon->ports, &daemon->clients);
        if (!r)
                r = daemon_watch(daemon, EPOLL_CTL_ADD, daemon->guest.acceptor.epoll_fd, EPOLLIN, &daemon->guest);
        if (!r)
                r = deputies_init(&daemon->deputies, settings);
        if (!r)
                r = daemon_watch(daemon, EPOLL_CTL_ADD, daemon->deputies.epoll_fd, EPOLLIN, &daemon->deputies);
        if (!r)
                r = daemon_open_signals(daemon);
        if (r)
                return r;
        *ret_daemon = steal_ptr(&daemon);
        return 0;
}

/* --- the agent -------------------------------------------------------------------------------------------------- */

static void daemon_start_dialling(Daemon *daemon, uint64_t limit_usec) {
        daemon->state = DAEMON_STATE_DIALLING;
        daemon->retry_at_usec = clock_now();
        daemon->retry_usec = DAEMON_RETRY_MIN_USEC;
        daemon->deadline_usec = limit_usec > 0 ? daemon->retry_at_usec + limit_usec : UINT64_MAX;
}

/* Takes the descriptor. */
static int daemon_open_agent(Daemon *daemon, int fd) {
        int r;

        r = messages_open(&daemon->agent, fd, TRIGGER4_SIZE_MAX);
        if (r)
                return r;
        daemon->state = DAEMON_STATE_HELLO;
        daemon->agent_events = EPOLLIN;
        return daemon_watch(daemon, EPOLL_CTL_ADD, daemon->agent.fd, EPOLLIN, &daemon->agent);
}

/* Return: 0, DAEMON_E_…, or a negative error */
static int daemon_dial(Daemon *daemon) {
        uint64_t now_usec = clock_now();
        int error, fd, r;

        if (now_usec < daemon->retry_at_usec && now_usec < daemon->deadline_usec)
                return 0;
        r = vchan_dial(&daemon->settings->place, daemon->settings->domain, VCHAN_PORT_CONTROL, &error, &fd);
        switch (r) {
        case 0:
                return daemon_open_agent(daemon, fd);
        case VCHAN_E_AGAIN:
                if (now_usec >= daemon->deadline_usec)
                        return DAEMON_E_TIMEOUT;
                daemon->retry_at_usec = now_usec + daemon->retry_usec;
                if (daemon->retry_at_usec > daemon->deadline_usec)
                        daemon->retry_at_usec = daemon->deadline_usec;
                if (daemon->retry_usec < DAEMON_RETRY_MAX_USEC)
                        daemon->retry_usec *= 2;
                return 0;
        default:
                log_error("cannot reach the agent of domain %u in %s: %s", daemon->settings->domain,
                          daemon->settings->place.directory, strerror(error));
                return DAEMON_E_BROKEN;
        }
}

static int daemon_on_hello(Daemon *daemon, const uint8_t *untrusted_payload) {
        Hello hello;
        int r;

        if (hello_decode(untrusted_payload, HELLO_SIZE, WIRE_VERSION_MIN, &hello)) {
                log_error("the agent speaks a version of the protocol that is too old");
                return DAEMON_E_BROKEN;
        }
        /* The agent's own number goes back to it, where it is one of ours (2.6). */
        daemon->version = hello_effective_version(&hello, WIRE_VERSION);
        r = messages_send_hello(&daemon->agent, daemon->version);
        if (r)
                return r;
        if (clients_open(&daemon->clients) || (daemon->settings->brokered && deputies_start(&daemon->deputies)))
                return DAEMON_E_BROKEN;
        daemon->state = DAEMON_STATE_UP;
        log_info("domain %s can be called; its agent speaks version %u", daemon->settings->name, daemon->version);
        if (daemon->on_up)
                daemon->on_up(daemon->userdata);
        daemon->on_up = NULL;
        return 0;
}

static void daemon_close_agent(Daemon *daemon) {
        clients_close(&daemon->clients);
        if (daemon->settings->vsock)
                guest_lose_agent(&daemon->guest, clock_now());
        deputies_dismiss(&daemon->deputies);
        requests_forget(&daemon->requests);
        (void)epoll_ctl(daemon->epoll_fd, EPOLL_CTL_DEL, daemon->agent.fd, NULL);
        messages_close(&daemon->agent);
}

/* 3.8: over vchan, ports stay as they are, since nobody will tell the ends of their calls. */
static int daemon_on_lost(Daemon *daemon) {
        log_warning("the agent of domain %s went away", daemon->settings->name);
        daemon_close_agent(daemon);
        daemon_start_dialling(daemon, 0);
        return 0;
}

static int daemon_on_guest(Daemon *daemon) {
        int fd, r;

        r = guest_next(&daemon->guest, &fd);
        if (r)
                return r == GUEST_E_AGAIN ? 0 : error_fold(r);
        if (daemon->state == DAEMON_STATE_DIALLING) {
                guest_probe(&daemon->guest);
                return daemon_open_agent(daemon, fd);
        }
        /* Or is it? If the machine was reset, we hear of it now, and this one dials again. */
        vsock_probe(daemon->agent.fd);
        guest_turn_away(&daemon->guest, fd);
        return 0;
}

static bool daemon_check(const void *userdata, WireHeader header) {
        const Daemon *daemon = userdata;
        bool ok = false;

        if (daemon->state == DAEMON_STATE_HELLO) {
                ok = header.type == WIRE_TYPE_HELLO && header.length == HELLO_SIZE;
        } else if (header.type == WIRE_TYPE_CONNECTION_TERMINATED) {
                ok = header.length == EXEC_PARAMS_SIZE;
        } else if (trigger_size_is_valid(header.type, header.length)) {
                ok = (header.type == WIRE_TYPE_TRIGGER_SERVICE2) == (daemon->version == 2) &&
                     (header.type != WIRE_TYPE_TRIGGER_SERVICE4 || daemon->version >= 4);
        }
        if (!ok)
                log_error("the agent sent what no agent sends (type 0x%x, %u bytes, version %u)", header.type,
                          header.length, daemon->version);
        return ok;
}

/* --- requests --------------------------------------------------------------------------------------------------- */

static int daemon_refuse(Daemon *daemon, const uint8_t field[static IDENT_SIZE]) {
        uint8_t message[WIRE_HEADER_SIZE + IDENT_SIZE];

        refusal_encode(field, message);
        if (messages_is_flushed(&daemon->agent))
                daemon->n_refusals = 0;
        daemon->n_refusals += sizeof(message);
        if (daemon->n_refusals > DAEMON_UNREAD_MAX && messages_waiting(&daemon->agent) > DAEMON_UNREAD_MAX) {
                log_error("the agent goes on asking and does not read what it is told");
                return DAEMON_E_BROKEN;
        }
        return messages_send(&daemon->agent, message, sizeof(message));
}

/* Return: 0, or a negative error: it has been logged, and is the request's alone */
static int daemon_start_worker(Daemon *daemon, const Trigger *trigger, Request *request) {
        int r;

        r = worker_start(daemon->settings, trigger, &request->pidfd);
        if (r)
                return r;
        r = daemon_watch(daemon, EPOLL_CTL_ADD, request->pidfd, EPOLLIN, request);
        if (r)
                process_kill(request->pidfd);
        return r;
}

static int daemon_on_trigger(Daemon *daemon, WireHeader header, const uint8_t *untrusted_payload) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        uint8_t field[IDENT_SIZE];
        Request *request;
        int r;

        r = trigger_decode(header.type, untrusted_payload, header.length, field, &trigger);
        if (r == TRIGGER_E_REFUSED)
                return daemon_refuse(daemon, field);
        if (r)
                return error_fold(r);
        request = requests_add(&daemon->requests, &trigger->ident);
        if (!request)
                return daemon_refuse(daemon, field);
        if (daemon_start_worker(daemon, trigger, request) < 0) {
                requests_remove(&daemon->requests, request);
                return daemon_refuse(daemon, field);
        }
        return 0;
}

static int daemon_on_terminated(Daemon *daemon, const uint8_t *untrusted_payload) {
        ExecParams params;
        Client *client;

        if (exec_params_decode(untrusted_payload, EXEC_PARAMS_SIZE, &params) || !port_is_data(params.connect_port)) {
                log_error("the agent says that a port is free which is none");
                return DAEMON_E_BROKEN;
        }
        if (daemon->settings->vsock)
                return error_trace(guest_terminate(&daemon->guest, &params));
        if (!ports_release(&daemon->ports, params.connect_domain, params.connect_port))
                return 0;
        client = clients_find(&daemon->clients, &params);
        if (client)
                clients_remove(&daemon->clients, client);
        return 0;
}

/* @ret_more: untouched if there may be more */
static int daemon_on_message(Daemon *daemon, bool *ret_more) {
        WireHeader header;
        uint8_t *payload;
        int r;

        r = messages_receive(&daemon->agent, daemon_check, daemon, &header, &payload);
        switch (r) {
        case 0:
                if (daemon->state == DAEMON_STATE_HELLO)
                        return daemon_on_hello(daemon, payload);
                if (header.type == WIRE_TYPE_CONNECTION_TERMINATED)
                        return daemon_on_terminated(daemon, payload);
                return daemon_on_trigger(daemon, header, payload);
        case MESSAGES_E_AGAIN:
                *ret_more = false;
                return 0;
        case MESSAGES_E_END:
                *ret_more = false;
                if (daemon->state == DAEMON_STATE_UP)
                        return daemon_on_lost(daemon);
                __attribute__((__fallthrough__));
        case MESSAGES_E_BROKEN:
                log_error("the agent went away in the middle of a message");
                return DAEMON_E_BROKEN;
        case MESSAGES_E_REFUSED:
                return DAEMON_E_BROKEN;
        default:
                return error_fold(r);
        }
}

static int daemon_on_agent(Daemon *daemon) {
        bool more = true;
        int r;

        r = messages_flush(&daemon->agent);
        /* Of what came together, no event tells of the rest. */
        for (unsigned i = 0; !r && more && (i < DAEMON_MESSAGES_MAX || messages_is_pending(&daemon->agent)); ++i)
                r = daemon_on_message(daemon, &more);
        return r;
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

/* "DEFAULT:" at the very beginning becomes the domain's user and ":"; never for an ident (3.6). */
static size_t daemon_default_length(const ClientCommand *command) {
        size_t n = strlen(daemon_default_user);

        return command->type != WIRE_TYPE_SERVICE_CONNECT && command->exec.n_text > n &&
                               memcmp(command->exec.text, daemon_default_user, n) == 0 && command->exec.text[n] == ':'
                       ? n
                       : 0;
}

static int daemon_forward(Daemon *daemon, const ClientCommand *command, const ExecParams *params) {
        size_t n_skip = daemon_default_length(command), n_user = n_skip > 0 ? strlen(daemon->settings->user) : 0;
        size_t n_text = command->exec.n_text + 1 - n_skip, n_payload = EXEC_PARAMS_SIZE + n_user + n_text;
        uint8_t *out = daemon->message;

        if (WIRE_HEADER_SIZE + n_payload > sizeof(daemon->message))
                return error_origin(-EMSGSIZE);
        wire_header_encode((WireHeader){ .type = command->type, .length = (uint32_t)n_payload }, out);
        exec_params_encode(params, out + WIRE_HEADER_SIZE);
        out += WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE;
        memcpy(out, daemon->settings->user, n_user);
        memcpy(out + n_user, command->exec.text + n_skip, n_text);
        return messages_send(&daemon->agent, daemon->message, WIRE_HEADER_SIZE + n_payload);
}

/* Return: 0, CLIENTS_E_GONE, or a negative error */
static int daemon_on_command(Daemon *daemon, Client *client, const ClientCommand *command) {
        ExecParams params = command->exec.params, answer = { .connect_domain = daemon->settings->domain };
        Request *request = NULL;
        int r;

        if (params.connect_port != 0 && !port_is_data(params.connect_port))
                return CLIENTS_E_GONE;
        if (command->type == WIRE_TYPE_SERVICE_CONNECT) {
                request = requests_find(&daemon->requests, command->exec.text);
                if (!request) {
                        log_warning("a client allows a request that nobody made, or that was allowed: \"%s\"",
                                    ESCAPED(command->exec.text, strlen(command->exec.text)));
                        return CLIENTS_E_GONE;
                }
        }
        if (daemon->settings->vsock) {
                if (guest_invite(&daemon->guest, client, &params))
                        return CLIENTS_E_GONE;
        } else if (params.connect_port == 0) {
                if (ports_allocate(&daemon->ports, params.connect_domain, &params.connect_port)) {
                        log_warning("no port is left for domain %u", params.connect_domain);
                        return CLIENTS_E_GONE;
                }
                client->params = params;
                answer.connect_port = params.connect_port;
                /* The client first, so that it can listen before it is dialled. */
                r = clients_answer(client, command->type, &answer);
                if (r)
                        return r;
        }
        if (request)
                request->state = REQUEST_STATE_ALLOWED;
        return daemon_forward(daemon, command, &params);
}

static int daemon_on_client(Daemon *daemon, Client *client) {
        ClientCommand command;
        int r;

        /* Behind its command there is nothing more to come; what came with it is too much. */
        do {
                r = clients_receive(&daemon->clients, client, &command);
                if (!r)
                        r = daemon_on_command(daemon, client, &command);
        } while (!r);
        if (r == CLIENTS_E_AGAIN)
                return 0;
        if (r == CLIENTS_E_GONE) {
                guest_remove_client(&daemon->guest, client);
                return 0;
        }
        return error_trace(r);
}

static int daemon_on_clients(Daemon *daemon) {
        struct epoll_event event;
        int n;

        /* One at a time: what an event frees cannot have another one behind it. */
        n = epoll_wait(daemon->clients.epoll_fd, &event, 1, 0);
        if (n < 0 && errno != EINTR)
                return error_origin(-errno);
        if (n <= 0)
                return 0;
        return event.data.ptr ? daemon_on_client(daemon, event.data.ptr) : clients_accept(&daemon->clients);
}

/* --- workers ---------------------------------------------------------------------------------------------------- */

/* What a worker said before it ended is there: it goes first, or a request that was allowed would be refused (3.5). */
static int daemon_hear_clients(Daemon *daemon) {
        Client *next;
        int r;

        if (daemon->clients.fd < 0)
                return 0;
        r = clients_accept(&daemon->clients);
        for (Client *client = daemon->clients.first; client && !r; client = next) {
                next = client->next;
                r = daemon_on_client(daemon, client);
        }
        return r;
}

static int daemon_on_worker(Daemon *daemon, Request *request) {
        uint8_t field[IDENT_SIZE];
        siginfo_t info = {};
        bool failed, refused;
        int r;

        r = daemon_hear_clients(daemon);
        if (r)
                return r;
        do
                r = waitid(P_PIDFD, (id_t)request->pidfd, &info, WEXITED | WNOHANG);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_origin(-errno);
        if (info.si_pid == 0)
                return 0;
        r = daemon_watch(daemon, EPOLL_CTL_DEL, request->pidfd, 0, NULL);
        if (r)
                return r;
        failed = info.si_code != CLD_EXITED || info.si_status != WORKER_STATUS_DONE;
        refused = failed && request->state == REQUEST_STATE_UNDECIDED;
        if (failed && request->state == REQUEST_STATE_ALLOWED)
                log_warning("a call of domain %s failed after it was allowed", daemon->settings->name);
        memcpy(field, request->ident.text, sizeof(field));
        requests_remove(&daemon->requests, request);
        return refused ? daemon_refuse(daemon, field) : 0;
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

/* What runs is seen to its end, unless we are told twice. Without a broker nothing needs us for that. */
static int daemon_on_signal(Daemon *daemon) {
        struct signalfd_siginfo info;

        if (read(daemon->signal_fd, &info, sizeof(info)) != sizeof(info))
                return 0;
        daemon->stopping = daemon->state == DAEMON_STATE_LEFT || deputies_are_gone(&daemon->deputies);
        if (daemon_has_agent(daemon))
                daemon_close_agent(daemon);
        /* A worker that was just forked may hold a copy for a moment: closing alone would not end the events. */
        (void)epoll_ctl(daemon->epoll_fd, EPOLL_CTL_DEL, daemon->guest.acceptor.epoll_fd, NULL);
        guest_deinit(&daemon->guest);
        daemon->state = DAEMON_STATE_LEFT;
        return 0;
}

static int daemon_on_deputies(Daemon *daemon) {
        int r;

        r = deputies_on_event(&daemon->deputies);
        if (daemon->state == DAEMON_STATE_LEFT && deputies_are_gone(&daemon->deputies))
                daemon->stopping = true;
        return r == DEPUTIES_E_LOST ? DAEMON_E_BROKEN : r;
}

static int daemon_on_event(Daemon *daemon, void *about) {
        if (about == &daemon->signal_fd)
                return daemon_on_signal(daemon);
        if (about == &daemon->deputies)
                return daemon_on_deputies(daemon);
        if (about == &daemon->agent)
                return daemon_on_agent(daemon);
        if (about == &daemon->guest)
                return daemon_on_guest(daemon);
        if (about == &daemon->clients)
                return daemon_on_clients(daemon);
        return daemon_on_worker(daemon, about);
}

/*
 * While the agent does not take what it is told, clients wait; the agent is heard all the same (3.6). Without an agent there are only those
 * whose calls go on, and their end.
 */
static int daemon_watch_all(Daemon *daemon) {
        bool watched = daemon->state != DAEMON_STATE_UP || messages_is_flushed(&daemon->agent);
        uint32_t events = messages_is_flushed(&daemon->agent) ? EPOLLIN : EPOLLIN | EPOLLOUT;
        int r = 0;

        if (watched != daemon->clients_are_watched)
                r = daemon_watch(daemon, watched ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, daemon->clients.epoll_fd, EPOLLIN,
                                 &daemon->clients);
        daemon->clients_are_watched = watched;
        if (!r && daemon_has_agent(daemon) && events != daemon->agent_events)
                r = daemon_watch(daemon, EPOLL_CTL_MOD, daemon->agent.fd, events, &daemon->agent);
        daemon->agent_events = events;
        return r;
}

/* Return: for epoll_wait(2), rounded up */
static int daemon_timeout(const Daemon *daemon) {
        uint64_t now_usec = clock_now();

        if (daemon->settings->vsock)
                return clock_timeout(guest_deadline(&daemon->guest), now_usec);
        if (daemon->state != DAEMON_STATE_DIALLING)
                return -1;
        return daemon->retry_at_usec <= now_usec ? 0 : (int)((daemon->retry_at_usec - now_usec) / USEC_PER_MSEC + 1);
}

static int daemon_turn(Daemon *daemon) {
        struct epoll_event event;
        int n, r = 0;

        if (daemon->state == DAEMON_STATE_DIALLING && !daemon->settings->vsock)
                r = daemon_dial(daemon);
        if (!r)
                r = daemon_watch_all(daemon);
        if (r)
                return r;
        guest_on_deadline(&daemon->guest, clock_now());
        n = epoll_wait(daemon->epoll_fd, &event, 1, daemon_timeout(daemon));
        if (n < 0 && errno != EINTR)
                return error_origin(-errno);
        return n == 1 ? daemon_on_event(daemon, event.data.ptr) : 0;
}

int daemon_run(Daemon *daemon) {
        int r = 0;

        daemon_start_dialling(daemon, daemon->settings->startup_usec);
        while (!r && !daemon->stopping)
                r = daemon_turn(daemon);
        return r;
}
