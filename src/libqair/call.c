/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/socket.h"
#include "data/frame.h"
#include "data/status.h"
#include "libqair/answer.h"
#include "libqair/channel.h"
#include "libqair/client.h"
#include "wire/reply.h"
#include "wire/trigger.h"

/*
 * Connections made for one request. A broker that is gone before it has read a request resets the connection, and the
 * request may be sent to the next broker, which is served by the same socket. It is the same if there are too many
 * connections of ours, so this has an end.
 */
#define CALL_CONNECTS_MAX 3

struct qair_call {
        qair_client *client; /* while ASKING */
        qair_state state;
        qair_reason reason;
        int error;
        unsigned id;

        int trigger_fd; /* while ASKING */
        bool kept;      /* it has served an earlier call */
        bool unsent;    /* the broker had closed before it could have had the whole request */
        unsigned n_connects;
        uint8_t *request;
        size_t n_request;
        Answer answer;

        Channel channel;
        bool framed; /* it is one stream that carries data, too: not for us to read */
        FrameDecoder decoder;
        int status;
        void (*on_stderr)(void *userdata, const void *data, size_t n);
        void *userdata;
};

/* What asking needs, and nothing else does. */
static void call_forget_request(qair_call *call) {
        call->trigger_fd = fd_close(call->trigger_fd);
        free(call->request);
        call->request = NULL;
        answer_deinit(&call->answer);
        call->client = NULL;
}

static int call_lose(qair_call *call, int error) {
        call_forget_request(call);
        call->channel.stream_fd = fd_close(call->channel.stream_fd);
        call->state = QAIR_STATE_LOST;
        call->error = error;
        return error;
}

static int call_refuse(qair_call *call, unsigned reason) {
        call_forget_request(call);
        call->state = QAIR_STATE_REFUSED;
        call->reason = (qair_reason)reason;
        return -EACCES;
}

/* Asking */

static int call_encode(qair_call *call, const char *source, const char *target, const char *service) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        size_t n_max;
        int r;

        r = trigger_new(source, target, client_ident(call->client), service, &trigger);
        if (r == TRIGGER_E_REFUSED) {
                (void)call_refuse(call, QAIR_REASON_NOT_UNDERSTOOD);
                return 0;
        }
        if (r)
                return r;
        n_max = WIRE_HEADER_SIZE + TRIGGER4_SIZE_MIN + trigger->n_service;
        call->request = malloc(n_max);
        if (!call->request)
                return -ENOMEM;
        return trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, call->request, n_max, &call->n_request);
}

static int call_send(const qair_call *call) {
        size_t done = 0;

        while (done < call->n_request) {
                size_t n = 0;
                int r = socket_send(call->trigger_fd, call->request + done, call->n_request - done, NULL, 0, &n);

                switch (r) {
                case 0:
                        done += n;
                        continue;
                case SOCKET_E_AGAIN:
                        /* A request is smaller than what a socket takes at once: somebody has made that smaller. */
                        return -EAGAIN;
                case SOCKET_E_GONE:
                        return -EPIPE;
                default:
                        return r < 0 ? r : -ENOBUFS;
                }
        }
        return 0;
}

static int call_ask_anew(qair_call *call) {
        int r;

        call->trigger_fd = fd_close(call->trigger_fd);
        call->kept = false;
        ++call->n_connects;
        r = client_connect(call->client, &call->trigger_fd);
        if (r)
                return r;
        r = call_send(call);
        /* A broker that refuses before it has read everything closes: what it said, if anything, is still there. */
        call->unsent = r == -EPIPE;
        return r == -EPIPE ? 0 : r;
}

static int call_ask(qair_call *call) {
        int r;

        call->trigger_fd = client_take(call->client);
        if (call->trigger_fd < 0)
                return call_ask_anew(call);
        call->kept = true;
        r = call_send(call);
        /* Closed while nothing was asked on it: the broker is another by now, or had no use for it. */
        return r == -EPIPE ? call_ask_anew(call) : r;
}

