/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/vchan.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/control.h"
#include "agent/dialled.h"
#include "agent/localclients.h"
#include "agent/notify.h"
#include "agent/session.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/trigger.h"

/** Orders taken from the daemon before other events are looked at again; one, if it starts a call, for that takes long. */
#define VCHAN_AGENT_ORDERS_MAX 64
/**
 * Other events that go before an order which came with the one before: ends of calls above all. The daemon has a port for
 * each call until it hears of the end, and not many.
 */
#define VCHAN_AGENT_PUT_OFF_MAX 16

struct VchanAgent {
        const ServiceSettings *settings;
        Medium medium;
        Control control;
        uint64_t n_controls; /* which control connection this is */
        LocalClients clients;
        DialledCalls calls;
        Session session;
        int epoll_fd, signal_fd;
        VchanWatch signal_watch, session_watch;
        const char *notify; /* NULL once READY=1 was sent */
        bool stopping;
        bool has_orders;    /* there may be some that came with others: no event tells of them */
        unsigned n_put_off; /* events that went before them */
        uint8_t trigger[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX]; /* the request in hand */
};

VchanAgent *vchan_agent_free(VchanAgent *agent) {
        if (!agent)
                return NULL;
        session_deinit(&agent->session);
        dialled_calls_deinit(&agent->calls);
        local_clients_close(&agent->clients);
        control_deinit(&agent->control);
        fd_close(agent->signal_fd);
        fd_close(agent->epoll_fd);
        free(agent);
        return NULL;
}
DEFINE_CLEANUP(VchanAgent *, vchan_agent_free)

static int vchan_agent_watch(VchanAgent *agent, int operation, int fd, uint32_t events, VchanWatch *watch) {
        struct epoll_event event = { .events = events, .data.ptr = watch };

        return epoll_ctl(agent->epoll_fd, operation, fd, &event) < 0 ? error_origin(-errno) : 0;
}

static int vchan_agent_open_signals(VchanAgent *agent) {
        struct sigaction by_default = { .sa_handler = SIG_DFL }, ignore = { .sa_handler = SIG_IGN };
        sigset_t set;

        /* With SIGCHLD ignored, which is inherited, the kernel would reap handlers before we saw them end. */
        if (sigaction(SIGCHLD, &by_default, NULL) < 0 || sigaction(SIGPIPE, &ignore, NULL) < 0)
                return error_origin(-errno);
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        if (sigprocmask(SIG_SETMASK, &set, NULL) < 0)
                return error_origin(-errno);
        agent->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (agent->signal_fd < 0)
                return error_origin(-errno);
        return vchan_agent_watch(agent, EPOLL_CTL_ADD, agent->signal_fd, EPOLLIN, &agent->signal_watch);
}

int vchan_agent_new(const ServiceSettings *settings, const Medium *medium, const char *socket_path, const char *notify,
                    VchanAgent **ret_agent) {
        _cleanup_(vchan_agent_freep) VchanAgent *agent = NULL;
        int r;

        agent = malloc(sizeof(*agent));
        if (!agent)
                return error_origin(-ENOMEM);
        agent->settings = settings;
        agent->medium = *medium;
        agent->n_controls = 0;
        agent->has_orders = false;
        agent->n_put_off = 0;
        agent->signal_fd = -1;
        agent->signal_watch = (VchanWatch){ VCHAN_WATCH_KIND_SIGNALS };
        agent->session_watch = (VchanWatch){ VCHAN_WATCH_KIND_SESSION };
        agent->notify = notify;
        agent->stopping = false;
        agent->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        control_init(&agent->control, &agent->medium, agent->epoll_fd);
        local_clients_init(&agent->clients, agent->epoll_fd, socket_path, &agent->medium);
        agent->calls = DIALLED_CALLS_INIT(settings, &agent->medium, agent->epoll_fd);
        session_init(&agent->session, settings);

        if (agent->epoll_fd < 0)
                return error_origin(-errno);
        r = vchan_agent_open_signals(agent);
        if (r)
                return r;
        *ret_agent = steal_ptr(&agent);
        return 0;
}

/* --- the control connection ------------------------------------------------------------------------------------- */

static int vchan_agent_open(VchanAgent *agent) {
        return control_open(&agent->control) ? VCHAN_AGENT_E_BROKEN : 0;
}

static int vchan_agent_establish(VchanAgent *agent, uint64_t now_usec) {
        int r;

        r = control_establish(&agent->control, now_usec);
        if (r)
                return r == CONTROL_E_AGAIN ? 0 : error_trace(r);
        ++agent->n_controls;
        return 0;
}

