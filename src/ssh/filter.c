/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/filter.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"

/* What a pipe that is writable takes without making us wait: PIPE_BUF. */
#define PIPE_CHUNK 4096
/* One notice of refusals in so many seconds: specification, 12. */
#define REFUSAL_NOTICE_SEC 2

typedef enum PollIndex {
        POLL_CLIENT_IN,
        POLL_CLIENT_OUT,
        POLL_AGENT,
        POLL_CONSENT, /* SSH_HELPER_POLL_N of them */
        _POLL_N = POLL_CONSENT + SSH_HELPER_POLL_N,
} PollIndex;

/* Bytes that came and are not handled yet. */
typedef struct Input {
        uint8_t data[SSH_FRAME_MAX];
        size_t n;
} Input;

/* Bytes that are to be sent. */
typedef struct Output {
        uint8_t data[SSH_FRAME_MAX];
        size_t n, n_sent;
} Output;

typedef struct Filter {
        SshFilterSetup setup;
        SshSession session;
        SshConsent consent;
        bool client_has_ended;        /* nothing more will come */
        bool ends;                    /* when what is queued is sent: with this … */
        SshFilterExit status;         /* … status */
        bool rate_tell;               /* the refusal that is being decided is the first of its window */
        size_t n_request;             /* the frame that is being handled, at the start of client_in */
        uint64_t active_usec;         /* when the client last wanted or got something */
        uint64_t agent_deadline_usec; /* while the agent owes an answer */
        bool has_notice;
        char notice[SSH_RECORD_SIZE];
        Input client_in, agent_in;
        Output client_out, agent_out;
} Filter;

/* ---- what the session wants ---- */

static void on_log(void *userdata, int priority, const char *text) {
        syslog(priority, "%s", text);
}

static bool on_rate(void *userdata, const SshUse *use) {
        Filter *filter = userdata;

        /* What cannot be counted is not allowed. */
        filter->rate_tell = false;
        return ssh_state_count(filter->setup.state, use->rules->source, use->rules->agent, "rate",
                               use->rules->settings.rate, &filter->rate_tell) == 0;
}

static SshConsentResult on_consent(void *userdata, const SshUse *use) {
        Filter *filter = userdata;

        return ssh_consent_start(&filter->consent, use);
}

/* Tell of a use, when the client has its answer: it does not wait for two more processes. */
static void send_notice(Filter *filter) {
        if (filter->has_notice)
                ssh_helper_notify(filter->setup.helper, filter->notice);
        filter->has_notice = false;
}

static void on_notify(void *userdata, const SshUse *use, SshWhy why) {
        static const SshRate refusals = { 1, REFUSAL_NOTICE_SEC };
        Filter *filter = userdata;

        if (why == SSH_WHY_RATE && !filter->rate_tell)
                return;
        if (why != SSH_WHY_NONE &&
            ssh_state_count(filter->setup.state, use->rules->source, NULL, "refused", refusals, NULL))
                return;
        send_notice(filter);
        ssh_use_record(use, why, 0, filter->notice);
        filter->has_notice = true;
}

static const SshSessionOps filter_ops = {
        .rate = on_rate,
        .consent = on_consent,
        .log = on_log,
        .notify = on_notify,
};

/* ---- buffers ---- */

/* Forget the first @n bytes; nothing of them stays in memory, for they may have been keys or PINs. */
static void input_drop(Input *input, size_t n) {
        memmove(input->data, input->data + n, input->n - n);
        explicit_bzero(input->data + input->n - n, n);
        input->n -= n;
}

