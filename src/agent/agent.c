/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/calls.h"
#include "agent/carrier.h"
#include "agent/direct.h"
#include "agent/link.h"
#include "agent/notify.h"
#include "agent/watch.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "wire/data.h"
#include "wire/hello.h"

/** Events taken from the kernel at a time. */
#define AGENT_EVENTS_MAX 64

/** How long an agent that has nothing else left waits for a broker to tell the last ends to. */
#define AGENT_TELL_USEC (3 * USEC_PER_SEC)

/* What a handler writes before it exits; one piece, since it is far below PIPE_BUF. */
typedef struct AgentReport {
        uint32_t call_id;
        uint32_t how; /* a CallHow */
        int32_t status;
} AgentReport;

struct Agent {
        const ServiceSettings *settings;
        Link link;
        Calls calls;
        WatchSet watches;
        DirectTable direct;
        CarrierTable carriers;
        int signal_fd;
        int report_read_fd, report_write_fd; /* all handlers write into one pipe */
        Watch link_watch, signal_watch, report_watch;
        bool link_full;        /* it takes no more: room is waited for */
        const char *notify;    /* NULL once READY=1 was sent */
        bool draining;         /* no more calls are taken */
        uint64_t drained_usec; /* since when none runs; 0: some do */
        bool stopping;
        uint8_t packet[ORDER_SIZE_MAX]; /* the order in hand; also the CALL_LIST being sent */
};

/* What epoll_wait(2) is to wait at most. */
static int timeout_until(uint64_t deadline_usec) {
        uint64_t now_usec, left;

        if (deadline_usec == UINT64_MAX)
                return -1;
        now_usec = clock_now();
        if (deadline_usec <= now_usec)
                return 0;
        left = (deadline_usec - now_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
        return left > INT_MAX ? INT_MAX : (int)left;
}

/* In a process of its own: see to the end what the calls of an agent that ends still need somebody for. */
static int agent_carry_on(Agent *agent) {
        WatchSet watches;
        int r;

        r = watch_set_init(&watches);
        if (!r)
                r = direct_table_resume(&agent->direct, &watches);
        if (r)
                return error_trace(r);
        carrier_table_resume(&agent->carriers, &watches);
        while (!direct_table_is_empty(&agent->direct) || !carrier_table_is_empty(&agent->carriers)) {
                struct epoll_event event;
                DataOutcome outcome;
                uint32_t call_id;
                int n;

                n = epoll_wait(watches.epoll_fd, &event, 1, timeout_until(carrier_table_deadline(&agent->carriers)));
                if (n < 0 && errno != EINTR)
                        return error_origin(-errno);
                if (n > 0 && watch_is_carriers(event.data.ptr))
                        carrier_on_event(&agent->carriers, event.data.ptr, event.events);
                else if (n > 0)
                        r = direct_on_event(&agent->direct, event.data.ptr, event.events, &call_id, &outcome);
                if (r)
                        return error_fold(r);
                carrier_table_run(&agent->carriers, clock_now());
                carrier_table_collect(&agent->carriers);
                direct_table_collect(&agent->direct);
        }
        return 0;
}

/* Called when nothing is open any more that a process of its own should not inherit. */
static void agent_leave(Agent *agent) {
        sigset_t none;
        pid_t pid;

        if (!direct_table_has_stderr(&agent->direct) && carrier_table_is_empty(&agent->carriers))
                return;
        pid = fork();
        if (pid == 0) {
                sigemptyset(&none);
                (void)sigprocmask(SIG_SETMASK, &none, NULL);
                (void)agent_carry_on(agent);
                _exit(0);
        }
        if (pid > 0)
                direct_table_leave(&agent->direct);
}

Agent *agent_free(Agent *agent) {
        if (!agent)
                return NULL;
        calls_deinit(&agent->calls);
        link_deinit(&agent->link);
        fd_close(agent->report_read_fd);
        fd_close(agent->report_write_fd);
        fd_close(agent->signal_fd);
        watch_set_deinit(&agent->watches);
        agent_leave(agent);
        carrier_table_deinit(&agent->carriers);
        direct_table_deinit(&agent->direct);
        free(agent);
        return NULL;
}
DEFINE_CLEANUP(Agent *, agent_free)

static int agent_open_signals(Agent *agent) {
        struct sigaction by_default = { .sa_handler = SIG_DFL }, ignore = { .sa_handler = SIG_IGN };
        sigset_t set;

        /* With SIGCHLD ignored, which is inherited, the kernel would reap handlers before we saw how they ended. */
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
        return error_origin(watch_set_add(&agent->watches, agent->signal_fd, EPOLLIN, &agent->signal_watch));
}

static int agent_open_reports(Agent *agent) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        agent->report_read_fd = fds[0];
        agent->report_write_fd = fds[1];
        /* Only our end: a handler waits rather than lose its report. */
        r = fd_set_nonblocking(agent->report_read_fd, true);
        if (r)
                return error_origin(r);
        return error_origin(watch_set_add(&agent->watches, agent->report_read_fd, EPOLLIN, &agent->report_watch));
}

