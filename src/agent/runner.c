/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/channel.h"
#include "agent/handler.h"
#include "agent/waiting.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/socket.h"
#include "vchan/endpoint.h"
#include "wire/data.h"
#include "wire/hello.h"

/* What a handler writes before it exits; one piece, since it is far below PIPE_BUF. */
typedef struct RunnerReport {
        uint32_t call_id;
        uint32_t how; /* a CallHow */
        int32_t status;
} RunnerReport;

/* --- life ------------------------------------------------------------------------------------------------------- */

static int runner_open_signals(Runner *runner) {
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
        runner->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (runner->signal_fd < 0)
                return error_origin(-errno);
        return error_origin(watch_set_add(&runner->watches, runner->signal_fd, EPOLLIN, &runner->signal_watch));
}

static int runner_open_reports(Runner *runner) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        runner->report_read_fd = fds[0];
        runner->report_write_fd = fds[1];
        /* Only our end: a handler waits rather than lose its report. */
        r = fd_set_nonblocking(runner->report_read_fd, true);
        if (r)
                return error_origin(r);
        return error_origin(watch_set_add(&runner->watches, runner->report_read_fd, EPOLLIN, &runner->report_watch));
}

static void runner_end_call(Runner *runner, Call *call, CallHow how, int status) {
        calls_end(&runner->calls, call, how, status, clock_now());
}

static void runner_on_carried(void *userdata, uint32_t call_id, const DataOutcome *outcome) {
        Runner *runner = userdata;
        Call *call = calls_lookup(&runner->calls, call_id);

        if (call && call->state == CALL_STATE_RUNNING)
                runner_end_call(runner, call, outcome->how, outcome->status);
}

int runner_init(Runner *runner, const ServiceSettings *settings) {
        int r;

        *runner = (Runner){
                .settings = settings,
                .watches = WATCH_SET_INIT,
                .direct = DIRECT_TABLE_INIT,
                .carriers = CARRIER_TABLE_INIT,
                .handover = HANDOVER_INIT,
                .signal_fd = -1,
                .report_read_fd = -1,
                .report_write_fd = -1,
                .signal_watch = { WATCH_KIND_SIGNALS },
                .report_watch = { WATCH_KIND_REPORTS },
                .session_watch = { WATCH_KIND_SESSION },
        };
        calls_init(&runner->calls);
        session_init(&runner->session, settings);
        r = watch_set_init(&runner->watches);
        if (!r)
                r = direct_table_init(&runner->direct, &runner->watches, settings);
        if (r)
                return error_trace(r);
        carrier_table_init(&runner->carriers, &runner->watches, runner->direct.slots.null_fd);
        runner->carriers.on_ended = runner_on_carried;
        runner->carriers.userdata = runner;
        r = handover_init(&runner->handover, settings->fork_server);
        if (!r)
                r = runner_open_signals(runner);
        return r ? error_trace(r) : error_trace(runner_open_reports(runner));
}

/* In a process of its own: see to the end what open calls still need somebody for. */
static int runner_carry_on(Runner *runner) {
        WatchSet watches;
        int r;

        r = watch_set_init(&watches);
        /* Whoever forked us holds copies of all descriptors for a moment. */
        watches.n_forked = 1;
        if (!r)
                r = direct_table_resume(&runner->direct, &watches);
        if (r)
                return error_trace(r);
        carrier_table_resume(&runner->carriers, &watches);
        while (!direct_table_is_empty(&runner->direct) || !carrier_table_is_empty(&runner->carriers)) {
                struct epoll_event event;
                DataOutcome outcome;
                uint32_t call_id;
                int n;

                r = watch_set_wait(&watches, carrier_table_deadline(&runner->carriers), &event, 1, &n);
                if (!r && n > 0 && watch_is_carriers(event.data.ptr))
                        carrier_on_event(&runner->carriers, event.data.ptr, event.events);
                else if (!r && n > 0)
                        r = direct_on_event(&runner->direct, event.data.ptr, event.events, &call_id, &outcome);
                if (r)
                        return error_fold(r);
                carrier_table_run(&runner->carriers, clock_now());
                carrier_table_collect(&runner->carriers);
                direct_table_collect(&runner->direct);
        }
        return 0;
}

