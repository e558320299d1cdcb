/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "broker/broker.h"
#include "broker/parent.h"
#include "broker/watch.h"

/* Lines that go to the file with one system call. */
#define AUDIT_BATCH_MAX 64
/* After a failure, the next attempt. */
#define AUDIT_RETRY_USEC USEC_PER_SEC

typedef struct AuditItem AuditItem;
struct AuditItem {
        AuditItem *next;
        Domain *payer;
        size_t n, n_written;
        char data[];
};

struct Audit {
        Broker *broker;
        SuperviseAudit kind; /* what records are made for; SUPERVISE_AUDIT_FILE while there is nowhere */
        int fd;              /* -1: nowhere yet */
        AuditItem *queue, **queue_end;
        size_t n_queue;
        bool is_blocked;       /* the journal is busy: it has not gone wrong, it takes its time */
        char problem[128];     /* why the last attempt failed; "" if it did not */
        size_t n_lost;         /* of all domains */
        bool is_unsettled;     /* records came since the last flush, and none of the events below is due for them */
        sd_event_source *room; /* the journal has room again */
        sd_event_source *retry;
        char buffer[RECORD_SIZE_MAX];
};

static AuditItem *audit_item_free(AuditItem *item) {
        item->payer->n_audit_bytes -= item->n;
        domain_unref(item->payer);
        free(item);
        return NULL;
}

static void audit_pop(Audit *audit) {
        AuditItem *item = audit->queue;

        audit->queue = item->next;
        if (!audit->queue)
                audit->queue_end = &audit->queue;
        --audit->n_queue;
        audit_item_free(item);
}

/* Said once, however often it is tried again. */
static void audit_fail(Audit *audit, const char *problem) {
        if (audit->problem[0] == '\0')
                log_error("audit records cannot be written (%s): every new call is refused until they can be", problem);
        strncpy(audit->problem, problem, sizeof(audit->problem) - 1);
}

static void audit_recover(Audit *audit) {
        if (audit->problem[0] != '\0')
                log_notice("audit records can be written again");
        audit->problem[0] = '\0';
}

enum {
        _AUDIT_E_SUCCESS,
        AUDIT_E_BUSY,   /* no room now */
        AUDIT_E_FAILED, /* it went wrong: audit_fail() was told */
};

static int audit_send_one(Audit *audit) {
        ssize_t n;

        do
                n = send(audit->fd, audit->queue->data, audit->queue->n, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
                return AUDIT_E_BUSY;
        if (n < 0) {
                audit_fail(audit, strerror(errno));
                return AUDIT_E_FAILED;
        }
        audit_pop(audit);
        return 0;
}

static int audit_append_batch(Audit *audit) {
        struct iovec iov[AUDIT_BATCH_MAX];
        int n_iov = 0;
        ssize_t n;

        for (AuditItem *item = audit->queue; item && n_iov < AUDIT_BATCH_MAX; item = item->next)
                iov[n_iov++] = (struct iovec){ item->data + item->n_written, item->n - item->n_written };
        do
                n = writev(audit->fd, iov, n_iov);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                audit_fail(audit, strerror(errno));
                return AUDIT_E_FAILED;
        }
        /* A disk that fills up takes a part of a line: what is missing follows when there is room. */
        while (n > 0 && audit->queue) {
                AuditItem *item = audit->queue;
                size_t left = item->n - item->n_written;

                if ((size_t)n < left) {
                        item->n_written += (size_t)n;
                        break;
                }
                n -= (ssize_t)left;
                audit_pop(audit);
        }
        return 0;
}

static int audit_retry_later(Audit *audit) {
        int r = sd_event_source_set_time_relative(audit->retry, AUDIT_RETRY_USEC);

        return r < 0 ? error_origin(r) : error_trace(watch_enable(audit->retry, SD_EVENT_ONESHOT));
}

