/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "monitor/environment.h"
#include "monitor/relay.h"
#include "monitor/sandbox.h"
#include "monitor/session.h"

/* Who one is in a sandbox that has no account outside, as on Qubes. */
#define MONITOR_ACCOUNT_INSIDE "user"
#define MONITOR_PATH           "/usr/local/bin:/usr/bin:/bin"

typedef struct Monitor {
        const MonitorOptions *options;
        const struct passwd *account; /* what getpwuid() keeps: nobody asks it again */
        Session *session;
        char **environment;
        Relay relay;
        pid_t child;
        int child_pidfd;
        int signal_fd;
        bool was_told; /* to stop */
} Monitor;

#define MONITOR_INIT(_options) \
        ((Monitor){ .options = (_options), .relay = RELAY_INIT, .child_pidfd = -1, .signal_fd = -1 })

static void monitor_deinit(Monitor *monitor) {
        relay_close(&monitor->relay);
        environment_free(monitor->environment);
        fd_close(monitor->child_pidfd);
        fd_close(monitor->signal_fd);
        session_close(monitor->session);
}

/* From here on SIGTERM is an event: what was opened has to be closed. Before, it simply ends us. */
static int monitor_catch_signals(Monitor *monitor) {
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return error_origin(-errno);
        monitor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        return monitor->signal_fd < 0 ? error_origin(-errno) : 0;
}

/* Were we told to stop? */
static bool monitor_take_signal(Monitor *monitor) {
        struct signalfd_siginfo info;

        return read(monitor->signal_fd, &info, sizeof(info)) == sizeof(info);
}

static int monitor_find_account(Monitor *monitor) {
        const MonitorOptions *options = monitor->options;

        monitor->account = getpwuid(options->uid);
        if (monitor->account && strcmp(monitor->account->pw_name, options->account) == 0)
                return 0;
        log_error("domain %s: account %s has changed or gone: reload the configuration", options->domain,
                  options->account);
        return -ESTALE;
}

static int monitor_open_session(Monitor *monitor) {
        int r;

        if (!monitor->options->account)
                return monitor_catch_signals(monitor);
        r = monitor_find_account(monitor);
        r = r
                    ?: session_begin(monitor->options->domain, monitor->options->account, monitor->account->pw_gid,
                                     &monitor->session);
        r = r ?: monitor_catch_signals(monitor);
        return r ?: session_open(monitor->session);
}

/* Where there is no logind, nobody made the account's run directory: do as it would have. */
static int monitor_set_runtime_dir(Monitor *monitor) {
        const struct passwd *account = monitor->account;
        char path[64];

        if (environment_get(monitor->environment, "XDG_RUNTIME_DIR"))
                return 0;
        snprintf(path, sizeof(path), "/run/user/%u", (unsigned)account->pw_uid);
        if (mkdir("/run/user", 0755) < 0 && errno != EEXIST)
                return 0;
        if (mkdir(path, 0700) == 0) {
                if (chown(path, account->pw_uid, account->pw_gid) < 0)
                        return error_origin(-errno);
        } else {
                struct stat st;

                if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != account->pw_uid) {
                        log_warning("domain %s: %s is not its own: no XDG_RUNTIME_DIR", monitor->options->domain, path);
                        return 0;
                }
        }
        return environment_set(&monitor->environment, "XDG_RUNTIME_DIR", path);
}

static int monitor_set_account(Monitor *monitor) {
        const struct passwd *account = monitor->account;
        char ***environment = &monitor->environment;
        int r;

        r = environment_set(environment, "HOME", account->pw_dir);
        r = r ?: environment_set(environment, "USER", account->pw_name);
        r = r ?: environment_set(environment, "LOGNAME", account->pw_name);
        r = r ?: environment_set(environment, "SHELL", account->pw_shell[0] ? account->pw_shell : "/bin/sh");
        if (!r && !environment_get(*environment, "PATH"))
                r = environment_set(environment, "PATH", MONITOR_PATH);
        return r ?: monitor_set_runtime_dir(monitor);
}

