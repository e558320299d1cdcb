/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/handler.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/dial.h"
#include "agent/servicelog.h"
#include "agent/spawn.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "data/bridge.h"
#include "data/prepare.h"
#include "data/status.h"

typedef struct Handler {
        const Service *service;
        bool just_exec;
        ServicelogSink sink;
        Servicelog log;
        HandlerChannel channel;

        /* the program that was started; sockets have none */
        pid_t program_pid;
        int program_pidfd; /* ours: DataCallee closes its own when the program has ended */
        int kill_fd;       /* signalfd: orders to end the program */
        bool killing;      /* SIGTERM was passed on */
} Handler;

void handler_channel_close(HandlerChannel *channel) {
        channel->stream_fd = fd_close(channel->stream_fd);
        channel->stdin_fd = fd_close(channel->stdin_fd);
        channel->stdout_fd = fd_close(channel->stdout_fd);
}

/* --- programs --------------------------------------------------------------------------------------------------- */

/* The program's ends of its streams, and ours. */
typedef struct HandlerStreams {
        int stdin_fd, stdout_fd, stderr_fd;
        int in_fd, out_fd, err_fd;
} HandlerStreams;

#define HANDLER_STREAMS_INIT \
        { .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1, .in_fd = -1, .out_fd = -1, .err_fd = -1 }

static void handler_streams_close(HandlerStreams *streams) {
        streams->stdin_fd = fd_close(streams->stdin_fd);
        streams->stdout_fd = fd_close(streams->stdout_fd);
        streams->stderr_fd = fd_close(streams->stderr_fd);
        streams->in_fd = fd_close(streams->in_fd);
        streams->out_fd = fd_close(streams->out_fd);
        streams->err_fd = fd_close(streams->err_fd);
}

static int handler_open_pair(int *ret_ours, int *ret_theirs) {
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_origin(-errno);
        *ret_ours = fds[0];
        *ret_theirs = fds[1];
        return 0;
}

/* A pipe, not a socket, so that a program can open /dev/stderr once more (6.9). */
static int handler_open_stderr(HandlerStreams *streams) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        streams->err_fd = fds[0];
        streams->stderr_fd = fds[1];
        return 0;
}

static int handler_open_null(int *ret_fd) {
        *ret_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        return *ret_fd < 0 ? error_origin(-errno) : 0;
}

static int handler_open_streams(const Handler *handler, HandlerStreams *streams) {
        int r;

        if (handler->just_exec) {
                r = handler_open_null(&streams->stdin_fd);
                if (!r)
                        r = handler_open_null(&streams->stdout_fd);
                if (!r)
                        r = handler->service->command.is_service ? handler_open_stderr(streams)
                                                                 : handler_open_null(&streams->stderr_fd);
                return r;
        }
        r = handler_open_pair(&streams->in_fd, &streams->stdin_fd);
        if (!r)
                r = handler_open_pair(&streams->out_fd, &streams->stdout_fd);
        if (!r)
                r = handler_open_stderr(streams);
        return r;
}

static int handler_start(Handler *handler, const HandlerStreams *streams, int *ret_pidfd) {
        ServiceProgram program = {
                .stdin_fd = streams->stdin_fd,
                .stdout_fd = streams->stdout_fd,
                .stderr_fd = streams->stderr_fd,
                .agent_pid = getpid(),
        };
        int r;

        r = service_spawn(handler->service, &program);
        if (r)
                return r;
        handler->program_pid = program.pid;
        *ret_pidfd = program.pidfd;
        return 0;
}

/* --- the end of a program by order ------------------------------------------------------------------------------ */

/*
 * From here on the signals of CALL_KILL are events of the data loop. Called before the program exists, so that an
 * order which arrives meanwhile waits for it.
 */
static int handler_watch_signals(Handler *handler) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGALRM);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return error_origin(-errno);
        handler->kill_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return handler->kill_fd < 0 ? error_origin(-errno) : 0;
}