static void runner_leave(Runner *runner) {
        sigset_t none;
        pid_t pid;

        if (!direct_table_has_stderr(&runner->direct) && carrier_table_is_empty(&runner->carriers))
                return;
        pid = fork();
        if (pid == 0) {
                sigemptyset(&none);
                (void)sigprocmask(SIG_SETMASK, &none, NULL);
                (void)runner_carry_on(runner);
                _exit(0);
        }
        if (pid > 0)
                direct_table_leave(&runner->direct);
}

void runner_deinit(Runner *runner) {
        calls_deinit(&runner->calls);
        for (SessionWaiter *waiter = session_next(&runner->session); waiter; waiter = session_next(&runner->session))
                waiting_free(container_of(waiter, Waiting, waiter));
        session_deinit(&runner->session);
        handover_deinit(&runner->handover);
        runner->report_read_fd = fd_close(runner->report_read_fd);
        runner->report_write_fd = fd_close(runner->report_write_fd);
        runner->signal_fd = fd_close(runner->signal_fd);
        watch_set_deinit(&runner->watches);
        runner_leave(runner);
        carrier_table_deinit(&runner->carriers);
        direct_table_deinit(&runner->direct);
}

/* --- starts ----------------------------------------------------------------------------------------------------- */

/*
 * Tell a caller that nothing was started (protocol specification, 5.10), without a handler: its stream is new, so
 * these few bytes fit, and nobody waits for its HELLO.
 */
static void runner_refuse_stream(int stream_fd, bool just_exec, int status) {
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
        data_exit_code_encode(status, message + n);
        n += DATA_EXIT_CODE_SIZE;
        (void)socket_send(stream_fd, message, n, NULL, 0, NULL);
}