/* What a login would have; without a session, what we have ourselves. */
static int monitor_make_environment(Monitor *monitor) {
        int r = 0;

        if (monitor->session) {
                r = session_environment(monitor->session, &monitor->environment);
                r = r ?: monitor_set_account(monitor);
        } else {
                r = environment_copy(environ, &monitor->environment);
        }
        if (!r && monitor->options->service_path)
                r = environment_set(&monitor->environment, "QREXEC_SERVICE_PATH", monitor->options->service_path);
        if (!r && monitor->options->config_path)
                r = environment_set(&monitor->environment, "QUBES_RPC_CONFIG_PATH", monitor->options->config_path);
        return r;
}

/* In the child: become the account, for good. */
static void monitor_become_account(const struct passwd *account) {
        if (setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
            setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0) {
                log_error("cannot become account %s: %m", account->pw_name);
                _exit(MONITOR_EXIT_FAILED);
        }
        /* With the account's rights: a home on a network or an encrypted one may be closed to root. */
        if (chdir(account->pw_dir) == 0)
                return;
        log_warning("cannot enter %s: %m: starting in /", account->pw_dir);
        if (chdir("/") < 0)
                _exit(MONITOR_EXIT_FAILED);
}

/* In the child: what is executed, and with which environment. It ends here if there is no sandbox to be had. */
static void monitor_enter_sandbox(Monitor *monitor, char ***command) {
        const MonitorOptions *options = monitor->options;
        Sandbox sandbox = {
                .domain = options->domain,
                .folder = options->sandbox,
                .service_path = options->service_path,
                .config_path = options->config_path,
                .account = MONITOR_ACCOUNT_INSIDE,
                .uid = getuid(),
                .gid = getgid(),
                .home = options->home,
                .home_inside = "/home/" MONITOR_ACCOUNT_INSIDE,
        };

        if (monitor->account) {
                sandbox.account = monitor->account->pw_name;
                sandbox.home = monitor->account->pw_dir;
                sandbox.home_inside = monitor->account->pw_dir;
        }
        if (sandbox_wrap(&sandbox, *command, command) ||
            sandbox_environment(&sandbox, monitor->environment, &monitor->environment))
                _exit(MONITOR_EXIT_FAILED);
}

/* In the child. From the account's switch on, nothing of the host's is open but /dev/null and the pipe of the log. */
static void monitor_become_child(Monitor *monitor, int log_fd) {
        char **command = monitor->options->command;
        bool is_agent = monitor->options->service_path;
        sigset_t none;
        int null_fd;

        null_fd = open("/dev/null", O_RDWR | O_NOCTTY);
        /* An agent has nothing to say on its standard output; what a command says there is of interest. */
        if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(is_agent ? null_fd : log_fd, 1) < 0 || dup2(log_fd, 2) < 0 ||
            setsid() < 0)
                _exit(MONITOR_EXIT_FAILED);
        (void)syscall(SYS_close_range, 3, ~0U, 0);
        if (monitor->account)
                monitor_become_account(monitor->account);
        /* Without us nobody would tell it to stop; after the change of account, which forgets this. */
        if (is_agent && prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
                _exit(MONITOR_EXIT_FAILED);
        if (monitor->options->sandbox)
                monitor_enter_sandbox(monitor, &command);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        execve(command[0], command, monitor->environment);
        log_error("cannot run %s: %m", ESCAPED(command[0], strlen(command[0])));
        _exit(MONITOR_EXIT_FAILED);
}

static int monitor_start_child(Monitor *monitor) {
        _cleanup_fd_ int log_fd = -1;
        int r;

        r = relay_open(&monitor->relay, monitor->options->domain, &log_fd);
        if (r)
                return r;
        monitor->child = fork();
        if (monitor->child < 0)
                return error_origin(-errno);
        if (monitor->child == 0)
                monitor_become_child(monitor, log_fd);
        /* Our own child, not waited for yet: the number cannot have been given to another process. */
        monitor->child_pidfd = pidfd_open(monitor->child, 0);
        return monitor->child_pidfd < 0 ? error_origin(-errno) : 0;
}

/* An agent ends its services as it sees fit. Of a command all that it started goes, so long as it is there itself. */
static void monitor_signal(Monitor *monitor, int number) {
        if (monitor->options->service_path || kill(-monitor->child, number) < 0)
                (void)pidfd_send_signal(monitor->child_pidfd, number, NULL, 0);
}

/*
 * bwrap would take everything in the sandbox with it. The agent in it is told instead, and takes its time, as outside; but
 * by a process with the domain's own rights, since what its number means the domain could change under us.
 */
