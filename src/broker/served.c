/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/served.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/socket.h"
#include "base/watch.h"
#include "base/watchdog.h"
#include "broker/audit.h"
#include "broker/book.h"
#include "broker/broker.h"
#include "broker/timing.h"
#include "wire/data.h"
#include "wire/hello.h"

/* HELLO; one STDOUT, which holds any answer; two end-of-files; the exit code. */
#define SERVED_OVERHEAD (5 * WIRE_HEADER_SIZE + HELLO_SIZE + DATA_EXIT_CODE_SIZE)

struct Served {
        Served *next, **place_in_list;
        Served **place; /* who keeps it while it waits, or NULL */
        int (*on_late)(Served *served);
        Broker *broker;
        Domain *source;
        uint32_t id;
        uint32_t in_book;
        bool is_recorded;
        int fd;
        sd_event_source *io, *deadline;
        uint64_t began_usec;
        int status; /* -1: not answered */
        uint8_t *data;
        size_t n, n_sent;
        char service[];
};

static Served *served_free(Served *served) {
        Record record = RECORD_INIT;
        char message[RECORD_MESSAGE_MAX];
        uint64_t run_usec;
        int r;

        if (!served)
                return NULL;
        run_usec = clock_now() - served->began_usec;
        if (served->place)
                *served->place = NULL;
        if (served->place_in_list) {
                *served->place_in_list = served->next;
                if (served->next)
                        served->next->place_in_list = served->place_in_list;
                record.event = RECORD_EVENT_END;
                record.call = served->id;
                record.source = served->source->name.text;
                record.target = DOM0_NAME;
                record.service = served->service;
                record.how = served->status >= 0 ? "exited" : "abandoned";
                record.status = served->status;
                snprintf(message, sizeof(message), "qrexec: %s: %s -> " DOM0_NAME ": ended: %s, status %d (call %u)",
                         ESCAPED(served->service, strlen(served->service)), served->source->name.text, record.how,
                         served->status, served->id);
                record.message = message;
                record.stage_usec[STAGE_RUN] = run_usec;
                r = served->is_recorded ? audit_write(served->broker->audit, served->source, &record) : 0;
                book_remove(served->broker->book, served->in_book);
                r = r ?: timing_add(&served->broker->timing, served->service, STAGE_RUN, run_usec);
                if (r < 0)
                        (void)sd_event_exit(served->broker->event, r);
                --served->source->n_connections;
        }
        sd_event_source_disable_unref(served->io);
        sd_event_source_disable_unref(served->deadline);
        fd_close(served->fd);
        domain_unref(served->source);
        free(served->data);
        free(served);
        return NULL;
}
DEFINE_CLEANUP(Served *, served_free)

/* Its end is owed: by us, or by the broker that comes after us. */
static void served_book(Served *served) {
        BookEntry entry = {
                .call = served->id,
                .is_served = true,
                .source = served->source->name,
                .target = { .text = DOM0_NAME },
                .start_usec = served->began_usec,
        };
        size_t n = call_service_length(served->service);

        memcpy(entry.service, served->service, n);
        if (served->service[n] != '\0')
                entry.n_argument = strlen(strchr(served->service, '+') + 1);
        served->in_book = book_put(served->broker->book, &entry);
}

enum {
        _SERVED_CLOSE_SUCCESS,
        SERVED_CLOSE, /* the caller is gone */
};

static int served_send(Served *served) {
        while (served->n_sent < served->n) {
                size_t n;
                int r = socket_send(served->fd, served->data + served->n_sent, served->n - served->n_sent, NULL, 0, &n);

                switch (r) {
                case 0:
                        served->n_sent += n;
                        break;
                case SOCKET_E_AGAIN:
                case SOCKET_E_LIMIT:
                        r = sd_event_source_set_io_events(served->io, EPOLLIN | EPOLLOUT);
                        return r < 0 ? error_origin(r) : 0;
                case SOCKET_E_GONE:
                        return SERVED_CLOSE;
                default:
                        return error_fold(r);
                }
        }
        if (served->data) {
                int r = sd_event_source_set_io_events(served->io, EPOLLIN);

                if (r < 0)
                        return error_origin(r);
                free(steal_ptr(&served->data));
        }
        return 0;
}