static void handler_unblock(int signal) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, signal);
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void handler_on_signal(void *userdata) {
        Handler *handler = userdata;
        struct signalfd_siginfo info;

        if (read(handler->kill_fd, &info, sizeof(info)) != sizeof(info))
                return;
        if (info.ssi_signo == SIGTERM) {
                if (handler->killing)
                        return;
                handler->killing = true;
                spawn_signal_group(handler->program_pid, handler->program_pidfd, SIGTERM);
                alarm(HANDLER_KILL_SEC);
                return;
        }
        /*
         * SIGKILL leaves nobody of the group; but a process that went into another session may hold the streams, and
         * the call, open for ever. The next SIGALRM finds its default action and ends this process, and so the call.
         */
        spawn_signal_group(handler->program_pid, handler->program_pidfd, SIGKILL);
        handler_unblock(SIGALRM);
        alarm(HANDLER_KILLED_SEC);
}

static void handler_on_stderr(void *userdata, const void *untrusted_data, size_t n) {
        Handler *handler = userdata;

        servicelog_write(&handler->log, untrusted_data, n);
}

/* --- ways through a call ---------------------------------------------------------------------------------------- */

static bool handler_is_direct(const Handler *handler) {
        return handler->channel.stdin_fd >= 0;
}

static int handler_run_data(Handler *handler, DataCallee *callee, DataOutcome *outcome) {
        HandlerChannel *channel = &handler->channel;
        int r;

        callee->stream_fd = fd_steal(&channel->stream_fd);
        callee->userdata = handler;
        if (handler_is_direct(handler))
                r = data_bridge_run(callee, fd_steal(&channel->stdin_fd), fd_steal(&channel->stdout_fd), outcome);
        else
                r = data_callee_run(callee, outcome);
        /* How the service ended is lost; that the call ended is not. */
        if (r < 0)
                *outcome = (DataOutcome){ .status = 125, .how = CALL_HOW_ABANDONED };
        return 0;
}

/* The one message of a call without data, or without a service. */
static void handler_answer(Handler *handler, int status) {
        int stream_fd = fd_steal(&handler->channel.stream_fd);

        if (handler_is_direct(handler)) {
                DataStatus stream = { .fd = stream_fd };

                (void)data_status_exit(&stream, status);
                data_status_deinit(&stream);
        } else if (handler->just_exec) {
                (void)data_callee_detached(stream_fd, status);
        } else {
                (void)data_callee_fail(stream_fd, status);
        }
}

static void handler_set_outcome(int r, DataOutcome *outcome) {
        service_failure(r, &outcome->status, &outcome->how);
}

/*
 * The standard error of a program that nobody waits for: a process of its own takes it to the log until the last
 * writer is gone. It is nobody's child in the end: the call is over as soon as the program has begun.
 */
static void handler_fork_logger(Handler *handler, int err_fd) {
        char data[1024];
        ssize_t n;

        if (fork() != 0)
                return;
        if (dup2(err_fd, 3) != 3 || close_range(4, ~0U, 0) < 0)
                _exit(1);
        for (;;) {
                n = read(3, data, sizeof(data));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                servicelog_write(&handler->log, data, (size_t)n);
        }
        servicelog_deinit(&handler->log);
        _exit(0);
}

/* @r: how the start went. Whoever does not wait learns only that there was a process (5.9); the broker learns all. */
static int handler_detach(Handler *handler, int r, HandlerStreams *streams, DataOutcome *outcome) {
        if (r == SERVICE_E_FAILED)
                return r;
        if (r == 0 && streams->err_fd >= 0)
                handler_fork_logger(handler, streams->err_fd);
        handler_streams_close(streams);
        handler_answer(handler, 0);
        *outcome = (DataOutcome){ .how = CALL_HOW_DETACHED };
        if (r)
                handler_set_outcome(r, outcome);
        return 0;
}

