/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-daemon(8): serves one domain on the host, for upstream's agent in it, or ours over vchan.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "base/number.h"
#include "base/socket.h"
#include "daemon/daemon.h"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
        STATUS_TIMEOUT = 3,
        STATUS_NO_STANDARD_FDS = 125,
};

#define STARTUP_SEC 60
/** A domain's name, or that of its helper domain, NAME-dm (protocol specification, 1.1). */
#define DAEMON_NAME_MAX (DOMAIN_NAME_MAX + 3)
#define LOG_FOLDER      "/var/log/qubes"

static const char *arg_uuid;
static const char *arg_socket_dir = DAEMON_SOCKET_DIRECTORY;
static const char *arg_policy_program = DAEMON_POLICY_PROGRAM;
static const char *arg_host_call = QAIR_HOST_CALL;
static Brokered arg_brokered = { .agent = QAIR_AGENT };
static const char *arg_vsock;
static bool arg_quiet;
static bool arg_direct;

static void usage(void) {
        fprintf(stderr, "Usage: qrexec-daemon --uuid=UUID [OPTION]... DOMAIN-ID NAME [DEFAULT-USER]\n"
                        "Serve one domain on the host: ask the policy about its calls, and start commands in it.\n"
                        "\n"
                        "  -u, --uuid=UUID            the domain's uuid (needed)\n"
                        "      --socket-dir=DIR       where the sockets of domains are (default:\n"
                        "                             " DAEMON_SOCKET_DIRECTORY ")\n"
                        "  -p, --policy-program=PATH  what is asked where nobody answers at\n"
                        "                             " DAEMON_POLICY_SOCKET " (default:\n"
                        "                             " DAEMON_POLICY_PROGRAM ")\n"
                        "      --host-call-program=PATH\n"
                        "                             what runs services of the host (default:\n"
                        "                             " QAIR_HOST_CALL ")\n"
                        "      --broker=PATH          the domain is the broker's: ask at this socket instead of the\n"
                        "                             policy, and serve what comes from\n"
                        "      --link=PATH            its socket for agents, with\n"
                        "      --shell                shell commands\n"
                        "      --stop-timeout=SEC     and a limit for what runs when we are told to stop\n"
                        "      --vsock=PATH           and it is a virtual machine, whose connections are given there\n"
                        "  -D, --direct               stay in the foreground, log to standard error\n"
                        "  -q, --quiet                do not tell that the agent is waited for\n"
                        "  -h, --help                 show this text\n"
                        "\n"
                        "See qrexec-daemon(8).\n");
}

/* Return: 0 or a status */
static int parse_arguments(int argc, char **argv) {
        enum {
                OPTION_SOCKET_DIR = 256,
                OPTION_HOST_CALL,
                OPTION_BROKER,
                OPTION_LINK,
                OPTION_SHELL,
                OPTION_STOP_TIMEOUT,
                OPTION_VSOCK,
        };
        static const struct option options[] = {
                { "uuid", required_argument, NULL, 'u' },
                { "socket-dir", required_argument, NULL, OPTION_SOCKET_DIR },
                { "policy-program", required_argument, NULL, 'p' },
                { "host-call-program", required_argument, NULL, OPTION_HOST_CALL },
                { "broker", required_argument, NULL, OPTION_BROKER },
                { "link", required_argument, NULL, OPTION_LINK },
                { "shell", no_argument, NULL, OPTION_SHELL },
                { "stop-timeout", required_argument, NULL, OPTION_STOP_TIMEOUT },
                { "vsock", required_argument, NULL, OPTION_VSOCK },
                { "direct", no_argument, NULL, 'D' },
                { "quiet", no_argument, NULL, 'q' },
                { "help", no_argument, NULL, 'h' },
                {},
        };
        int option;

        while ((option = getopt_long(argc, argv, "u:p:Dqh", options, NULL)) >= 0) {
                switch (option) {
                case 'u':
                        arg_uuid = optarg;
                        break;
                case OPTION_SOCKET_DIR:
                        arg_socket_dir = optarg;
                        break;
                case 'p':
                        arg_policy_program = optarg;
                        break;
                case OPTION_HOST_CALL:
                        arg_host_call = optarg;
                        break;
                case OPTION_BROKER:
                        arg_brokered.trigger = optarg;
                        break;
                case OPTION_LINK:
                        arg_brokered.link = optarg;
                        break;
                case OPTION_SHELL:
                        arg_brokered.shell = true;
                        break;
                case OPTION_STOP_TIMEOUT:
                        arg_brokered.stop_timeout = optarg;
                        break;
                case OPTION_VSOCK:
                        arg_vsock = optarg;
                        break;
                case 'D':
                        arg_direct = true;
                        break;
                case 'q':
                        arg_quiet = true;
                        break;
                default:
                        usage();
                        return STATUS_FAILED;
                }
        }
        if (!arg_uuid || argc - optind < 2 || argc - optind > 3 || !arg_brokered.trigger != !arg_brokered.link ||
            (arg_vsock && !arg_brokered.link)) {
                usage();
                return STATUS_FAILED;
        }
        return 0;
}

