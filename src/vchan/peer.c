/* SPDX-License-Identifier: Apache-2.0 */
#include "vchan/peer.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "vchan/adminanswer.h"
#include "wire/header.h"
#include "wire/hello.h"

static int peer_fail(const char *who, const char *what) {
        log_error("%s: %s", who, what);
        return PEER_E_FAILED;
}

/* --- daemons ---------------------------------------------------------------------------------------------------- */

static int peer_greet(int fd) {
        uint8_t data[WIRE_HEADER_SIZE + HELLO_SIZE];
        WireHeader header;
        Hello hello;

        if (fd_read_full(fd, data, sizeof(data)))
                return peer_fail("the daemon", "it closed the connection");
        if (wire_header_decode(data, sizeof(data), &header) || header.type != WIRE_TYPE_HELLO ||
            header.length != HELLO_SIZE ||
            hello_decode(data + WIRE_HEADER_SIZE, HELLO_SIZE, WIRE_VERSION_DAEMON, &hello))
                return peer_fail("the daemon", "it is none, or too old");
        hello_encode(&(Hello){ .version = WIRE_VERSION_DAEMON }, data + WIRE_HEADER_SIZE);
        return fd_write_full(fd, data, sizeof(data)) ? peer_fail("the daemon", "it closed the connection") : 0;
}

int peer_connect_daemon(const char *directory, const char *name, int *ret_fd) {
        _cleanup_free_ char *path = NULL;
        _cleanup_fd_ int fd = -1;
        int r;

        if (strchr(name, '/') || asprintf(&path, "%s/qrexec.%s", directory, name) < 0) {
                path = NULL;
                return peer_fail(ESCAPED(name, strlen(name)), "this is no domain's name");
        }
        r = socket_connect(path, SOCK_STREAM, &fd);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return PEER_E_ABSENT;
        if (r)
                return peer_fail(ESCAPED(name, strlen(name)), r < 0 ? strerror(-r) : "the name is too long");
        r = peer_greet(fd);
        if (r)
                return r;
        *ret_fd = fd_steal(&fd);
        return 0;
}

int peer_command(int fd, uint32_t type, const ExecParams *params, const char *text, size_t n, ExecParams *ret_params) {
        uint8_t data[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];
        WireHeader header;

        wire_header_encode((WireHeader){ .type = type, .length = (uint32_t)(EXEC_PARAMS_SIZE + n) }, data);
        exec_params_encode(params, data + WIRE_HEADER_SIZE);
        if (fd_write_full(fd, data, sizeof(data)) || fd_write_full(fd, text, n))
                return peer_fail("the daemon", "it closed the connection");
        if (!ret_params)
                return 0;
        if (fd_read_full(fd, data, sizeof(data)))
                return peer_fail("the daemon", "it refused");
        if (wire_header_decode(data, sizeof(data), &header) || header.type != type ||
            header.length != EXEC_PARAMS_SIZE ||
            exec_params_decode(data + WIRE_HEADER_SIZE, EXEC_PARAMS_SIZE, ret_params))
                return peer_fail("the daemon", "its answer is not understood");
        return 0;
}

void peer_wait(int fd) {
        char byte;

        while (fd_read_full(fd, &byte, 1) == 0)
                ;
}

/* --- the administration ----------------------------------------------------------------------------------------- */

static int peer_admin_send(int fd, const char *method, const char *destination, const char *payload) {
        _cleanup_free_ char *request = NULL;
        bool keyword = destination[0] == '@';
        int n;

        n = asprintf(&request, "%s+ dom0 %s %s%c%s", method, keyword ? "keyword" : "name", destination + keyword, '\0',
                     payload);
        if (n < 0) {
                request = NULL;
                return -ENOMEM;
        }
        n = fd_write_full(fd, request, (size_t)n);
        return n || shutdown(fd, SHUT_WR) == 0 ? n : -errno;
}

/* To the end. Return: bytes, or 0: too many, or an error */
static size_t peer_read_all(int fd, char *data, size_t n_max) {
        size_t n = 0;

        for (;;) {
                ssize_t n_read = read(fd, data + n, n_max - n);

                if (n_read < 0 && errno == EINTR)
                        continue;
                if (n_read < 0 || (size_t)n_read == n_max - n)
                        return 0;
                if (n_read == 0)
                        return n;
                n += (size_t)n_read;
        }
}

static int peer_admin_judge(const char *method, const char *data, size_t n, const char *tolerated, char *ret_answer) {
        AdminAnswer answer;

        switch (admin_answer_decode(data, n, &answer)) {
        case 0:
                if (!ret_answer)
                        return 0;
                if (answer.n_text == 0 || answer.n_text > PEER_ADMIN_ANSWER_MAX ||
                    memchr(answer.untrusted_text, '\0', answer.n_text))
                        return peer_fail(method, "the answer is no domain's name");
                memcpy(ret_answer, answer.untrusted_text, answer.n_text);
                ret_answer[answer.n_text] = '\0';
                return 0;
        case ADMIN_ANSWER_E_EXCEPTION:
                if (tolerated && strlen(tolerated) == answer.n_text &&
                    memcmp(answer.untrusted_text, tolerated, answer.n_text) == 0)
                        return 0;
                return peer_fail(method, ESCAPED(answer.untrusted_text, answer.n_text));
        default:
                return peer_fail(method, "the answer is not understood");
        }
}

int peer_admin(const char *method, const char *destination, const char *payload, const char *tolerated,
               char *ret_answer) {
        _cleanup_free_ char *data = NULL;
        _cleanup_fd_ int fd = -1;
        size_t n;
        int r;

        r = socket_connect(PEER_ADMIN_SOCKET, SOCK_STREAM, &fd);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return PEER_E_ABSENT;
        if (!r)
                r = peer_admin_send(fd, method, destination, payload);
        if (r)
                return peer_fail(PEER_ADMIN_SOCKET, r < 0 ? strerror(-r) : "the path is too long");
        data = malloc(ADMIN_ANSWER_MAX + 1);
        if (!data)
                return peer_fail(method, "out of memory");
        n = peer_read_all(fd, data, ADMIN_ANSWER_MAX + 1);
        return peer_admin_judge(method, data, n, tolerated, ret_answer);
}