static int call_on_reply(qair_call *call, const Reply *reply) {
        client_give(call->client, fd_steal(&call->trigger_fd));
        call->id = reply->connect_port;
        if (reply->connect_domain == WIRE_DOMAIN_REFUSED)
                return call_refuse(call, reply->reason);
        if (answer_take_channel(&call->answer, reply->connect_domain, &call->channel))
                return call_lose(call, -EPROTO);
        call->framed = call->channel.stdin_fd < 0;
        call_forget_request(call);
        call->state = QAIR_STATE_RUNNING;
        return 0;
}

/* The broker has closed. Whether it has read the request decides whether that may be sent again. */
static int call_on_hangup(qair_call *call, bool unread) {
        int r;

        if (call->answer.n > 0)
                return call_lose(call, -EBADMSG);
        if (unread || call->unsent) {
                r = call->n_connects < CALL_CONNECTS_MAX ? call_ask_anew(call) : -ECONNRESET;
                return r ? call_lose(call, r) : 0;
        }
        /* To close without a word is upstream's way of saying no; a broker that has served us before is not of that kind. */
        return call->kept ? call_lose(call, -ECONNRESET) : call_refuse(call, QAIR_REASON_NONE);
}

static int call_receive_answer(qair_call *call, bool wait) {
        Answer *answer = &call->answer;
        Reply reply;
        int r;

        r = answer_receive(answer, call->trigger_fd, answer->n < REPLY_SIZE ? REPLY_SIZE : REPLY_REFUSED_SIZE, wait);
        switch (r) {
        case 0:
                break;
        case ANSWER_E_AGAIN:
                return 0;
        case ANSWER_E_END:
        case ANSWER_E_RESET:
                return call_on_hangup(call, r == ANSWER_E_RESET);
        default:
                return call_lose(call, r < 0 ? r : -EBADMSG);
        }
        r = reply_decode(answer->data, answer->n, &reply);
        if (r == REPLY_E_MORE)
                return 0;
        return r ? call_lose(call, -EBADMSG) : call_on_reply(call, &reply);
}

/* Running */

static void call_on_event(qair_call *call, const FrameEvent *event) {
        switch (event->kind) {
        case FRAME_KIND_HELLO:
        case FRAME_KIND_END:
                return;
        case FRAME_KIND_DATA:
                if (event->type == WIRE_TYPE_DATA_STDERR && call->on_stderr)
                        call->on_stderr(call->userdata, event->data, event->n_data);
                return;
        case FRAME_KIND_EXIT_STATUS:
                call->status = event->status;
                call->state = QAIR_STATE_ENDED;
                return;
        }
}

static int call_receive_status(qair_call *call, bool wait) {
        uint8_t data[WIRE_HEADER_SIZE + DATA_STATUS_CHUNK_MAX];
        size_t n, n_all;
        int r;

        r = wait ? socket_receive_wait(call->channel.stream_fd, data, sizeof(data), &n_all, NULL, 0, NULL)
                 : socket_receive(call->channel.stream_fd, data, sizeof(data), &n_all, NULL, 0, NULL);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
                return 0;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                return call_lose(call, -ECONNRESET);
        default:
                return call_lose(call, r < 0 ? r : -EPROTO);
        }
        for (size_t at = 0; call->state == QAIR_STATE_RUNNING; at += n) {
                FrameEvent event;

                r = frame_decoder_next(&call->decoder, data + at, n_all - at, &n, &event);
                if (r == FRAME_E_MORE)
                        return 0;
                if (r)
                        return call_lose(call, -EPROTO);
                call_on_event(call, &event);
        }
        call->channel.stream_fd = fd_close(call->channel.stream_fd);
        return 0;
}

/* One step from where it is. @wait: for as long as that takes */
static int call_step(qair_call *call, bool wait) {
        switch (call->state) {
        case QAIR_STATE_ASKING:
                return call_receive_answer(call, wait);
        case QAIR_STATE_RUNNING:
                return call->framed ? -EPROTONOSUPPORT : call_receive_status(call, wait);
        case QAIR_STATE_ENDED:
                return 0;
        case QAIR_STATE_REFUSED:
                return -EACCES;
        case QAIR_STATE_LOST:
                return call->error;
        }
        return -EINVAL;
}

