/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "relay/mux.h"

/* How long a session may take to be opened: the far end answers at once, the network may be slow. */
#define RELAY_SESSION_OPEN_SEC 30
#define RELAY_SESSION_REQUEST  1
/* Two rounds over the slots: connections that were full may have been closed meanwhile, and locks been waited for. */
#define RELAY_SESSION_TRIES (2 * MASTER_SLOTS)

/* Connections in a row that end before they say anything. */
#define RELAY_SESSION_GONE_MAX 3

enum {
        _SESSION_SUCCESS,
        SESSION_FULL,   /* no session more on this connection */
        SESSION_GONE,   /* the client ended before it said anything: another has to be started */
        SESSION_FAILED, /* has been explained */
};

/* The socket blocks, with a time limit while a session is being opened. */
static int session_receive(int fd, MuxReply *ret_reply) {
        uint8_t length[MUX_LENGTH_SIZE], packet[MUX_PACKET_MAX];
        size_t n;
        int r;

        r = fd_read_full(fd, length, sizeof(length));
        if (r)
                return r == -EAGAIN ? -ETIMEDOUT : SESSION_GONE;
        if (mux_length_decode(length, &n))
                return -EBADMSG;
        r = fd_read_full(fd, packet, n);
        if (r)
                return r == -EAGAIN ? -ETIMEDOUT : SESSION_GONE;
        return mux_reply_decode(packet, n, ret_reply) ? -EBADMSG : 0;
}

static int session_send(int fd, const uint8_t *data, size_t n) {
        while (n > 0) {
                ssize_t n_sent = send(fd, data, n, MSG_NOSIGNAL);

                if (n_sent < 0 && errno == EINTR)
                        continue;
                if (n_sent < 0)
                        return errno == EPIPE || errno == ECONNRESET ? SESSION_GONE : -errno;
                data += n_sent;
                n -= (size_t)n_sent;
        }
        return 0;
}

/* The three descriptors, each with a byte that means nothing, as OpenSSH wants them. */
static int session_send_fds(int fd) {
        for (int i = STDIN_FILENO; i <= STDERR_FILENO; ++i) {
                int r = socket_send(fd, "", 1, &i, 1, NULL);

                if (r == SOCKET_E_AGAIN) {
                        struct pollfd room = { .fd = fd, .events = POLLOUT };

                        (void)poll(&room, 1, RELAY_SESSION_OPEN_SEC * 1000);
                        r = socket_send(fd, "", 1, &i, 1, NULL);
                }
                if (r)
                        return r < 0 ? r : SESSION_GONE;
        }
        return 0;
}

static void session_set_timeout(int fd, time_t seconds) {
        struct timeval timeout = { .tv_sec = seconds };

        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

static int session_judge(const Master *master, const MuxReply *reply) {
        switch ((uint32_t)reply->type) {
        case MUX_TYPE_SESSION_OPENED:
                return 0;
        case MUX_TYPE_FAILURE:
                /* A session that the server did not want: with sshd this is MaxSessions. */
                if (strstr(reply->reason, "Session open refused by peer"))
                        return SESSION_FULL;
                log_error("%s: no session: %s", ESCAPED(master->host, strlen(master->host)),
                          ESCAPED(reply->reason, strlen(reply->reason)));
                return SESSION_FAILED;
        case MUX_TYPE_PERMISSION_DENIED:
                log_error("%s: the shared connection refuses sessions: %s", ESCAPED(master->host, strlen(master->host)),
                          ESCAPED(reply->reason, strlen(reply->reason)));
                return SESSION_FAILED;
        default:
                return -EBADMSG;
        }
}

static int session_hello(int fd) {
        uint8_t hello[MUX_OVERHEAD];
        MuxReply reply;
        int r;

        r = session_send(fd, hello, mux_hello_encode(hello));
        r = r ?: session_receive(fd, &reply);
        if (r)
                return r;
        return reply.type == MUX_TYPE_HELLO && reply.version == MUX_VERSION ? 0 : -EPROTONOSUPPORT;
}

/* Return: 0, SESSION_…, or -errno, which nobody has explained yet. */
static int session_open(const Master *master, int fd, const uint8_t *request, size_t n_request) {
        MuxReply reply;
        int r;

        session_set_timeout(fd, RELAY_SESSION_OPEN_SEC);
        r = session_hello(fd);
        r = r ?: session_send(fd, request, n_request);
        r = r ?: session_send_fds(fd);
        r = r ?: session_receive(fd, &reply);
        return r ?: session_judge(master, &reply);
}

/*
 * It runs. Our own ends go, so that the end-of-file of either side is seen while the other goes on; then there is nothing to
 * do but to wait. The status comes when the command has ended, end-of-file when all that it said has been written.
 */
static int session_wait(const Master *master, int fd, int *ret_status) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), status = -1, r;

        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0)
                return error_origin(-errno);
        fd_close(null_fd);
        session_set_timeout(fd, 0);
        for (;;) {
                MuxReply reply;

                r = session_receive(fd, &reply);
                if (r)
                        break;
                if (reply.type == MUX_TYPE_EXIT_MESSAGE)
                        status = (int)(reply.status & 0xff);
        }
        if (status < 0) {
                log_error("%s: the connection was lost, or what ran there was killed",
                          ESCAPED(master->host, strlen(master->host)));
                return RELAY_SESSION_E_FAILED;
        }
        *ret_status = status;
        return 0;
}

static int session_explain(const Master *master, int r) {
        log_error("%s: %s", ESCAPED(master->host, strlen(master->host)),
                  r == -ETIMEDOUT         ? "no answer on the shared connection"
                  : r == -EPROTONOSUPPORT ? "this OpenSSH shares connections in another way (PROTOCOL.mux)"
                                          : strerror(-r));
        return RELAY_SESSION_E_FAILED;
}

int relay_session_run(const Master *master, const char *command, int *ret_status) {
        size_t n_command = strlen(command), n_request;
        _cleanup_free_ uint8_t *request = NULL;
        unsigned slot = 0, n_gone = 0;

        request = malloc(MUX_OVERHEAD + n_command);
        if (!request)
                return error_origin(-ENOMEM);
        n_request = mux_new_session_encode(RELAY_SESSION_REQUEST, command, n_command, request);
        for (unsigned i = 0; i < RELAY_SESSION_TRIES; ++i) {
                _cleanup_fd_ int fd = -1;
                int r;

                r = master_connect(master, slot, &fd);
                if (r)
                        return r < 0 ? error_trace(r) : RELAY_SESSION_E_FAILED;
                r = session_open(master, fd, request, n_request);
                switch (r) {
                case 0:
                        return session_wait(master, fd, ret_status);
                case SESSION_FULL:
                        slot = (slot + 1) % MASTER_SLOTS;
                        break;
                case SESSION_GONE:
                        /* It was about to end, idle or with its connection: the next one is new. */
                        if (++n_gone >= RELAY_SESSION_GONE_MAX)
                                return session_explain(master, -ECONNRESET);
                        break;
                case SESSION_FAILED:
                        return RELAY_SESSION_E_FAILED;
                default:
                        return session_explain(master, r);
                }
        }
        log_error("%s: too many sessions: raise MaxSessions over there", ESCAPED(master->host, strlen(master->host)));
        return RELAY_SESSION_E_FAILED;
}
