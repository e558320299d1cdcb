/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/parent.h"

#include <errno.h>
#include <stdlib.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/watch.h"
#include "broker/audit.h"
#include "broker/book.h"
#include "broker/broker.h"
#include "broker/config.h"
#include "broker/dbpeer.h"
#include "broker/listener.h"
#include "broker/management.h"
#include "broker/served.h"
#include "wire/supervise.h"

/* Reading takes milliseconds; a name service that has to be asked for accounts may be slow. */
#define PARENT_REREAD_USEC (5 * USEC_PER_SEC)

typedef struct ParentWaiter {
        Served *served; /* NULL: none; also once it has hung up */
        uint32_t request;
} ParentWaiter;

struct Parent {
        Broker *broker;
        int fd;
        sd_event_source *source;
        uint32_t n_requests; /* of all REREAD, and the number of the last */
        ParentWaiter waiters[PARENT_WAITERS_MAX];
};

static int parent_send(Parent *parent, const Supervise *message) {
        uint8_t data[SUPERVISE_SIZE];
        int r;

        supervise_encode(message, data);
        r = socket_send(parent->fd, data, sizeof(data), NULL, 0, NULL);
        switch (r) {
        case SOCKET_E_AGAIN:
        case SOCKET_E_LIMIT:
                /* The supervisor is busy; the domain's deadline ends the wait for it. */
                log_warning("the supervisor does not read");
                return 0;
        case SOCKET_E_GONE:
                return 0; /* our own event will say so too */
        default:
                return error_fold(r);
        }
}

int parent_start(Parent *parent, const DomainName *domain) {
        return error_trace(parent_send(parent, &(Supervise){ .type = SUPERVISE_TYPE_START, .domain = *domain }));
}

int parent_stop(Parent *parent, const DomainName *domain) {
        return error_trace(parent_send(parent, &(Supervise){ .type = SUPERVISE_TYPE_STOP, .domain = *domain }));
}

int parent_ask_ids(Parent *parent) {
        return error_trace(parent_send(parent, &(Supervise){ .type = SUPERVISE_TYPE_MORE_IDS }));
}

int parent_reopen_audit(Parent *parent) {
        return error_trace(parent_send(parent, &(Supervise){ .type = SUPERVISE_TYPE_REOPEN }));
}

int parent_reread(Parent *parent, Served *served) {
        for (size_t i = 0; i < PARENT_WAITERS_MAX; ++i) {
                ParentWaiter *waiter = &parent->waiters[i];
                int r;

                if (waiter->served)
                        continue;
                if (++parent->n_requests == 0) /* which would be no request */
                        ++parent->n_requests;
                waiter->request = parent->n_requests;
                r = served_wait(served, &waiter->served, PARENT_REREAD_USEC, management_on_reread_late);
                if (r)
                        return error_trace(r);
                return error_trace(
                        parent_send(parent, &(Supervise){ .type = SUPERVISE_TYPE_REREAD, .number = waiter->request }));
        }
        return PARENT_E_FULL;
}

static int parent_on_reload(Parent *parent, uint32_t request) {
        Broker *broker = parent->broker;
        int r;

        r = config_reload(broker->config);
        r = r ?: dbpeer_refresh_all(broker);
        for (size_t i = 0; !r && i < broker->domains.n; ++i)
                r = lifecycle_on_config(broker->domains.by_name[i]);
        r = r ?: parent_send(parent, &(Supervise){ .type = SUPERVISE_TYPE_SERVING });
        for (size_t i = 0; !r && request != 0 && i < PARENT_WAITERS_MAX; ++i)
                if (parent->waiters[i].served && parent->waiters[i].request == request)
                        r = management_on_reread(broker, parent->waiters[i].served);
        return error_trace(r);
}

/* Takes the three descriptors. A domain that we know already gets new sockets, and keeps its link and calls. */
static int parent_add_domain(Parent *parent, const Supervise *message, int fds[static 3]) {
        Broker *broker = parent->broker;
        bool is_folder = message->type == SUPERVISE_TYPE_FOLDER;
        uid_t uid = is_folder ? (uid_t)-1 : message->number;
        _cleanup_(domain_unrefp) Domain *domain = NULL;
        Listener *listeners[3] = {};
        static const ListenerKind kinds[3] = { LISTENER_KIND_TRIGGER, LISTENER_KIND_LINK, LISTENER_KIND_DAEMON };
        Domain *known = domain_table_find(&broker->domains, message->domain.text);
        int r;

        if (known && (known->uid != uid || known->is_folder != is_folder)) {
                r = domain_remove(known);
                if (r)
                        return error_trace(r);
                known = NULL;
        }
        if (known) {
                domain = domain_ref(known);
        } else {
                r = domain_new(broker, &message->domain, uid, &domain);
                if (r)
                        return error_trace(r);
                domain->is_folder = is_folder;
                r = domain_table_add(&broker->domains, domain);
                if (r)
                        return error_trace(r);
                /* Before its agent can say what runs there. */
                r = call_table_restore(&broker->calls, domain);
                if (r)
                        return error_trace(r);
        }
        for (size_t i = 0; i < ARRAY_SIZE(kinds); ++i) {
                r = listener_new(broker, kinds[i], domain, fd_steal(&fds[i]), &listeners[i]);
                if (r)
                        return error_trace(r);
        }
        listener_free(domain->trigger);
        listener_free(domain->link_listener);
        listener_free(domain->daemon);
        domain->trigger = listeners[0];
        domain->link_listener = listeners[1];
        domain->daemon = listeners[2];
        return 0;
}

