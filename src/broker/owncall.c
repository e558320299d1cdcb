/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/owncall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/watch.h"
#include "base/watchdog.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "data/frame.h"
#include "wire/command.h"
#include "wire/exec.h"
#include "wire/hello.h"

#define OWN_CALL_PROBLEM_MAX 128

struct OwnCall {
        CallOrigin origin;
        Broker *broker;
        Call *call;  /* while it is not connected */
        uint32_t id; /* once it is */
        int fd;
        sd_event_source *source;
        FrameDecoder decoder;
        char *input; /* until it is sent */
        size_t n_input;
        uint8_t *out; /* what waits for room in the socket */
        size_t n_out, n_sent;
        int (*on_end)(void *userdata, const OwnCallEnd *end);
        void *userdata;
        char problem[OWN_CALL_PROBLEM_MAX]; /* "": none */
        size_t n_answer;
        char answer[OWN_CALL_ANSWER_MAX];
};

OwnCall *own_call_free(OwnCall *own_call) {
        Call *call;

        if (!own_call)
                return NULL;
        if (own_call->call)
                call_cancel(own_call->call);
        call = own_call->id != 0 ? call_table_find(&own_call->broker->calls, own_call->id) : NULL;
        own_call->source = sd_event_source_disable_unref(own_call->source);
        own_call->fd = fd_close(own_call->fd);
        if (call) {
                /* Still running: an agent that is away, or does not read, sees the stream's end all the same. */
                int r = call_kill(call);

                if (r < 0)
                        (void)sd_event_exit(own_call->broker->event, r);
        }
        free(own_call->input);
        free(own_call->out);
        free(own_call);
        return NULL;
}
DEFINE_CLEANUP(OwnCall *, own_call_free)

static int own_call_end(OwnCall *own_call) {
        OwnCallEnd end = {
                .problem = own_call->problem[0] != '\0' ? own_call->problem : NULL,
                .untrusted_answer = own_call->answer,
                .n_answer = own_call->n_answer,
        };

        return error_trace(own_call->on_end(own_call->userdata, &end));
}

static int own_call_on_refused(sd_event_source *source, void *userdata) {
        return error_trace(own_call_end(userdata));
}

/* Told in a turn of the loop of its own: whoever makes the call has not even got it yet. */
static int own_call_fail_later(OwnCall *own_call, const char *problem) {
        int r;

        snprintf(own_call->problem, sizeof(own_call->problem), "%s", problem);
        r = watch_defer(own_call->broker->event, own_call_on_refused, own_call, &own_call->source);
        return r ? error_trace(r) : error_trace(watch_enable(own_call->source, SD_EVENT_ONESHOT));
}

static int own_call_refused(CallOrigin *origin, uint32_t id, ReplyReason reason) {
        OwnCall *own_call = container_of(origin, OwnCall, origin);

        own_call->call = NULL;
        return error_trace(own_call_fail_later(own_call, "it could not be reached"));
}

/* Return: 0 also if there is no room now; 1: the service's end is gone */
static int own_call_send(OwnCall *own_call) {
        uint32_t events = EPOLLIN;

        while (own_call->n_sent < own_call->n_out) {
                size_t n;
                int r = socket_send(own_call->fd, own_call->out + own_call->n_sent, own_call->n_out - own_call->n_sent,
                                    NULL, 0, &n);

                if (r == SOCKET_E_AGAIN || r == SOCKET_E_LIMIT) {
                        events |= EPOLLOUT;
                        break;
                }
                if (r)
                        return r == SOCKET_E_GONE ? 1 : error_fold(r);
                own_call->n_sent += n;
        }
        return error_origin(sd_event_source_set_io_events(own_call->source, events));
}

