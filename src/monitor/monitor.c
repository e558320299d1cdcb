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
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "monitor/environment.h"
#include "monitor/relay.h"
#include "monitor/session.h"

#define MONITOR_PATH "/usr/local/bin:/usr/bin:/bin"

typedef struct Monitor {
        const MonitorOptions *options;
        const struct passwd *account; /* what getpwuid() keeps: nobody asks it again */
        Session *session;
        char **environment;
        Relay relay;
        int child_pidfd;
        int signal_fd;
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

        r = session_begin(monitor->options->domain, monitor->options->account, monitor->account->pw_gid,
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

static int monitor_make_environment(Monitor *monitor) {
        const struct passwd *account = monitor->account;
        char ***environment = &monitor->environment;
        int r;

        r = session_environment(monitor->session, environment);
        r = r ?: environment_set(environment, "HOME", account->pw_dir);
        r = r ?: environment_set(environment, "USER", account->pw_name);
        r = r ?: environment_set(environment, "LOGNAME", account->pw_name);
        r = r ?: environment_set(environment, "SHELL", account->pw_shell[0] ? account->pw_shell : "/bin/sh");
        if (!r && !environment_get(*environment, "PATH"))
                r = environment_set(environment, "PATH", MONITOR_PATH);
        r = r ?: monitor_set_runtime_dir(monitor);
        return r ?: environment_set(environment, "QREXEC_SERVICE_PATH", monitor->options->service_path);
}

/*
 * In the child: become the account, for good, then the agent. From the switch on, nothing of the host's is open but
 * /dev/null and the pipe of the log.
 */
static void monitor_become_child(Monitor *monitor, int log_fd) {
        const struct passwd *account = monitor->account;
        char **command = monitor->options->command;
        sigset_t none;
        int null_fd;

        null_fd = open("/dev/null", O_RDWR | O_NOCTTY);
        if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(log_fd, 2) < 0)
                _exit(MONITOR_EXIT_FAILED);
        (void)syscall(SYS_close_range, 3, ~0U, 0);

        if (setsid() < 0 || setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
            setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0) {
                log_error("cannot become account %s: %m", account->pw_name);
                _exit(MONITOR_EXIT_FAILED);
        }
        /* With the account's rights: a home on a network or an encrypted one may be closed to root. */
        if (chdir(account->pw_dir) < 0) {
                log_warning("cannot enter %s: %m: starting in /", account->pw_dir);
                if (chdir("/") < 0)
                        _exit(MONITOR_EXIT_FAILED);
        }
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        execve(command[0], command, monitor->environment);
        log_error("cannot run %s: %m", command[0]);
        _exit(MONITOR_EXIT_FAILED);
}

static int monitor_start_child(Monitor *monitor) {
        _cleanup_fd_ int log_fd = -1;
        pid_t pid;
        int r;

        r = relay_open(&monitor->relay, monitor->options->domain, &log_fd);
        if (r)
                return r;
        pid = fork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0)
                monitor_become_child(monitor, log_fd);
        /* Our own child, not waited for yet: the number cannot have been given to another process. */
        monitor->child_pidfd = pidfd_open(pid, 0);
        return monitor->child_pidfd < 0 ? error_origin(-errno) : 0;
}

/* Return: exit status of the agent. Its services may outlive it and hold the log's pipe: we do not wait for that. */
static int monitor_wait(Monitor *monitor) {
        struct pollfd fds[] = {
                { .fd = monitor->child_pidfd, .events = POLLIN },
                { .fd = monitor->signal_fd, .events = POLLIN },
                { .fd = monitor->relay.fd, .events = POLLIN },
        };

        for (;;) {
                if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return error_origin(-errno);
                }
                if (fds[2].revents && !relay_read(&monitor->relay))
                        fds[2].fd = -1;
                if (fds[1].revents && monitor_take_signal(monitor))
                        (void)pidfd_send_signal(monitor->child_pidfd, SIGTERM, NULL, 0);
                if (fds[0].revents) {
                        siginfo_t info = {};

                        if (waitid(P_PIDFD, (id_t)monitor->child_pidfd, &info, WEXITED) < 0)
                                return error_origin(-errno);
                        return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
                }
        }
}

int monitor_run(const MonitorOptions *options) {
        _cleanup_(monitor_deinit) Monitor monitor = MONITOR_INIT(options);
        int r;

        (void)setsid();
        r = monitor_find_account(&monitor);
        r = r ?: monitor_open_session(&monitor);
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
        if (r > 0)
                log_warning("domain %s: its agent ended with status %d", options->domain, r);
        return r < 0 ? MONITOR_EXIT_FAILED : r;
}