/* It is told to the broker with the others of this turn. */
static void agent_on_carried(void *userdata, uint32_t call_id, const DataOutcome *outcome) {
        Agent *agent = userdata;
        Call *call = calls_lookup(&agent->calls, call_id);

        if (call && call->state == CALL_STATE_RUNNING)
                calls_end(&agent->calls, call, outcome->how, outcome->status, clock_now());
}

int agent_new(const ServiceSettings *settings, const char *link_path, const char *notify, Agent **ret_agent) {
        _cleanup_(agent_freep) Agent *agent = NULL;
        int r;

        agent = malloc(sizeof(*agent));
        if (!agent)
                return error_origin(-ENOMEM);
        agent->settings = settings;
        agent->signal_fd = agent->report_read_fd = agent->report_write_fd = -1;
        agent->watches = WATCH_SET_INIT;
        agent->direct = DIRECT_TABLE_INIT;
        agent->carriers = CARRIER_TABLE_INIT;
        agent->link_watch = (Watch){ WATCH_KIND_LINK };
        agent->signal_watch = (Watch){ WATCH_KIND_SIGNALS };
        agent->report_watch = (Watch){ WATCH_KIND_REPORTS };
        agent->notify = notify;
        agent->draining = agent->stopping = agent->link_full = false;
        agent->drained_usec = 0;
        link_init(&agent->link, link_path);
        calls_init(&agent->calls);

        r = watch_set_init(&agent->watches);
        if (r)
                return r;
        r = direct_table_init(&agent->direct, &agent->watches, settings);
        if (r)
                return r;
        carrier_table_init(&agent->carriers, &agent->watches, agent->direct.slots.null_fd);
        agent->carriers.on_ended = agent_on_carried;
        agent->carriers.userdata = agent;
        r = agent_open_signals(agent);
        if (r)
                return r;
        r = agent_open_reports(agent);
        if (r)
                return r;
        *ret_agent = steal_ptr(&agent);
        return 0;
}

/* --- the link --------------------------------------------------------------------------------------------------- */

/* Ends that nobody was told stay: the CALL_LIST of the next link names these calls too, and their ends follow it. */
static void agent_lose_link(Agent *agent, const char *reason) {
        /* A handler that was just forked holds a copy for a moment: closing alone would not end the events. */
        if (agent->link.fd >= 0)
                watch_set_remove(&agent->watches, agent->link.fd);
        link_lose(&agent->link, clock_now(), reason);
}

static int agent_send_ended(Agent *agent, const CallEnded *ended) {
        uint8_t message[WIRE_HEADER_SIZE + CALL_ENDED_SIZE];

        call_ended_encode(ended, message);
        return link_send(&agent->link, message, sizeof(message));
}

/* While a broker does not take what we tell it, nothing more is taken from it. */
static int agent_watch_link(Agent *agent, bool full) {
        if (agent->link_full == full)
                return 0;
        agent->link_full = full;
        return error_origin(
                watch_set_change(&agent->watches, agent->link.fd, full ? EPOLLOUT : EPOLLIN, &agent->link_watch));
}