/* What was refused unrecorded meanwhile is said in one record for each domain. */
static int audit_report_lost(Audit *audit) {
        DomainTable *domains = &audit->broker->domains;

        if (audit->n_lost == 0)
                return 0;
        audit->n_lost = 0;
        for (size_t i = 0; i < domains->n; ++i) {
                Domain *domain = domains->by_name[i];
                Record record = RECORD_INIT;
                int r;

                if (domain->n_unrecorded == 0)
                        continue;
                record.event = RECORD_EVENT_LOST;
                record.source = domain->name.text;
                record.decision = "deny";
                record.reason = "the audit could not be written";
                record.n_lost = (long)domain->n_unrecorded;
                record.priority = 4;
                record.message = "qrexec: there were requests whose records could not be written";
                domain->n_unrecorded = 0;
                r = audit_write(audit, domain, &record);
                if (r)
                        return error_trace(r);
        }
        return 0;
}

static int audit_flush(Audit *audit) {
        bool was_blocked = audit->is_blocked;
        int r = 0;

        while (audit->queue && audit->fd >= 0) {
                r = audit->kind == SUPERVISE_AUDIT_JOURNAL ? audit_send_one(audit) : audit_append_batch(audit);
                if (r)
                        break;
        }
        audit->is_blocked = r == AUDIT_E_BUSY;
        if (r == 0 && !audit->queue) {
                audit_recover(audit);
                if (audit->room && was_blocked)
                        r = watch_enable(audit->room, SD_EVENT_OFF);
                return r ? error_trace(r) : error_trace(audit_report_lost(audit));
        }
        if (r == AUDIT_E_BUSY && audit->room)
                r = watch_enable(audit->room, SD_EVENT_ON);
        /* Also where the journal is only busy: what ended its wait may have been lost with its process. */
        return r < 0 ? error_trace(r) : error_trace(audit_retry_later(audit));
}

int audit_settle(Audit *audit, bool *ret_waits) {
        int r = 0;

        *ret_waits = false;
        if (!audit->is_unsettled)
                return 0;
        audit->is_unsettled = false;
        r = audit_flush(audit);
        *ret_waits = audit->queue != NULL;
        return error_trace(r);
}

static int audit_on_room(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        return error_trace(audit_flush(userdata));
}

static int audit_on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Audit *audit = userdata;
        int r;

        r = audit_flush(audit);
        /* A journal that was restarted, a disk that was replaced: the supervisor opens it anew. */
        if (!r && (audit->problem[0] != '\0' || audit->fd < 0))
                r = parent_reopen_audit(audit->broker->parent);
        return error_trace(r);
}

int audit_new(Broker *broker, Audit **ret_audit) {
        _cleanup_(audit_freep) Audit *audit = NULL;
        int r;

        audit = malloc(sizeof(*audit));
        if (!audit)
                return error_origin(-ENOMEM);
        *audit = (Audit){ .broker = broker, .kind = SUPERVISE_AUDIT_FILE, .fd = -1 };
        audit->queue_end = &audit->queue;
        r = watch_time(broker->event, AUDIT_RETRY_USEC, 0, audit_on_retry, audit, &audit->retry);
        r = r ?: watch_enable(audit->retry, SD_EVENT_OFF);
        if (r)
                return error_trace(r);
        *ret_audit = steal_ptr(&audit);
        return 0;
}

Audit *audit_free(Audit *audit) {
        if (!audit)
                return NULL;
        for (int r = 0; !r && audit->queue && audit->fd >= 0;)
                r = audit->kind == SUPERVISE_AUDIT_JOURNAL ? audit_send_one(audit) : audit_append_batch(audit);
        if (audit->queue)
                log_error("%zu audit records could not be written before the end", audit->n_queue);
        while (audit->queue)
                audit_pop(audit);
        sd_event_source_disable_unref(audit->room);
        sd_event_source_disable_unref(audit->retry);
        fd_close(audit->fd);
        free(audit);
        return NULL;
}