static int vchan_agent_on_hello(VchanAgent *agent) {
        if (local_clients_open(&agent->clients))
                return VCHAN_AGENT_E_BROKEN;
        log_info("the daemon is there, and speaks version %u", agent->control.version);
        if (agent->notify)
                notify_ready(agent->notify);
        agent->notify = NULL;
        return 0;
}

/* Who waits for an answer gets none any more: refused. What runs goes on, and is not the next daemon's. */
static int vchan_agent_on_lost(VchanAgent *agent) {
        local_clients_close(&agent->clients);
        return vchan_agent_open(agent);
}

/* --- calls ------------------------------------------------------------------------------------------------------ */

/* Does the daemon that ordered it still listen to us? */
static bool vchan_agent_is_current(const VchanAgent *agent, const DialledCall *call) {
        return call->control == agent->n_controls && agent->control.state == CONTROL_STATE_UP;
}

static int vchan_agent_end_call(VchanAgent *agent, DialledCall *call) {
        ExecParams params = call->params;
        bool current = vchan_agent_is_current(agent, call);

        dialled_calls_remove(&agent->calls, call);
        return current ? control_terminated(&agent->control, &params) : 0;
}

static int vchan_agent_start_call(VchanAgent *agent, DialledCall *call, const Service *service, int resolved) {
        return dialled_calls_start(&agent->calls, call, service, resolved) ? vchan_agent_end_call(agent, call) : 0;
}

/* Return: 0, SESSION_E_NONE, or a negative error */
static int vchan_agent_wait_for_session(VchanAgent *agent, DialledCall *call, const Service *service) {
        bool started;

        if (session_wait(&agent->session, service, &call->waiter, &started))
                return SESSION_E_NONE;
        if (!started)
                return 0;
        return vchan_agent_watch(agent, EPOLL_CTL_ADD, agent->session.pidfd, EPOLLIN, &agent->session_watch);
}

static void vchan_agent_complain(const DaemonOrder *order) {
        log_warning("the daemon says that a call is at port %u of the host, from our port %u: it cannot be there",
                    order->params.connect_domain, order->params.connect_port);
}

static int vchan_agent_on_exec(VchanAgent *agent, const DaemonOrder *order) {
        DialledCall *call;
        Service service;
        int r, resolved;

        /* As where the caller cannot be reached: nothing is started. */
        if (!medium_has(&agent->medium, &order->params)) {
                vchan_agent_complain(order);
                return control_terminated(&agent->control, &order->params);
        }
        r = dialled_calls_add(&agent->calls, order, agent->n_controls, &call);
        if (r)
                return r;
        resolved = service_resolve(agent->settings, call->id, call->text, &service);
        r = resolved ? SESSION_E_NONE : vchan_agent_wait_for_session(agent, call, &service);
        if (r == SESSION_E_NONE)
                r = vchan_agent_start_call(agent, call, &service, resolved);
        service_deinit(&service);
        return r;
}

/* Over vchan its caller may wait for it yet; over vsock that is over, and its port is perhaps that of another call. */
static bool vchan_agent_is_forsaken(const VchanAgent *agent, const DialledCall *call) {
        if (agent->medium.kind == MEDIUM_KIND_VCHAN || vchan_agent_is_current(agent, call))
                return false;
        log_warning("call %u: not started, for its daemon went away while it waited for the session", call->id);
        return true;
}

static int vchan_agent_on_session(VchanAgent *agent) {
        SessionWaiter *waiter;
        int r;

        r = vchan_agent_watch(agent, EPOLL_CTL_DEL, agent->session.pidfd, 0, NULL);
        if (!r)
                r = session_on_exit(&agent->session);
        while (!r && (waiter = session_next(&agent->session))) {
                DialledCall *call = container_of(waiter, DialledCall, waiter);
                Service service;
                int resolved;

                if (vchan_agent_is_forsaken(agent, call)) {
                        dialled_calls_remove(&agent->calls, call);
                        continue;
                }
                resolved = service_resolve(agent->settings, call->id, call->text, &service);
                r = vchan_agent_start_call(agent, call, &service, resolved);
                service_deinit(&service);
        }
        return r;
}

static int vchan_agent_on_handler(VchanAgent *agent, DialledCall *call) {
        int r;

        r = dialled_calls_reap(&agent->calls, call);
        if (r)
                return r == DIALLED_E_RUNS ? 0 : r;
        return vchan_agent_end_call(agent, call);
}

