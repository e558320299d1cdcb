/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-policy-daemon: answers, on sockets, what policy says (policy specification, 5.10, 5.12, 9.2).
 *
 * A request of the policy socket that is there as soon as its connection, and takes nothing but a decision, is answered at once.
 * Any other connection is served by a process of its own, which reads one request, answers it and ends: requests do not wait for
 * each other, nor for a person, and what goes wrong in one harms none of the others. Who may connect is decided by the sockets'
 * mode.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/socket.h"
#include "policy-tools/agentcall.h"
#include "policy-tools/handler.h"
#include "policy-tools/kept.h"

#define DIRECTORIES_MAX 16
/** How long a request may take to be there at once: its caller connects and writes it, and may be interrupted in between. */
#define PROMPT_MSEC 5
/** Requests at a time; more wait in the sockets' backlogs. Each is a process for as long as a decision takes. */
#define CHILDREN_MAX 64
/** How long a caller may stay silent in the middle of a request, or not take the answer. */
#define SILENCE_SEC 30

#define GROUP   "qubes"
#define ACCOUNT "qrexec"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_USAGE = 2,
};

static const char usage[] = "usage: qrexec-policy-daemon [-h] [--policy-path DIR]... [--socket-path PATH]\n"
                            "                            [--eval-socket-path PATH] [--gui-socket-path PATH]\n"
                            "                            [--system-info PATH] [--inventory DIR]\n";

typedef enum SocketKind {
        SOCKET_KIND_POLICY,
        SOCKET_KIND_SIMPLE,
        SOCKET_KIND_GUI,
        _SOCKET_KIND_N,
} SocketKind;

/** A connection whose request was not looked at yet. */
typedef struct Waiting {
        int fd;
        uint64_t deadline_usec;
} Waiting;

typedef struct Daemon {
        const char *directories[DIRECTORIES_MAX];
        PolicyHandler handler;
        PolicyKept *kept;
        const char *paths[_SOCKET_KIND_N];
        int fds[_SOCKET_KIND_N];
        int signal_fd;
        size_t n_children;
        Waiting waiting[CHILDREN_MAX]; /* the oldest first */
        size_t n_waiting;
        bool wants_help;
} Daemon;

/* The bare message (5.8), in one piece: several processes write. */
static void log_text(PolicyLogger logger, const char *text) {
        _cleanup_free_ char *line = NULL;
        int n = asprintf(&line, "%s\n", text);

        if (n < 0)
                line = NULL;
        else
                (void)fd_write_full(STDERR_FILENO, line, (size_t)n);
}

static int call_agent(const char *guivm, const char *service, const char *params, char **ret_answer) {
        static const PolicyAgentPaths paths = { QAIR_RPCDIR, QAIR_CLIENT_HOST, QAIR_CLIENT };

        return policy_agent_call(&paths, guivm, service, params, ret_answer);
}

/*
 * One request
 */

/* Reads a request to its end. Return: its length; 0 also if it is too long or does not come, which is malformed */
static size_t receive(SocketKind kind, int fd, char *buffer, size_t n_max) {
        size_t n = 0;

        for (;;) {
                ssize_t l = read(fd, buffer + n, n_max + 1 - n);

                if (l < 0 && errno == EINTR)
                        continue;
                if (l < 0)
                        return 0;
                if (l == 0)
                        return n;
                n += (size_t)l;
                if (n > n_max)
                        return 0;
                if (kind == SOCKET_KIND_POLICY && policy_socket_request_is_complete(buffer, n))
                        return n;
        }
}

static int answer(const Daemon *daemon, SocketKind kind, const char *data, size_t n, char **ret_answer) {
        static const char *const names[_SOCKET_KIND_N] = { NULL, "policy.EvalSimple", "policy.EvalGUI" };
        char error[POLICY_REQUEST_ERROR_MAX] = "";
        PolicySocketRequest request;
        PolicyEvalRequest eval_request;
        int r;

        if (kind == SOCKET_KIND_POLICY) {
                r = policy_socket_request_parse(data, n, &request, error);
                if (r == 0)
                        return policy_handle(&daemon->handler, &request, ret_answer);
        } else {
                r = policy_eval_request_parse(names[kind], data, n, &eval_request, error);
                if (r == 0)
                        return policy_handle_eval(&daemon->handler, names[kind], kind == SOCKET_KIND_GUI, &eval_request,
                                                  ret_answer);
        }
        if (error[0] != '\0')
                log_text(POLICY_LOGGER_POLICY, error);
        return 0;
}

