/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Either end of a framed data connection as a state machine. The input is what its peer and its local side do, step by step:
 * bytes, frames, reading or not, ends and hang-ups in any order. The callee takes a step in each turn of its loop, so that an
 * input always means the same; the caller has no place for that, its peers are a thread beside it.
 *
 * Whatever they do: the end says nothing but what such an end may say, in order, and nothing behind its last word; what it
 * hands on is the beginning of what it got; it holds no more than a chunk each way; and it comes to an end when they are gone.
 */
#include "data-oracle.h"
#include "peer.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "data/callee.h"
#include "data/caller.h"
#include "data/prepare.h"
#include "data/stream.h"

/** Steps in which what is said to the end is still heard; and those until the end must have come to its own. */
#define LEAVING_HEARS 16
#define LEAVING_MAX   64
/** What both of a socket pair's buffers hold at most when they are made small. */
#define SMALL_BUFFER 4096

enum {
        FLAG_CALLER = 1,
        FLAG_EXIT_ON_CLIENT_EOF = 2,
        FLAG_EXIT_ON_SERVICE_EOF = 4,
        FLAG_SEPARATE = 8, /* one socket each for in and out, and a stderr */
        FLAG_SMALL = 16,
        FLAG_PREFIX = 32,
        FLAG_HOST = 64, /* a callee on the host, which waits to be spoken to */
};

enum {
        STEP_RAW,
        STEP_FRAME,
        STEP_HELLO,
        STEP_RECEIVE,
        STEP_LOCAL_WRITE,
        STEP_LOCAL_READ,
        STEP_CLOSE,
        STEP_NOTHING,
        _STEP_N,
};

static const char prefix[] = "prefix ";

typedef struct Session {
        Script script;
        unsigned flags;
        int stream_fd, in_fd, out_fd, err_fd; /* the other ends: what is written to out_fd goes out as a stream */
        Transcript sent, received;            /* over the stream */
        Transcript local_in, local_out, local_err;
        unsigned n_leaving; /* steps since the script was over */
} Session;

static Session session;
static Oracle oracle;

static void session_close(int *fd) {
        *fd = fd_close(*fd);
}

/* The oracle takes so much and no more. */
static bool session_send(Session *s, const void *data, size_t n) {
        return s->sent.n + n <= ORACLE_INPUT_MAX && transcript_send(&s->sent, s->stream_fd, data, n);
}

static void session_frame(Session *s, unsigned choice) {
        static const uint32_t types[] = { 0x190, 0x191, 0x192, 0x193 };
        static uint8_t frame[WIRE_HEADER_SIZE + 65536];
        size_t n = (size_t)script_byte(&s->script) * (choice & 4 ? 256 : 1);

        wire_header_encode((WireHeader){ types[choice & 3], (uint32_t)n }, frame);
        memset(frame + WIRE_HEADER_SIZE, 'a' + (int)(choice & 15), n);
        (void)session_send(s, frame, WIRE_HEADER_SIZE + n);
}

static void session_close_some(Session *s, unsigned choice) {
        switch (choice % 6) {
        case 0:
                if (s->stream_fd >= 0)
                        (void)shutdown(s->stream_fd, SHUT_WR);
                break;
        case 1:
                session_close(&s->stream_fd);
                break;
        case 2:
                if (s->out_fd >= 0)
                        (void)shutdown(s->out_fd, SHUT_WR);
                break;
        case 3:
                if (s->in_fd >= 0)
                        (void)shutdown(s->in_fd, SHUT_RD);
                break;
        case 4:
                session_close(&s->err_fd);
                break;
        default:
                session_close(&s->in_fd);
                break;
        }
}

static void session_step(Session *s) {
        static const uint8_t bytes[4096] = "what a service or a local program says";
        const uint8_t *data, hello[] = { 0, 3, 0, 0, 4, 0, 0, 0 };
        uint8_t step = script_byte(&s->script), version[4] = {};
        unsigned choice = step / _STEP_N;
        size_t n;

        switch (step % _STEP_N) {
        case STEP_RAW:
                n = script_bytes(&s->script, choice + 1, &data);
                (void)session_send(s, data, n);
                break;
        case STEP_FRAME:
                session_frame(s, choice);
                break;
        case STEP_HELLO:
                version[0] = (uint8_t)choice;
                (void)(session_send(s, hello, sizeof(hello)) && session_send(s, version, sizeof(version)));
                break;
        case STEP_RECEIVE:
                (void)transcript_receive(&s->received, s->stream_fd, (choice + 1) * 1024);
                break;
        case STEP_LOCAL_WRITE:
                n = (choice / 2 + 1) * 256;
                (void)(choice & 1 ? transcript_send(&s->local_err, s->err_fd, bytes, n)
                                  : transcript_send(&s->local_out, s->out_fd, bytes, n));
                break;
        case STEP_LOCAL_READ:
                (void)transcript_receive(&s->local_in, s->in_fd, (choice + 1) * 512);
                break;
        case STEP_CLOSE:
                session_close_some(s, choice);
                break;
        default:
                break;
        }
}