/* Takes the two descriptors. */
static int parent_add_store(Domain *domain, int fds[static 2]) {
        Listener *own, *host;
        int r;

        r = listener_new(domain->broker, LISTENER_KIND_STORE, domain, fd_steal(&fds[0]), &own);
        if (r)
                return error_trace(r);
        listener_free(domain->store_listener);
        domain->store_listener = own;
        r = listener_new(domain->broker, LISTENER_KIND_HOST_STORE, domain, fd_steal(&fds[1]), &host);
        if (r)
                return error_trace(r);
        listener_free(domain->host_store);
        domain->host_store = host;
        return 0;
}

static int parent_handle(Parent *parent, const Supervise *message, int fds[static 3]) {
        Domain *domain = domain_table_find(&parent->broker->domains, message->domain.text);
        int r;

        switch (message->type) {
        case SUPERVISE_TYPE_SHARED:
                parent->broker->shared = listener_free(parent->broker->shared);
                return error_trace(listener_new(parent->broker, LISTENER_KIND_SHARED, NULL, fd_steal(&fds[0]),
                                                &parent->broker->shared));
        case SUPERVISE_TYPE_DOMAIN:
        case SUPERVISE_TYPE_FOLDER:
                return error_trace(parent_add_domain(parent, message, fds));
        case SUPERVISE_TYPE_STORE:
                return domain ? error_trace(parent_add_store(domain, fds)) : error_origin(-EBADMSG);
        case SUPERVISE_TYPE_STORES:
                parent->broker->stores = listener_free(parent->broker->stores);
                return error_trace(listener_new(parent->broker, LISTENER_KIND_STORES, NULL, fd_steal(&fds[0]),
                                                &parent->broker->stores));
        case SUPERVISE_TYPE_GONE:
                return domain ? error_trace(domain_remove(domain)) : 0;
        case SUPERVISE_TYPE_READY:
                r = call_table_restore(&parent->broker->calls, NULL);
                if (r)
                        return error_trace(r);
                return error_trace(parent_send(parent, &(Supervise){ .type = SUPERVISE_TYPE_SERVING }));
        case SUPERVISE_TYPE_ENDED:
                return domain ? error_trace(domain_on_agent_ended(domain, message->number)) : 0;
        case SUPERVISE_TYPE_STOPPED:
                return domain ? error_trace(lifecycle_on_stopped(domain, message->number)) : 0;
        case SUPERVISE_TYPE_RELOAD:
                return error_trace(parent_on_reload(parent, message->number));
        case SUPERVISE_TYPE_AUDIT:
                if (message->number != SUPERVISE_AUDIT_JOURNAL && message->number != SUPERVISE_AUDIT_FILE)
                        break;
                return error_trace(
                        audit_set_sink(parent->broker->audit, (SuperviseAudit)message->number, fd_steal(&fds[0])));
        case SUPERVISE_TYPE_BOOK:
                if (parent->broker->book)
                        break;
                r = book_new(fd_steal(&fds[0]), &parent->broker->book);
                if (r)
                        return r == BOOK_E_INVALID ? error_origin(-EBADMSG) : error_trace(r);
                return error_trace(audit_set_book(parent->broker->audit, parent->broker->book));
        case SUPERVISE_TYPE_IDS:
                if (call_ids_add(&parent->broker->calls.ids, message->number))
                        break;
                return 0;
        case SUPERVISE_TYPE_START:
        case SUPERVISE_TYPE_STOP:
        case SUPERVISE_TYPE_SERVING:
        case SUPERVISE_TYPE_MORE_IDS:
        case SUPERVISE_TYPE_REOPEN:
        case SUPERVISE_TYPE_REREAD:
                break; /* ours to send */
        }
        return error_origin(-EBADMSG);
}

static int parent_on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Parent *parent = userdata;
        uint8_t data[SUPERVISE_SIZE];
        int fds[SOCKET_FDS_MAX] = { -1, -1, -1 };
        Supervise message;
        size_t n, n_fds;
        int r;

        r = socket_receive(fd, data, sizeof(data), &n, fds, ARRAY_SIZE(fds), &n_fds);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
                return 0;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                /* Without a supervisor nobody keeps our sockets or starts domains: the next one starts a new broker. */
                log_notice("the supervisor is gone: stopping; calls in flight go on");
                r = sd_event_exit(parent->broker->event, 0);
                return r < 0 ? error_origin(r) : 0;
        default:
                return error_fold(r);
        }

        /* The supervisor is ours: a message that is not one means that we do not belong together. */
        if (supervise_decode(data, n, &message) || n_fds != supervise_n_fds(message.type))
                r = error_origin(-EBADMSG);
        else
                r = parent_handle(parent, &message, fds);
        for (size_t i = 0; i < n_fds; ++i)
                fd_close(fds[i]);
        return error_trace(r);
}

int parent_new(Broker *broker, int fd, Parent **ret_parent) {
        _cleanup_(parent_freep) Parent *parent = NULL;
        int r;

        parent = malloc(sizeof(*parent));
        if (!parent) {
                fd_close(fd);
                return error_origin(-ENOMEM);
        }
        *parent = (Parent){ .broker = broker, .fd = fd };
        r = watch_io(broker->event, fd, EPOLLIN, parent_on_io, parent, &parent->source);
        if (r)
                return error_trace(r);
        /* First of all: a request must find the domain that the supervisor announced before it. */
        r = sd_event_source_set_priority(parent->source, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                return error_origin(r);
        *ret_parent = steal_ptr(&parent);
        return 0;
}

Parent *parent_free(Parent *parent) {
        if (!parent)
                return NULL;
        sd_event_source_disable_unref(parent->source);
        fd_close(parent->fd);
        free(parent);
        return NULL;
}
