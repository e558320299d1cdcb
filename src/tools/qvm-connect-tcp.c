/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qvm-connect-tcp: make a TCP port of another domain a port of this machine, as on Qubes OS (protocol specification, 8.4).
 * Each connection becomes a call of qubes.ConnectTCP, with the connection as both of its streams.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/name.h"
#include "base/number.h"

enum {
        STATUS_DONE = 0,
        STATUS_FAILED = 1,
};

#define CONNECT_BACKLOG 16

/** After descriptors or processes ran out, how long nobody is accepted. */
#define CONNECT_PAUSE_MSEC 100

typedef struct Forward {
        uint16_t local_port, remote_port;
        char target[REQUEST_NAME_MAX + 1];
        char service[sizeof("qubes.ConnectTCP+65535")];
} Forward;

static void usage(FILE *out) {
        fprintf(out, "Usage: qvm-connect-tcp [LOCALPORT]:[DOMAIN]:PORT\n"
                     "Let programs here reach TCP port PORT of DOMAIN at 127.0.0.1:LOCALPORT.\n"
                     "\n"
                     "LOCALPORT is PORT if it is not given; without DOMAIN the policy decides (@default). Each\n"
                     "connection is a call of qubes.ConnectTCP+PORT. The listener runs in the background.\n");
}

static int parse_port(const char *text, size_t n, const char *what, uint16_t *ret_port) {
        uint64_t port;

        if (number_parse(text, n, 1, UINT16_MAX, &port)) {
                log_error("the %s port, \"%s\", is no number from 1 to %d", what, ESCAPED(text, n), UINT16_MAX);
                return -1;
        }
        *ret_port = (uint16_t)port;
        return 0;
}

/* Return: 0 or -1 (said) */
static int parse_forward(const char *text, Forward *forward) {
        const char *target = strchr(text, ':');
        const char *port = target ? strchr(target + 1, ':') : NULL;
        size_t n_target;

        if (!port || port[1] == '\0') {
                log_error("\"%s\" has no port of a domain: [LOCALPORT]:[DOMAIN]:PORT is wanted",
                          ESCAPED(text, strlen(text)));
                return -1;
        }
        n_target = (size_t)(port - target - 1);
        if (n_target > REQUEST_NAME_MAX) {
                log_error("the name of the domain is too long");
                return -1;
        }
        if (parse_port(port + 1, strlen(port + 1), "domain's", &forward->remote_port))
                return -1;
        forward->local_port = forward->remote_port;
        if (target > text && parse_port(text, (size_t)(target - text), "local", &forward->local_port))
                return -1;
        memcpy(forward->target, target + 1, n_target);
        forward->target[n_target] = '\0';
        if (n_target == 0)
                memcpy(forward->target, "@default", sizeof("@default"));
        (void)snprintf(forward->service, sizeof(forward->service), "qubes.ConnectTCP+%u", forward->remote_port);
        return 0;
}

/* On the loopback interface alone: what may be reached is for the policy to say, not for the network. */
static int open_listener(const Forward *forward, int *ret_fd) {
        struct sockaddr_in address = {
                .sin_family = AF_INET,
                .sin_port = htons(forward->local_port),
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        _cleanup_fd_ int fd = -1;

        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) < 0 ||
            bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, CONNECT_BACKLOG) < 0) {
                log_error("cannot listen at 127.0.0.1:%u: %s", forward->local_port, strerror(errno));
                return -1;
        }
        *ret_fd = fd_steal(&fd);
        return 0;
}

/* The terminal and its streams stay the caller's. Return: 0: in the background; 1: in the foreground; or -1 */
static int go_to_background(void) {
        _cleanup_fd_ int null_fd = -1;
        pid_t pid;

        pid = fork();
        if (pid != 0)
                return pid < 0 ? error_origin(-errno) : 1;
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null_fd < 0 || setsid() < 0 || chdir("/") < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
            dup2(null_fd, STDOUT_FILENO) < 0 || dup2(null_fd, STDERR_FILENO) < 0)
                return error_origin(-errno);
        /* Calls end by themselves: nobody asks how. */
        (void)signal(SIGCHLD, SIG_IGN);
        return 0;
}

static int start_call(const Forward *forward, int fd) {
        char *const argv[] = { (char *)"qrexec-client-vm", (char *)"--use-stdin-socket", (char *)"--",
                               (char *)forward->target,    (char *)forward->service,     NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t by_default;
        pid_t pid;
        int r;

        sigemptyset(&by_default);
        sigaddset(&by_default, SIGCHLD);
        r = posix_spawn_file_actions_init(&actions);
        if (r)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (!r) {
                r = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
                if (!r)
                        r = posix_spawnattr_setsigdefault(&attributes, &by_default);
                if (!r)
                        r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
                if (!r)
                        r = posix_spawn(&pid, QAIR_CLIENT, &actions, &attributes, argv, environ);
                (void)posix_spawnattr_destroy(&attributes);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
        return -r;
}

/* Until it is killed. */
static int serve(const Forward *forward, int listener_fd) {
        for (;;) {
                _cleanup_fd_ int fd = accept4(listener_fd, NULL, NULL, SOCK_CLOEXEC);
                int error = fd < 0 ? errno : -start_call(forward, fd);

                switch (error) {
                case 0:
                case EINTR:
                case ECONNABORTED:
                        break;
                case EAGAIN:
                case EMFILE:
                case ENFILE:
                case ENOBUFS:
                case ENOMEM:
                        /* This connection is lost; others wait in the backlog meanwhile. */
                        (void)usleep(CONNECT_PAUSE_MSEC * 1000);
                        break;
                default:
                        return error_origin(-error);
                }
        }
}

int main(int argc, char **argv) {
        _cleanup_fd_ int listener_fd = -1;
        Forward forward;
        int r;

        if (fd_ensure_standard() < 0)
                return STATUS_FAILED;
        log_open("qvm-connect-tcp", false);
        if (argc == 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
                usage(stdout);
                return fflush(stdout) == 0 ? STATUS_DONE : STATUS_FAILED;
        }
        if (argc != 2) {
                usage(stderr);
                return STATUS_FAILED;
        }
        if (parse_forward(argv[1], &forward) || open_listener(&forward, &listener_fd))
                return STATUS_FAILED;
        printf("Binding TCP '%s:%u' to 'localhost:%u'...\n", ESCAPED(forward.target, strlen(forward.target)),
               forward.remote_port, forward.local_port);
        if (fflush(stdout) != 0)
                return STATUS_FAILED;
        r = go_to_background();
        if (r == 0)
                r = serve(&forward, listener_fd);
        return r < 0 ? STATUS_FAILED : STATUS_DONE;
}
