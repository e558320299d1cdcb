/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of the host that calls through a daemon's socket: the input is what the daemon says, from its HELLO to its end; the
 * first byte says what is asked of it.
 *
 * It is believed if, and only if, it says HELLO of version 3 or more, and then the same message with exec_params; nothing is said to
 * one whose HELLO is none, and a command only behind our HELLO.
 */
#include "folder.h"
#include "peer.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>

#include "base/log.h"
#include "base/socket.h"
#include "vchan/peer.h"
#include "wire/exec.h"

#define HELLO_N  (WIRE_HEADER_SIZE + HELLO_SIZE)
#define ANSWER_N (WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE)

enum {
        FLAG_JUST_EXEC = 1,
        FLAG_NO_ANSWER = 2, /* none is expected: the end is waited for */
};

static const char command[] = "DEFAULT:command";

typedef struct Daemon {
        Peer peer;
        int listener_fd;
        const uint8_t *says;
        size_t n_says;
} Daemon;

static void *daemon_run(void *userdata) {
        Daemon *daemon = userdata;

        daemon->peer.fd = accept4(daemon->listener_fd, NULL, NULL, SOCK_CLOEXEC);
        fuzz_check(daemon->peer.fd >= 0);
        (void)peer_say(&daemon->peer, daemon->says, daemon->n_says);
        (void)shutdown(daemon->peer.fd, SHUT_WR);
        for (;;) {
                struct pollfd poll_fd = { .fd = daemon->peer.fd, .events = POLLIN };

                (void)poll(&poll_fd, 1, -1);
                if (!transcript_receive(&daemon->peer.received, daemon->peer.fd, TRANSCRIPT_MAX))
                        break;
        }
        daemon->peer.fd = fd_close(daemon->peer.fd);
        return NULL;
}

static int listen_at(const char *path) {
        struct sockaddr_un address;
        socklen_t n;
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        fuzz_check(socket_address(path, &address, &n) == 0);
        fuzz_check(fd >= 0 && bind(fd, (struct sockaddr *)&address, n) == 0 && listen(fd, 1) == 0);
        return fd;
}

static bool hello_is_good(const Daemon *daemon) {
        const uint8_t *says = daemon->says;

        return daemon->n_says >= HELLO_N && memcmp(says, "\0\3\0\0\4\0\0\0", WIRE_HEADER_SIZE) == 0 &&
               (says[8] >= 3 || says[9] || says[10] || says[11]);
}

static bool answer_is_good(const Daemon *daemon, uint32_t type) {
        uint8_t header[WIRE_HEADER_SIZE];

        wire_header_encode((WireHeader){ type, EXEC_PARAMS_SIZE }, header);
        return daemon->n_says >= HELLO_N + ANSWER_N && memcmp(daemon->says + HELLO_N, header, sizeof(header)) == 0;
}

static void check_command(const Daemon *daemon, uint32_t type, const ExecParams *params) {
        uint8_t expected[HELLO_N + ANSWER_N + sizeof(command)];

        wire_header_encode((WireHeader){ WIRE_TYPE_HELLO, HELLO_SIZE }, expected);
        hello_encode(&(Hello){ .version = 3 }, expected + WIRE_HEADER_SIZE);
        wire_header_encode((WireHeader){ type, EXEC_PARAMS_SIZE + sizeof(command) }, expected + HELLO_N);
        exec_params_encode(params, expected + HELLO_N + WIRE_HEADER_SIZE);
        memcpy(expected + HELLO_N + ANSWER_N, command, sizeof(command));
        fuzz_check(daemon->peer.received.n == sizeof(expected));
        fuzz_check(transcript_is_prefix(&daemon->peer.received, expected, sizeof(expected)));
}

static void ask(const Daemon *daemon, int fd, uint8_t flags, uint32_t type, const ExecParams *params) {
        ExecParams answer = { 4711, 4711 };
        uint8_t got[EXEC_PARAMS_SIZE];
        int r;

        r = peer_command(fd, type, params, command, sizeof(command), flags & FLAG_NO_ANSWER ? NULL : &answer);
        if (flags & FLAG_NO_ANSWER) {
                fuzz_check(r == 0);
                peer_wait(fd);
                return;
        }
        fuzz_check(r == (answer_is_good(daemon, type) ? 0 : PEER_E_FAILED));
        if (r)
                return;
        exec_params_encode(&answer, got);
        fuzz_check(memcmp(got, daemon->says + HELLO_N + WIRE_HEADER_SIZE, sizeof(got)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static const ExecParams params = { 43, 513 };
        static Daemon daemon;
        char path[64];
        pthread_t thread;
        uint32_t type;
        int r, fd;

        if (n == 0 || n > 4096)
                return 0;
        log_set_max_level(0);
        (void)snprintf(path, sizeof(path), "%s/qrexec.work", folder());
        fuzz_check(peer_connect_daemon(folder(), "work", &fd) == PEER_E_ABSENT);
        daemon.listener_fd = listen_at(path);
        daemon.says = data + 1;
        daemon.n_says = n - 1;
        daemon.peer.sent.n = daemon.peer.received.n = 0;
        fuzz_check(pthread_create(&thread, NULL, daemon_run, &daemon) == 0);

        type = data[0] & FLAG_JUST_EXEC ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE;
        r = peer_connect_daemon(folder(), "work", &fd);
        fuzz_check(r == (hello_is_good(&daemon) ? 0 : PEER_E_FAILED));
        if (r == 0) {
                ask(&daemon, fd, data[0], type, &params);
                fd_close(fd);
        }
        fuzz_check(pthread_join(thread, NULL) == 0);
        fd_close(daemon.listener_fd);
        (void)unlink(path);
        if (r == 0)
                check_command(&daemon, type, &params);
        else
                fuzz_check(daemon.peer.received.n == 0);
        return 0;
}