_public_ int qair_call_new(qair_client *client, const char *target, const char *service, qair_call **ret_call) {
        qair_call *call;
        int r;

        call = malloc(sizeof(*call));
        if (!call)
                return -ENOMEM;
        *call = (qair_call){
                .client = client,
                .trigger_fd = -1,
                .answer = ANSWER_INIT,
                .channel = CHANNEL_INIT,
                .decoder = FRAME_DECODER_INIT,
                .status = -1,
        };
        r = call_encode(call, client->source ?: "", target, service);
        if (!r && call->state == QAIR_STATE_ASKING)
                r = call_ask(call);
        if (r) {
                qair_call_free(call);
                return r;
        }
        *ret_call = call;
        return 0;
}

_public_ void qair_call_free(qair_call *call) {
        if (!call)
                return;
        call_forget_request(call);
        fd_close(call->channel.stream_fd);
        fd_close(call->channel.stdin_fd);
        fd_close(call->channel.stdout_fd);
        free(call);
}

_public_ int qair_call_open(qair_call *call) {
        int r = 0;

        while (!r && call->state == QAIR_STATE_ASKING)
                r = call_step(call, true);
        if (!r && (call->state == QAIR_STATE_REFUSED || call->state == QAIR_STATE_LOST))
                r = call_step(call, false);
        return r;
}

_public_ int qair_call_wait(qair_call *call, int *ret_status) {
        int r;

        do
                r = call_step(call, true);
        while (!r && call->state != QAIR_STATE_ENDED);
        if (!r)
                *ret_status = call->status;
        return r;
}

_public_ int qair_call_dispatch(qair_call *call) {
        return call_step(call, false);
}

_public_ int qair_call_fd(const qair_call *call) {
        return call->state == QAIR_STATE_ASKING ? call->trigger_fd : call->channel.stream_fd;
}

_public_ qair_state qair_call_state(const qair_call *call) {
        return call->state;
}

_public_ int qair_call_error(const qair_call *call) {
        return call->error;
}

_public_ unsigned qair_call_id(const qair_call *call) {
        return call->id;
}

_public_ qair_reason qair_call_reason(const qair_call *call) {
        return call->reason;
}

_public_ const char *qair_reason_text(qair_reason reason) {
        return reason == QAIR_REASON_NONE ? "refused" : reply_reason_text((ReplyReason)(int)reason);
}

_public_ int qair_call_status(const qair_call *call) {
        return call->status;
}

_public_ int qair_call_stdin(const qair_call *call) {
        return call->channel.stdin_fd;
}

_public_ int qair_call_stdout(const qair_call *call) {
        return call->channel.stdout_fd;
}

_public_ void qair_call_close_stdin(qair_call *call) {
        call->channel.stdin_fd = fd_close(call->channel.stdin_fd);
}

_public_ int qair_call_take_stdin(qair_call *call) {
        return fd_steal(&call->channel.stdin_fd);
}

_public_ int qair_call_take_stdout(qair_call *call) {
        return fd_steal(&call->channel.stdout_fd);
}

_public_ void qair_call_on_stderr(qair_call *call, void (*function)(void *userdata, const void *data, size_t n),
                                  void *userdata) {
        call->on_stderr = function;
        call->userdata = userdata;
}

_public_ int qair_call_take_channel(qair_call *call, int ret_fds[3]) {
        Channel *channel = &call->channel;
        int n = call->framed ? 1 : 3;

        if (call->state != QAIR_STATE_RUNNING || (n == 3 && (channel->stdin_fd < 0 || channel->stdout_fd < 0)))
                return -EINVAL;
        ret_fds[0] = fd_steal(&channel->stream_fd);
        ret_fds[1] = fd_steal(&channel->stdin_fd);
        ret_fds[2] = fd_steal(&channel->stdout_fd);
        (void)call_lose(call, -ENOTCONN);
        return n;
}
