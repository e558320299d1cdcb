/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "wire/hello.h"

void control_init(Control *control, const VchanPlace *place) {
        control->place = place;
        control->state = CONTROL_STATE_LISTENING;
        control->listener = VCHAN_LISTENER_INIT;
        control->fd = -1;
        control->version = 0;
        control->n_in = control->n_used = 0;
        control->out = NULL;
        control->n_out = control->n_sent = control->n_out_max = 0;
}

void control_deinit(Control *control) {
        vchan_listener_deinit(&control->listener);
        control->fd = fd_close(control->fd);
        free(control->out);
        control->out = NULL;
        control->n_out = control->n_sent = control->n_out_max = 0;
}

int control_listen(Control *control) {
        int error;

        control_deinit(control);
        control->state = CONTROL_STATE_LISTENING;
        control->n_in = control->n_used = 0;
        if (vchan_listen(control->place, VCHAN_DOMAIN_HOST, VCHAN_PORT_CONTROL, &error, &control->listener)) {
                log_error("%s: cannot listen for the daemon of domain %u: %s", control->place->directory,
                          control->place->domain, strerror(error));
                return CONTROL_E_FAILED;
        }
        return 0;
}

int control_accept(Control *control) {
        uint8_t message[WIRE_HEADER_SIZE + HELLO_SIZE];
        int r;

        r = vchan_accept(&control->listener, &control->fd);
        if (r)
                return r == VCHAN_E_AGAIN ? CONTROL_E_AGAIN : error_trace(r);
        control->state = CONTROL_STATE_HELLO;
        wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, message);
        hello_encode(&(Hello){ .version = WIRE_VERSION }, message + WIRE_HEADER_SIZE);
        return control_send(control, message, sizeof(message));
}

/* --- in --------------------------------------------------------------------------------------------------------- */

static int control_check_header(const Control *control, WireHeader header) {
        if (control->state == CONTROL_STATE_HELLO) {
                if (header.type == WIRE_TYPE_HELLO && header.length == HELLO_SIZE)
                        return 0;
                log_error("the daemon's first message is no HELLO (type 0x%x, %u bytes)", header.type, header.length);
                return CONTROL_E_BROKEN;
        }
        if (daemon_order_check(header) == 0)
                return 0;
        log_error("the daemon sent what no daemon sends (type 0x%x, %u bytes)", header.type, header.length);
        return CONTROL_E_BROKEN;
}

static int control_on_hello(Control *control, const uint8_t *untrusted_payload) {
        Hello hello;

        if (hello_decode(untrusted_payload, HELLO_SIZE, WIRE_VERSION_MIN, &hello)) {
                log_error("the daemon speaks a version of the protocol that is too old");
                return CONTROL_E_BROKEN;
        }
        control->version = hello_effective_version(&hello, WIRE_VERSION);
        control->state = CONTROL_STATE_UP;
        return CONTROL_E_HELLO;
}

/* What is in the buffer already. Return: as control_receive(), AGAIN where the message is not complete */
static int control_next(Control *control, DaemonOrder *ret_order) {
        uint8_t *message = control->in + control->n_used, *payload = message + WIRE_HEADER_SIZE;
        size_t n = control->n_in - control->n_used;
        WireHeader header;
        int r;

        if (wire_header_decode(message, n, &header))
                return CONTROL_E_AGAIN;
        r = control_check_header(control, header);
        if (r)
                return r;
        if (n - WIRE_HEADER_SIZE < header.length)
                return CONTROL_E_AGAIN;
        control->n_used += WIRE_HEADER_SIZE + header.length;
        if (control->state == CONTROL_STATE_HELLO)
                return control_on_hello(control, payload);
        daemon_order_decode(header, payload, ret_order);
        return 0;
}

static int control_end_of_file(const Control *control) {
        if (control->state == CONTROL_STATE_UP && control->n_in == 0)
                return CONTROL_E_LOST;
        log_error("the daemon went away in the middle of %s",
                  control->state == CONTROL_STATE_UP ? "a message" : "the handshake");
        return CONTROL_E_BROKEN;
}

int control_receive(Control *control, DaemonOrder *ret_order) {
        for (;;) {
                size_t n;
                int r;

                r = control_next(control, ret_order);
                if (r != CONTROL_E_AGAIN)
                        return r;
                control->n_in -= control->n_used;
                memmove(control->in, control->in + control->n_used, control->n_in);
                control->n_used = 0;
                r = socket_receive(control->fd, control->in + control->n_in, sizeof(control->in) - control->n_in, &n,
                                   NULL, 0, NULL);
                switch (r) {
                case 0:
                        control->n_in += n;
                        break;
                case SOCKET_E_AGAIN:
                        return CONTROL_E_AGAIN;
                case SOCKET_E_EOF:
                case SOCKET_E_GONE:
                        return control_end_of_file(control);
                default:
                        return error_fold(r);
                }
        }
}

/* --- out -------------------------------------------------------------------------------------------------------- */

static int control_grow(Control *control, size_t n) {
        size_t n_max = control->n_out_max ? control->n_out_max : 4096;
        uint8_t *out;

        while (n_max - control->n_out < n)
                n_max *= 2;
        if (n_max == control->n_out_max)
                return 0;
        out = realloc(control->out, n_max);
        if (!out)
                return error_origin(-ENOMEM);
        control->out = out;
        control->n_out_max = n_max;
        return 0;
}

int control_send(Control *control, const void *data, size_t n) {
        int r;

        r = control_grow(control, n);
        if (r)
                return r;
        memcpy(control->out + control->n_out, data, n);
        control->n_out += n;
        return control_flush(control);
}

int control_terminated(Control *control, const ExecParams *params) {
        uint8_t message[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];

        wire_header_encode((WireHeader){ .type = WIRE_TYPE_CONNECTION_TERMINATED, .length = EXEC_PARAMS_SIZE },
                           message);
        exec_params_encode(params, message + WIRE_HEADER_SIZE);
        return control_send(control, message, sizeof(message));
}

int control_flush(Control *control) {
        while (control->n_sent < control->n_out) {
                size_t n;
                int r;

                r = socket_send(control->fd, control->out + control->n_sent, control->n_out - control->n_sent, NULL, 0,
                                &n);
                switch (r) {
                case 0:
                        control->n_sent += n;
                        break;
                case SOCKET_E_AGAIN:
                        return 0;
                case SOCKET_E_GONE:
                        /* Its end-of-file is still to be received, behind what it may have said. */
                        control->n_sent = control->n_out;
                        break;
                default:
                        return error_fold(r);
                }
        }
        control->n_sent = control->n_out = 0;
        return 0;
}
