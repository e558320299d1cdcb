/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "wire/hello.h"

void control_init(Control *control, const VchanPlace *place) {
        *control = (Control){
                .place = place,
                .state = CONTROL_STATE_LISTENING,
                .listener = VCHAN_LISTENER_INIT,
                .messages = MESSAGES_INIT,
        };
}

void control_deinit(Control *control) {
        vchan_listener_deinit(&control->listener);
        messages_close(&control->messages);
}

int control_listen(Control *control) {
        int error;

        control_deinit(control);
        control->state = CONTROL_STATE_LISTENING;
        if (vchan_listen(control->place, VCHAN_DOMAIN_HOST, VCHAN_PORT_CONTROL, &error, &control->listener)) {
                log_error("%s: cannot listen for the daemon of domain %u: %s", control->place->directory,
                          control->place->domain, strerror(error));
                return CONTROL_E_FAILED;
        }
        return 0;
}

int control_accept(Control *control) {
        int fd, r;

        r = vchan_accept(&control->listener, &fd);
        if (r)
                return r == VCHAN_E_AGAIN ? CONTROL_E_AGAIN : error_trace(r);
        r = messages_open(&control->messages, fd, CONTROL_PAYLOAD_MAX);
        if (r)
                return r;
        control->state = CONTROL_STATE_HELLO;
        return messages_send_hello(&control->messages, WIRE_VERSION);
}

static bool control_check(const void *userdata, WireHeader header) {
        const Control *control = userdata;

        if (control->state == CONTROL_STATE_HELLO) {
                if (header.type == WIRE_TYPE_HELLO && header.length == HELLO_SIZE)
                        return true;
                log_error("the daemon's first message is no HELLO (type 0x%x, %u bytes)", header.type, header.length);
                return false;
        }
        if (daemon_order_check(header) == 0)
                return true;
        log_error("the daemon sent what no daemon sends (type 0x%x, %u bytes)", header.type, header.length);
        return false;
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

int control_receive(Control *control, DaemonOrder *ret_order) {
        WireHeader header;
        uint8_t *payload;
        int r;

        r = messages_receive(&control->messages, control_check, control, &header, &payload);
        switch (r) {
        case 0:
                if (control->state == CONTROL_STATE_HELLO)
                        return control_on_hello(control, payload);
                daemon_order_decode(header, payload, ret_order);
                return 0;
        case MESSAGES_E_AGAIN:
                return CONTROL_E_AGAIN;
        case MESSAGES_E_END:
                if (control->state == CONTROL_STATE_UP)
                        return CONTROL_E_LOST;
                log_error("the daemon went away in the middle of the handshake");
                return CONTROL_E_BROKEN;
        case MESSAGES_E_BROKEN:
                log_error("the daemon went away in the middle of a message");
                return CONTROL_E_BROKEN;
        case MESSAGES_E_REFUSED:
                return CONTROL_E_BROKEN;
        default:
                return error_fold(r);
        }
}

int control_send(Control *control, const void *data, size_t n) {
        return messages_send(&control->messages, data, n);
}

int control_terminated(Control *control, const ExecParams *params) {
        uint8_t message[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];

        wire_header_encode((WireHeader){ .type = WIRE_TYPE_CONNECTION_TERMINATED, .length = EXEC_PARAMS_SIZE },
                           message);
        exec_params_encode(params, message + WIRE_HEADER_SIZE);
        return control_send(control, message, sizeof(message));
}

int control_flush(Control *control) {
        return messages_flush(&control->messages);
}
