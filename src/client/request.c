/* SPDX-License-Identifier: Apache-2.0 */
#include "client/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "client/answer.h"
#include "wire/header.h"
#include "wire/trigger.h"

/* Brokers that are asked, and the pause between them, doubled each time: some two seconds in all. */
#define REQUEST_ATTEMPTS   6U
#define REQUEST_PAUSE_USEC 25000

static int request_encode(const char *source, const char *target, const char *service, uint8_t **ret_data,
                          size_t *ret_n) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        _cleanup_free_ uint8_t *data = NULL;
        size_t n_max;
        int r;

        r = trigger_new(source, target, IDENT_QAIR, service, &trigger);
        if (r)
                return r == TRIGGER_E_REFUSED ? REQUEST_E_REFUSED : error_fold(r);
        n_max = WIRE_HEADER_SIZE + TRIGGER4_SIZE_MIN + trigger->n_service;
        data = malloc(n_max);
        if (!data)
                return error_origin(-ENOMEM);
        r = trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, data, n_max, ret_n);
        if (r)
                return error_fold(r);
        *ret_data = steal_ptr(&data);
        return 0;
}

static int request_connect(const char *path, int *ret_fd) {
        int r;

        /* A blocking connect: where the backlog is full it waits for its turn. */
        r = socket_connect(path, SOCK_STREAM, ret_fd);
        if (r == 0)
                return 0;
        if (r == SOCKET_E_PATH) {
                log_error("%s: too long for the path of a socket", ESCAPED(path, strlen(path)));
                return REQUEST_E_UNREACHABLE;
        }
        log_error("cannot connect to %s: %s%s", ESCAPED(path, strlen(path)), strerror(-r),
                  r == -ENOENT || r == -ECONNREFUSED ? "; is the service running? Try: systemctl status qair" : "");
        return REQUEST_E_UNREACHABLE;
}

static int request_answer(int fd, Reply *ret_reply, Channel *ret_channel) {
        _cleanup_(answer_deinit) Answer answer = ANSWER_INIT;
        Reply reply;
        int r;

        for (;;) {
                r = answer_receive(&answer, fd, answer.n < REPLY_SIZE ? REPLY_SIZE : REPLY_REFUSED_SIZE);
                if (r == ANSWER_E_END && answer.n == 0) {
                        *ret_reply = (Reply){};
                        return REQUEST_E_REFUSED;
                }
                if (r == ANSWER_E_UNREAD)
                        return REQUEST_E_GONE;
                if (r == ANSWER_E_END || r == ANSWER_E_BROKEN)
                        break;
                if (r)
                        return error_fold(r);
                r = reply_decode(answer.data, answer.n, &reply);
                if (r != REPLY_E_MORE)
                        break;
        }
        if (r) {
                log_error("the answer to the request broke off");
                return REQUEST_E_ANSWER;
        }
        if (reply.connect_domain == WIRE_DOMAIN_REFUSED) {
                *ret_reply = reply;
                return REQUEST_E_REFUSED;
        }
        if (answer_take_channel(&answer, reply.connect_domain, ret_channel)) {
                log_error("the answer to the request is of a kind that this program does not understand");
                return REQUEST_E_ANSWER;
        }
        *ret_reply = reply;
        return 0;
}

/* Return: 0, REQUEST_E_…, or a negative error. */
static int request_once(const char *socket_path, const uint8_t *data, size_t n_data, Reply *ret_reply,
                        Channel *ret_channel) {
        _cleanup_fd_ int fd = -1;
        int r, r_write;

        r = request_connect(socket_path, &fd);
        if (r)
                return error_trace(r);
        r_write = fd_write_full(fd, data, n_data);
        /* A broker that refuses before it has read everything closes: what it said, if anything, is still there. */
        if (r_write && r_write != -EPIPE && r_write != -ECONNRESET)
                return error_origin(r_write);
        r = request_answer(fd, ret_reply, ret_channel);
        if (r == REQUEST_E_REFUSED && r_write && ret_reply->connect_domain == 0)
                return REQUEST_E_GONE;
        return error_trace(r);
}

int request_call(const char *socket_path, const char *source, const char *target, const char *service, Reply *ret_reply,
                 Channel *ret_channel) {
        _cleanup_free_ uint8_t *data = NULL;
        size_t n_data;
        int r;

        r = request_encode(source, target, service, &data, &n_data);
        if (r == REQUEST_E_REFUSED)
                *ret_reply = (Reply){ .reason = REPLY_REASON_NOT_UNDERSTOOD };
        if (r)
                return error_trace(r);
        for (unsigned attempt = 0; attempt < REQUEST_ATTEMPTS; ++attempt) {
                /* At once, the first time: the next broker is waited for in the backlog of its socket. */
                if (attempt > 1)
                        (void)usleep(REQUEST_PAUSE_USEC << attempt);
                r = request_once(socket_path, data, n_data, ret_reply, ret_channel);
                if (r != REQUEST_E_GONE)
                        return error_trace(r);
        }
        log_error("the broker went away before it had read the request, %u times: see its log, or try again later",
                  REQUEST_ATTEMPTS);
        return REQUEST_E_GONE;
}
