/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/log.h"
#include "wire/hello.h"

void control_init(Control *control, const Medium *medium, int epoll_fd) {
        *control = (Control){
                .medium = medium,
                .epoll_fd = epoll_fd,
                .watch = { VCHAN_WATCH_KIND_CONTROL },
                .watched_fd = -1,
                .state = medium->kind == MEDIUM_KIND_VSOCK ? CONTROL_STATE_DIALLING : CONTROL_STATE_LISTENING,
                .listener = VCHAN_LISTENER_INIT,
                .messages = MESSAGES_INIT,
        };
        control_dial_init(&control->dial);
}

/* Before the descriptor is closed: a handler that was just forked may hold a copy, and with it the event, for a moment. */
static void control_unwatch(Control *control) {
        if (control->watched_fd >= 0)
                (void)epoll_ctl(control->epoll_fd, EPOLL_CTL_DEL, control->watched_fd, NULL);
        control->watched_fd = -1;
}

void control_deinit(Control *control) {
        control_unwatch(control);
        vchan_listener_deinit(&control->listener);
        control_dial_deinit(&control->dial);
        messages_close(&control->messages);
}

static int control_listen(Control *control) {
        const VchanPlace *place = &control->medium->place;
        int error;

        control->state = CONTROL_STATE_LISTENING;
        if (vchan_listen(place, VCHAN_DOMAIN_HOST, VCHAN_PORT_CONTROL, &error, &control->listener)) {
                log_error("%s: cannot listen for the daemon of domain %u: %s", place->directory, place->domain,
                          strerror(error));
                return CONTROL_E_FAILED;
        }
        return 0;
}

int control_open(Control *control) {
        control_deinit(control);
        switch (control->medium->kind) {
        case MEDIUM_KIND_VCHAN:
                return control_listen(control);
        case MEDIUM_KIND_VSOCK:
                control->state = CONTROL_STATE_DIALLING;
                return 0;
        }
        return CONTROL_E_FAILED;
}

static int control_find_watched(const Control *control, uint32_t *ret_events) {
        *ret_events = EPOLLIN;
        switch (control->state) {
        case CONTROL_STATE_LISTENING:
                return control->listener.fd;
        case CONTROL_STATE_DIALLING:
                *ret_events = EPOLLOUT;
                return control->dial.fd;
        case CONTROL_STATE_HELLO:
        case CONTROL_STATE_UP:
                /* While the daemon does not take what we tell it, nothing more is taken from it. */
                if (!control_is_flushed(control))
                        *ret_events = EPOLLOUT;
                return control->messages.fd;
        }
        return -1;
}

int control_watch(Control *control) {
        struct epoll_event event = { .data.ptr = &control->watch };
        uint32_t events;
        int fd = control_find_watched(control, &events);

        if (fd == control->watched_fd && (fd < 0 || events == control->watched_events))
                return 0;
        event.events = events;
        if (fd != control->watched_fd)
                control_unwatch(control);
        if (fd >= 0 &&
            epoll_ctl(control->epoll_fd, control->watched_fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) < 0)
                return error_origin(-errno);
        control->watched_fd = fd;
        control->watched_events = events;
        return 0;
}

int control_begin(Control *control, int fd) {
        int r;

        r = messages_open(&control->messages, fd, CONTROL_PAYLOAD_MAX);
        if (r)
                return r;
        control->state = CONTROL_STATE_HELLO;
        return messages_send_hello(&control->messages, WIRE_VERSION);
}

int control_establish(Control *control, uint64_t now_usec) {
        int fd, r;

        /* What comes of it may be another descriptor with the same number. */
        control_unwatch(control);
        if (control->state == CONTROL_STATE_DIALLING) {
                r = control_dial_run(&control->dial, now_usec, &fd);
                if (r)
                        return r == CONTROL_DIAL_E_AGAIN ? CONTROL_E_AGAIN : error_trace(r);
        } else {
                r = vchan_accept(&control->listener, &fd);
                if (r)
                        return r == VCHAN_E_AGAIN ? CONTROL_E_AGAIN : error_trace(r);
        }
        return control_begin(control, fd);
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
        control_dial_done(&control->dial);
        return CONTROL_E_HELLO;
}

/* A host that has no daemon for us ends it at once. Over vchan nobody dials who does not mean to speak. */
static int control_on_end(Control *control, uint64_t now_usec) {
        bool was_up = control->state == CONTROL_STATE_UP;

        if (was_up)
                log_warning("the daemon went away");
        switch (control->medium->kind) {
        case MEDIUM_KIND_VSOCK:
                control_dial_pause(&control->dial, now_usec, was_up ? 0 : CONTROL_DIAL_CLOSED);
                return CONTROL_E_LOST;
        case MEDIUM_KIND_VCHAN:
                if (was_up)
                        return CONTROL_E_LOST;
                log_error("the daemon went away in the middle of the handshake");
                return CONTROL_E_BROKEN;
        }
        return CONTROL_E_BROKEN;
}

int control_receive(Control *control, uint64_t now_usec, DaemonOrder *ret_order) {
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
                return control_on_end(control, now_usec);
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