/* They become names of files, and of the log. Return: 0 or a status (said) */
static int check_word(const char *what, const char *text, size_t n_max) {
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";

        if (*text != '\0' && *text != '.' && strlen(text) <= n_max && text[strspn(text, allowed)] == '\0')
                return 0;
        log_error("the %s, \"%s\", is none", what, ESCAPED(text, strlen(text)));
        return STATUS_FAILED;
}

/* Return: 0 or a status (said) */
static int check_brokered(void) {
        const char *const paths[] = { arg_brokered.link, arg_vsock };
        struct sockaddr_un address;
        socklen_t n_address;
        uint64_t seconds;

        for (size_t i = 0; i < ARRAY_SIZE(paths); ++i) {
                if (!paths[i] || socket_address(paths[i], &address, &n_address) == 0)
                        continue;
                log_error("%s: too long for a socket's path", ESCAPED(paths[i], strlen(paths[i])));
                return STATUS_FAILED;
        }
        if (arg_brokered.stop_timeout &&
            number_parse(arg_brokered.stop_timeout, strlen(arg_brokered.stop_timeout), 0, INT_MAX, &seconds)) {
                log_error("--stop-timeout: a number of seconds is wanted");
                return STATUS_FAILED;
        }
        return 0;
}

static int make_settings(char **words, DaemonSettings *ret_settings) {
        const char *timeout = getenv("QREXEC_STARTUP_TIMEOUT"), *directory = getenv("VCHAN_SOCKET_DIR");
        uint64_t id, seconds = STARTUP_SEC;

        if (number_parse(words[0], strlen(words[0]), 1, INT_MAX, &id)) {
                log_error("the domain's id, \"%s\", is no number above 0", ESCAPED(words[0], strlen(words[0])));
                return STATUS_FAILED;
        }
        if (check_word("domain's name", words[1], DAEMON_NAME_MAX) || check_word("uuid", arg_uuid, 36) ||
            (words[2] && check_word("default user", words[2], 200)))
                return STATUS_FAILED;
        if (arg_brokered.link && check_brokered())
                return STATUS_FAILED;
        if (timeout && number_parse(timeout, strlen(timeout), 1, INT_MAX, &seconds))
                seconds = STARTUP_SEC;
        /* A broker has a limit of its own, and others ask it meanwhile. */
        if (getenv("QREXEC_STARTUP_NOWAIT") || arg_brokered.link)
                seconds = 0;
        *ret_settings = (DaemonSettings){
                .domain = (uint32_t)id,
                .name = words[1],
                .uuid = arg_uuid,
                .user = words[2] ? words[2] : "user",
                .policy_program = arg_policy_program,
                .host_call = arg_host_call,
                .startup_usec = seconds * USEC_PER_SEC,
                .vsock = arg_vsock,
                .brokered = arg_brokered.link ? &arg_brokered : NULL,
        };
        /* Of a domain of the broker's all sockets are in one folder, which is that domain's alone. */
        if (!directory && arg_brokered.link)
                directory = arg_socket_dir;
        if (vchan_place_init(directory, getenv("VCHAN_DOMAIN"), &ret_settings->place)) {
                log_error("VCHAN_DOMAIN is no domain's id: a decimal number is wanted");
                return STATUS_FAILED;
        }
        return 0;
}