static int handler_run_program(Handler *handler, DataOutcome *outcome) {
        _cleanup_(handler_streams_close) HandlerStreams streams = HANDLER_STREAMS_INIT;
        DataCallee callee = DATA_CALLEE_INIT;
        _cleanup_fd_ int pidfd = -1;
        int r;

        r = handler_open_streams(handler, &streams);
        if (r)
                return SERVICE_E_FAILED;
        if (!handler->just_exec && handler_watch_signals(handler) < 0)
                return SERVICE_E_FAILED;

        r = handler_start(handler, &streams, &pidfd);
        if (handler->just_exec)
                return handler_detach(handler, r, &streams, outcome);
        if (r)
                return r;

        handler->program_pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
        if (handler->program_pidfd < 0) {
                spawn_signal_group(handler->program_pid, pidfd, SIGKILL);
                return SERVICE_E_FAILED;
        }
        callee.in_fd = fd_steal(&streams.in_fd);
        callee.out_fd = fd_steal(&streams.out_fd);
        callee.err_fd = fd_steal(&streams.err_fd);
        callee.child_pidfd = fd_steal(&pidfd);
        callee.on_stderr = handler->service->command.is_service ? handler_on_stderr : NULL;
        callee.watch_fd = handler->kill_fd;
        callee.on_watch = handler_on_signal;
        /* The program's own ends must be closed here, or their end-of-file never comes. */
        handler_streams_close(&streams);
        return handler_run_data(handler, &callee, outcome);
}

static int handler_dial(const Handler *handler, int *ret_fd) {
        _cleanup_(dial_address_deinit) DialAddress address = DIAL_ADDRESS_INIT;
        int error, r;

        if (service_address(handler->service, &address))
                return SERVICE_E_FAILED;
        r = dial_wait(&address, DIAL_LIMIT_USEC, &error, ret_fd);
        if (r > 0) {
                _cleanup_free_ char *text = service_address_text(handler->service);

                SERVICE_LOG(handler->service, "cannot connect to %s: %s", text ?: "it", strerror(error));
        }
        return r ? SERVICE_E_FAILED : 0;
}

static int handler_run_socket(Handler *handler, DataOutcome *outcome) {
        DataCallee callee = DATA_CALLEE_INIT;
        _cleanup_fd_ int fd = -1;
        const void *descriptor;
        size_t n_descriptor;
        int r;

        r = handler_dial(handler, &fd);
        if (r)
                return r;
        service_descriptor(handler->service, &descriptor, &n_descriptor);

        if (handler->just_exec) {
                if (fd_write_full(fd, descriptor, n_descriptor) < 0)
                        return SERVICE_E_FAILED;
                fd = fd_close(fd);
                return handler_detach(handler, 0, &(HandlerStreams)HANDLER_STREAMS_INIT, outcome);
        }
        callee.in_fd = callee.out_fd = fd_steal(&fd);
        callee.prefix = descriptor;
        callee.n_prefix = n_descriptor;
        callee.exit_on_client_eof = handler->service->config.exit_on_client_eof;
        callee.exit_on_service_eof = handler->service->config.exit_on_service_eof;
        return handler_run_data(handler, &callee, outcome);
}

void handler_run(const ServiceSettings *settings, const Order *order, HandlerChannel *channel, const Service *service,
                 DataOutcome *ret_outcome) {
        Handler handler = {
                .service = service,
                .just_exec = order->just_exec,
                .sink = SERVICELOG_SINK_INIT,
                .channel = *channel,
                .program_pidfd = -1,
                .kill_fd = -1,
        };
        DataOutcome outcome = {};
        Service own = {};
        int r;

        *channel = (HandlerChannel){ -1, -1, -1 };
        r = data_prepare();
        if (!r && !service) {
                handler.service = &own;
                r = service_resolve(settings, order->call_id, order->text, &own);
        }
        if (!r) {
                servicelog_sink_init(&handler.sink, settings->journal, settings->syslog);
                if (handler.service->command.is_service)
                        servicelog_init(&handler.log, &handler.sink, &handler.service->command, order->call_id);
                r = service_is_program(handler.service) ? handler_run_program(&handler, &outcome)
                                                        : handler_run_socket(&handler, &outcome);
        }
        if (r) {
                /* Nothing was started, but the caller may be slow to hear it: an order to end that ends this process. */
                handler_unblock(SIGTERM);
                handler_set_outcome(r, &outcome);
                handler_answer(&handler, outcome.status);
        }

        servicelog_deinit(&handler.log);
        servicelog_sink_deinit(&handler.sink);
        service_deinit(&own);
        handler_channel_close(&handler.channel);
        fd_close(handler.program_pidfd);
        fd_close(handler.kill_fd);
        *ret_outcome = outcome;
}
