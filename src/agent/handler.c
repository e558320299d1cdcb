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

#include "agent/config.h"
#include "agent/dial.h"
#include "agent/environment.h"
#include "agent/lookup.h"
#include "agent/servicelog.h"
#include "agent/spawn.h"
#include "agent/tcp.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "data/prepare.h"

#define HANDLER_SHELL "/bin/sh"

enum {
        _HANDLER_E_SUCCESS,
        HANDLER_E_NOT_FOUND, /* no such service: 127 */
        HANDLER_E_FAILED,    /* anything else, logged: 125 */
        /* there was a process, but no program in it: one who does not wait for the end is not told (5.9) */
        HANDLER_E_EXEC_NOT_FOUND,
        HANDLER_E_EXEC_FAILED,
};

typedef struct Handler {
        const HandlerSettings *settings;
        uint32_t call_id;
        bool just_exec;
        Command command;
        Config config;
        Servicelog log;
        int stream_fd;

        /* the program that was started; sockets have none */
        pid_t program_pid;
        int program_pidfd; /* ours: DataCallee closes its own when the program has ended */
        int kill_fd;       /* signalfd: orders to end the program */
        bool killing;      /* SIGTERM was passed on */
} Handler;

#define HANDLER_LOG(_handler, _format, ...) log_notice("call %u: " _format, (_handler)->call_id, ##__VA_ARGS__)

/* --- what is asked for ------------------------------------------------------------------------------------------ */

static void handler_log_diagnostics(const Handler *handler, const Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&diagnostics->entries[i]);

                HANDLER_LOG(handler, "%s", text ?: diagnostics->entries[i].text);
        }
}

static int handler_load_config(Handler *handler) {
        _cleanup_(diagnostics_deinit)
        Diagnostics errors = DIAGNOSTICS_INIT, notices = DIAGNOSTICS_INIT;
        int r;

        r = config_load(handler->settings->config_path, &handler->command, &errors, &notices, &handler->config);
        handler_log_diagnostics(handler, &errors);
        handler_log_diagnostics(handler, &notices);
        if (r)
                return HANDLER_E_FAILED;
        if (handler->config.wait_for_session)
                log_debug("call %u: wait-for-session: the supervisor holds a session of this account",
                          handler->call_id);
        return 0;
}

static int handler_check_user(const Handler *handler) {
        const char *account = handler->settings->account;
        const CommandPart *user = &handler->command.user;
        CommandPart forced = {};

        if (handler->config.force_user) {
                forced = (CommandPart){ .text = handler->config.force_user, .n = strlen(handler->config.force_user) };
                user = &forced;
        }
        if (user->n == strlen(account) && memcmp(user->text, account, user->n) == 0)
                return 0;
        HANDLER_LOG(handler, "refused: it asks for user \"%s\", but this domain is the account \"%s\" and no other",
                    ESCAPED(user->text, user->n), account);
        return HANDLER_E_FAILED;
}