/* Behind what is queued already. */
static int own_call_queue(OwnCall *own_call, uint32_t type, const void *data, size_t n) {
        uint8_t *out = realloc(own_call->out, own_call->n_out + WIRE_HEADER_SIZE + n);

        if (!out)
                return error_origin(-ENOMEM);
        own_call->out = out;
        wire_header_encode((WireHeader){ .type = type, .length = (uint32_t)n }, out + own_call->n_out);
        if (n > 0)
                memcpy(out + own_call->n_out + WIRE_HEADER_SIZE, data, n);
        own_call->n_out += WIRE_HEADER_SIZE + n;
        return 0;
}

/* The input goes out once the service has said how much a message may hold. */
static int own_call_queue_input(OwnCall *own_call) {
        for (size_t n_done = 0, n; n_done < own_call->n_input; n_done += n) {
                int r;

                n = own_call->n_input - n_done;
                if (n > own_call->decoder.n_data_max)
                        n = own_call->decoder.n_data_max;
                r = own_call_queue(own_call, WIRE_TYPE_DATA_STDIN, own_call->input + n_done, n);
                if (r)
                        return r;
        }
        free(steal_ptr(&own_call->input));
        return own_call_queue(own_call, WIRE_TYPE_DATA_STDIN, NULL, 0);
}

enum {
        _OWN_CALL_DECODE_SUCCESS,
        OWN_CALL_DECODE_ENDED,
};

static int own_call_on_frame(OwnCall *own_call, const FrameEvent *event) {
        switch (event->kind) {
        case FRAME_KIND_HELLO:
                return own_call_queue_input(own_call);
        case FRAME_KIND_DATA:
                if (event->type != WIRE_TYPE_DATA_STDOUT)
                        return 0; /* what it complains about is in its agent's log */
                if (event->n_data > sizeof(own_call->answer) - own_call->n_answer) {
                        strcpy(own_call->problem, "its answer is too long");
                        return OWN_CALL_DECODE_ENDED;
                }
                memcpy(own_call->answer + own_call->n_answer, event->data, event->n_data);
                own_call->n_answer += event->n_data;
                return 0;
        case FRAME_KIND_END:
                return 0;
        case FRAME_KIND_EXIT_STATUS:
                own_call->id = 0; /* nothing is left to be ended */
                if (event->status != 0)
                        snprintf(own_call->problem, sizeof(own_call->problem), "it ended with status %d",
                                 event->status);
                return OWN_CALL_DECODE_ENDED;
        }
        return 0;
}

static int own_call_decode(OwnCall *own_call, const uint8_t *untrusted_data, size_t n) {
        while (n > 0) {
                FrameEvent event;
                size_t n_used;
                int r;

                r = frame_decoder_next(&own_call->decoder, untrusted_data, n, &n_used, &event);
                untrusted_data += n_used;
                n -= n_used;
                if (r == FRAME_E_MORE)
                        return 0;
                if (r) {
                        snprintf(own_call->problem, sizeof(own_call->problem), "it sent %s", frame_error_text(r));
                        return OWN_CALL_DECODE_ENDED;
                }
                r = own_call_on_frame(own_call, &event);
                if (r)
                        return r;
        }
        return 0;
}

/* Return: 0, OWN_CALL_DECODE_ENDED, or a negative error. */
static int own_call_dispatch(OwnCall *own_call) {
        static const char gone[] = "it went away without an answer";
        size_t n;
        int r;

        watchdog_arm(own_call->broker->watchdog);
        r = socket_receive(own_call->fd, own_call->broker->scratch, BROKER_SCRATCH_SIZE, &n, NULL, 0, NULL);
        if (watchdog_disarm(own_call->broker->watchdog))
                r = SOCKET_E_TRUNCATED;
        switch (r) {
        case 0:
                r = own_call_decode(own_call, own_call->broker->scratch, n);
                if (r)
                        return r;
                break;
        case SOCKET_E_AGAIN:
                break;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
        case SOCKET_E_TRUNCATED:
                strcpy(own_call->problem, gone);
                return OWN_CALL_DECODE_ENDED;
        default:
                return error_fold(r);
        }
        r = own_call_send(own_call);
        if (r != 1)
                return r;
        strcpy(own_call->problem, gone);
        return OWN_CALL_DECODE_ENDED;
}

