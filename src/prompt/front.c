/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/front.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/watch.h"
#include "prompt/request.h"

struct Front {
        Front *next, **place;
        Agent *agent;
        Lines lines;
        bool is_window;
        sd_event_source *source;
};

Front *front_free(Front *front) {
        if (!front)
                return NULL;
        if (front->place) {
                *front->place = front->next;
                if (front->next)
                        front->next->place = front->place;
                --front->agent->n_fronts;
        }
        sd_event_source_disable_unref(front->source);
        lines_deinit(&front->lines);
        free(front);
        return NULL;
}
DEFINE_CLEANUP(Front *, front_free)

Front *front_next(const Front *front) {
        return front->next;
}

static int front_gone(Front *front) {
        Agent *agent = front->agent;
        bool was_window = front->is_window;

        front_free(front);
        return error_trace(agent_on_front_gone(agent, was_window));
}

/* After anything was sent: is there more to send, or nobody who reads it? */
static int front_sent(Front *front, int r) {
        if (r == LINES_E_EOF) {
                /* Whoever is going through the list must not lose its place: its end is found in the next turn. */
                (void)shutdown(front->lines.fd, SHUT_RDWR);
                return 0;
        }
        if (r)
                return error_fold(r);
        r = sd_event_source_set_io_events(front->source, EPOLLIN | (lines_wants_room(&front->lines) ? EPOLLOUT : 0u));
        return r < 0 ? error_origin(r) : 0;
}

int front_tell(Front *front, const Message *message) {
        _cleanup_free_ char *line = NULL;
        int r = message_encode(message, &line);

        return r ? error_trace(r) : error_trace(front_sent(front, lines_put(&front->lines, line)));
}

/* Without looking at what becomes of it: the second line may find the front end gone. */
static int front_put(Front *front, const Message *message) {
        _cleanup_free_ char *line = NULL;
        int r = message_encode(message, &line);

        return r ? error_trace(r) : lines_put(&front->lines, line);
}

int front_show(Front *front, const Request *request) {
        _cleanup_free_ char *json = NULL;
        int r;

        r = question_encode(request_question(request), &json);
        if (r)
                return error_trace(r);
        r = front_put(front, &(Message){ .kind = MESSAGE_KIND_ASK, .number = request_number(request), .text = json });
        if (!r && request_count(request) > 1)
                r = front_put(front, &(Message){ .kind = MESSAGE_KIND_COUNT,
                                                 .number = request_number(request),
                                                 .count = request_count(request) });
        return error_trace(front_sent(front, r));
}

static int front_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Front *front = userdata;
        Agent *agent = front->agent;
        Message message;
        char *line;
        int r;

        if (revents & EPOLLOUT) {
                r = lines_flush(&front->lines);
                if (r || !(revents & (EPOLLIN | EPOLLHUP)))
                        return error_trace(front_sent(front, r));
        }
        r = lines_next(&front->lines, &line);
        if (r == LINES_E_AGAIN)
                return error_trace(front_sent(front, 0));
        if (r == LINES_E_EOF)
                return error_trace(front_gone(front));
        if (r)
                return error_fold(r);
        if (message_decode(line, &message) || message.kind != MESSAGE_KIND_ANSWER) {
                log_warning("a front end sent what is no answer: closed it");
                return error_trace(front_gone(front));
        }
        /* One line a turn; the next is found since the event is asked for again. */
        r = agent_on_answer(agent, message.number, message.text);
        return error_trace(r);
}

int front_new(Agent *agent, int fd, bool is_window) {
        _cleanup_(front_freep) Front *front = calloc(1, sizeof(*front));
        Front *shown = front;
        int r;

        if (!front) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        front->agent = agent;
        front->lines = LINES_INIT(fd);
        front->is_window = is_window;
        r = watch_io(agent->event, fd, EPOLLIN, front_on_io, front, &front->source);
        if (r)
                return error_trace(r);
        front->next = agent->fronts;
        if (front->next)
                front->next->place = &front->next;
        front->place = &agent->fronts;
        agent->fronts = front;
        ++agent->n_fronts;
        steal_ptr(&front);
        r = front_tell(shown, &(Message){ .kind = MESSAGE_KIND_READY, .number = 1, .text = "" });
        for (Request *request = agent->requests; request && !r; request = request_next(request))
                if (request_number(request) != 0)
                        r = front_show(shown, request);
        return error_trace(r);
}
