/* SPDX-License-Identifier: Apache-2.0 */
#include "broker-host.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"
#include "broker/audit.h"
#include "broker/book.h"
#include "broker/config.h"
#include "folder.h"

/** Turns of the loop in which the broker does what one step made it do: one that needs more goes round in circles. */
#define TURNS_MAX   20000
#define RECORDS_MAX (4096 * 1024)

static const char *const names[HOST_DOMAINS_N] = { "dom0", "a", "b", "c" };

/*
 * Its configuration: the same for all inputs
 */

static char domains_path[64], policy_path[64];

static void write_file(const char *directory, const char *name, const char *text) {
        char path[128];
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
        file = fopen(path, "we");
        fuzz_check(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void remove_files(void) {
        const char *const paths[][2] = { { domains_path, "dom0.conf" },
                                         { domains_path, "a.conf" },
                                         { domains_path, "b.conf" },
                                         { domains_path, "c.conf" },
                                         { policy_path, "50.policy" } };

        for (size_t i = 0; i < ARRAY_SIZE(paths); ++i) {
                char path[128];

                (void)snprintf(path, sizeof(path), "%s/%s", paths[i][0], paths[i][1]);
                (void)unlink(path);
        }
        (void)rmdir(domains_path);
        (void)rmdir(policy_path);
}

static Config *configuration(void) {
        static Config *config;
        ConfigPaths paths = {
                .domains = domains_path,
                .policy_run = domains_path, /* has none */
                .policy_etc = policy_path,
                .policy_legacy = "/nonexistent",
                .ask = "/nonexistent",
                .is_user = true, /* nobody needs an account */
        };

        if (config)
                return config;
        (void)snprintf(domains_path, sizeof(domains_path), "%s/domains.d", folder());
        (void)snprintf(policy_path, sizeof(policy_path), "%s/policy.d", folder());
        fuzz_check(mkdir(domains_path, 0700) == 0 && mkdir(policy_path, 0700) == 0);
        (void)atexit(remove_files); /* before the folder itself is removed */
        write_file(domains_path, "dom0.conf", "[domain]\ntype = AdminVM\n");
        write_file(domains_path, "a.conf", "[domain]\nguivm = c\n");
        write_file(domains_path, "b.conf", "[domain]\nguivm = c\n");
        write_file(domains_path, "c.conf", "[domain]\n");
        write_file(policy_path, "50.policy",
                   "my.Echo * @anyvm @anyvm allow\nmy.Ask * @anyvm @anyvm ask\npolicy.Ask * dom0 c allow\n");
        fuzz_check(config_new(&paths, &config) == 0);
        if (config_inventory_problem(config) || config_policy_problem(config)) {
                fprintf(stderr, "%s\n", config_inventory_problem(config) ?: config_policy_problem(config));
                abort();
        }
        return config;
}

void host_prepare(void) {
        (void)configuration();
}

/*
 * The supervisor's end
 */

static void supervisor_send(const Host *host, const Supervise *message, const int *fds, size_t n_fds) {
        uint8_t data[SUPERVISE_SIZE];

        supervise_encode(message, data);
        fuzz_check(socket_send(host->supervisor_fd, data, sizeof(data), fds, n_fds, NULL) == 0);
}

static void supervisor_send_ids(Host *host) {
        supervisor_send(host, &(Supervise){ .type = SUPERVISE_TYPE_IDS, .number = host->next_ids }, NULL, 0);
        host->next_ids += SUPERVISE_IDS_BLOCK;
        fuzz_check(host->next_ids < SUPERVISE_IDS_MAX - SUPERVISE_IDS_BLOCK);
}

/* Domains start and stop by themselves here, or never: that is the script's to say. */
static bool supervisor_receive(Host *host) {
        uint8_t data[SUPERVISE_SIZE];
        Supervise message;
        size_t n;
        int r;

        r = socket_receive(host->supervisor_fd, data, sizeof(data), &n, NULL, 0, NULL);
        fuzz_check(r == 0 || r == SOCKET_E_AGAIN);
        if (r)
                return false;
        fuzz_check(supervise_decode(data, n, &message) == 0);
        if (message.type == SUPERVISE_TYPE_MORE_IDS)
                supervisor_send_ids(host);
        else if (message.type == SUPERVISE_TYPE_REREAD)
                supervisor_send(host, &(Supervise){ .type = SUPERVISE_TYPE_RELOAD, .number = message.number }, NULL, 0);
        else
                fuzz_check(message.type == SUPERVISE_TYPE_START || message.type == SUPERVISE_TYPE_STOP ||
                           message.type == SUPERVISE_TYPE_SERVING);
        return true;
}

void host_turn(Host *host) {
        bool waits;

        do {
                int r;

                for (int n = 0; (r = sd_event_run(host->broker->event, 0)) > 0; ++n)
                        fuzz_check(n < TURNS_MAX);
                fuzz_check(r == 0 && sd_event_get_state(host->broker->event) == SD_EVENT_INITIAL);
                fuzz_check(audit_settle(host->broker->audit, &waits) == 0 && !waits);
        } while (supervisor_receive(host));
}

void host_tell(Host *host, SuperviseType type, unsigned domain, uint32_t number) {
        HostDomain *told = &host->domains[domain];

        supervisor_send(host, &(Supervise){ .type = type, .number = number, .domain = told->name }, told->fds,
                        type == SUPERVISE_TYPE_FOLDER ? _HOST_SOCKET_N : 0);
        if (type == SUPERVISE_TYPE_FOLDER || type == SUPERVISE_TYPE_GONE)
                told->is_there = type == SUPERVISE_TYPE_FOLDER;
        host_turn(host);
}

void host_start(Host *host) {
        int fds[2], book_fd = fcntl(host->book_fd, F_DUPFD_CLOEXEC, 3),
                    records_fd = fcntl(host->records_fd, F_DUPFD_CLOEXEC, 3);

        fuzz_check(book_fd >= 0 && records_fd >= 0);
        fuzz_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        host->supervisor_fd = fds[0];
        fuzz_check(broker_new(configuration(), fds[1], getuid(), &host->broker) == 0);
        supervisor_send(host, &(Supervise){ .type = SUPERVISE_TYPE_AUDIT, .number = SUPERVISE_AUDIT_FILE }, &records_fd,
                        1);
        supervisor_send(host, &(Supervise){ .type = SUPERVISE_TYPE_BOOK }, &book_fd, 1);
        fd_close(records_fd);
        fd_close(book_fd);
        supervisor_send_ids(host);
        for (unsigned i = 0; i < HOST_DOMAINS_N; ++i)
                if (host->domains[i].is_there)
                        host_tell(host, SUPERVISE_TYPE_FOLDER, i, 0);
        supervisor_send(host, &(Supervise){ .type = SUPERVISE_TYPE_READY }, NULL, 0);
        host_turn(host);
}

/*
 * Connections free themselves, and those that wait for an answer end with the process: here that is done by hand. Their ends
 * are closed already, so that nobody hears of it, and their calls stay as they are.
 */
static void host_free_callers(Host *host) {
        CallTable *table = &host->broker->calls;

        for (size_t i = 0; i < table->n_buckets; ++i) {
                for (Call *call = table->buckets[i]; call; call = call->next) {
                        CallOrigin *origin = call->origin;

                        if (!origin || domain_is_dom0(call->source))
                                continue; /* nobody, or the broker itself */
                        call->origin = NULL;
                        fuzz_check(origin->refused(origin, 0, REPLY_REASON_UNAVAILABLE) == 0);
                }
        }
}

void host_stop(Host *host) {
        host_free_callers(host);
        host->broker = broker_free(host->broker);
        host->supervisor_fd = fd_close(host->supervisor_fd);
}

static void check_book(const Host *host) {
        Book *book;

        fuzz_check(book_new(fcntl(host->book_fd, F_DUPFD_CLOEXEC, 3), &book) == 0);
        for (uint32_t place = 0; place < book_n_places(book); ++place) {
                BookEntry entry;

                fuzz_check(!book_read(book, place, &entry));
        }
        book_free(book);
}

void host_end(Host *host) {
        for (unsigned i = HOST_DOMAINS_N; i-- > 0;)
                if (host->domains[i].is_there)
                        host_tell(host, SUPERVISE_TYPE_GONE, i, 0);
        fuzz_check(host->broker->calls.n_calls == 0 && host->broker->domains.n == 0);
        fuzz_check(!host->broker->gone && !host->broker->prompts && !host->broker->served);
        host_stop(host);
        check_book(host);
}

/*
 * Sockets
 */

static void domain_listen(HostDomain *domain) {
        static const int types[_HOST_SOCKET_N] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_STREAM };

        for (unsigned i = 0; i < _HOST_SOCKET_N; ++i) {
                struct sockaddr_un *address = &domain->addresses[i];
                int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

                /* Without a name the kernel finds one. */
                *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
                domain->n_addresses[i] = sizeof(*address);
                fuzz_check(fd >= 0 && bind(fd, (struct sockaddr *)address, sizeof(sa_family_t)) == 0);
                fuzz_check(getsockname(fd, (struct sockaddr *)address, &domain->n_addresses[i]) == 0);
                (void)socket_refuse_rights(fd);
                fuzz_check(listen(fd, SOMAXCONN) == 0);
                domain->fds[i] = fd;
        }
}

int host_connect(const Host *host, unsigned domain, HostSocket kind) {
        const HostDomain *there = &host->domains[domain];
        int fd = socket(AF_UNIX,
                        (kind == HOST_SOCKET_LINK ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        fuzz_check(fd >= 0);
        if (connect(fd, (const struct sockaddr *)&there->addresses[kind], there->n_addresses[kind]) == 0)
                return fd;
        fuzz_check(errno == EAGAIN); /* the backlog of one that is gone */
        return fd_close(fd);
}

Domain *host_domain(const Host *host, unsigned domain) {
        return domain_table_find(&host->broker->domains, names[domain]);
}

void host_init(Host *host) {
        *host = (Host){ .supervisor_fd = -1, .next_ids = 1 };
        host->records_fd = memfd_create("records", MFD_CLOEXEC);
        host->book_fd = memfd_create("book", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        fuzz_check(host->records_fd >= 0 && host->book_fd >= 0);
        fuzz_check(fcntl(host->records_fd, F_SETFL, O_APPEND) == 0);
        fuzz_check(ftruncate(host->book_fd, SUPERVISE_BOOK_SIZE) == 0);
        fuzz_check(fcntl(host->book_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
        for (unsigned i = 0; i < HOST_DOMAINS_N; ++i) {
                (void)snprintf(host->domains[i].name.text, sizeof(host->domains[i].name.text), "%s", names[i]);
                host->domains[i].is_there = true;
                domain_listen(&host->domains[i]);
        }
}

void host_deinit(Host *host) {
        for (unsigned i = 0; i < HOST_DOMAINS_N; ++i)
                for (unsigned j = 0; j < _HOST_SOCKET_N; ++j)
                        fd_close(host->domains[i].fds[j]);
        fd_close(host->records_fd);
        fd_close(host->book_fd);
}

/*
 * Records
 */

static const char *text_of(struct json_object *object, const char *key) {
        return json_object_get_string(json_object_object_get(object, key)) ?: "";
}

static int number_of(const char *name) {
        for (int i = 0; i < HOST_DOMAINS_N; ++i)
                if (strcmp(names[i], name) == 0)
                        return i;
        return -1;
}

static void read_record(const char *line, void (*on_record)(void *userdata, const HostRecord *record), void *userdata) {
        struct json_object *object = json_tokener_parse(line), *status;
        HostRecord record = {};
        const char *event;

        fuzz_check(object);
        event = text_of(object, "event");
        record.event = strcmp(event, "start") == 0 ? HOST_RECORD_START
                       : strcmp(event, "end") == 0 ? HOST_RECORD_END
                                                   : HOST_RECORD_REFUSED;
        fuzz_check(record.event != HOST_RECORD_REFUSED || strcmp(event, "refused") == 0);
        record.call_id = (uint32_t)json_object_get_int64(json_object_object_get(object, "call_id"));
        record.target = number_of(text_of(object, "target"));
        record.how = text_of(object, "how");
        record.status = json_object_object_get_ex(object, "status", &status) ? json_object_get_int(status) : -1;
        on_record(userdata, &record);
        json_object_put(object);
}

void host_read_records(const Host *host, void (*on_record)(void *userdata, const HostRecord *record), void *userdata) {
        static char text[RECORDS_MAX];
        ssize_t n = pread(host->records_fd, text, sizeof(text), 0);

        fuzz_check(n >= 0 && n < RECORDS_MAX && (n == 0 || text[n - 1] == '\n'));
        for (char *line = text, *end; line < text + n; line = end + 1) {
                end = memchr(line, '\n', (size_t)(text + n - line));
                *end = '\0';
                read_record(line, on_record, userdata);
        }
}