/* What waits was made for the other kind of place. */
static int audit_convert_queue(Audit *audit) {
        _cleanup_free_ char *buffer = malloc(RECORD_CONVERTED_MAX);

        if (!buffer)
                return error_origin(-ENOMEM);
        for (AuditItem **place = &audit->queue; *place; place = &(*place)->next) {
                size_t n = record_convert(audit->kind == SUPERVISE_AUDIT_FILE, (*place)->data, (*place)->n, buffer);
                AuditItem *item = malloc(sizeof(*item) + n);

                if (!item)
                        return error_origin(-ENOMEM);
                *item = (AuditItem){ .next = (*place)->next, .payer = domain_ref((*place)->payer), .n = n };
                memcpy(item->data, buffer, n);
                item->payer->n_audit_bytes += n;
                if (audit->queue_end == &(*place)->next)
                        audit->queue_end = &item->next;
                audit_item_free(*place);
                *place = item;
        }
        return 0;
}

int audit_set_sink(Audit *audit, SuperviseAudit kind, int fd) {
        int r;

        /* A line that is half written belongs to the old file: there it stays torn, here it is written whole. */
        if (audit->queue)
                audit->queue->n_written = 0;
        if (audit->kind != kind) {
                r = audit_convert_queue(audit);
                if (r) {
                        fd_close(fd);
                        return r;
                }
        }
        audit->room = sd_event_source_disable_unref(audit->room);
        fd_close(audit->fd);
        audit->fd = fd;
        audit->kind = kind;
        if (kind == SUPERVISE_AUDIT_JOURNAL) {
                r = watch_io(audit->broker->event, fd, EPOLLOUT, audit_on_room, audit, &audit->room);
                r = r ?: watch_enable(audit->room, SD_EVENT_OFF);
                if (r)
                        return error_trace(r);
        }
        return audit->queue ? error_trace(audit_flush(audit)) : 0;
}

bool audit_admits(const Audit *audit, const Domain *source) {
        return audit->fd >= 0 && audit->problem[0] == '\0' && source->n_audit_bytes < AUDIT_QUEUE_MAX;
}

void audit_count_lost(Audit *audit, Domain *source) {
        ++source->n_unrecorded;
        ++audit->n_lost;
        domain_note(source, "its calls are refused: audit records %s",
                    audit->fd < 0               ? "have nowhere to go"
                    : audit->problem[0] == '\0' ? "are not taken fast enough"
                                                : "cannot be written");
}

int audit_write(Audit *audit, Domain *payer, Record *record) {
        AuditItem *item;
        size_t n;

        record->realtime_usec = clock_realtime();
        if (audit->kind == SUPERVISE_AUDIT_JOURNAL)
                n = record_journal(record, audit->buffer);
        else
                n = record_json(record, audit->buffer);
        if (record->message && audit->kind != SUPERVISE_AUDIT_JOURNAL)
                log_write((LogLevel)record->priority, "%s", record->message);

        item = malloc(sizeof(*item) + n);
        if (!item)
                return error_origin(-ENOMEM);
        *item = (AuditItem){ .payer = domain_ref(payer), .n = n };
        memcpy(item->data, audit->buffer, n);
        payer->n_audit_bytes += n;
        *audit->queue_end = item;
        audit->queue_end = &item->next;
        ++audit->n_queue;
        /* While it is blocked or broken, its own events say when to go on. */
        if (!audit->is_blocked && audit->problem[0] == '\0')
                audit->is_unsettled = true;
        return 0;
}

const char *audit_sink_name(const Audit *audit) {
        if (audit->fd < 0)
                return "none";
        return audit->kind == SUPERVISE_AUDIT_JOURNAL ? "journal" : "file";
}

const char *audit_problem(const Audit *audit) {
        return audit->problem[0] != '\0' ? audit->problem : NULL;
}

size_t audit_n_queued(const Audit *audit) {
        return audit->n_queue;
}
