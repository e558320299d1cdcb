/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"

#define MONITOR_PAM_SERVICE "qrexec"
#define MONITOR_PATH        "/usr/local/bin:/usr/bin:/bin"
/* Longest line of the agent's standard error that is passed on whole. */
#define MONITOR_LINE_MAX 1024
/* Lines passed on per second; more are counted. An agent says a few a minute. */
#define MONITOR_LINES_PER_SEC 50
/* Our own exit status when the agent could not be started. */
#define MONITOR_EXIT_FAILED 125

static int monitor_conversation(int n, const struct pam_message **messages, struct pam_response **ret_responses,
                                void *userdata) {
        struct pam_response *responses = calloc((size_t)n, sizeof(*responses));

        if (!responses)
                return PAM_BUF_ERR;
        for (int i = 0; i < n; ++i) {
                const char *text = messages[i]->msg ?: "";

                switch (messages[i]->msg_style) {
                case PAM_PROMPT_ECHO_OFF:
                case PAM_PROMPT_ECHO_ON:
                        /* Nobody is here to be asked (protocol specification, 6.9). */
                        responses[i].resp = strdup("");
                        break;
                case PAM_ERROR_MSG:
                        log_warning("PAM: %s", ESCAPED(text, strlen(text)));
                        break;
                default:
                        log_debug("PAM: %s", ESCAPED(text, strlen(text)));
                }
        }
        *ret_responses = responses;
        return PAM_SUCCESS;
}

typedef struct Monitor {
        const PlanDomain *domain;
        struct passwd account; /* strings live as long as the process: from getpwuid() */
        pam_handle_t *pam;
        bool session_open;
        int agent_pidfd;
        int log_fd; /* reads the agent's standard error */
        int signal_fd;
        char line[MONITOR_LINE_MAX];
        size_t n_line;
        bool skip_line; /* the rest of a line that was too long */
        uint64_t second;
        unsigned n_lines, n_lost;
} Monitor;

static int monitor_pam_failed(Monitor *monitor, const char *what, int code) {
        log_error("domain %s: %s failed for account %s: %s (PAM service \"" MONITOR_PAM_SERVICE
                  "\": is /etc/pam.d/" MONITOR_PAM_SERVICE " there?)",
                  monitor->domain->name.text, what, monitor->domain->account.text, pam_strerror(monitor->pam, code));
        return -EACCES;
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

static int monitor_open_session(Monitor *monitor) {
        static const struct pam_conv conversation = { .conv = monitor_conversation };
        int r;

        r = pam_start(MONITOR_PAM_SERVICE, monitor->domain->account.text, &conversation, &monitor->pam);
        if (r != PAM_SUCCESS) {
                log_error("domain %s: PAM does not start: code %d", monitor->domain->name.text, r);
                return -EACCES;
        }
        r = pam_set_item(monitor->pam, PAM_RUSER, "root");
        if (r == PAM_SUCCESS)
                r = pam_authenticate(monitor->pam, PAM_SILENT);
        if (r != PAM_SUCCESS)
                return monitor_pam_failed(monitor, "authentication", r);
        r = pam_acct_mgmt(monitor->pam, PAM_SILENT);
        if (r != PAM_SUCCESS)
                return monitor_pam_failed(monitor, "the account check", r);
        if (initgroups(monitor->domain->account.text, monitor->domain->gid) < 0) {
                log_error("domain %s: cannot set its groups: %m", monitor->domain->name.text);
                return -errno;
        }
        r = monitor_catch_signals(monitor);
        if (r)
                return r;
        r = pam_setcred(monitor->pam, PAM_ESTABLISH_CRED | PAM_SILENT);
        if (r != PAM_SUCCESS)
                return monitor_pam_failed(monitor, "establishing credentials", r);
        r = pam_open_session(monitor->pam, PAM_SILENT);
        if (r != PAM_SUCCESS)
                return monitor_pam_failed(monitor, "opening a session", r);
        monitor->session_open = true;
        return 0;
}

static void monitor_close_session(Monitor *monitor) {
        int r = PAM_SUCCESS;

        if (!monitor->pam)
                return;
        if (monitor->session_open)
                r = pam_close_session(monitor->pam, PAM_SILENT);
        (void)pam_setcred(monitor->pam, PAM_DELETE_CRED | PAM_SILENT);
        (void)pam_end(monitor->pam, r);
        monitor->pam = NULL;
}

static int monitor_put(Monitor *monitor, const char *name, const char *value) {
        _cleanup_free_ char *setting = NULL;

        if (asprintf(&setting, "%s=%s", name, value) < 0)
                return error_origin(-ENOMEM);
        return pam_putenv(monitor->pam, setting) == PAM_SUCCESS ? 0 : error_origin(-ENOMEM);
}

/* Where there is no logind, nobody made the account's run directory: do as it would have. */
static int monitor_put_runtime_dir(Monitor *monitor) {
        char path[64];

        if (pam_getenv(monitor->pam, "XDG_RUNTIME_DIR"))
                return 0;
        snprintf(path, sizeof(path), "/run/user/%u", (unsigned)monitor->domain->uid);
        if (mkdir("/run/user", 0755) < 0 && errno != EEXIST)
                return 0;
        if (mkdir(path, 0700) == 0) {
                if (chown(path, monitor->domain->uid, monitor->domain->gid) < 0)
                        return error_origin(-errno);
        } else {
                struct stat st;

                if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != monitor->domain->uid) {
                        log_warning("domain %s: %s is not its own: no XDG_RUNTIME_DIR", monitor->domain->name.text,
                                    path);
                        return 0;
                }
        }
        return monitor_put(monitor, "XDG_RUNTIME_DIR", path);
}