/* --- in the background ------------------------------------------------------------------------------------------ */

/* Its standard error is the log from now on. Return: 0 or a negative error */
static int open_log(const char *name) {
        _cleanup_free_ char *path = NULL;
        _cleanup_fd_ int fd = -1;
        mode_t mask;

        if (asprintf(&path, LOG_FOLDER "/qrexec.%s.log", name) < 0) {
                path = NULL;
                return error_origin(-ENOMEM);
        }
        mask = umask(0007);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW, 0660);
        (void)umask(mask);
        if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0 || setsid() < 0) {
                int error = errno;

                log_error("%s: %s", path, strerror(error));
                return error_origin(-error);
        }
        return 0;
}

/* Wait for the child's word that the domain can be called. Return: a status */
static int wait_for_child(int report_fd, pid_t pid, const char *name) {
        int status;

        if (getenv("QREXEC_STARTUP_NOWAIT"))
                return STATUS_DONE;
        if (!arg_quiet)
                (void)fprintf(stderr, "Waiting for the agent of domain %s...", name);
        for (;;) {
                struct pollfd poll_fd = { .fd = report_fd, .events = POLLIN };
                char byte;
                int n = poll(&poll_fd, 1, 1000);

                if (n == 0 && !arg_quiet)
                        (void)fputc('.', stderr);
                if (n <= 0)
                        continue;
                if (!arg_quiet)
                        (void)fputc('\n', stderr);
                if (fd_read_full(report_fd, &byte, 1) == 0)
                        return STATUS_DONE;
                break;
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return STATUS_FAILED;
        return WIFEXITED(status) && WEXITSTATUS(status) == STATUS_TIMEOUT ? STATUS_TIMEOUT : STATUS_FAILED;
}

static void report_up(void *userdata) {
        int *report_fd = userdata;

        if (*report_fd >= 0)
                (void)fd_write_full(*report_fd, "1", 1);
        *report_fd = fd_close(*report_fd);
}

/* @report_fd: -1: to nobody; owned. Return: a status */
static int serve(const DaemonSettings *settings, int report_fd) {
        Daemon *daemon = NULL;
        int r;

        r = daemon_new(settings, report_up, &report_fd, &daemon);
        if (!r)
                r = daemon_run(daemon);
        daemon = daemon_free(daemon);
        if (r == DAEMON_E_TIMEOUT) {
                log_error("the agent of domain %s was not there in time", settings->name);
                return STATUS_TIMEOUT;
        }
        return r ? STATUS_FAILED : STATUS_DONE;
}

static int run(const DaemonSettings *settings) {
        int fds[2];
        pid_t pid;

        if (arg_direct) {
                if (chdir(arg_socket_dir) < 0) {
                        log_error("%s: %s", ESCAPED(arg_socket_dir, strlen(arg_socket_dir)), strerror(errno));
                        return STATUS_FAILED;
                }
                return serve(settings, -1);
        }
        if (pipe2(fds, O_CLOEXEC) < 0)
                return STATUS_FAILED;
        pid = fork();
        if (pid < 0)
                return STATUS_FAILED;
        if (pid > 0) {
                fd_close(fds[1]);
                return wait_for_child(fds[0], pid, settings->name);
        }
        fd_close(fds[0]);
        if (chdir(arg_socket_dir) < 0) {
                log_error("%s: %s", ESCAPED(arg_socket_dir, strlen(arg_socket_dir)), strerror(errno));
                return STATUS_FAILED;
        }
        return open_log(settings->name) < 0 ? STATUS_FAILED : serve(settings, fds[1]);
}

int main(int argc, char **argv) {
        _cleanup_fd_ int null_fd = -1;
        DaemonSettings settings;
        int r;

        if (fd_ensure_standard() < 0)
                return STATUS_NO_STANDARD_FDS;
        log_open("qrexec-daemon", false);
        r = parse_arguments(argc, argv);
        if (!r)
                r = make_settings(argv + optind, &settings);
        if (r)
                return r;
        null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
                return STATUS_FAILED;
        return run(&settings);
}