/* The script is over: nobody says anything more; what is still said is heard for a while, and then all are gone. */
static void session_leave(Session *s) {
        if (s->n_leaving == 0) {
                if (s->stream_fd >= 0)
                        (void)shutdown(s->stream_fd, SHUT_WR);
                if (s->out_fd >= 0)
                        (void)shutdown(s->out_fd, SHUT_WR);
                session_close(&s->err_fd);
        }
        if (s->n_leaving < LEAVING_HEARS) {
                (void)transcript_receive(&s->received, s->stream_fd, TRANSCRIPT_MAX);
                (void)transcript_receive(&s->local_in, s->in_fd, TRANSCRIPT_MAX);
        } else {
                session_close(&s->stream_fd);
                session_close(&s->in_fd);
                session_close(&s->out_fd);
        }
        ++s->n_leaving;
}

static void session_turn(void *userdata) {
        Session *s = userdata;

        if (!script_is_over(&s->script))
                session_step(s);
        else
                session_leave(s);
        fuzz_check(s->n_leaving < LEAVING_MAX);
}

static void *session_thread(void *userdata) {
        Session *s = userdata;

        while (s->n_leaving <= LEAVING_HEARS) {
                session_turn(s);
                (void)sched_yield();
        }
        return NULL;
}

/* What an end says: HELLO, then chunks of its streams, each ended once at most; from a callee, last of all, the exit code. */
static void check_said(const Session *s) {
        bool is_caller = s->flags & FLAG_CALLER, ended[3] = {}, exited = false;
        size_t n_max = oracle.hello && oracle_u32(s->sent.data + 8) == 2 ? 4096 : 65536, at = 0, n[3] = {};
        const Transcript *local[3] = { &s->local_out, &s->local_out, &s->local_err };
        const uint8_t *payload;
        size_t skip = is_caller && s->flags & FLAG_PREFIX ? sizeof(prefix) - 1 : 0; /* it is not in the record */
        WireHeader header;

        if (!transcript_next(&s->received, &at, &header, &payload))
                return;
        fuzz_check(header.type == 0x300 && header.length == 4 && oracle_u32(payload) == 4);
        fuzz_check(is_caller || !(s->flags & FLAG_HOST) || oracle.hello);
        while (transcript_next(&s->received, &at, &header, &payload)) {
                unsigned which = header.type - 0x190;

                fuzz_check(oracle.hello && !exited && header.length <= n_max);
                if (header.type == 0x193) {
                        fuzz_check(!is_caller && header.length == 4 && ended[1] && ended[2]);
                        exited = true;
                        continue;
                }
                fuzz_check(is_caller ? which == 0 : which == 1 || which == 2);
                fuzz_check(!ended[which]);
                ended[which] = header.length == 0;
                if (n[which] < skip && header.length > 0) {
                        fuzz_check(header.length == skip && memcmp(payload, prefix, skip) == 0);
                } else {
                        fuzz_check(n[which] + header.length <= local[which]->n + skip);
                        fuzz_check(header.length == 0 ||
                                   memcmp(payload, local[which]->data + n[which] - skip, header.length) == 0);
                }
                n[which] += header.length;
        }
}

/* What the local side was handed is the beginning of what the peer said. */
static void check_handed_on(const Session *s) {
        static Transcript expected;

        expected.n = 0;
        if (!(s->flags & FLAG_CALLER) && s->flags & FLAG_PREFIX) {
                memcpy(expected.data, prefix, sizeof(prefix) - 1);
                expected.n = sizeof(prefix) - 1;
        }
        memcpy(expected.data + expected.n, oracle.out, oracle.n_out);
        expected.n += oracle.n_out;
        fuzz_check(transcript_is_prefix(&s->local_in, expected.data, expected.n));
}