static int monitor_make_environment(Monitor *monitor, const char *run_dir, char ***ret_environment) {
        const char *shell = monitor->account.pw_shell;
        int r;

        r = monitor_put(monitor, "HOME", monitor->account.pw_dir);
        r = r ?: monitor_put(monitor, "USER", monitor->domain->account.text);
        r = r ?: monitor_put(monitor, "LOGNAME", monitor->domain->account.text);
        r = r ?: monitor_put(monitor, "SHELL", shell && shell[0] ? shell : "/bin/sh");
        if (!r && !pam_getenv(monitor->pam, "PATH"))
                r = monitor_put(monitor, "PATH", MONITOR_PATH);
        r = r ?: monitor_put_runtime_dir(monitor);
        r = r ?: monitor_put(monitor, "QREXEC_SERVICE_PATH", monitor->domain->service_path);
        if (r)
                return r;
        *ret_environment = pam_getenvlist(monitor->pam);
        return *ret_environment ? 0 : error_origin(-ENOMEM);
}

/*
 * In the child: become the account, for good, then the agent. From the switch on, nothing of the host's is open but
 * /dev/null and the pipe of the log.
 */
static void monitor_become_agent(Monitor *monitor, const char *run_dir, const char *agent, char **environment,
                                 int log_fd) {
        _cleanup_free_ char *name = NULL, *link = NULL;
        char *argv[5] = { (char *)"qrexec-agent" };
        size_t n = 1;
        sigset_t none;
        int null_fd;

        if (asprintf(&name, "--domain=%s", monitor->domain->name.text) < 0 ||
            asprintf(&link, "--link=%s/domains/%s/link", run_dir, monitor->domain->name.text) < 0)
                _exit(MONITOR_EXIT_FAILED);
        argv[n++] = name;
        argv[n++] = link;
        if (monitor->domain->shell)
                argv[n++] = (char *)"--shell";

        null_fd = open("/dev/null", O_RDWR | O_NOCTTY);
        if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(log_fd, 2) < 0)
                _exit(MONITOR_EXIT_FAILED);
        (void)syscall(SYS_close_range, 3, ~0U, 0);

        if (setsid() < 0 || setresgid(monitor->domain->gid, monitor->domain->gid, monitor->domain->gid) < 0 ||
            setresuid(monitor->domain->uid, monitor->domain->uid, monitor->domain->uid) < 0) {
                log_error("cannot become account %s: %m", monitor->domain->account.text);
                _exit(MONITOR_EXIT_FAILED);
        }
        /* With the account's rights: a home on a network or an encrypted one may be closed to root. */
        if (chdir(monitor->account.pw_dir) < 0) {
                log_warning("cannot enter %s: %m: starting in /", monitor->account.pw_dir);
                if (chdir("/") < 0)
                        _exit(MONITOR_EXIT_FAILED);
        }
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        execve(agent, argv, environment);
        log_error("cannot run %s: %m", agent);
        _exit(MONITOR_EXIT_FAILED);
}