/* --- local clients ---------------------------------------------------------------------------------------------- */

/* One request at a time waits for room at the daemon; the others in their clients. */
static int vchan_agent_forward(VchanAgent *agent) {
        LocalClient *client;

        while (agent->control.state == CONTROL_STATE_UP && control_is_flushed(&agent->control) &&
               (client = local_clients_ready(&agent->clients))) {
                size_t n;
                int r;

                r = local_clients_forward(&agent->clients, client, agent->control.version, agent->trigger,
                                          sizeof(agent->trigger), &n);
                if (r == LOCAL_CLIENTS_E_GONE)
                        local_clients_refuse(&agent->clients, client, REPLY_REASON_REFUSED);
                else if (!r)
                        r = control_send(&agent->control, agent->trigger, n);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The daemon gets its port back, if the client had one. */
static int vchan_agent_end_client(VchanAgent *agent, LocalClient *client) {
        bool had_port = client->state == LOCAL_CLIENT_STATE_CONNECTED || client->state == LOCAL_CLIENT_STATE_DIALLING;
        ExecParams params = client->params;

        local_clients_remove(&agent->clients, client);
        return had_port ? control_terminated(&agent->control, &params) : 0;
}

static int vchan_agent_on_client(VchanAgent *agent, LocalClient *client) {
        int r = LOCAL_CLIENTS_E_GONE;

        if (client->state == LOCAL_CLIENT_STATE_READING)
                r = local_clients_read(&agent->clients, client);
        if (r != LOCAL_CLIENTS_E_GONE)
                return r == LOCAL_CLIENTS_E_AGAIN ? 0 : error_trace(r);
        /* It ended, or said more than it may, which is taken for the same (4.1). */
        return vchan_agent_end_client(agent, client);
}

/* As soon as it is handed over, the connection is no more ours: the daemon knows by its own end when the call is over. */
static int vchan_agent_dial(VchanAgent *agent, LocalClient *client, uint64_t now_usec) {
        int fd, r;

        r = local_clients_dial(&agent->clients, client, now_usec, &fd);
        if (!r)
                r = local_clients_give(&agent->clients, client, fd);
        switch (r) {
        case LOCAL_CLIENTS_E_AGAIN:
                return 0;
        case LOCAL_CLIENTS_E_GONE:
                return vchan_agent_end_client(agent, client);
        default:
                return error_fold(r);
        }
}

static int vchan_agent_on_connect(VchanAgent *agent, const DaemonOrder *order) {
        LocalClient *client = local_clients_find(&agent->clients, order->text);
        uint64_t now_usec = clock_now();
        int r = LOCAL_CLIENTS_E_GONE;

        if (!client)
                log_warning("the daemon allowed a request that nobody waits for: \"%s\"",
                            ESCAPED(order->text, strlen(order->text)));
        else if (!medium_has(&agent->medium, &order->params))
                vchan_agent_complain(order);
        else
                r = local_clients_connect(&agent->clients, client, &order->params, now_usec);
        if (!r && client->state == LOCAL_CLIENT_STATE_DIALLING)
                return vchan_agent_dial(agent, client, now_usec);
        if (r != LOCAL_CLIENTS_E_GONE)
                return error_trace(r);
        if (client)
                local_clients_refuse(&agent->clients, client, REPLY_REASON_UNAVAILABLE);
        /* Nobody will use the port: the daemon has it back at once. */
        return control_terminated(&agent->control, &order->params);
}

static void vchan_agent_on_refuse(VchanAgent *agent, const DaemonOrder *order) {
        LocalClient *client = local_clients_find(&agent->clients, order->text);

        if (client)
                local_clients_refuse(&agent->clients, client, REPLY_REASON_REFUSED);
        else
                log_warning("the daemon refused a request that nobody waits for: \"%s\"",
                            ESCAPED(order->text, strlen(order->text)));
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

static int vchan_agent_on_order(VchanAgent *agent, const DaemonOrder *order) {
        switch (order->type) {
        case DAEMON_ORDER_TYPE_EXEC:
                return vchan_agent_on_exec(agent, order);
        case DAEMON_ORDER_TYPE_CONNECT:
                return vchan_agent_on_connect(agent, order);
        case DAEMON_ORDER_TYPE_REFUSE:
                vchan_agent_on_refuse(agent, order);
                return 0;
        }
        return 0;
}

static int vchan_agent_on_control(VchanAgent *agent) {
        int r;

        if (!control_is_open(&agent->control))
                return vchan_agent_establish(agent, clock_now());
        r = control_flush(&agent->control);
        for (unsigned i = 0; !r && control_is_flushed(&agent->control); ++i) {
                DaemonOrder order;

                agent->has_orders = i >= VCHAN_AGENT_ORDERS_MAX;
                if (agent->has_orders)
                        return 0;
                r = control_receive(&agent->control, clock_now(), &order);
                switch (r) {
                case 0:
                        r = vchan_agent_on_order(agent, &order);
                        agent->has_orders = order.type == DAEMON_ORDER_TYPE_EXEC;
                        if (agent->has_orders)
                                return r;
                        break;
                case CONTROL_E_AGAIN:
                        return 0;
                case CONTROL_E_HELLO:
                        r = vchan_agent_on_hello(agent);
                        break;
                case CONTROL_E_LOST:
                        return vchan_agent_on_lost(agent);
                case CONTROL_E_BROKEN:
                        return VCHAN_AGENT_E_BROKEN;
                default:
                        return error_fold(r);
                }
        }
        return r;
}

static int vchan_agent_on_event(VchanAgent *agent, VchanWatch *watch) {
        switch (watch->kind) {
        case VCHAN_WATCH_KIND_SIGNALS:
                agent->stopping = true;
                return 0;
        case VCHAN_WATCH_KIND_CONTROL:
                return vchan_agent_on_control(agent);
        case VCHAN_WATCH_KIND_LISTENER:
                return local_clients_accept(&agent->clients, clock_now());
        case VCHAN_WATCH_KIND_CLIENT:
                return vchan_agent_on_client(agent, container_of(watch, LocalClient, watch));
        case VCHAN_WATCH_KIND_DIAL:
                return vchan_agent_dial(agent, container_of(watch, LocalClient, dial_watch), clock_now());
        case VCHAN_WATCH_KIND_HANDLER:
                return vchan_agent_on_handler(agent, container_of(watch, DialledCall, watch));
        case VCHAN_WATCH_KIND_SESSION:
                return vchan_agent_on_session(agent);
        }
        return 0;
}

static bool vchan_agent_has_orders(const VchanAgent *agent) {
        return agent->has_orders && agent->control.state == CONTROL_STATE_UP && control_is_flushed(&agent->control);
}

/* What is due at a time, not because of an event. */
static int vchan_agent_on_deadline(VchanAgent *agent, uint64_t now_usec) {
        LocalClient *client;
        int r;

        r = local_clients_on_deadline(&agent->clients, now_usec);
        while (!r && (client = local_clients_due(&agent->clients, now_usec)))
                r = vchan_agent_dial(agent, client, now_usec);
        if (!r && control_deadline(&agent->control) <= now_usec)
                r = vchan_agent_establish(agent, now_usec);
        return r;
}

static uint64_t vchan_agent_deadline(const VchanAgent *agent) {
        uint64_t clients_usec = local_clients_deadline(&agent->clients),
                 control_usec = control_deadline(&agent->control);

        return clients_usec < control_usec ? clients_usec : control_usec;
}

/* One event at a time: what it frees cannot have another one behind it. */
static int vchan_agent_turn(VchanAgent *agent) {
        struct epoll_event event;
        int n, r, timeout = 0;

        r = vchan_agent_on_deadline(agent, clock_now());
        if (!r)
                r = vchan_agent_forward(agent);
        if (!r)
                r = control_watch(&agent->control);
        if (r)
                return r;
        if (!vchan_agent_has_orders(agent))
                timeout = clock_timeout(vchan_agent_deadline(agent), clock_now());
        n = epoll_wait(agent->epoll_fd, &event, 1, timeout);
        if (n < 0 && errno != EINTR)
                return error_origin(-errno);
        if (n == 1)
                r = vchan_agent_on_event(agent, event.data.ptr);
        if (!r && vchan_agent_has_orders(agent) && (n == 0 || ++agent->n_put_off >= VCHAN_AGENT_PUT_OFF_MAX)) {
                agent->n_put_off = 0;
                r = vchan_agent_on_control(agent);
        }
        return r;
}

int vchan_agent_run(VchanAgent *agent) {
        int r;

        r = vchan_agent_open(agent);
        while (!r && !agent->stopping)
                r = vchan_agent_turn(agent);
        return r;
}
