/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/request.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/watch.h"
#include "prompt/header.h"
#include "prompt/notice.h"

/* Header, NUL, JSON. */
#define REQUEST_MAX   (QUESTION_TEXT_MAX + HEADER_MAX)
#define REQUEST_CHUNK 65536

struct Request {
        Request *next, **place;
        Agent *agent;
        int fd;
        char *in; /* while READING */
        size_t n_in;
        Question *question; /* once it is SHOWN */
        uint32_t number, count;
        sd_event_source *source, *deadline;
};

/* Not in the list any more. */
static void request_unlink(Request *request) {
        if (!request->place)
                return;
        *request->place = request->next;
        if (request->next)
                request->next->place = request->place;
        request->place = NULL;
        --request->agent->n_requests;
}

static Request *request_close(Request *request) {
        request_unlink(request);
        sd_event_source_disable_unref(request->source);
        sd_event_source_disable_unref(request->deadline);
        fd_close(request->fd);
        question_free(request->question);
        free(request->in);
        free(request);
        return NULL;
}

static int request_gone(Request *request, const char *words) {
        Agent *agent = request->agent;
        uint32_t number = request->number;
        int r = 0;

        request_close(request);
        if (number != 0)
                r = agent_tell(agent, &(Message){ .kind = MESSAGE_KIND_GONE, .number = number, .text = words });
        return r ? error_trace(r) : error_trace(agent_on_request_gone(agent));
}

Request *request_free(Request *request) {
        sd_event *event = request ? request->agent->event : NULL;

        if (request && request_gone(request, "nobody can answer it") < 0)
                (void)sd_event_exit(event, -EIO);
        return NULL;
}

Request *request_next(const Request *request) {
        return request->next;
}

uint32_t request_number(const Request *request) {
        return request->number;
}

void request_set_number(Request *request, uint32_t number) {
        request->number = number;
}

const Question *request_question(const Request *request) {
        return request->question;
}

uint32_t request_count(const Request *request) {
        return request->count;
}

bool request_is_called(const Request *request, const char *name) {
        return request->question && name[0] != '\0' && strcmp(request->question->name, name) == 0;
}

int request_set_count(Request *request, uint32_t count) {
        request->count = count;
        return error_trace(agent_tell(
                request->agent, &(Message){ .kind = MESSAGE_KIND_COUNT, .number = request->number, .count = count }));
}

int request_answer(Request *request, const char *answer) {
        char words[ANSWER_MAX + 32];

        /* A few bytes, the first on this connection; a peer for whom they do not fit is gone. */
        if (socket_send(request->fd, answer, strlen(answer), NULL, 0, NULL) != 0)
                log_info("question %u: answered, but whoever asked is gone", request->number);
        snprintf(words, sizeof(words), "answered: %s", answer);
        return error_trace(request_gone(request, words));
}

/*
 * What was asked for
 */

static int request_refuse(Request *request, const char *why) {
        log_warning("closed a request: %s", why);
        return error_trace(request_gone(request, ""));
}

static int request_ask(Request *request, const char *json, size_t n) {
        int r;

        r = question_decode(json, n, &request->question);
        if (r == QUESTION_E_MALFORMED)
                return error_trace(request_refuse(request, "it is no question"));
        if (r)
                return error_fold(r);
        free(steal_ptr(&request->in));
        request->deadline = sd_event_source_disable_unref(request->deadline);
        request->count = agent_take_early(request->agent, request->question->name);
        /* From here on only its hang-up is an event. */
        r = sd_event_source_set_io_events(request->source, 0);
        if (r < 0)
                return error_origin(r);
        return error_trace(agent_show(request->agent, request));
}

static int request_notify(Request *request, const char *json, size_t n) {
        Notice *notice;
        int r;

        r = notice_decode(json, n, &notice);
        if (r == NOTICE_E_MALFORMED)
                return error_trace(request_refuse(request, "it is no notification"));
        if (r)
                return error_fold(r);
        r = notifier_show(request->agent->notifier, notice);
        notice_free(notice);
        return r ? error_trace(r) : error_trace(request_gone(request, ""));
}

static int request_ask_count(Request *request, const char *json, size_t n) {
        char name[QUESTION_NAME_MAX + 1], text[32];
        uint32_t count;
        int r;

        if (question_count_decode(json, n, name, &count))
                return error_trace(request_refuse(request, "it is no count"));
        r = agent_count(request->agent, name, count);
        if (r)
                return error_trace(r);
        /* So that its sender knows that it was understood: the number that is shown. */
        snprintf(text, sizeof(text), "%u", count);
        (void)socket_send(request->fd, text, strlen(text), NULL, 0, NULL);
        return error_trace(request_gone(request, ""));
}

static int request_handle(Request *request) {
        static const struct {
                const char *service;
                int (*handle)(Request *request, const char *json, size_t n);
        } services[] = {
                { "policy.Ask", request_ask },
                { "policy.AskCount", request_ask_count },
                { "policy.Notify", request_notify },
        };
        Header header;

        if (header_decode(request->in, request->n_in, &header))
                return error_trace(request_refuse(request, "it has no header"));
        for (size_t i = 0; i < ARRAY_SIZE(services); ++i)
                if (strcmp(header.service, services[i].service) == 0)
                        return error_trace(
                                services[i].handle(request, request->in + header.n, request->n_in - header.n));
        return error_trace(request_refuse(request, "there is no such service"));
}

/*
 * Reading it
 */

static int request_read(Request *request) {
        for (;;) {
                char *in = realloc(request->in, request->n_in + REQUEST_CHUNK + 1);
                size_t n;
                int r;

                if (!in)
                        return error_origin(-ENOMEM);
                request->in = in;
                r = socket_receive(request->fd, in + request->n_in, REQUEST_CHUNK, &n, NULL, 0, NULL);
                switch (r) {
                case 0:
                        request->n_in += n;
                        if (request->n_in > REQUEST_MAX)
                                return error_trace(request_refuse(request, "it is too long"));
                        break;
                case SOCKET_E_AGAIN:
                        return 0;
                case SOCKET_E_EOF:
                        return error_trace(request_handle(request));
                case SOCKET_E_GONE:
                case SOCKET_E_TRUNCATED:
                        return error_trace(request_gone(request, ""));
                default:
                        return error_fold(r);
                }
        }
}

static int request_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Request *request = userdata;

        if (request->question)
                return error_trace(request_gone(request, "whoever asked has given up"));
        return error_trace(request_read(request));
}

static int request_on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        return error_trace(request_refuse(userdata, "it did not come in time"));
}

static int request_watch(Request *request) {
        int r;

        r = watch_io(request->agent->event, request->fd, EPOLLIN, request_on_io, request, &request->source);
        r = r
                    ?: watch_time(request->agent->event, AGENT_READ_USEC, 0, request_on_deadline, request,
                                  &request->deadline);
        return error_trace(r);
}

int request_new(Agent *agent, int fd) {
        Request *request = calloc(1, sizeof(*request));
        int r;

        if (!request) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        *request = (Request){ .agent = agent, .fd = fd, .count = 1 };
        r = request_watch(request);
        if (r) {
                request_close(request);
                return r;
        }
        request->next = agent->requests;
        if (request->next)
                request->next->place = &request->next;
        request->place = &agent->requests;
        agent->requests = request;
        ++agent->n_requests;
        return 0;
}