/* Close everything above standard error but these; -1 is none. */
static int runner_close_others(const int *keep, size_t n_keep) {
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

/* In the forked process, which has nothing else to do. Return: 0, or what vchan_dial_until() says (logged) */
static int runner_dial_caller(const ServiceSettings *settings, const Order *order, int *ret_fd) {
        int error = 0, r;

        r = vchan_dial_until(settings->place, order->mode, order->port, clock_now() + DIAL_LIMIT_USEC, &error, ret_fd);
        if (r)
                log_warning("call %u: cannot reach its caller, domain %u, at port %u: %s", order->call_id, order->mode,
                            order->port, r == VCHAN_E_TIMEOUT ? "it was not there in time" : strerror(error));
        return r;
}

/* In the forked process; does not return. */
__attribute__((noreturn)) static void runner_become_handler(Runner *runner, const ServiceSettings *settings,
                                                            const Order *order, HandlerChannel *channel,
                                                            const Service *service) {
        int keep[] = { channel->stream_fd, channel->stdin_fd, channel->stdout_fd, runner->report_write_fd };
        DataOutcome outcome;
        RunnerReport report;
        sigset_t none;

        /* SIGTERM first finds its default action again; one that came meanwhile ends us here. */
        sigemptyset(&none);
        if (runner_close_others(keep, ARRAY_SIZE(keep)) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                _exit(1);

        if (channel->stream_fd < 0 && runner_dial_caller(settings, order, &channel->stream_fd) != 0)
                _exit(1);
        handler_run(settings, order, channel, service, &outcome);
        report = (RunnerReport){ .call_id = order->call_id, .how = outcome.how, .status = outcome.status };
        /* Where whoever forked us is gone nobody needs it. */
        (void)!write(runner->report_write_fd, &report, sizeof(report));
        _exit(0);
}

/* Return: 0, or -errno (logged) */
static int runner_fork_handler(Runner *runner, const ServiceSettings *settings, const Order *order,
                               HandlerChannel *channel, const Service *service, Call *call) {
        int error;
        pid_t pid;

        pid = process_fork(&call->handler_pidfd);
        if (pid == 0)
                runner_become_handler(runner, settings, order, channel, service);
        error = pid < 0 ? errno : -watch_set_add(&runner->watches, call->handler_pidfd, EPOLLIN, &call->watch);
        if (error) {
                /* A handler that we cannot watch must not run. */
                if (pid > 0)
                        process_kill(call->handler_pidfd);
                log_warning("call %u: refused: cannot start its handler: %s", order->call_id, strerror(error));
                return -error;
        }
        ++runner->watches.n_forked;
        return 0;
}

/*
 * Give it to the fork server, if there is one that may have it; @connection: to it, -1: look for one.
 * Return: 0: it has it; HANDOVER_E_ABSENT: do it yourself.
 */
static int runner_hand_over(Runner *runner, const Order *order, const Service *service, const int *fds, size_t n_fds,
                            int connection, Call *call) {
        _cleanup_fd_ int fd = connection;

        if (!handover_is_for(service) || (fd < 0 && handover_connect(&runner->handover, &fd)) ||
            watch_set_add(&runner->watches, fd, EPOLLIN, &call->handed_watch) < 0)
                return HANDOVER_E_ABSENT;
        if (handover_send(fd, order, service, fds, n_fds)) {
                fd = watch_set_close(&runner->watches, fd);
                return HANDOVER_E_ABSENT;
        }
        call->handed_fd = fd_steal(&fd);
        return 0;
}

/*
 * Does it have to wait for the session? Then it is kept, with what came with it, and nothing of it is left here.
 * Return: 0: it waits; SESSION_E_NONE: it does not; or a negative error.
 */
static int runner_let_wait(Runner *runner, const ServiceSettings *settings, const Order *order, const Service *service,
                           int *fds, size_t n_fds, Call *call) {
        bool started = false;
        Waiting *waiting;

        if (!runner->waits_for_session || call->has_waited || settings != runner->settings ||
            !session_is_wanted(service))
                return SESSION_E_NONE;
        waiting = waiting_new(order, fds, n_fds);
        if (!waiting)
                return SESSION_E_NONE;
        if (session_wait(&runner->session, service, &waiting->waiter, &started)) {
                for (size_t i = 0; i < n_fds; ++i)
                        fds[i] = fd_steal(&waiting->fds[i]);
                waiting_free(waiting);
                return SESSION_E_NONE;
        }
        call->waiting = waiting;
        return started ? error_origin(watch_set_add(&runner->watches, runner->session.pidfd, EPOLLIN,
                                                    &runner->session_watch))
                       : 0;
}

/* Where there is a session or a fork server, it has to be known what is called; else a handler finds that out. */
static int runner_start_framed(Runner *runner, const ServiceSettings *settings, const Order *order, int *fds,
                               Call *call, DataOutcome *ret_outcome) {
        HandlerChannel channel = { .stream_fd = fd_steal(&fds[0]), .stdin_fd = -1, .stdout_fd = -1 };
        _cleanup_(service_deinit) Service service = { .config = CONFIG_INIT };
        const Service *resolved = NULL;
        int connection = -1, r = 0;
        bool has_server = handover_connect(&runner->handover, &connection) == 0;

        if (has_server ||
            (runner->waits_for_session && !call->has_waited && session_may_be_wanted(settings, order->text))) {
                r = service_resolve(settings, order->call_id, order->text, &service);
                resolved = &service;
                if (r) {
                        service_failure(r, &ret_outcome->status, &ret_outcome->how);
                } else {
                        int waits = runner_let_wait(runner, settings, order, &service, &channel.stream_fd, 1, call);

                        if (waits <= 0) {
                                fd_close(connection);
                                return waits;
                        }
                        if (has_server && runner_hand_over(runner, order, &service, &channel.stream_fd, 1,
                                                           fd_steal(&connection), call) == 0) {
                                handler_channel_close(&channel);
                                return 0;
                        }
                }
                fd_close(connection);
        }
        if (!r)
                r = runner_fork_handler(runner, settings, order, &channel, resolved, call);
        if (r < 0)
                *ret_outcome = (DataOutcome){ .how = CALL_HOW_NOT_STARTED, .status = 125 };
        if (r)
                runner_refuse_stream(channel.stream_fd, order->just_exec, ret_outcome->status);
        handler_channel_close(&channel);
        return r ? DIRECT_E_ENDED : 0;
}

/* A handler is needed only by programs whose configuration says so. Takes the descriptors. */
static int runner_start_direct(Runner *runner, const ServiceSettings *settings, const Order *order, int *fds,
                               Call *call, DataOutcome *ret_outcome) {
        Channel pipes = { fd_steal(&fds[0]), fd_steal(&fds[1]), fd_steal(&fds[2]) };
        Service service;
        int r, waits = SESSION_E_NONE;

        r = service_resolve(settings, order->call_id, order->text, &service);
        if (!r) {
                int all[] = { pipes.status_fd, pipes.stdin_fd, pipes.stdout_fd };

                waits = runner_let_wait(runner, settings, order, &service, all, ARRAY_SIZE(all), call);
        }
        if (waits <= 0) {
                r = waits;
        } else if (r) {
                service_failure(r, &ret_outcome->status, &ret_outcome->how);
                channel_refuse(&pipes, ret_outcome->status);
                r = DIRECT_E_ENDED;
        } else if (!service_is_program(&service)) {
                r = carrier_start(&runner->carriers, &service, &pipes, order->just_exec, clock_now(), &call->carrier,
                                  ret_outcome);
                r = r ? DIRECT_E_ENDED : 0;
        } else if (service.config.direct &&
                   runner_hand_over(runner, order, &service,
                                    (int[]){ pipes.status_fd, pipes.stdin_fd, pipes.stdout_fd }, 3, -1, call) == 0) {
                channel_close(&pipes);
        } else if (service.config.direct) {
                r = direct_start(&runner->direct, &service, &pipes, order->just_exec, &call->direct, ret_outcome);
        } else {
                HandlerChannel channel = { pipes.status_fd, pipes.stdin_fd, pipes.stdout_fd };

                r = runner_fork_handler(runner, settings, order, &channel, &service, call);
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
static void runner_refuse_data(const Order *order, const RunnerData *data) {
        if (order->mode == WIRE_DOMAIN_FRAMED && data->n_fds > 0)
                runner_refuse_stream(data->fds[0], order->just_exec, 125);
        if (order->mode == WIRE_DOMAIN_DIRECT && data->n_fds > 0) {
                Channel pipes = { fd_steal(&data->fds[0]), -1, -1 };

                channel_refuse(&pipes, 125);
        }
}

/* @call is in the table, and nothing of it runs. Return: 0 or a negative error */
static int runner_begin(Runner *runner, const ServiceSettings *settings, const Order *order, const RunnerData *data,
                        Call *call) {
        DataOutcome outcome = { .how = CALL_HOW_NOT_STARTED, .status = 125 };
        int r;

        if (settings->place && order->mode < WIRE_DOMAIN_REFUSED && data->n_fds == 0 && !data->lost_fds) {
                HandlerChannel none = { -1, -1, -1 };

                r = runner_fork_handler(runner, settings, order, &none, NULL, call) < 0 ? DIRECT_E_ENDED : 0;
        } else if (order->mode == WIRE_DOMAIN_FRAMED && data->n_fds == 1 && !data->lost_fds) {
                r = runner_start_framed(runner, settings, order, data->fds, call, &outcome);
        } else if (order->mode == WIRE_DOMAIN_DIRECT && data->n_fds == 3 && !data->lost_fds) {
                r = runner_start_direct(runner, settings, order, data->fds, call, &outcome);
        } else {
                log_warning("call %u: refused: its data comes in a way we do not understand (mode 0x%x, %zu "
                            "descriptors%s)",
                            order->call_id, order->mode, data->n_fds, data->lost_fds ? ", some lost" : "");
                r = DIRECT_E_ENDED;
        }
        if (r == DIRECT_E_ENDED)
                runner_end_call(runner, call, outcome.how, outcome.status);
        return r < 0 ? error_trace(r) : 0;
}

int runner_start(Runner *runner, const ServiceSettings *settings, const Order *order, const RunnerData *data) {
        Call *call;
        int r;

        if (!settings)
                settings = runner->settings;
        r = calls_add(&runner->calls, order->call_id, clock_now(), &call);
        if (r) {
                log_warning("call %u: refused: %s", order->call_id,
                            r == CALLS_E_EXISTS ? "another call has this id"
                            : r == CALLS_E_FULL ? "too many calls are running"
                                                : "out of memory");
                runner_refuse_data(order, data);
                return r == CALLS_E_EXISTS ? RUNNER_E_EXISTS : RUNNER_E_FULL;
        }

        return error_trace(runner_begin(runner, settings, order, data, call));
}

int runner_kill(Runner *runner, uint32_t call_id) {
        Call *call = calls_lookup(&runner->calls, call_id);

        /* The call may have ended while the order was on its way. */
        if (!call || call->state != CALL_STATE_RUNNING)
                return 0;
        call->killed = true;
        if (call->waiting) {
                RunnerData data = { .fds = call->waiting->fds, .n_fds = call->waiting->n_fds };

                /* What waits is freed when the session is there. */
                runner_refuse_data(&call->waiting->order, &data);
                fd_close_all(call->waiting->fds, call->waiting->n_fds);
                call->waiting->n_fds = 0;
                call->waiting = NULL;
                runner_end_call(runner, call, CALL_HOW_KILLED, 125);
                return 0;
        }
        if (call->direct) {
                direct_kill(&runner->direct, call->direct, clock_now());
                return 0;
        }
        if (call->carrier) {
                DataOutcome outcome;

                carrier_kill(&runner->carriers, call->carrier, &outcome);
                runner_end_call(runner, call, outcome.how, outcome.status);
                return 0;
        }
        if (call->handed_fd >= 0) {
                handover_kill(call->handed_fd, call_id);
                return 0;
        }
        if (pidfd_send_signal(call->handler_pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
                return error_origin(-errno);
        return 0;
}

int runner_kill_all(Runner *runner) {
        int r = 0;

        for (size_t i = 0; !r && i < runner->calls.n_buckets; ++i)
                for (Call *call = runner->calls.buckets[i]; !r && call; call = call->next_same_bucket)
                        r = runner_kill(runner, call->id);
        return error_trace(r);
}

/* --- events ----------------------------------------------------------------------------------------------------- */

static void runner_take_report(Runner *runner, const RunnerReport *report) {
        Call *call = calls_lookup(&runner->calls, report->call_id);

        /* The process of a call may have been reached by anybody of its account (ptrace): believe nothing odd. */
        if (!call || call->state != CALL_STATE_RUNNING || report->how >= _CALL_HOW_N || report->status < 0 ||
            report->status > 255)
                return;
        call->reported = true;
        call->ended.how = (CallHow)report->how;
        call->ended.status = report->status;
}

static int runner_on_reports(Runner *runner) {
        RunnerReport reports[16];
        ssize_t n;

        do {
                n = read(runner->report_read_fd, reports, sizeof(reports));
                for (ssize_t i = 0; i < n / (ssize_t)sizeof(*reports); ++i)
                        runner_take_report(runner, &reports[i]);
        } while (n > 0 || (n < 0 && errno == EINTR));
        return n < 0 && errno != EAGAIN ? error_origin(-errno) : 0;
}

/* A handler ended; what it had to say is in the pipe before that. */
static int runner_on_handler(Runner *runner, Call *call) {
        CallHow how = CALL_HOW_SIGNALLED; /* a handler that dies without a word was not meant to */
        siginfo_t info = {};
        int r, status = 125;

        r = runner_on_reports(runner);
        if (r)
                return r;
        do
                r = waitid(P_PIDFD, (id_t)call->handler_pidfd, &info, WEXITED | WNOHANG);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_origin(-errno);
        if (info.si_pid == 0)
                return 0;

        call->handler_pidfd = watch_set_close(&runner->watches, call->handler_pidfd);
        --runner->watches.n_forked;
        if (call->reported) {
                status = call->ended.status;
                how = call->ended.how;
        } else if (call->killed && info.si_code != CLD_EXITED) {
                status = 128 + info.si_status;
        }
        runner_end_call(runner, call, call->killed ? CALL_HOW_KILLED : how, status);
        return 0;
}

static void runner_on_handed(Runner *runner, Call *call) {
        ForkserverAnswer answer;
        int r;

        if (call->state != CALL_STATE_RUNNING)
                return;
        r = handover_receive(call->handed_fd, &answer);
        if (r == HANDOVER_E_AGAIN)
                return;
        if (r) {
                log_warning("call %u: the fork server went away", call->id);
                answer = (ForkserverAnswer){ .how = CALL_HOW_ABANDONED, .status = 125 };
        }
        call->handed_fd = watch_set_close(&runner->watches, call->handed_fd);
        runner_end_call(runner, call, answer.how, answer.status);
}

/* The session is there, or will never be: those that waited begin, in their order. */
static int runner_on_session(Runner *runner) {
        SessionWaiter *waiter;
        int r = 0;

        if (runner->session.pidfd < 0)
                return 0;
        watch_set_remove(&runner->watches, runner->session.pidfd);
        r = session_on_exit(&runner->session);
        while (!r && (waiter = session_next(&runner->session))) {
                Waiting *waiting = container_of(waiter, Waiting, waiter);
                Call *call = calls_lookup(&runner->calls, waiting->order.call_id);
                RunnerData data = { .fds = waiting->fds, .n_fds = waiting->n_fds };

                if (call && call->waiting == waiting) {
                        call->waiting = NULL;
                        call->has_waited = true;
                        r = runner_begin(runner, runner->settings, &waiting->order, &data, call);
                }
                waiting_free(waiting);
        }
        return error_trace(r);
}

static int runner_on_direct(Runner *runner, Watch *watch, uint32_t events) {
        DataOutcome outcome;
        uint32_t call_id;
        Call *call;
        int r;

        r = direct_on_event(&runner->direct, watch, events, &call_id, &outcome);
        if (r != DIRECT_E_ENDED)
                return error_trace(r);
        call = calls_lookup(&runner->calls, call_id);
        if (call)
                runner_end_call(runner, call, outcome.how, outcome.status);
        return 0;
}

void runner_settle(Runner *runner) {
        uint64_t now_usec = clock_now();

        direct_table_on_deadline(&runner->direct, now_usec);
        carrier_table_run(&runner->carriers, now_usec);
        carrier_table_collect(&runner->carriers);
        direct_table_collect(&runner->direct);
}

int runner_wait(Runner *runner, uint64_t deadline_usec, struct epoll_event *events, int n_max, int *ret_n) {
        uint64_t due_usec;

        due_usec = carrier_table_deadline(&runner->carriers);
        if (due_usec < deadline_usec)
                deadline_usec = due_usec;
        due_usec = direct_table_deadline(&runner->direct);
        if (due_usec < deadline_usec)
                deadline_usec = due_usec;
        return error_trace(watch_set_wait(&runner->watches, deadline_usec, events, n_max, ret_n));
}

bool runner_take_signal(Runner *runner) {
        struct signalfd_siginfo info;

        return read(runner->signal_fd, &info, sizeof(info)) == sizeof(info);
}

int runner_on_event(Runner *runner, const struct epoll_event *event) {
        Watch *watch = event->data.ptr;

        switch (watch->kind) {
        case WATCH_KIND_SIGNALS:
                runner->stopping = runner_take_signal(runner) || runner->stopping;
                return 0;
        case WATCH_KIND_REPORTS:
                return runner_on_reports(runner);
        case WATCH_KIND_HANDLER:
                return runner_on_handler(runner, container_of(watch, Call, watch));
        case WATCH_KIND_HANDED:
                runner_on_handed(runner, container_of(watch, Call, handed_watch));
                return 0;
        case WATCH_KIND_SESSION:
                return runner_on_session(runner);
        case WATCH_KIND_PROGRAM:
        case WATCH_KIND_STDERR:
        case WATCH_KIND_STATUS:
                return runner_on_direct(runner, watch, event->events);
        case WATCH_KIND_CARRIER_SOCKET:
        case WATCH_KIND_CARRIER_STDIN:
        case WATCH_KIND_CARRIER_STDOUT:
        case WATCH_KIND_CARRIER_STATUS:
                carrier_on_event(&runner->carriers, watch, event->events);
                return 0;
        case WATCH_KIND_LINK:
        case WATCH_KIND_LISTENER:
        case WATCH_KIND_PEER:
                break;
        }
        return error_origin(-EINVAL);
}