static int own_call_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        OwnCall *own_call = userdata;
        int r = own_call_dispatch(own_call);

        return r == OWN_CALL_DECODE_ENDED ? error_trace(own_call_end(own_call)) : error_fold(r);
}

static int own_call_format(OwnCall *own_call, const DomainName *target, const DomainName *via, const char *service,
                           char text[static EXEC_COMMAND_MAX]) {
        /* dom0's services are also told what the caller asked for (protocol specification, 7.7). */
        bool is_dom0 = domain_name_is_dom0(via);
        int n = command_format(text, EXEC_COMMAND_MAX, "DEFAULT", service, DOM0_NAME, is_dom0 ? "name" : NULL,
                               is_dom0 ? target->text : NULL);

        return n < 0 ? n : 0;
}

/* What there is to say is said in the next turn of the loop, like everything else: the stream has room. */
static int own_call_connected(CallOrigin *origin, uint32_t id, uint32_t mode, const int *fds, size_t n_fds) {
        OwnCall *own_call = container_of(origin, OwnCall, origin);
        uint8_t hello[HELLO_SIZE];
        int r;

        own_call->call = NULL;
        own_call->id = id;
        own_call->fd = fcntl(fds[0], F_DUPFD_CLOEXEC, 3);
        if (own_call->fd < 0)
                return error_trace(own_call_fail_later(own_call, "we are out of descriptors"));
        (void)socket_refuse_rights(own_call->fd);
        hello_encode(&(Hello){ .version = WIRE_VERSION }, hello);
        r = own_call_queue(own_call, WIRE_TYPE_HELLO, hello, sizeof(hello));
        if (r)
                return r;
        return error_trace(watch_io(own_call->broker->event, own_call->fd, EPOLLIN | EPOLLOUT, own_call_on_io, own_call,
                                    &own_call->source));
}

int own_call_new(Broker *broker, const DomainName *target, const char *service, const char *input, size_t n_input,
                 int (*on_end)(void *userdata, const OwnCallEnd *end), void *userdata, OwnCall **ret_own_call) {
        _cleanup_(own_call_freep) OwnCall *own_call = NULL;
        char wrapped[SERVICE_DESCRIPTOR_MAX + 1], command[EXEC_COMMAND_MAX];
        Domain *dom0 = domain_table_find(&broker->domains, DOM0_NAME), *via;
        DomainName via_name;
        Call *call;
        int r;

        if (!dom0 || !config_reach(broker->config, target, service, &via_name, wrapped))
                return OWN_CALL_E_NOWHERE;
        via = domain_table_find(&broker->domains, via_name.text);
        if (!via)
                return OWN_CALL_E_NOWHERE;

        own_call = malloc(sizeof(*own_call));
        if (!own_call)
                return error_origin(-ENOMEM);
        *own_call = (OwnCall){
                .origin = { .connected = own_call_connected, .refused = own_call_refused },
                .broker = broker,
                .fd = -1,
                .decoder = FRAME_DECODER_INIT,
                .n_input = n_input,
                .on_end = on_end,
                .userdata = userdata,
        };
        own_call->input = malloc(n_input);
        if (!own_call->input)
                return error_origin(-ENOMEM);
        memcpy(own_call->input, input, n_input);
        r = own_call_format(own_call, target, &via_name, wrapped, command);
        if (r)
                return error_trace(r);
        r = call_command(broker,
                         &(CallCommand){ .source = dom0,
                                         .target = via,
                                         .command = command,
                                         .mode = WIRE_DOMAIN_FRAMED,
                                         .origin = &own_call->origin },
                         &call);
        if (r)
                return error_trace(r);
        own_call->call = call;
        *ret_own_call = steal_ptr(&own_call);
        return 0;
}