static int agent_flush_ended(Agent *agent) {
        while (agent->link.state == LINK_STATE_UP && agent->calls.ended_first) {
                int r = agent_send_ended(agent, &agent->calls.ended_first->ended);

                switch (r) {
                case 0:
                        calls_remove(&agent->calls, agent->calls.ended_first);
                        break;
                case LINK_E_AGAIN:
                        return agent_watch_link(agent, true);
                case LINK_E_LOST:
                        agent_lose_link(agent, "the broker went away");
                        return 0;
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
        n_ids = calls_list(&agent->calls, ids);
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
                agent->link_full = false;
                r = error_origin(watch_set_add(&agent->watches, agent->link.fd, EPOLLIN, &agent->link_watch));
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

/*
 * Tell a caller that nothing was started (protocol specification, 5.10), without a handler: its stream is new, so
 * these few bytes fit, and nobody waits for its HELLO.
 */
static void agent_refuse_stream(int stream_fd, bool just_exec) {
        static const uint32_t ends[] = { WIRE_TYPE_DATA_STDOUT, WIRE_TYPE_DATA_STDERR };
        uint8_t message[5 * WIRE_HEADER_SIZE + DATA_EXIT_CODE_SIZE];
        size_t n = 0;

        wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, message);
        n += WIRE_HEADER_SIZE;
        hello_encode(&(Hello){ .version = WIRE_VERSION }, message + n);
        n += HELLO_SIZE;
        for (size_t i = 0; i < ARRAY_SIZE(ends) && !just_exec; ++i, n += WIRE_HEADER_SIZE)
                wire_header_encode((WireHeader){ .type = ends[i] }, message + n);
        wire_header_encode((WireHeader){ .type = WIRE_TYPE_DATA_EXIT_CODE, .length = DATA_EXIT_CODE_SIZE },
                           message + n);
        n += WIRE_HEADER_SIZE;
        data_exit_code_encode(125, message + n);
        n += DATA_EXIT_CODE_SIZE;
        (void)socket_send(stream_fd, message, n, NULL, 0, NULL);
}

/* A call that never began, and is not in the table for want of room. */
static int agent_refuse_call(Agent *agent, uint32_t id) {
        int r;

        r = agent_send_ended(agent, &(CallEnded){ .id = id, .how = CALL_HOW_NOT_STARTED, .status = 125 });
        switch (r) {
        case 0:
                return 0;
        case LINK_E_AGAIN: /* a full table and a full socket: start afresh */
        case LINK_E_LOST:
                agent_lose_link(agent, "the broker takes no messages");
                return 0;
        default:
                return error_fold(r);
        }
}

/* Close everything above standard error but these; -1 is none. */
static int agent_close_others(const int *keep, size_t n_keep) {
        unsigned low = 3;

        for (;;) {
                unsigned next = ~0U;

                for (size_t i = 0; i < n_keep; ++i)
                        if (keep[i] >= 0 && (unsigned)keep[i] >= low && (unsigned)keep[i] < next)
                                next = (unsigned)keep[i];
                if (next > low && close_range(low, next == ~0U ? next : next - 1, 0) < 0)
                        return error_origin(-errno);
                if (next == ~0U)
                        return 0;
                low = next + 1;
        }
}

/* In the forked process; does not return. */
__attribute__((noreturn)) static void agent_become_handler(Agent *agent, const Order *order, HandlerChannel *channel,
                                                           const Service *service) {
        int keep[] = { channel->stream_fd, channel->stdin_fd, channel->stdout_fd, agent->report_write_fd };
        DataOutcome outcome;
        AgentReport report;
        sigset_t none;

        /* SIGTERM first finds its default action again; one that came meanwhile ends us here. */
        sigemptyset(&none);
        if (agent_close_others(keep, ARRAY_SIZE(keep)) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                _exit(1);

        handler_run(agent->settings, order, channel, service, &outcome);
        report = (AgentReport){ .call_id = order->call_id, .how = outcome.how, .status = outcome.status };
        /* Where the agent is gone nobody needs it. */
        (void)!write(agent->report_write_fd, &report, sizeof(report));
        _exit(0);
}

/* Return: 0, or -errno (logged) */
static int agent_fork_handler(Agent *agent, const Order *order, HandlerChannel *channel, const Service *service,
                              Call *call) {
        int error = 0;
        pid_t pid;

        pid = fork();
        if (pid == 0)
                agent_become_handler(agent, order, channel, service);
        if (pid > 0)
                call->handler_pidfd = pidfd_open(pid, 0);
        if (pid < 0 || call->handler_pidfd < 0)
                error = errno;
        else
                error = -watch_set_add(&agent->watches, call->handler_pidfd, EPOLLIN, &call->watch);
        if (error) {
                if (pid > 0) {
                        /* A handler that we cannot watch must not run. It is ours: its pid is nobody else's yet. */
                        (void)kill(pid, SIGKILL);
                        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                                ;
                }
                log_warning("call %u: refused: cannot start its handler: %s", order->call_id, strerror(error));
                return -error;
        }
        ++agent->watches.n_forked;
        return 0;
}

/* Takes the descriptors. */
static int agent_start_framed(Agent *agent, const Order *order, int *fds, Call *call, DataOutcome *ret_outcome) {
        HandlerChannel channel = { .stream_fd = fd_steal(&fds[0]), .stdin_fd = -1, .stdout_fd = -1 };
        int r;

        r = agent_fork_handler(agent, order, &channel, NULL, call);
        if (r < 0) {
                agent_refuse_stream(channel.stream_fd, order->just_exec);
                *ret_outcome = (DataOutcome){ .how = CALL_HOW_NOT_STARTED, .status = 125 };
        }
        handler_channel_close(&channel);
        return r < 0 ? DIRECT_E_ENDED : 0;
}

/* A handler is needed only by programs whose configuration says so. Takes the descriptors. */
static int agent_start_direct(Agent *agent, const Order *order, int *fds, Call *call, DataOutcome *ret_outcome) {
        Channel pipes = { fd_steal(&fds[0]), fd_steal(&fds[1]), fd_steal(&fds[2]) };
        Service service;
        int r;

        r = service_resolve(agent->settings, order->call_id, order->text, &service);
        if (r) {
                service_failure(r, &ret_outcome->status, &ret_outcome->how);
                channel_refuse(&pipes, ret_outcome->status);
                r = DIRECT_E_ENDED;
        } else if (!service_is_program(&service)) {
                r = carrier_start(&agent->carriers, &service, &pipes, order->just_exec, clock_now(), &call->carrier,
                                  ret_outcome);
                r = r ? DIRECT_E_ENDED : 0;
        } else if (service.config.direct) {
                r = direct_start(&agent->direct, &service, &pipes, order->just_exec, &call->direct, ret_outcome);
        } else {
                HandlerChannel channel = { pipes.status_fd, pipes.stdin_fd, pipes.stdout_fd };

                r = agent_fork_handler(agent, order, &channel, &service, call);
                if (r < 0) {
                        *ret_outcome = (DataOutcome){ .how = CALL_HOW_NOT_STARTED, .status = 125 };
                        channel_refuse(&pipes, ret_outcome->status);
                        r = DIRECT_E_ENDED;
                } else {
                        handler_channel_close(&channel);
                }
        }
        service_deinit(&service);
        return r;
}

/* Tell a caller whose call is not even entered that nothing was started. */
static void agent_refuse_data(const Order *order, LinkPacket *packet) {
        if (order->mode == WIRE_DOMAIN_FRAMED && packet->n_fds > 0)
                agent_refuse_stream(packet->fds[0], order->just_exec);
        if (order->mode == WIRE_DOMAIN_DIRECT && packet->n_fds > 0) {
                Channel pipes = { fd_steal(&packet->fds[0]), -1, -1 };

                channel_refuse(&pipes, 125);
        }
}

/* Takes the descriptors of the packet that it wants. */
static int agent_on_exec(Agent *agent, const Order *order, LinkPacket *packet) {
        DataOutcome outcome = { .how = CALL_HOW_NOT_STARTED, .status = 125 };
        Call *call;
        int r;

        r = calls_add(&agent->calls, order->call_id, clock_now(), &call);
        if (r == CALLS_E_EXISTS) {
                /* Its end, told under this id, would be taken for the running one's. */
                log_warning("call %u: the broker gave this id to a second call, which is refused", order->call_id);
                agent_refuse_data(order, packet);
                return 0;
        }
        if (r) {
                log_warning("call %u: refused: %s", order->call_id,
                            r == CALLS_E_FULL ? "too many calls are running" : "out of memory");
                agent_refuse_data(order, packet);
                return agent_refuse_call(agent, order->call_id);
        }

        if (order->mode == WIRE_DOMAIN_FRAMED && packet->n_fds == 1 && !packet->lost_fds) {
                r = agent_start_framed(agent, order, packet->fds, call, &outcome);
        } else if (order->mode == WIRE_DOMAIN_DIRECT && packet->n_fds == 3 && !packet->lost_fds) {
                r = agent_start_direct(agent, order, packet->fds, call, &outcome);
        } else {
                log_warning("call %u: refused: its data comes in a way we do not understand (mode 0x%x, %zu "
                            "descriptors%s)",
                            order->call_id, order->mode, packet->n_fds, packet->lost_fds ? ", some lost" : "");
                r = DIRECT_E_ENDED;
        }
        if (r < 0)
                return r;
        if (r == DIRECT_E_ENDED) {
                calls_end(&agent->calls, call, outcome.how, outcome.status, clock_now());
                return agent_flush_ended(agent);
        }
        return 0;
}

static int agent_end_call(Agent *agent, Call *call, CallHow how, int status) {
        calls_end(&agent->calls, call, how, status, clock_now());
        return agent_flush_ended(agent);
}

static int agent_on_kill(Agent *agent, const Order *order) {
        Call *call = calls_lookup(&agent->calls, order->call_id);

        /* The call may have ended while the order was on its way. */
        if (!call || call->state != CALL_STATE_RUNNING)
                return 0;
        call->killed = true;
        if (call->direct) {
                direct_kill(&agent->direct, call->direct, clock_now());
                return 0;
        }
        if (call->carrier) {
                DataOutcome outcome;

                carrier_kill(&agent->carriers, call->carrier, &outcome);
                return agent_end_call(agent, call, outcome.how, outcome.status);
        }
        if (pidfd_send_signal(call->handler_pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
                return error_origin(-errno);
        return 0;
}

static void agent_take_report(Agent *agent, const AgentReport *report) {
        Call *call = calls_lookup(&agent->calls, report->call_id);

        /* The process of a call may have been reached by anybody of its account (ptrace): believe nothing odd. */
        if (!call || call->state != CALL_STATE_RUNNING || report->how >= _CALL_HOW_N || report->status < 0 ||
            report->status > 255)
                return;
        call->reported = true;
        call->ended.how = (CallHow)report->how;
        call->ended.status = report->status;
}

static int agent_on_reports(Agent *agent) {
        AgentReport reports[16];
        ssize_t n;

        do {
                n = read(agent->report_read_fd, reports, sizeof(reports));
                for (ssize_t i = 0; i < n / (ssize_t)sizeof(*reports); ++i)
                        agent_take_report(agent, &reports[i]);
        } while (n > 0 || (n < 0 && errno == EINTR));
        return n < 0 && errno != EAGAIN ? error_origin(-errno) : 0;
}

/* A handler ended; what it had to say is in the pipe before that. */
static int agent_on_handler(Agent *agent, Call *call) {
        CallHow how = CALL_HOW_SIGNALLED; /* a handler that dies without a word was not meant to */
        siginfo_t info = {};
        int r, status = 125;

        r = agent_on_reports(agent);
        if (r)
                return r;
        do
                r = waitid(P_PIDFD, (id_t)call->handler_pidfd, &info, WEXITED | WNOHANG);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_origin(-errno);
        if (info.si_pid == 0)
                return 0;

        call->handler_pidfd = watch_set_close(&agent->watches, call->handler_pidfd);
        --agent->watches.n_forked;
        if (call->reported) {
                status = call->ended.status;
                how = call->ended.how;
        } else if (call->killed && info.si_code != CLD_EXITED) {
                status = 128 + info.si_status;
        }
        return agent_end_call(agent, call, call->killed ? CALL_HOW_KILLED : how, status);
}

static int agent_on_direct(Agent *agent, Watch *watch, uint32_t events) {
        DataOutcome outcome;
        uint32_t call_id;
        Call *call;
        int r;

        r = direct_on_event(&agent->direct, watch, events, &call_id, &outcome);
        if (r != DIRECT_E_ENDED)
                return error_trace(r);
        call = calls_lookup(&agent->calls, call_id);
        return call ? agent_end_call(agent, call, outcome.how, outcome.status) : 0;
}

/* --- the loop --------------------------------------------------------------------------------------------------- */

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
                if (agent->link.state == LINK_STATE_UP)
                        return agent_on_exec(agent, &order, packet);
                break;
        case ORDER_TYPE_KILL:
                if (agent->link.state == LINK_STATE_UP)
                        return agent_on_kill(agent, &order);
                break;
        }
        agent_lose_link(agent, "the broker broke the protocol: HELLO comes first, and once");
        return 0;
}

/* One order a turn: what else has happened waits for no more than that. */
static int agent_on_link(Agent *agent) {
        LinkPacket packet;
        int r;

        r = agent_flush_ended(agent);
        if (r || agent->link.state == LINK_STATE_DOWN ||
            (agent->link.state == LINK_STATE_UP && agent->calls.ended_first))
                return r;
        r = link_receive(&agent->link, agent->packet, sizeof(agent->packet), &packet);
        switch (r) {
        case 0:
                r = agent_on_packet(agent, &packet);
                link_packet_close(&packet);
                return r;
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

        for (const Call *call = agent->calls.ended_first; call; call = call->next_ended)
                ++n_ended;
        return agent->calls.n_calls > n_ended;
}

/* The last call has ended, and the broker knows, or there is none that could be told. */
static void agent_check_drained(Agent *agent) {
        if (!agent->draining || agent_has_running(agent))
                return;
        if (agent->drained_usec == 0)
                agent->drained_usec = clock_now();
        if (agent->calls.n_calls == 0 || clock_now() - agent->drained_usec >= AGENT_TELL_USEC)
                agent->stopping = true;
}

static int agent_on_signal(Agent *agent) {
        struct signalfd_siginfo info;
        int r = 0;

        if (read(agent->signal_fd, &info, sizeof(info)) != sizeof(info))
                return 0;
        if (agent->draining) {
                agent->stopping = true;
                return 0;
        }
        /* What the broker ordered before is done: it has told the callers so. */
        if (agent->link.state == LINK_STATE_UP)
                r = agent_on_link(agent);
        agent->draining = true;
        if (r || agent->calls.n_calls == 0)
                return r;
        log_notice("told to stop: %zu calls still run here, and end first; a second signal ends this at once",
                   agent->calls.n_calls);
        if (agent->link.state == LINK_STATE_HELLO) {
                agent_lose_link(agent, "told to stop before the broker answered");
        } else if (agent->link.state == LINK_STATE_UP) {
                size_t n;

                /* Without ids: what the broker believes to run here does. */
                r = call_drain_encode(NULL, 0, agent->packet, sizeof(agent->packet), &n);
                r = r ?: link_send(&agent->link, agent->packet, n);
                if (r > 0)
                        agent_lose_link(agent, "the broker takes no messages");
        }
        return r < 0 ? r : 0;
}

static int agent_on_deadline(Agent *agent) {
        uint64_t now = clock_now();

        direct_table_on_deadline(&agent->direct, now);
        carrier_table_run(&agent->carriers, now);
        carrier_table_collect(&agent->carriers);
        if (agent->calls.ended_first && !agent->link_full) {
                int r = agent_flush_ended(agent);

                if (r)
                        return r;
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

static int agent_timeout(const Agent *agent) {
        uint64_t deadlines[] = { direct_table_deadline(&agent->direct), carrier_table_deadline(&agent->carriers),
                                 agent->link.deadline_usec,
                                 agent->drained_usec > 0 ? agent->drained_usec + AGENT_TELL_USEC : UINT64_MAX };
        uint64_t first = UINT64_MAX;

        for (size_t i = 0; i < ARRAY_SIZE(deadlines); ++i)
                if (deadlines[i] < first)
                        first = deadlines[i];
        return timeout_until(first);
}

static int agent_on_event(Agent *agent, Watch *watch, uint32_t events) {
        switch (watch->kind) {
        case WATCH_KIND_SIGNALS:
                return agent_on_signal(agent);
        case WATCH_KIND_REPORTS:
                return agent_on_reports(agent);
        case WATCH_KIND_LINK:
                return agent->link.state == LINK_STATE_DOWN ? 0 : agent_on_link(agent);
        case WATCH_KIND_HANDLER:
                return agent_on_handler(agent, container_of(watch, Call, watch));
        case WATCH_KIND_PROGRAM:
        case WATCH_KIND_STDERR:
        case WATCH_KIND_STATUS:
                return agent_on_direct(agent, watch, events);
        case WATCH_KIND_CARRIER_SOCKET:
        case WATCH_KIND_CARRIER_STDIN:
        case WATCH_KIND_CARRIER_STDOUT:
        case WATCH_KIND_CARRIER_STATUS:
                carrier_on_event(&agent->carriers, watch, events);
                return 0;
        }
        return 0;
}

int agent_run(Agent *agent) {
        struct epoll_event events[AGENT_EVENTS_MAX];

        while (!agent->stopping) {
                int n, r;

                r = agent_on_deadline(agent);
                if (r)
                        return r;
                n = epoll_wait(agent->watches.epoll_fd, events, AGENT_EVENTS_MAX, agent_timeout(agent));
                if (n < 0 && errno != EINTR)
                        return error_origin(-errno);
                for (int i = 0; i < n && !agent->stopping; ++i) {
                        r = agent_on_event(agent, events[i].data.ptr, events[i].events);
                        if (r)
                                return r;
                }
                direct_table_collect(&agent->direct);
                agent_check_drained(agent);
        }
        return 0;
}
