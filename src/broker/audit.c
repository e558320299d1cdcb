/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/audit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/watch.h"
#include "broker/book.h"
#include "broker/broker.h"
#include "broker/parent.h"

/* Lines that go to the file with one system call. */
#define AUDIT_BATCH_MAX 64
/* After a failure, the next attempt. */
#define AUDIT_RETRY_USEC USEC_PER_SEC

typedef struct AuditItem AuditItem;
struct AuditItem {
        AuditItem *next;
        Domain *payer;
        SuperviseAudit kind; /* what it was made for */
        bool is_spooled;
        size_t n, n_written;
        char data[];
};

struct Audit {
        Broker *broker;
        SuperviseAudit kind; /* what records are made for; SUPERVISE_AUDIT_FILE while there is nowhere */
        int fd;              /* -1: nowhere yet */
        Spool *spool;        /* NULL: none */
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

/* Return: how many there are of it in the spool, to be dropped there */
static size_t audit_pop(Audit *audit) {
        AuditItem *item = audit->queue;
        size_t n_spooled = item->is_spooled;

        audit->queue = item->next;
        if (!audit->queue)
                audit->queue_end = &audit->queue;
        --audit->n_queue;
        audit_item_free(item);
        return n_spooled;
}

static int audit_push(Audit *audit, Domain *payer, SuperviseAudit kind, const char *data, size_t n, bool is_spooled) {
        AuditItem *item = malloc(sizeof(*item) + n);

        if (!item)
                return error_origin(-ENOMEM);
        *item = (AuditItem){ .payer = domain_ref(payer), .kind = kind, .is_spooled = is_spooled, .n = n };
        memcpy(item->data, data, n);
        payer->n_audit_bytes += n;
        *audit->queue_end = item;
        audit->queue_end = &item->next;
        ++audit->n_queue;
        return 0;
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
        if (audit_pop(audit) > 0)
                spool_drop(audit->spool, 1);
        return 0;
}

/* For the broker that comes after us, if we die before we have forgotten what was written. @n: of the queue */
static void audit_note_place(Audit *audit, int n) {
        const AuditItem *item = audit->queue;
        struct stat status;
        bool is_known;

        if (!audit->spool)
                return;
        /* The bytes of a record that is not in the spool would be counted for another. */
        for (is_known = true; n > 0; --n, item = item->next)
                is_known &= item->is_spooled;
        if (is_known && fstat(audit->fd, &status) == 0)
                spool_set_place(audit->spool, &status, (uint64_t)status.st_size - audit->queue->n_written);
        else
                spool_set_place(audit->spool, NULL, 0);
}

/*
 * Go on behind what an earlier broker, or we ourselves before the file was opened anew, have written of it. A line of which
 * there is a part is completed, unless the supervisor has ended it, so that it swallows no other: then it is written whole.
 */
static void audit_find_place(Audit *audit) {
        size_t n_dropped = 0;
        struct stat status;
        uint64_t n_written;
        bool is_exact;

        if (!audit->queue || !audit->queue->is_spooled || fstat(audit->fd, &status) < 0)
                return;
        n_written = spool_written(audit->spool, &status, &is_exact);
        while (audit->queue && audit->queue->is_spooled && n_written >= audit->queue->n) {
                n_written -= audit->queue->n;
                n_dropped += audit_pop(audit);
        }
        if (audit->queue && audit->queue->is_spooled && is_exact)
                audit->queue->n_written = n_written;
        if (n_dropped > 0)
                spool_drop(audit->spool, n_dropped);
}

static int audit_append_batch(Audit *audit) {
        struct iovec iov[AUDIT_BATCH_MAX];
        size_t n_dropped = 0;
        int n_iov = 0;
        ssize_t n;

        for (AuditItem *item = audit->queue; item && n_iov < AUDIT_BATCH_MAX; item = item->next)
                iov[n_iov++] = (struct iovec){ item->data + item->n_written, item->n - item->n_written };
        audit_note_place(audit, n_iov);
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
                n_dropped += audit_pop(audit);
        }
        if (n_dropped > 0)
                spool_drop(audit->spool, n_dropped);
        if (audit->queue && audit->queue->n_written > 0)
                audit_note_place(audit, 1);
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
        /* Where it went wrong the socket has room, and would say so for ever: the retry is what comes next. */
        if (r > 0 && audit->room)
                r = watch_enable(audit->room, r == AUDIT_E_BUSY ? SD_EVENT_ON : SD_EVENT_OFF);
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

/* What waits and was made for the other kind of place. */
static int audit_convert_queue(Audit *audit) {
        _cleanup_free_ char *buffer = malloc(RECORD_CONVERTED_MAX);

        if (!buffer)
                return error_origin(-ENOMEM);
        for (AuditItem **place = &audit->queue; *place; place = &(*place)->next) {
                AuditItem *item;
                size_t n;

                if ((*place)->kind == audit->kind)
                        continue;
                n = record_convert((*place)->kind == SUPERVISE_AUDIT_FILE, (*place)->data, (*place)->n, buffer);
                item = malloc(sizeof(*item) + n);
                if (!item)
                        return error_origin(-ENOMEM);
                *item = (AuditItem){ .next = (*place)->next,
                                     .payer = domain_ref((*place)->payer),
                                     .kind = audit->kind,
                                     .is_spooled = (*place)->is_spooled,
                                     .n = n };
                memcpy(item->data, buffer, n);
                item->payer->n_audit_bytes += n;
                if (audit->queue_end == &(*place)->next)
                        audit->queue_end = &item->next;
                audit_item_free(*place);
                *place = item;
        }
        return 0;
}

/* A line, or fields in lines: what a broker leaves, unless it was broken. */
static bool audit_is_record(const SpoolRecord *record) {
        if (record->n == 0 || record->n > RECORD_SIZE_MAX || record->data[record->n - 1] != '\n')
                return false;
        return record->kind == SUPERVISE_AUDIT_JOURNAL ||
               (record->kind == SUPERVISE_AUDIT_FILE && !memchr(record->data, '\n', record->n - 1));
}

/* What is behind nonsense cannot be told from it; what was before it waits in our own memory alone. */
static void audit_drop_spool(Audit *audit) {
        log_warning("what an earlier broker left unrecorded cannot be read");
        for (AuditItem *item = audit->queue; item; item = item->next)
                item->is_spooled = false;
        spool_drop(audit->spool, SIZE_MAX);
}

int audit_set_book(Audit *audit, Book *book) {
        SpoolRecord record;
        uint32_t at = 0;

        audit->spool = book_spool(book);
        while (spool_read(audit->spool, &at, &record)) {
                int r;

                if (!audit_is_record(&record)) {
                        audit_drop_spool(audit);
                        break;
                }
                r = audit_push(audit, audit->broker->strangers, (SuperviseAudit)record.kind, record.data, record.n,
                               true);
                if (r)
                        return r;
                if (record.ends != 0)
                        book_forget(book, record.ends);
        }
        if (audit->n_queue > 0)
                log_notice("%zu records of an earlier broker were not written: they are now", audit->n_queue);
        return 0;
}

int audit_set_sink(Audit *audit, SuperviseAudit kind, int fd) {
        int r;

        /* A line that is half written belongs to the old file; if the new one is another, it is written whole there. */
        if (audit->queue)
                audit->queue->n_written = 0;
        audit->room = sd_event_source_disable_unref(audit->room);
        fd_close(audit->fd);
        audit->fd = fd;
        audit->kind = kind;
        r = audit->queue ? audit_convert_queue(audit) : 0;
        if (r)
                return r;
        /* By the lengths that records have in a file, which may not be those that they were made with. */
        if (kind == SUPERVISE_AUDIT_FILE)
                audit_find_place(audit);
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
        bool is_spooled;
        size_t n;
        int r;

        record->realtime_usec = clock_realtime();
        if (audit->kind == SUPERVISE_AUDIT_JOURNAL)
                n = record_journal(record, audit->buffer);
        else
                n = record_json(record, audit->buffer);
        if (record->message && audit->kind != SUPERVISE_AUDIT_JOURNAL)
                log_write((LogLevel)record->priority, "%s", record->message);

        is_spooled =
                audit->spool &&
                spool_put(audit->spool, &(SpoolRecord){ .kind = audit->kind,
                                                        .ends = record->event == RECORD_EVENT_END ? record->call : 0,
                                                        .data = audit->buffer,
                                                        .n = n });
        r = audit_push(audit, payer, audit->kind, audit->buffer, n, is_spooled);
        if (r)
                return r;
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