/* Return: false: it ended or broke; else bytes were added, or none are there. */
static bool input_read(Input *input, int fd) {
        ssize_t n = read(fd, input->data + input->n, sizeof(input->data) - input->n);

        if (n > 0)
                input->n += (size_t)n;
        return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

/* Return: false: it cannot be sent; else some was, or has to wait. */
static bool output_write(Output *output, int fd) {
        size_t n_left = output->n - output->n_sent;
        ssize_t n = send(fd, output->data + output->n_sent, n_left, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && errno == ENOTSOCK)
                n = write(fd, output->data + output->n_sent, n_left < PIPE_CHUNK ? n_left : PIPE_CHUNK);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN;
        output->n_sent += (size_t)n;
        if (output->n_sent == output->n)
                output->n = output->n_sent = 0;
        return true;
}

/* ---- the machine ---- */

static bool is_idle(const Filter *filter) {
        return filter->session.state == SSH_SESSION_STATE_IDLE && filter->client_out.n == 0;
}

/* Nothing more is taken from the client; what is queued is still sent. */
static void end(Filter *filter, SshFilterExit status) {
        if (!filter->ends)
                filter->status = status;
        filter->ends = true;
}

/* Take over what the session wants to send; a request that has got its answer is forgotten. */
static void collect(Filter *filter) {
        SshSession *session = &filter->session;

        if (session->n_agent > 0) {
                filter->agent_out.n = session->n_agent;
                filter->agent_out.n_sent = 0;
                session->n_agent = 0;
                filter->agent_deadline_usec = clock_now() + filter->setup.rules->reply_timeout_sec * USEC_PER_SEC;
        }
        if (session->n_client > 0) {
                filter->client_out.n = session->n_client;
                filter->client_out.n_sent = 0;
                session->n_client = 0;
        }
        if (session->state == SSH_SESSION_STATE_IDLE && filter->n_request > 0) {
                input_drop(&filter->client_in, filter->n_request);
                filter->n_request = 0;
                filter->active_usec = clock_now();
        }
}

static void agent_is_gone(Filter *filter, const char *reason) {
        syslog(LOG_WARNING, "the real agent %s", reason);
        filter->agent_out.n = 0;
        ssh_consent_deinit(&filter->consent);
        ssh_session_on_agent_gone(&filter->session);
        collect(filter);
        end(filter, SSH_FILTER_EXIT_AGENT);
}

/* Nobody will read an answer any more, or nobody will ask for more: a question has lost its sense. */
static void withdraw_question(Filter *filter) {
        filter->consent.is_withdrawn = true;
        if (filter->session.state == SSH_SESSION_STATE_ASKING)
                ssh_session_on_consent(&filter->session, ssh_consent_withdraw(&filter->consent));
        collect(filter);
}

/* Handle the requests that are there, as long as each gets its answer at once. */
static int handle_requests(Filter *filter) {
        while (!filter->ends && is_idle(filter)) {
                WireSlice message;
                int r;

                r = ssh_frame_decode(filter->client_in.data, filter->client_in.n, &message);
                if (r == SSH_MESSAGE_E_LENGTH) {
                        syslog(LOG_WARNING, "the client sent a message that is empty, or longer than any can be");
                        end(filter, SSH_FILTER_EXIT_FRAME);
                        return 0;
                }
                if (r == SSH_MESSAGE_E_MORE) {
                        if (filter->client_has_ended)
                                end(filter, SSH_FILTER_EXIT_DONE);
                        return 0;
                }
                filter->n_request = 4 + message.n;
                r = ssh_session_on_request(&filter->session, message);
                if (r)
                        return error_trace(r);
                collect(filter);
        }
        return 0;
}

static int on_client_in(Filter *filter, short revents) {
        if (!is_idle(filter) || filter->ends) {
                /* Only a hang-up is looked for: it is seen once, then nobody listens until we are idle again. */
                if (revents & (POLLRDHUP | POLLHUP | POLLERR))
                        withdraw_question(filter);
                return 0;
        }
        if (!input_read(&filter->client_in, filter->setup.in_fd))
                filter->client_has_ended = filter->consent.is_withdrawn = true;
        return error_trace(handle_requests(filter));
}

static int on_agent(Filter *filter, short revents) {
        WireSlice message;
        int r;

        if (filter->agent_out.n > 0 && (revents & POLLOUT) &&
            !output_write(&filter->agent_out, filter->setup.agent_fd)) {
                agent_is_gone(filter, "closed the connection");
                return 0;
        }
        if (!(revents & (POLLIN | POLLHUP | POLLERR)))
                return 0;
        if (!input_read(&filter->agent_in, filter->setup.agent_fd)) {
                agent_is_gone(filter, "closed the connection");
                return 0;
        }
        r = ssh_frame_decode(filter->agent_in.data, filter->agent_in.n, &message);
        if (r == SSH_MESSAGE_E_MORE && ssh_session_waits_for_agent(&filter->session))
                return 0;
        /* An answer before the question has been heard is none, and so is one that nobody waits for. */
        if (r || filter->agent_out.n > 0 || filter->agent_in.n > 4 + message.n) {
                agent_is_gone(filter, "does not speak the protocol");
                return 0;
        }
        r = ssh_session_on_reply(&filter->session, message);
        if (r < 0)
                return error_trace(r);
        input_drop(&filter->agent_in, 4 + message.n);
        if (r > 0) {
                agent_is_gone(filter, "answers what nobody asked");
                return 0;
        }
        collect(filter);
        return error_trace(handle_requests(filter));
}

static int on_consent_event(Filter *filter) {
        SshConsentResult result;

        if (filter->session.state != SSH_SESSION_STATE_ASKING)
                return 0;
        result = ssh_consent_dispatch(&filter->consent);
        if (result.kind == SSH_CONSENT_PENDING)
                return 0;
        ssh_session_on_consent(&filter->session, result);
        collect(filter);
        return error_trace(handle_requests(filter));
}

/* ---- time ---- */

static uint64_t next_deadline(const Filter *filter) {
        const SshSettings *settings = &filter->setup.rules->settings;

        if (ssh_session_waits_for_agent(&filter->session))
                return filter->agent_deadline_usec;
        if (filter->session.state == SSH_SESSION_STATE_IDLE && settings->idle_timeout_sec > 0)
                return filter->active_usec + settings->idle_timeout_sec * USEC_PER_SEC;
        return UINT64_MAX;
}

static void on_deadline(Filter *filter) {
        if (ssh_session_waits_for_agent(&filter->session)) {
                agent_is_gone(filter, "did not answer in time");
                return;
        }
        /* Idle, or the client does not take its answer. */
        filter->client_out.n = 0;
        end(filter, SSH_FILTER_EXIT_DONE);
}

static int poll_timeout(const Filter *filter, uint64_t deadline_usec) {
        uint64_t now_usec = clock_now(), left_usec;

        if (deadline_usec == UINT64_MAX)
                return -1;
        left_usec = deadline_usec > now_usec ? deadline_usec - now_usec : 0;
        return (int)((left_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC);
}

static void prepare_poll(const Filter *filter, struct pollfd fds[static _POLL_N], uint64_t *deadline_usec) {
        bool idle = is_idle(filter);

        fds[POLL_CLIENT_IN] = (struct pollfd){
                .fd = filter->client_has_ended || (!idle && filter->consent.is_withdrawn) ? -1 : filter->setup.in_fd,
                .events = idle ? POLLIN : POLLRDHUP,
        };
        fds[POLL_CLIENT_OUT] = (struct pollfd){
                .fd = filter->setup.out_fd,
                .events = filter->client_out.n > 0 ? POLLOUT : 0,
        };
        fds[POLL_AGENT] = (struct pollfd){
                .fd = filter->setup.agent_fd,
                .events = (short)(POLLIN | (filter->agent_out.n > 0 ? POLLOUT : 0)),
        };
        ssh_consent_poll(&filter->consent, fds + POLL_CONSENT, deadline_usec);
        if (filter->ends)
                fds[POLL_CLIENT_IN].fd = fds[POLL_AGENT].fd = -1;
}

/* Return: false: nobody reads what we write. */
static bool on_client_out(Filter *filter, short revents) {
        /* A socket that is shut down for reading only says POLLHUP when it is gone as a whole. */
        if (revents & (POLLERR | POLLHUP | POLLNVAL))
                return false;
        if (filter->client_out.n > 0 && (revents & POLLOUT))
                return output_write(&filter->client_out, filter->setup.out_fd);
        return true;
}

static int turn(Filter *filter) {
        uint64_t deadline_usec = next_deadline(filter);
        struct pollfd fds[_POLL_N];
        int r;

        prepare_poll(filter, fds, &deadline_usec);
        r = poll(fds, _POLL_N, poll_timeout(filter, deadline_usec));
        if (r < 0)
                return errno == EINTR ? 0 : error_origin(-errno);

        if (fds[POLL_CLIENT_OUT].revents && !on_client_out(filter, fds[POLL_CLIENT_OUT].revents)) {
                withdraw_question(filter);
                filter->client_out.n = 0;
                end(filter, SSH_FILTER_EXIT_DONE);
                return 0;
        }
        if (filter->client_out.n == 0)
                send_notice(filter);
        r = on_consent_event(filter);
        if (!r && fds[POLL_AGENT].revents)
                r = on_agent(filter, fds[POLL_AGENT].revents);
        if (!r && fds[POLL_CLIENT_IN].revents)
                r = on_client_in(filter, fds[POLL_CLIENT_IN].revents);
        if (r)
                return error_trace(r);
        if (clock_now() >= next_deadline(filter))
                on_deadline(filter);
        /* An answer has just been sent: the next request may be there already. */
        return error_trace(handle_requests(filter));
}

static void log_close(const Filter *filter) {
        const SshSession *session = &filter->session;
        char buffer[SSH_RECORD_SIZE];
        SshLine line;

        ssh_session_log_begin(filter->setup.rules, "close", &line, buffer);
        ssh_line_number(&line, "code", filter->status);
        ssh_line_number(&line, "requests", session->n_requests);
        ssh_line_number(&line, "signed", session->n_signed);
        ssh_line_number(&line, "refused", session->n_refused);
        syslog(filter->status == SSH_FILTER_EXIT_FRAME ? LOG_WARNING : LOG_INFO, "%s", line.text);
}

int ssh_filter_run(const SshFilterSetup *setup) {
        /* A megabyte, of which only what is used takes memory. */
        _cleanup_free_ Filter *filter = calloc(1, sizeof(*filter));
        int r = 0;

        if (!filter)
                return error_origin(-ENOMEM);
        filter->setup = *setup;
        filter->active_usec = clock_now();
        ssh_consent_init(&filter->consent, setup->state, setup->helper);
        ssh_session_init(&filter->session, setup->rules, &filter_ops, filter, filter->agent_out.data,
                         filter->client_out.data);
        while (!r && !(filter->ends && filter->client_out.n == 0))
                r = turn(filter);
        send_notice(filter);
        ssh_consent_deinit(&filter->consent);
        log_close(filter);
        ssh_session_deinit(&filter->session);
        /* What was cut off by the end may be half a private key. */
        input_drop(&filter->client_in, filter->client_in.n);
        return r ? error_trace(r) : (int)filter->status;
}