/* What the caller says, its HELLO and any input, means nothing here; one read a wake-up, so that it cannot hold us. */
static int served_dispatch(Served *served, uint32_t revents) {
        size_t n;
        int r;

        if (revents & EPOLLOUT) {
                r = served_send(served);
                if (r)
                        return r;
        }
        watchdog_arm(served->broker->watchdog);
        r = socket_receive(served->fd, served->broker->scratch, BROKER_SCRATCH_SIZE, &n, NULL, 0, NULL);
        if (watchdog_disarm(served->broker->watchdog))
                return SERVED_CLOSE;
        switch (r) {
        case 0:
        case SOCKET_E_AGAIN:
                return 0;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
        case SOCKET_E_TRUNCATED:
                return SERVED_CLOSE;
        default:
                return error_fold(r);
        }
}

static int served_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Served *served = userdata;
        int r = served_dispatch(served, revents);

        if (r == SERVED_CLOSE) {
                served_free(served);
                return 0;
        }
        return error_fold(r);
}

static int served_on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Served *served = userdata;

        if (served->status < 0)
                return error_trace(served->on_late(served));
        served_free(served);
        return 0;
}

static int served_arm(Served *served, uint64_t usec) {
        served->deadline = sd_event_source_disable_unref(served->deadline);
        return error_trace(watch_time(served->broker->event, usec, 0, served_on_deadline, served, &served->deadline));
}

int served_new(Broker *broker, uint32_t id, Domain *source, const char *service, bool is_recorded, Served **ret_served,
               int *ret_fd) {
        _cleanup_(served_freep) Served *served = NULL;
        _cleanup_fd_ int theirs = -1;
        int fds[2];
        int r;

        served = malloc(sizeof(*served) + strlen(service) + 1);
        if (!served)
                return error_origin(-ENOMEM);
        *served = (Served){
                .broker = broker,
                .source = domain_ref(source),
                .id = id,
                .in_book = BOOK_NONE,
                .is_recorded = is_recorded,
                .fd = -1,
                .began_usec = clock_now(),
                .status = -1,
        };
        strcpy(served->service, service); /* allocated for it */
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
                if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
                        return SERVED_E_LIMIT;
                return error_origin(-errno);
        }
        served->fd = fds[0];
        theirs = fds[1];
        (void)socket_refuse_rights(served->fd);
        r = watch_io(broker->event, served->fd, EPOLLIN, served_on_io, served, &served->io);
        if (r)
                return error_trace(r);

        served->next = broker->served;
        if (served->next)
                served->next->place_in_list = &served->next;
        served->place_in_list = &broker->served;
        broker->served = served;
        ++source->n_connections;
        if (is_recorded)
                served_book(served);
        *ret_fd = fd_steal(&theirs);
        *ret_served = steal_ptr(&served);
        return 0;
}

static size_t served_put(uint8_t *data, uint32_t type, const void *payload, size_t n) {
        wire_header_encode((WireHeader){ .type = type, .length = (uint32_t)n }, data);
        if (n > 0)
                memcpy(data + WIRE_HEADER_SIZE, payload, n);
        return WIRE_HEADER_SIZE + n;
}

int served_answer(Served *served, const void *data, size_t n, int status) {
        uint8_t hello[HELLO_SIZE], exit_code[DATA_EXIT_CODE_SIZE];
        int r;

        assert(n <= SERVED_ANSWER_MAX && SERVED_ANSWER_MAX <= WIRE_DATA_MAX && served->status < 0);
        if (served->place)
                *served->place = NULL;
        served->place = NULL;
        served->status = status;
        served->data = malloc(n + SERVED_OVERHEAD);
        if (!served->data)
                return error_origin(-ENOMEM);
        hello_encode(&(Hello){ .version = WIRE_VERSION }, hello);
        data_exit_code_encode(status, exit_code);
        served->n = served_put(served->data, WIRE_TYPE_HELLO, hello, sizeof(hello));
        if (n > 0)
                served->n += served_put(served->data + served->n, WIRE_TYPE_DATA_STDOUT, data, n);
        served->n += served_put(served->data + served->n, WIRE_TYPE_DATA_STDOUT, NULL, 0);
        served->n += served_put(served->data + served->n, WIRE_TYPE_DATA_STDERR, NULL, 0);
        served->n += served_put(served->data + served->n, WIRE_TYPE_DATA_EXIT_CODE, exit_code, sizeof(exit_code));

        r = served_arm(served, SERVED_USEC);
        if (r)
                return r;
        r = served_send(served);
        if (r == SERVED_CLOSE) {
                served_free(served);
                return 0;
        }
        return error_fold(r);
}

int served_wait(Served *served, Served **place, uint64_t usec, int (*on_late)(Served *served)) {
        served->place = place;
        *place = served;
        served->on_late = on_late;
        return error_trace(served_arm(served, usec));
}

void served_free_all(Broker *broker) {
        while (broker->served)
                served_free(broker->served);
}