static bool monitor_tell_sandbox(Monitor *monitor) {
        pid_t agent = sandbox_find_agent(monitor->child), helper;

        if (agent <= 0)
                return false;
        helper = fork();
        if (helper == 0) {
                const struct passwd *account = monitor->account;

                if (account && (setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
                                setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0))
                        _exit(MONITOR_EXIT_FAILED);
                _exit(kill(agent, SIGTERM) < 0 ? MONITOR_EXIT_FAILED : 0);
        }
        if (helper < 0)
                return false;
        return process_wait(helper) == 0;
}

/* Told once, an agent ends with the last of its calls; told again, at once. */
static void monitor_stop(Monitor *monitor) {
        bool is_again = monitor->was_told;

        monitor->was_told = true;
        if (!monitor->options->sandbox || is_again || !monitor_tell_sandbox(monitor))
                monitor_signal(monitor, SIGTERM);
}

/* When the time is up: first told to end, then killed. Return: when to come again, or 0 for never. */
static uint64_t monitor_on_late(Monitor *monitor, bool *was_told) {
        if (*was_told) {
                monitor_signal(monitor, SIGKILL);
                return 0;
        }
        log_error("domain %s: %s has not ended after %u s: ending it", monitor->options->domain,
                  ESCAPED(monitor->options->command[0], strlen(monitor->options->command[0])),
                  (unsigned)(monitor->options->limit_usec / USEC_PER_SEC));
        monitor_signal(monitor, SIGTERM);
        *was_told = true;
        return clock_now() + MONITOR_KILL_MSEC * USEC_PER_MSEC;
}

static int monitor_poll_msec(uint64_t deadline_usec) {
        uint64_t now = clock_now();

        if (deadline_usec == 0)
                return -1;
        return deadline_usec <= now ? 0 : (int)((deadline_usec - now) / USEC_PER_MSEC + 1);
}

/* Return: exit status of the child. What it started may outlive it and hold the log's pipe: we do not wait for that. */
static int monitor_wait(Monitor *monitor) {
        uint64_t deadline_usec = monitor->options->limit_usec > 0 ? clock_now() + monitor->options->limit_usec : 0;
        bool is_late = false;
        struct pollfd fds[] = {
                { .fd = monitor->child_pidfd, .events = POLLIN },
                { .fd = monitor->signal_fd, .events = POLLIN },
                { .fd = monitor->relay.fd, .events = POLLIN },
        };

        for (;;) {
                int n = poll(fds, ARRAY_SIZE(fds), monitor_poll_msec(deadline_usec));

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return error_origin(-errno);
                }
                if (deadline_usec > 0 && clock_now() >= deadline_usec)
                        deadline_usec = monitor_on_late(monitor, &is_late);
                if (fds[2].revents && !relay_read(&monitor->relay))
                        fds[2].fd = -1;
                if (fds[1].revents && monitor_take_signal(monitor))
                        monitor_stop(monitor);
                if (fds[0].revents) {
                        siginfo_t info = {};

                        if (waitid(P_PIDFD, (id_t)monitor->child_pidfd, &info, WEXITED) < 0)
                                return error_origin(-errno);
                        if (is_late)
                                return MONITOR_EXIT_LATE;
                        return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
                }
        }
}

int monitor_run(const MonitorOptions *options) {
        _cleanup_(monitor_deinit) Monitor monitor = MONITOR_INIT(options);
        int r;

        (void)setsid();
        r = monitor_open_session(&monitor);
        if (r)
                return MONITOR_EXIT_FAILED;
        /* A module can take its time; who was told to stop meanwhile starts nothing. */
        if (monitor_take_signal(&monitor))
                return 0;
        r = monitor_make_environment(&monitor);
        r = r ?: monitor_start_child(&monitor);
        if (r)
                return MONITOR_EXIT_FAILED;
        /* From here on we wait, for as long as the domain runs: give back what the modules have left. */
        (void)malloc_trim(0);
        r = monitor_wait(&monitor);
        relay_close(&monitor.relay);
        if (r > 0 && options->service_path)
                log_warning("domain %s: its agent ended with status %d", options->domain, r);
        return r < 0 ? MONITOR_EXIT_FAILED : r;
}