static void make_pair(const Session *s, int *ret_ours, int *ret_theirs) {
        int fds[2], size = SMALL_BUFFER;

        fuzz_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        for (int i = 0; s->flags & FLAG_SMALL && i < 2; ++i)
                fuzz_check(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
        *ret_ours = fds[0];
        *ret_theirs = fds[1];
}

static void run_callee(Session *s, int stream_fd, int in_fd, int out_fd, int err_fd) {
        DataCallee callee = DATA_CALLEE_INIT;
        DataOutcome outcome = { .status = -1 };
        int turn_fd = eventfd(1, EFD_CLOEXEC); /* never read, so there is a turn always */

        fuzz_check(turn_fd >= 0);
        callee.stream_fd = stream_fd;
        callee.in_fd = in_fd;
        callee.out_fd = out_fd;
        callee.err_fd = err_fd;
        callee.is_host = s->flags & FLAG_HOST;
        callee.exit_on_client_eof = s->flags & FLAG_EXIT_ON_CLIENT_EOF;
        callee.exit_on_service_eof = s->flags & FLAG_EXIT_ON_SERVICE_EOF;
        if (s->flags & FLAG_PREFIX) {
                callee.prefix = prefix;
                callee.n_prefix = sizeof(prefix) - 1;
        }
        callee.watch_fd = turn_fd;
        callee.on_watch = session_turn;
        callee.userdata = s;
        fuzz_check(data_callee_run(&callee, &outcome) == 0);
        fuzz_check(outcome.status == 0 && (outcome.how == CALL_HOW_EXITED || outcome.how == CALL_HOW_ABANDONED));
        fuzz_check(callee.stream_fd < 0 && callee.in_fd < 0 && callee.out_fd < 0 && callee.err_fd < 0);
        fd_close(turn_fd);
        /* It came to its end before the script did. */
        (void)transcript_receive(&s->received, s->stream_fd, TRANSCRIPT_MAX);
        (void)transcript_receive(&s->local_in, s->in_fd, TRANSCRIPT_MAX);
}

static void run_caller(Session *s, int stream_fd, int in_fd, int out_fd, int err_fd) {
        DataCaller caller = DATA_CALLER_INIT;
        pthread_t thread;
        int status = -1, r;

        caller.stream_fd = stream_fd;
        caller.in_fd = out_fd; /* what the script writes is what the caller reads */
        caller.out_fd = in_fd;
        caller.err_fd = err_fd;
        if (s->flags & FLAG_PREFIX) {
                caller.prefix = prefix;
                caller.n_prefix = sizeof(prefix) - 1;
        }
        fuzz_check(pthread_create(&thread, NULL, session_thread, s) == 0);
        r = data_caller_run(&caller, &status);
        fuzz_check(pthread_join(thread, NULL) == 0);
        fuzz_check(caller.stream_fd < 0 && caller.in_fd < 0 && caller.out_fd < 0);
        fd_close(err_fd);

        oracle_run(&oracle, s->sent.data, s->sent.n);
        fuzz_check(r == 0 ? oracle.hello && (oracle.has_status || status == 255)
                          : r == (oracle.hello ? DATA_CALLER_E_PROTOCOL : DATA_CALLER_E_HANDSHAKE));
        fuzz_check(r != DATA_CALLER_E_PROTOCOL || oracle.broken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        int stream_fd, in_fd, out_fd, err_fd = -1;
        Session *s = &session;

        if (n == 0 || n > 4096)
                return 0;
        log_set_max_level(0);
        fuzz_check(data_prepare() == 0);
        *s = (Session){ .script = { data, n, 1 }, .flags = data[0], .err_fd = -1 };
        make_pair(s, &s->stream_fd, &stream_fd);
        make_pair(s, &s->in_fd, &in_fd);
        out_fd = in_fd;
        s->out_fd = fcntl(s->in_fd, F_DUPFD_CLOEXEC, 3);
        if (s->flags & FLAG_SEPARATE) {
                fd_close(s->out_fd);
                make_pair(s, &s->out_fd, &out_fd);
        }
        if (s->flags & (FLAG_SEPARATE | FLAG_CALLER))
                make_pair(s, &s->err_fd, &err_fd);
        if (s->flags & FLAG_CALLER)
                run_caller(s, stream_fd, in_fd, out_fd, err_fd);
        else
                run_callee(s, stream_fd, in_fd, out_fd, err_fd);
        session_close(&s->stream_fd);
        session_close(&s->in_fd);
        session_close(&s->out_fd);
        session_close(&s->err_fd);

        oracle_run(&oracle, s->sent.data, s->sent.n);
        check_said(s);
        check_handed_on(s);
        return 0;
}