static int serve(const Daemon *daemon, SocketKind kind, int fd) {
        static const struct timeval timeout = { .tv_sec = SILENCE_SEC };
        size_t n_max = kind == SOCKET_KIND_POLICY ? POLICY_SOCKET_REQUEST_MAX : POLICY_EVAL_REQUEST_MAX, n;
        _cleanup_free_ char *buffer = malloc(n_max + 1), *text = NULL;
        int r;

        if (!buffer || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                return STATUS_FAILED;
        n = receive(kind, fd, buffer, n_max);
        policy_kept_check(daemon->kept);
        r = answer(daemon, kind, buffer, n, &text);
        if (r < 0)
                return STATUS_FAILED;
        return text && fd_write_full(fd, text, strlen(text)) < 0 ? STATUS_FAILED : STATUS_DONE;
}

/*
 * Connections
 */

static void unblock_signals(void) {
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Decide here and now, if the whole request is there and needs nothing else. Return: was it? */
static bool answer_at_once(Daemon *daemon, int fd) {
        char buffer[PIPE_BUF], error[POLICY_REQUEST_ERROR_MAX] = "";
        _cleanup_free_ char *text = NULL;
        PolicySocketRequest request;
        ssize_t n;

        n = recv(fd, buffer, sizeof(buffer), MSG_PEEK | MSG_DONTWAIT);
        if (n <= 0 || !policy_socket_request_is_complete(buffer, (size_t)n) ||
            policy_socket_request_parse(buffer, (size_t)n, &request, error) ||
            !policy_handle_is_quick(&daemon->handler, &request))
                return false;
        (void)recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        if (policy_handle(&daemon->handler, &request, &text) >= 0 && text)
                (void)send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
        return true;
}

/* Return: 0 in the parent; in the child *@ret_status is what it leaves with, and 1 is returned. @fd: taken */
static int serve_in_child(Daemon *daemon, SocketKind kind, int taken_fd, int *ret_status) {
        _cleanup_fd_ int fd = taken_fd;
        pid_t pid;

        if (policy_kept_refresh(daemon->kept) < 0)
                return 0; /* no memory: refused */
        pid = fork();
        if (pid > 0)
                ++daemon->n_children;
        if (pid != 0)
                return 0;
        /* They would not see their end as long as this one waits for a person. */
        for (size_t i = 0; i < daemon->n_waiting; ++i)
                fd_close(daemon->waiting[i].fd);
        unblock_signals();
        *ret_status = serve(daemon, kind, fd);
        return 1;
}

/* Return: as serve_in_child() */
static int take(Daemon *daemon, SocketKind kind, int *ret_status) {
        int fd = accept4(daemon->fds[kind], NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                return 0; /* gone again, or no descriptors: the next one is told from this by trying */
        if (kind != SOCKET_KIND_POLICY)
                return serve_in_child(daemon, kind, fd, ret_status);
        daemon->waiting[daemon->n_waiting++] = (Waiting){ fd, clock_now() + PROMPT_MSEC * USEC_PER_MSEC };
        return 0;
}

static void forget_answered(Daemon *daemon) {
        size_t n = 0;

        for (size_t i = 0; i < daemon->n_waiting; ++i)
                if (daemon->waiting[i].fd >= 0)
                        daemon->waiting[n++] = daemon->waiting[i];
        daemon->n_waiting = n;
}

/* Those who said something, or did not in time. @polled: those that were waiting then. Return: as serve_in_child() */
static int look_at_waiting(Daemon *daemon, const struct pollfd *polled, size_t n_polled, int *ret_status) {
        uint64_t now_usec = clock_now();

        for (size_t i = 0; i < n_polled; ++i) {
                if (!polled[i].revents && daemon->waiting[i].deadline_usec > now_usec)
                        continue;
                if (polled[i].revents && policy_kept_refresh(daemon->kept) == 0 &&
                    answer_at_once(daemon, daemon->waiting[i].fd))
                        daemon->waiting[i].fd = fd_close(daemon->waiting[i].fd);
                else if (serve_in_child(daemon, SOCKET_KIND_POLICY, fd_steal(&daemon->waiting[i].fd), ret_status))
                        return 1;
        }
        forget_answered(daemon);
        return 0;
}

static void reap(Daemon *daemon) {
        while (daemon->n_children > 0 && waitpid(-1, NULL, WNOHANG) > 0)
                --daemon->n_children;
}

static int loop(Daemon *daemon) {
        for (;;) {
                struct pollfd polled[_SOCKET_KIND_N + 1 + CHILDREN_MAX];
                bool is_full = daemon->n_children + daemon->n_waiting >= CHILDREN_MAX;
                size_t n_waiting = daemon->n_waiting;
                struct signalfd_siginfo info;
                int status;

                for (size_t i = 0; i < _SOCKET_KIND_N; ++i)
                        polled[i] = (struct pollfd){ .fd = is_full ? -1 : daemon->fds[i], .events = POLLIN };
                polled[_SOCKET_KIND_N] = (struct pollfd){ .fd = daemon->signal_fd, .events = POLLIN };
                for (size_t i = 0; i < n_waiting; ++i)
                        polled[_SOCKET_KIND_N + 1 + i] =
                                (struct pollfd){ .fd = daemon->waiting[i].fd, .events = POLLIN };
                if (poll(polled, _SOCKET_KIND_N + 1 + n_waiting, n_waiting > 0 ? PROMPT_MSEC : -1) < 0) {
                        if (errno != EINTR)
                                return error_origin(-errno);
                        continue;
                }
                if (polled[_SOCKET_KIND_N].revents) {
                        if (read(daemon->signal_fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo != SIGCHLD)
                                return STATUS_DONE;
                        reap(daemon);
                }
                if (look_at_waiting(daemon, polled + _SOCKET_KIND_N + 1, n_waiting, &status))
                        return status;
                for (size_t i = 0; i < _SOCKET_KIND_N; ++i)
                        if (polled[i].revents && daemon->n_children + daemon->n_waiting < CHILDREN_MAX &&
                            take(daemon, (SocketKind)i, &status))
                                return status;
        }
}

static int open_sockets(Daemon *daemon) {
        for (size_t i = 0; i < _SOCKET_KIND_N; ++i)
                if (unlink(daemon->paths[i]) < 0 && errno != ENOENT)
                        return error_origin(-errno);
        for (size_t i = 0; i < _SOCKET_KIND_N; ++i) {
                struct sockaddr_un address;
                socklen_t n_address;

                if (socket_address(daemon->paths[i], &address, &n_address) != 0)
                        return error_origin(-ENAMETOOLONG);
                daemon->fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                if (daemon->fds[i] < 0 || bind(daemon->fds[i], (struct sockaddr *)&address, n_address) < 0 ||
                    chmod(daemon->paths[i], 0660) < 0 || listen(daemon->fds[i], SOMAXCONN) < 0) {
                        fprintf(stderr, "qrexec-policy-daemon: %s: %s\n", daemon->paths[i], strerror(errno));
                        return STATUS_FAILED;
                }
        }
        return 0;
}

/* Root's sockets belong to the group that may use them. */
static int change_group(void) {
        const struct group *group = geteuid() == 0 ? getgrnam(GROUP) : NULL;

        return group && setgid(group->gr_gid) < 0 ? error_origin(-errno) : 0;
}

/*
 * Only binding the sockets needs root. What reads requests runs as the broker's account, which may read what decides and
 * write nothing; the group stays, since qubesd's socket and /run/qubes/policy.d may be open to it alone.
 */
static int drop_privilege(void) {
        const struct passwd *account = geteuid() == 0 ? getpwnam(ACCOUNT) : NULL;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_origin(-errno);
        if (!account)
                return 0;
        if (setgroups(0, NULL) < 0 || setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0)
                return error_origin(-errno);
        return 0;
}

static int run(Daemon *daemon) {
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return error_origin(-errno);
        daemon->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        if (daemon->signal_fd < 0)
                return error_origin(-errno);
        umask(007);
        r = policy_kept_new(&daemon->handler, &daemon->kept);
        r = r ?: change_group();
        r = r ?: open_sockets(daemon);
        r = r ?: drop_privilege();
        if (r == 0)
                (void)sd_notify(1, "READY=1");
        return r ?: loop(daemon);
}

/*
 * The command line
 */

static int complain(const char *text, const char *about) {
        fprintf(stderr, "%sqrexec-policy-daemon: error: %s%s\n", usage, text, about);
        return STATUS_USAGE;
}

enum {
        OPTION_POLICY_PATH = 256,
        OPTION_SOCKET_PATH, /* and the two that follow, in the order of SocketKind */
        OPTION_EVAL_SOCKET_PATH,
        OPTION_GUI_SOCKET_PATH,
        OPTION_SYSTEM_INFO,
        OPTION_INVENTORY,
};

static int parse_options(int argc, char **argv, Daemon *daemon) {
        static const struct option known[] = {
                { "help", no_argument, NULL, 'h' },
                { "policy-path", required_argument, NULL, OPTION_POLICY_PATH },
                { "socket-path", required_argument, NULL, OPTION_SOCKET_PATH },
                { "eval-socket-path", required_argument, NULL, OPTION_EVAL_SOCKET_PATH },
                { "gui-socket-path", required_argument, NULL, OPTION_GUI_SOCKET_PATH },
                { "system-info", required_argument, NULL, OPTION_SYSTEM_INFO },
                { "inventory", required_argument, NULL, OPTION_INVENTORY },
                {},
        };
        int option;

        opterr = 0;
        while ((option = getopt_long(argc, argv, ":h", known, NULL)) >= 0)
                switch (option) {
                case 'h':
                        daemon->wants_help = true;
                        return STATUS_DONE;
                case OPTION_POLICY_PATH:
                        if (daemon->handler.n_directories == DIRECTORIES_MAX)
                                return complain("too many folders", "");
                        daemon->directories[daemon->handler.n_directories++] = optarg;
                        break;
                case OPTION_SOCKET_PATH:
                case OPTION_EVAL_SOCKET_PATH:
                case OPTION_GUI_SOCKET_PATH:
                        daemon->paths[option - OPTION_SOCKET_PATH] = optarg;
                        break;
                case OPTION_SYSTEM_INFO:
                        daemon->handler.system_info = optarg;
                        break;
                case OPTION_INVENTORY:
                        daemon->handler.inventory = optarg;
                        break;
                case ':':
                        return complain("expected one argument: ", argv[optind - 1]);
                default:
                        return complain("unrecognized arguments: ", argv[optind - 1]);
                }
        return optind < argc ? complain("unrecognized arguments: ", argv[optind]) : STATUS_DONE;
}

int main(int argc, char **argv) {
        Daemon daemon = {
                .directories = { PATHS_POLICY_RUN_DIR, PATHS_POLICY_DIR },
                .handler = { .usual_inventory = PATHS_DOMAINS_DIR, .log = log_text, .call_agent = call_agent },
                .paths = { "/var/run/qubes/policy.sock", QAIR_RPCDIR "/policy.EvalSimple",
                           QAIR_RPCDIR "/policy.EvalGUI" },
                .fds = { -1, -1, -1 },
                .signal_fd = -1,
        };
        int status;

        log_open("qrexec-policy-daemon", false);
        signal(SIGPIPE, SIG_IGN);
        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        status = parse_options(argc, argv, &daemon);
        if (status != STATUS_DONE)
                return status;
        if (daemon.wants_help) {
                printf("%s\nAnswer on sockets what policy says. See qrexec-policy-daemon(8).\n", usage);
                return STATUS_DONE;
        }
        daemon.handler.directories = daemon.directories;
        if (daemon.handler.n_directories == 0)
                daemon.handler.n_directories = 2;
        status = run(&daemon);
        policy_kept_free(daemon.kept);
        for (size_t i = 0; i < _SOCKET_KIND_N; ++i)
                fd_close(daemon.fds[i]);
        fd_close(daemon.signal_fd);
        return status < 0 ? STATUS_FAILED : status;
}
