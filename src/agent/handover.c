/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/handover.h"

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
#include "wire/header.h"

static int handover_open(Handover *handover) {
        if (handover->spare_fd < 0)
                handover->spare_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return handover->spare_fd < 0 ? -errno : 0;
}

int handover_init(Handover *handover, const char *path) {
        *handover = HANDOVER_INIT;
        handover->path = path;
        return path ? error_origin(handover_open(handover)) : 0;
}

void handover_deinit(Handover *handover) {
        handover->spare_fd = fd_close(handover->spare_fd);
}

bool handover_is_for(const Service *service) {
        const Config *config = &service->config;

        return service_is_program(service) && !service->command.nogui && !config->skip_service_descriptor &&
               !config->exit_on_service_eof && !config->exit_on_client_eof;
}

static void handover_complain(const Handover *handover, const char *what) {
        log_warning("the fork server at %s is not used: %s", ESCAPED(handover->path, strlen(handover->path)), what);
}

int handover_connect(Handover *handover, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address;
        struct ucred peer;
        socklen_t n_address;

        if (!handover->path || socket_address(handover->path, &address, &n_address) || handover_open(handover) < 0)
                return HANDOVER_E_ABSENT;
        if (connect(handover->spare_fd, (struct sockaddr *)&address, n_address) < 0) {
                if (errno != ENOENT && errno != ECONNREFUSED)
                        handover_complain(handover, strerror(errno));
                return HANDOVER_E_ABSENT;
        }
        fd = fd_steal(&handover->spare_fd);
        if (socket_peer(fd, &peer) < 0)
                return HANDOVER_E_ABSENT;
        if (peer.uid != geteuid()) {
                handover_complain(handover, "it is another account's");
                return HANDOVER_E_ABSENT;
        }
        *ret_fd = fd_steal(&fd);
        return 0;
}

/* What follows the user and its colon. */
static const char *handover_command(const Service *service) {
        const CommandPart *user = &service->command.user;

        return user->text + user->n + 1;
}

int handover_send(int fd, const Order *order, const Service *service, const int *fds, size_t n_fds) {
        ForkserverRequest request = {
                .type = order->just_exec ? WIRE_TYPE_JUST_EXEC : WIRE_TYPE_EXEC_CMDLINE,
                .params = { .connect_domain = order->mode, .connect_port = n_fds > 0 ? order->call_id : order->port },
                .command = handover_command(service),
                /* Upstream's server knows no settings. */
                .service_path = n_fds > 0 ? service->settings->service_path : NULL,
                .config_path = n_fds > 0 ? service->settings->config_path : NULL,
        };
        _cleanup_free_ uint8_t *data = malloc(FORKSERVER_REQUEST_MAX);
        size_t n, n_sent;

        if (!data || forkserver_request_encode(&request, data, FORKSERVER_REQUEST_MAX, &n) != 0)
                return HANDOVER_E_ABSENT;
        /* A part of a request is none: the server drops it when we close. */
        if (socket_send(fd, data, n, fds, n_fds, &n_sent) != 0 || n_sent < n)
                return HANDOVER_E_ABSENT;
        return 0;
}

void handover_kill(int fd, uint32_t call_id) {
        uint8_t data[FORKSERVER_HEADER_SIZE];

        forkserver_kill_encode(call_id, data);
        (void)socket_send(fd, data, sizeof(data), NULL, 0, NULL);
}

int handover_receive(int fd, ForkserverAnswer *ret_answer) {
        uint8_t data[FORKSERVER_ANSWER_SIZE];
        size_t n;
        int r;

        r = socket_receive(fd, data, sizeof(data), &n, NULL, 0, NULL);
        if (r == SOCKET_E_AGAIN)
                return HANDOVER_E_AGAIN;
        /* It is written at once, and far too short to arrive in pieces. */
        if (r || forkserver_answer_decode(data, n, ret_answer))
                return HANDOVER_E_CLOSED;
        return 0;
}
