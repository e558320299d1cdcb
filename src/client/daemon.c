/* SPDX-License-Identifier: Apache-2.0 */
#include "client/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "libqair/answer.h"
#include "wire/exec.h"
#include "wire/hello.h"

static int daemon_connect(const char *path, int *ret_fd) {
        int r;

        r = socket_connect(path, SOCK_STREAM, ret_fd);
        if (r == 0)
                return 0;
        if (r == SOCKET_E_PATH)
                log_error("%s: too long for the path of a socket", ESCAPED(path, strlen(path)));
        else
                log_error("cannot connect to %s: %s%s", ESCAPED(path, strlen(path)), strerror(-r),
                          r == -ENOENT ? "; no such domain, or it is not running" : "");
        return DAEMON_E_FAILED;
}

/* The daemon speaks first (2.6). */
static int daemon_greet(int fd) {
        uint8_t data[WIRE_HEADER_SIZE + HELLO_SIZE];
        WireHeader header;
        Hello hello;
        int r;

        r = fd_read_full(fd, data, sizeof(data));
        if (r == FD_E_EOF || r == -ECONNRESET) {
                log_error("the daemon closed the connection");
                return DAEMON_E_FAILED;
        }
        if (r)
                return error_fold(r);
        if (wire_header_decode(data, sizeof(data), &header) || header.type != WIRE_TYPE_HELLO ||
            header.length != HELLO_SIZE ||
            hello_decode(data + WIRE_HEADER_SIZE, HELLO_SIZE, WIRE_VERSION_DAEMON, &hello)) {
                log_error("this is no daemon, or one that is too old");
                return DAEMON_E_FAILED;
        }

        wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, data);
        hello_encode(&(Hello){ .version = WIRE_VERSION_DAEMON }, data + WIRE_HEADER_SIZE);
        r = fd_write_full(fd, data, sizeof(data));
        /* What a daemon that closes has left to say comes with the answer. */
        return r == -EPIPE || r == -ECONNRESET ? 0 : error_fold(r);
}

/* A command that is only started has no data for which pipes would be worth making. */
static uint32_t daemon_mode(WireType type) {
        return type == WIRE_TYPE_JUST_EXEC ? WIRE_DOMAIN_FRAMED : WIRE_DOMAIN_DIRECT;
}

/* @mode: how we want our data; 0, which is all that upstream's client says: in dial mode */
static int daemon_ask(int fd, WireType type, uint32_t mode, const char *command) {
        _cleanup_free_ uint8_t *data = NULL;
        Exec exec = {
                .params = { .connect_domain = mode },
                .text = command,
                .n_text = strlen(command),
        };
        size_t n_max = WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE + exec.n_text + 1, n;
        int r;

        data = malloc(n_max);
        if (!data)
                return error_origin(-ENOMEM);
        r = exec_encode(type, &exec, data, n_max, &n);
        if (r)
                return error_fold(r);
        r = fd_write_full(fd, data, n);
        return r == -EPIPE || r == -ECONNRESET ? 0 : error_fold(r);
}

static int daemon_not_understood(void) {
        log_error("the daemon's answer is of a kind that this program does not understand");
        return DAEMON_E_FAILED;
}

static int daemon_receive(int fd, WireType type, Answer *answer, ExecParams *ret_params) {
        WireHeader header;
        int r;

        while (answer->n < WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE) {
                r = answer_receive(answer, fd, WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE, true);
                if ((r == ANSWER_E_END || r == ANSWER_E_RESET) && answer->n == 0) {
                        log_error("the daemon refused, or could not reach the domain");
                        return DAEMON_E_FAILED;
                }
                if (r == ANSWER_E_END || r == ANSWER_E_RESET || r == ANSWER_E_BROKEN) {
                        log_error("the daemon's answer broke off");
                        return DAEMON_E_FAILED;
                }
                if (r)
                        return error_fold(r);
        }
        if (wire_header_decode(answer->data, answer->n, &header) || header.type != type ||
            header.length != EXEC_PARAMS_SIZE ||
            exec_params_decode(answer->data + WIRE_HEADER_SIZE, EXEC_PARAMS_SIZE, ret_params))
                return daemon_not_understood();
        return 0;
}

static int daemon_exchange(const char *socket_path, WireType type, uint32_t mode, const char *command, int *ret_fd,
                           Answer *answer, ExecParams *ret_params) {
        _cleanup_fd_ int fd = -1;
        int r;

        r = daemon_connect(socket_path, &fd);
        if (!r)
                r = daemon_greet(fd);
        if (!r)
                r = daemon_ask(fd, type, mode, command);
        if (!r)
                r = daemon_receive(fd, type, answer, ret_params);
        if (r)
                return error_trace(r);
        *ret_fd = fd_steal(&fd);
        return 0;
}

int daemon_call(const char *socket_path, WireType type, const char *command, int *ret_daemon_fd, Channel *ret_channel) {
        _cleanup_(answer_deinit) Answer answer = ANSWER_INIT;
        _cleanup_fd_ int fd = -1;
        ExecParams params;
        int r;

        r = daemon_exchange(socket_path, type, daemon_mode(type), command, &fd, &answer, &params);
        if (r)
                return r;
        if (answer_take_channel(&answer, params.connect_domain, ret_channel))
                return daemon_not_understood();
        *ret_daemon_fd = fd_steal(&fd);
        return 0;
}

int daemon_call_dialled(const char *socket_path, WireType type, const char *command, int *ret_daemon_fd,
                        ExecParams *ret_params) {
        _cleanup_(answer_deinit) Answer answer = ANSWER_INIT;
        _cleanup_fd_ int fd = -1;
        ExecParams params;
        int r;

        r = daemon_exchange(socket_path, type, 0, command, &fd, &answer, &params);
        if (r)
                return r;
        if (answer.n_fds > 0)
                return daemon_not_understood();
        *ret_params = params;
        *ret_daemon_fd = fd_steal(&fd);
        return 0;
}