static int handler_lookup(const Handler *handler, Lookup *ret_lookup) {
        _cleanup_(diagnostics_deinit)
        Diagnostics errors = DIAGNOSTICS_INIT;
        int r;

        r = lookup_service(handler->settings->service_path, &handler->command, &errors, ret_lookup);
        handler_log_diagnostics(handler, &errors);
        if (r == LOOKUP_E_NOT_FOUND) {
                HANDLER_LOG(handler, "there is no service \"%s\" here",
                            ESCAPED(handler->command.descriptor.text, handler->command.descriptor.n));
                return HANDLER_E_NOT_FOUND;
        }
        return r ? HANDLER_E_FAILED : 0;
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
                        r = handler->command.is_service ? handler_open_stderr(streams)
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

static int handler_spawn(Handler *handler, const char *program, char *const *argv, const HandlerStreams *streams,
                         int *ret_pidfd) {
        const HandlerSettings *settings = handler->settings;
        char **environment = NULL;
        int error, r;

        r = environment_new(settings->environment, &handler->command, getpid(), &environment);
        if (r)
                return HANDLER_E_FAILED;
        r = spawn_process(&(Spawn){ .program = program,
                                    .argv = argv,
                                    .environment = environment,
                                    .directory = settings->home,
                                    .stdin_fd = streams->stdin_fd,
                                    .stdout_fd = streams->stdout_fd,
                                    .stderr_fd = streams->stderr_fd,
                                    .files = settings->files },
                          &error, &handler->program_pid, ret_pidfd);
        environment_free(environment);
        if (r > 0)
                HANDLER_LOG(handler, "cannot run %s: %s", ESCAPED(program, strlen(program)), strerror(error));
        switch (r) {
        case 0:
                return 0;
        case SPAWN_E_NOT_FOUND:
                return HANDLER_E_EXEC_NOT_FOUND;
        case SPAWN_E_FAILED:
                return HANDLER_E_EXEC_FAILED;
        default:
                return HANDLER_E_FAILED;
        }
}

static int handler_start_program(Handler *handler, const Lookup *lookup, const HandlerStreams *streams,
                                 int *ret_pidfd) {
        const Command *command = &handler->command;
        _cleanup_free_ char *argument = NULL;
        char *argv[] = { (char *)lookup->path, NULL, NULL };

        if (command->has_argument && command->argument.n > 0) {
                argument = strndup(command->argument.text, command->argument.n);
                if (!argument)
                        return HANDLER_E_FAILED;
                argv[1] = argument;
        }
        return handler_spawn(handler, lookup->path, argv, streams, ret_pidfd);
}

static int handler_start_shell(Handler *handler, const HandlerStreams *streams, int *ret_pidfd) {
        char *argv[] = { (char *)"sh", (char *)"-c", (char *)handler->command.shell.text, NULL };

        return handler_spawn(handler, HANDLER_SHELL, argv, streams, ret_pidfd);
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

static DataOutcome handler_outcome(int r) {
        if (r == HANDLER_E_NOT_FOUND || r == HANDLER_E_EXEC_NOT_FOUND)
                return (DataOutcome){ .status = 127, .how = CALL_HOW_NOT_FOUND };
        return (DataOutcome){ .status = 125, .how = CALL_HOW_NOT_STARTED };
}

/* --- ways through a call ---------------------------------------------------------------------------------------- */

static int handler_run_data(Handler *handler, DataCallee *callee, DataOutcome *outcome) {
        int r;

        callee->stream_fd = fd_steal(&handler->stream_fd);
        callee->userdata = handler;
        r = data_callee_run(callee, outcome);
        /* How the service ended is lost; that the call ended is not. */
        if (r < 0)
                *outcome = (DataOutcome){ .status = 125, .how = CALL_HOW_ABANDONED };
        return 0;
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
        if (r == HANDLER_E_FAILED)
                return r;
        if (r == 0 && streams->err_fd >= 0)
                handler_fork_logger(handler, streams->err_fd);
        handler_streams_close(streams);
        (void)data_callee_detached(fd_steal(&handler->stream_fd), 0);
        *outcome = r ? handler_outcome(r) : (DataOutcome){ .how = CALL_HOW_DETACHED };
        return 0;
}

/* @lookup: NULL for a shell command */
static int handler_run_program(Handler *handler, const Lookup *lookup, DataOutcome *outcome) {
        _cleanup_(handler_streams_close)
        HandlerStreams streams = HANDLER_STREAMS_INIT;
        DataCallee callee = DATA_CALLEE_INIT;
        _cleanup_fd_ int pidfd = -1;
        int r;

        r = handler_open_streams(handler, &streams);
        if (r)
                return HANDLER_E_FAILED;
        if (!handler->just_exec && handler_watch_signals(handler) < 0)
                return HANDLER_E_FAILED;

        r = lookup ? handler_start_program(handler, lookup, &streams, &pidfd)
                   : handler_start_shell(handler, &streams, &pidfd);
        if (handler->just_exec)
                return handler_detach(handler, r, &streams, outcome);
        if (r)
                return r;

        handler->program_pidfd = fcntl(pidfd, F_DUPFD_CLOEXEC, 3);
        if (handler->program_pidfd < 0) {
                spawn_signal_group(handler->program_pid, pidfd, SIGKILL);
                return HANDLER_E_FAILED;
        }
        callee.in_fd = fd_steal(&streams.in_fd);
        callee.out_fd = fd_steal(&streams.out_fd);
        callee.err_fd = fd_steal(&streams.err_fd);
        callee.child_pidfd = fd_steal(&pidfd);
        callee.on_stderr = lookup ? handler_on_stderr : NULL;
        callee.watch_fd = handler->kill_fd;
        callee.on_watch = handler_on_signal;
        /* The program's own ends must be closed here, or their end-of-file never comes. */
        handler_streams_close(&streams);
        return handler_run_data(handler, &callee, outcome);
}

static int handler_run_executable(Handler *handler, const Lookup *lookup, DataOutcome *outcome) {
        const Config *config = &handler->config;

        if (handler->command.n_tokens != 2 && handler->command.n_tokens != 4) {
                HANDLER_LOG(handler, "a program is called with 2 or 4 words, not with %u", handler->command.n_tokens);
                return HANDLER_E_FAILED;
        }
        if (config->skip_service_descriptor || config->exit_on_client_eof || config->exit_on_service_eof)
                HANDLER_LOG(handler,
                            "%s is a program: skip-service-descriptor, exit-on-service-eof and "
                            "exit-on-client-eof are ignored",
                            ESCAPED(lookup->path, strlen(lookup->path)));
        return handler_run_program(handler, lookup, outcome);
}

static int handler_dial(const Handler *handler, const Lookup *lookup, int *ret_fd) {
        char text[TCP_ADDRESS_TEXT_MAX];
        TcpAddress address;
        int error, r;

        if (lookup->kind == LOOKUP_KIND_SOCKET) {
                r = dial_unix(lookup->path, DIAL_LIMIT_USEC, &error, ret_fd);
                if (r > 0)
                        HANDLER_LOG(handler, "cannot connect to %s: %s", ESCAPED(lookup->path, strlen(lookup->path)),
                                    strerror(error));
                return r ? HANDLER_E_FAILED : 0;
        }
        if (tcp_address_parse(lookup->tcp, &handler->command, &address)) {
                HANDLER_LOG(handler, "link \"%s\" and argument make no numeric address and port (qubes-rpc(5))",
                            ESCAPED(lookup->tcp, strlen(lookup->tcp)));
                return HANDLER_E_FAILED;
        }
        r = dial_tcp(&address, DIAL_LIMIT_USEC, &error, ret_fd);
        if (r > 0)
                HANDLER_LOG(handler, "cannot connect to %s: %s", tcp_address_format(&address, text), strerror(error));
        return r ? HANDLER_E_FAILED : 0;
}

/* What a socket is told first: the command's own words and one NUL, of which the text has one already (6.7). */
static void handler_descriptor(const Handler *handler, const void **ret_data, size_t *ret_n) {
        const CommandPart *metadata = &handler->command.metadata;

        *ret_data = handler->config.skip_service_descriptor ? NULL : metadata->text;
        *ret_n = handler->config.skip_service_descriptor ? 0 : metadata->n + 1;
}

static int handler_run_socket(Handler *handler, const Lookup *lookup, DataOutcome *outcome) {
        DataCallee callee = DATA_CALLEE_INIT;
        _cleanup_fd_ int fd = -1;
        const void *descriptor;
        size_t n_descriptor;
        int r;

        r = handler_dial(handler, lookup, &fd);
        if (r)
                return r;
        handler_descriptor(handler, &descriptor, &n_descriptor);

        if (handler->just_exec) {
                if (fd_write_full(fd, descriptor, n_descriptor) < 0)
                        return HANDLER_E_FAILED;
                fd = fd_close(fd);
                return handler_detach(handler, 0, &(HandlerStreams)HANDLER_STREAMS_INIT, outcome);
        }
        callee.in_fd = callee.out_fd = fd_steal(&fd);
        callee.prefix = descriptor;
        callee.n_prefix = n_descriptor;
        callee.exit_on_client_eof = handler->config.exit_on_client_eof;
        callee.exit_on_service_eof = handler->config.exit_on_service_eof;
        return handler_run_data(handler, &callee, outcome);
}

static int handler_run_service(Handler *handler, DataOutcome *outcome) {
        Lookup lookup;
        int r;

        r = handler_load_config(handler);
        if (r)
                return r;
        r = handler_lookup(handler, &lookup);
        if (r)
                return r;
        r = handler_check_user(handler);
        if (r)
                return r;
        servicelog_init(&handler->log, &handler->command, handler->call_id, handler->settings->journal,
                        handler->settings->syslog);

        switch (lookup.kind) {
        case LOOKUP_KIND_EXECUTABLE:
                return handler_run_executable(handler, &lookup, outcome);
        case LOOKUP_KIND_SOCKET:
        case LOOKUP_KIND_TCP:
                return handler_run_socket(handler, &lookup, outcome);
        }
        return error_origin(-EINVAL);
}

static int handler_run_command(Handler *handler, const char *text, DataOutcome *outcome) {
        int r;

        if (command_parse(text, true, &handler->command)) {
                HANDLER_LOG(handler, "this is no command: \"%s\"", ESCAPED(text, strlen(text)));
                return HANDLER_E_FAILED;
        }
        if (handler->command.is_service)
                return handler_run_service(handler, outcome);

        if (!handler->settings->shell) {
                HANDLER_LOG(handler, "a shell command was refused: the inventory does not say shell=yes");
                return HANDLER_E_FAILED;
        }
        r = handler_check_user(handler);
        if (r)
                return r;
        return handler_run_program(handler, NULL, outcome);
}

static void handler_fail(Handler *handler, int r, DataOutcome *outcome) {
        /* Nothing was started, but the caller may be slow to hear it: an order to end that ends this process. */
        handler_unblock(SIGTERM);
        *outcome = handler_outcome(r);
        if (handler->just_exec)
                (void)data_callee_detached(fd_steal(&handler->stream_fd), outcome->status);
        else
                (void)data_callee_fail(fd_steal(&handler->stream_fd), outcome->status);
}

void handler_run(const HandlerSettings *settings, const Order *order, int stream_fd, DataOutcome *ret_outcome) {
        Handler handler = {
                .settings = settings,
                .call_id = order->call_id,
                .just_exec = order->just_exec,
                .config = CONFIG_INIT,
                .log.fd = -1,
                .stream_fd = stream_fd,
                .program_pidfd = -1,
                .kill_fd = -1,
        };
        DataOutcome outcome = {};
        int r;

        r = data_prepare();
        if (!r)
                r = handler_run_command(&handler, order->text, &outcome);
        if (r)
                handler_fail(&handler, r, &outcome);

        servicelog_deinit(&handler.log);
        config_deinit(&handler.config);
        fd_close(handler.stream_fd);
        fd_close(handler.program_pidfd);
        fd_close(handler.kill_fd);
        *ret_outcome = outcome;
}
