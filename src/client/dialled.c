/* SPDX-License-Identifier: Apache-2.0 */
#include "client/dialled.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "client/daemon.h"
#include "wire/exec.h"
#include "wire/refusal.h"
#include "wire/trigger.h"

bool dialled_is_wanted(void) {
        return getenv("VCHAN_DOMAIN") != NULL;
}

void dialled_deinit(Dialled *dialled) {
        vchan_listener_deinit(&dialled->listener);
        dialled->asked_fd = fd_close(dialled->asked_fd);
}

static int dialled_listen(Dialled *dialled, const ExecParams *params) {
        VchanPlace place;
        int error;

        if (vchan_place_init(getenv("VCHAN_SOCKET_DIR"), getenv("VCHAN_DOMAIN"), &place)) {
                log_error("VCHAN_DOMAIN is no domain's id: a decimal number is wanted");
                return DIALLED_E_FAILED;
        }
        if (vchan_listen(&place, params->connect_domain, params->connect_port, &error, &dialled->listener)) {
                log_error("%s: cannot listen for domain %u at port %u: %s",
                          ESCAPED(place.directory, strlen(place.directory)), params->connect_domain,
                          params->connect_port, strerror(error));
                return DIALLED_E_FAILED;
        }
        return 0;
}

/* Return: 0 or DIALLED_E_…: an end without a byte is a refusal */
static int dialled_receive_params(int fd, ExecParams *ret_params) {
        uint8_t data[EXEC_PARAMS_SIZE];
        int r;

        r = fd_read_full(fd, data, 1);
        if (r == FD_E_EOF || r == -ECONNRESET)
                return DIALLED_E_REFUSED;
        if (!r)
                r = fd_read_full(fd, data + 1, sizeof(data) - 1);
        if (r) {
                log_error("the answer to the request broke off");
                return DIALLED_E_FAILED;
        }
        return exec_params_decode(data, sizeof(data), ret_params) ? DIALLED_E_FAILED : 0;
}

static int dialled_send_request(int fd, const char *source, const char *target, const char *service) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        _cleanup_free_ uint8_t *data = NULL;
        size_t n_max, n;
        int r;

        r = trigger_new(source, target, IDENT_SOCKET, service, &trigger);
        if (r)
                return r == TRIGGER_E_REFUSED ? DIALLED_E_REFUSED : DIALLED_E_FAILED;
        n_max = WIRE_HEADER_SIZE + TRIGGER4_SIZE_MIN + trigger->n_service;
        data = malloc(n_max);
        if (!data || trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, data, n_max, &n))
                return DIALLED_E_FAILED;
        /* An agent that refuses before it has read everything closes: the answer tells. */
        r = fd_write_full(fd, data, n);
        return r && r != -EPIPE && r != -ECONNRESET ? DIALLED_E_FAILED : 0;
}

int dialled_ask_agent(const char *socket_path, const char *source, const char *target, const char *service,
                      Dialled *dialled) {
        ExecParams params;
        int r;

        r = socket_connect(socket_path, SOCK_STREAM, &dialled->asked_fd);
        if (r) {
                log_error("cannot connect to %s: %s", ESCAPED(socket_path, strlen(socket_path)),
                          r < 0 ? strerror(-r) : "too long for the path of a socket");
                return DIALLED_E_FAILED;
        }
        r = dialled_send_request(dialled->asked_fd, source, target, service);
        if (!r)
                r = dialled_receive_params(dialled->asked_fd, &params);
        return r ? r : dialled_listen(dialled, &params);
}

int dialled_ask_daemon(const char *socket_path, WireType type, const char *command, Dialled *dialled) {
        ExecParams params;

        if (daemon_call_dialled(socket_path, type, command, &dialled->asked_fd, &params))
                return DIALLED_E_FAILED;
        return dialled_listen(dialled, &params);
}

int dialled_accept(Dialled *dialled, int *ret_stream_fd) {
        uint64_t deadline_usec = dialled->limit_usec > 0 ? clock_now() + dialled->limit_usec : UINT64_MAX;
        int r;

        r = vchan_accept_until(&dialled->listener, deadline_usec, ret_stream_fd);
        if (r == VCHAN_E_TIMEOUT)
                log_error("the service's end was not there in time");
        return r ? DIALLED_E_FAILED : 0;
}