static int monitor_start_agent(Monitor *monitor, const char *run_dir, const char *agent) {
        char **environment;
        int pipe_fds[2], r;
        pid_t pid;

        r = monitor_make_environment(monitor, run_dir, &environment);
        if (r)
                return r;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        pid = fork();
        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0)
                monitor_become_agent(monitor, run_dir, agent, environment, pipe_fds[1]);
        fd_close(pipe_fds[1]);
        monitor->log_fd = pipe_fds[0];
        /* Our own child, not waited for yet: the number cannot have been given to another process. */
        monitor->agent_pidfd = pidfd_open(pid, 0);
        if (monitor->agent_pidfd < 0)
                return error_origin(-errno);
        return 0;
}

static void monitor_pass_line(Monitor *monitor) {
        uint64_t second = clock_now() / USEC_PER_SEC;

        if (second != monitor->second) {
                if (monitor->n_lost > 0)
                        log_warning("%s: %u more lines of its agent were left out", monitor->domain->name.text,
                                    monitor->n_lost);
                monitor->second = second;
                monitor->n_lines = 0;
                monitor->n_lost = 0;
        }
        if (++monitor->n_lines > MONITOR_LINES_PER_SEC)
                ++monitor->n_lost;
        else
                log_info("%s: %s", monitor->domain->name.text,
                         escape((char[ESCAPE_MAX(MONITOR_LINE_MAX)]){ 0 }, ESCAPE_MAX(MONITOR_LINE_MAX), monitor->line,
                                monitor->n_line));
}

/* Return: false at the end of the stream. */
static bool monitor_relay(Monitor *monitor) {
        char buffer[4096];
        ssize_t n = read(monitor->log_fd, buffer, sizeof(buffer));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN;
        for (ssize_t i = 0; i < n; ++i) {
                if (buffer[i] == '\n' || monitor->n_line == sizeof(monitor->line)) {
                        if (!monitor->skip_line)
                                monitor_pass_line(monitor);
                        monitor->skip_line = buffer[i] != '\n';
                        monitor->n_line = 0;
                }
                if (buffer[i] != '\n' && !monitor->skip_line)
                        monitor->line[monitor->n_line++] = buffer[i];
        }
        return n > 0;
}

static int monitor_exit_status(const siginfo_t *info) {
        return info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status;
}

/* Return: exit status of the agent. Its services may outlive it and hold the log's pipe: we do not wait for that. */
static int monitor_wait(Monitor *monitor) {
        struct pollfd fds[] = {
                { .fd = monitor->agent_pidfd, .events = POLLIN },
                { .fd = monitor->signal_fd, .events = POLLIN },
                { .fd = monitor->log_fd, .events = POLLIN },
        };

        for (;;) {
                if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return error_origin(-errno);
                }
                if (fds[2].revents && !monitor_relay(monitor))
                        fds[2].fd = -1;
                if (fds[1].revents && monitor_take_signal(monitor))
                        (void)pidfd_send_signal(monitor->agent_pidfd, SIGTERM, NULL, 0);
                if (fds[0].revents) {
                        siginfo_t info = {};

                        if (waitid(P_PIDFD, (id_t)monitor->agent_pidfd, &info, WEXITED) < 0)
                                return error_origin(-errno);
                        return monitor_exit_status(&info);
                }
        }
}

int monitor_run(const PlanDomain *domain, const char *run_dir, const char *agent) {
        Monitor monitor = { .domain = domain, .agent_pidfd = -1, .log_fd = -1, .signal_fd = -1 };
        struct passwd *account;
        int r;

        (void)setsid();
        errno = 0;
        account = getpwuid(domain->uid);
        if (!account || strcmp(account->pw_name, domain->account.text) != 0) {
                log_error("domain %s: account %s has changed or gone: reload the configuration", domain->name.text,
                          domain->account.text);
                return MONITOR_EXIT_FAILED;
        }
        monitor.account = *account;

        r = monitor_open_session(&monitor);
        /* A module can take its time; who was told to stop meanwhile starts nothing. */
        if (!r && !monitor_take_signal(&monitor)) {
                r = monitor_start_agent(&monitor, run_dir, agent);
                r = r ?: monitor_wait(&monitor);
                if (r > 0)
                        log_warning("domain %s: its agent ended with status %d", domain->name.text, r);
        }
        monitor_close_session(&monitor);
        return r < 0 ? MONITOR_EXIT_FAILED : r;
}
