/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "supervisor/auditsink.h"
#include "supervisor/callids.h"
#include "supervisor/plan.h"
#include "supervisor/rundir.h"
#include "supervisor/unit.h"
#include "supervisor/watch.h"
#include "wire/supervise.h"

/* Between two starts of a broker that dies: doubled each time, reset when one has lived for long enough. */
#define SUPERVISOR_BACKOFF_MIN_USEC (100 * USEC_PER_MSEC)
#define SUPERVISOR_BACKOFF_MAX_USEC (5 * USEC_PER_SEC)
#define SUPERVISOR_STEADY_USEC      (10 * USEC_PER_SEC)
/* How long a broker may take to end when we do. */
#define SUPERVISOR_STOP_MSEC 3000
/* Room for the announcement of every domain to a broker that has not begun to read. */
#define SUPERVISOR_SOCKET_BUFFER (8 * 1024 * 1024)

struct Supervisor {
        SupervisorOptions options;
        uid_t broker_uid;
        gid_t broker_gid;
        sd_event *event;
        UnitHost host; /* with the plan that is in force */
        int shared_fd, stores_fd;
        CallIds call_ids;
        int book_fd;  /* memory in which brokers write down what is open */
        Unit **units; /* in the order of the plan that made them; few enough to walk */
        size_t n_units;

        pid_t broker_pid; /* 0: none */
        sd_event_source *broker_source;
        int broker_fd;
        sd_event_source *broker_io;
        sd_event_source *backoff_timer;
        uint64_t backoff_usec, started_usec;
        Watch *watch; /* over the inventory */
        bool running, stopping;
};

static int supervisor_start_broker(Supervisor *supervisor);
static int supervisor_reread(Supervisor *supervisor, uint32_t request);

static int supervisor_send(Supervisor *supervisor, const Supervise *message, const int *fds, size_t n_fds) {
        uint8_t data[SUPERVISE_SIZE];
        int r;

        if (supervisor->broker_fd < 0)
                return 0; /* the next broker is told everything anyway */
        supervise_encode(message, data);
        r = socket_send(supervisor->broker_fd, data, sizeof(data), fds, n_fds, NULL);
        switch (r) {
        case SOCKET_E_GONE:
                return 0;
        case SOCKET_E_AGAIN:
        case SOCKET_E_LIMIT:
                /* It must not miss a message: one that does not read is replaced by one that does. */
                log_error("the broker does not read: killing it");
                if (supervisor->broker_pid > 0)
                        (void)kill(supervisor->broker_pid, SIGKILL);
                return 0;
        default:
                return error_fold(r);
        }
}

static int supervisor_tell(void *userdata, const Supervise *message, const int *fds, size_t n_fds) {
        return supervisor_send(userdata, message, fds, n_fds);
}

static int supervisor_send_ids(Supervisor *supervisor) {
        uint32_t first;

        /* Without ids the broker refuses calls; it asks again with the next. */
        if (call_ids_take(&supervisor->call_ids, &first))
                return 0;
        return error_trace(
                supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_IDS, .number = first }, NULL, 0));
}

static int supervisor_send_audit(Supervisor *supervisor) {
        SuperviseAudit kind;
        int fd, r;

        /* A broker that has nowhere to write refuses calls, until a reload. */
        if (auditsink_open(&supervisor->options.audit, &kind, &fd))
                return 0;
        r = supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_AUDIT, .number = kind }, &fd, 1);
        fd_close(fd);
        return error_trace(r);
}

static Unit *supervisor_find(Supervisor *supervisor, const DomainName *name) {
        for (size_t i = 0; i < supervisor->n_units; ++i)
                if (strcmp(supervisor->units[i]->name.text, name->text) == 0)
                        return supervisor->units[i];
        return NULL;
}

static int supervisor_on_message(Supervisor *supervisor, const Supervise *message) {
        Unit *unit = supervisor_find(supervisor, &message->domain);

        switch (message->type) {
        case SUPERVISE_TYPE_START:
                if (unit && message->instance.text[0] == '\0')
                        return error_trace(unit_start(unit));
                return error_trace(supervisor_send(supervisor,
                                                   &(Supervise){ .type = SUPERVISE_TYPE_ENDED,
                                                                 .number = 125,
                                                                 .domain = message->domain,
                                                                 .instance = message->instance },
                                                   NULL, 0));
        case SUPERVISE_TYPE_STOP:
                if (unit && message->instance.text[0] == '\0')
                        return error_trace(unit_stop(unit));
                return error_trace(supervisor_send(
                        supervisor,
                        &(Supervise){ .type = SUPERVISE_TYPE_STOPPED, .number = 125, .domain = message->domain }, NULL,
                        0));
        case SUPERVISE_TYPE_SERVING:
                /* After a start, and after each reload: what was announced is in force. */
                log_info("serving %zu domains", supervisor->n_units);
                (void)sd_notify(0, "READY=1");
                return 0;
        case SUPERVISE_TYPE_MORE_IDS:
                return error_trace(supervisor_send_ids(supervisor));
        case SUPERVISE_TYPE_REOPEN:
                return error_trace(supervisor_send_audit(supervisor));
        case SUPERVISE_TYPE_REREAD:
                return error_trace(supervisor_reread(supervisor, message->number));
        case SUPERVISE_TYPE_SHARED:
        case SUPERVISE_TYPE_DOMAIN:
        case SUPERVISE_TYPE_GONE:
        case SUPERVISE_TYPE_READY:
        case SUPERVISE_TYPE_ENDED:
        case SUPERVISE_TYPE_RELOAD:
        case SUPERVISE_TYPE_AUDIT:
        case SUPERVISE_TYPE_IDS:
        case SUPERVISE_TYPE_BOOK:
        case SUPERVISE_TYPE_STORE:
        case SUPERVISE_TYPE_STORES:
        case SUPERVISE_TYPE_FOLDER:
        case SUPERVISE_TYPE_STOPPED:
                break; /* ours to send: refused below */
        }
        log_error("the broker sent what only we may send: killing it");
        (void)kill(supervisor->broker_pid, SIGKILL);
        return 0;
}

static int supervisor_on_broker_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Supervisor *supervisor = userdata;
        uint8_t data[SUPERVISE_SIZE];
        Supervise message;
        size_t n;
        int r;

        r = socket_receive(fd, data, sizeof(data), &n, NULL, 0, NULL);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
                return 0;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
                supervisor->broker_io = sd_event_source_disable_unref(supervisor->broker_io);
                supervisor->broker_fd = fd_close(supervisor->broker_fd);
                return 0; /* its exit comes as an event of its own */
        case SOCKET_E_TRUNCATED:
                n = 0;
                break;
        default:
                return error_fold(r);
        }
        if (supervise_decode(data, n, &message)) {
                log_error("the broker sent a malformed message: killing it");
                (void)kill(supervisor->broker_pid, SIGKILL);
                return 0;
        }
        return error_trace(supervisor_on_message(supervisor, &message));
}

static int supervisor_announce(Supervisor *supervisor) {
        int r;

        /* Before the first caller can be heard: each call has an id and a record. */
        r = supervisor_send_ids(supervisor);
        r = r ?: supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_BOOK }, &supervisor->book_fd, 1);
        r = r ?: supervisor_send_audit(supervisor);
        if (!r && supervisor->shared_fd >= 0)
                r = supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_SHARED }, &supervisor->shared_fd,
                                    1);
        if (!r && supervisor->stores_fd >= 0)
                r = supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_STORES }, &supervisor->stores_fd,
                                    1);
        for (size_t i = 0; i < supervisor->n_units && !r; ++i)
                r = unit_announce(supervisor->units[i]);
        if (!r)
                r = supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_READY }, NULL, 0);
        return error_trace(r);
}

static int supervisor_on_backoff(sd_event_source *source, uint64_t usec, void *userdata) {
        Supervisor *supervisor = userdata;

        supervisor->backoff_timer = sd_event_source_disable_unref(supervisor->backoff_timer);
        return error_trace(supervisor_start_broker(supervisor));
}

static int supervisor_on_broker_exit(sd_event_source *source, const siginfo_t *info, void *userdata) {
        Supervisor *supervisor = userdata;
        int r;

        supervisor->broker_pid = 0;
        supervisor->broker_source = sd_event_source_disable_unref(supervisor->broker_source);
        supervisor->broker_io = sd_event_source_disable_unref(supervisor->broker_io);
        supervisor->broker_fd = fd_close(supervisor->broker_fd);
        if (supervisor->stopping)
                return 0;

        if (clock_now() - supervisor->started_usec > SUPERVISOR_STEADY_USEC)
                supervisor->backoff_usec = SUPERVISOR_BACKOFF_MIN_USEC;
        if (info->si_code == CLD_EXITED && info->si_status == 0)
                log_notice("the broker ended: starting another in %u ms",
                           (unsigned)(supervisor->backoff_usec / USEC_PER_MSEC));
        else
                log_error("the broker died (%s %d%s): starting it again in %u ms; calls in flight go on",
                          info->si_code == CLD_EXITED ? "status" : "signal", info->si_status,
                          info->si_code != CLD_EXITED && info->si_status == SIGSYS
                                  ? ": a system call that its sandbox forbids"
                                  : "",
                          (unsigned)(supervisor->backoff_usec / USEC_PER_MSEC));
        r = sd_event_add_time_relative(supervisor->event, &supervisor->backoff_timer, CLOCK_MONOTONIC,
                                       supervisor->backoff_usec, 0, supervisor_on_backoff, supervisor);
        if (r < 0)
                return error_origin(r);
        r = sd_event_source_set_exit_on_failure(supervisor->backoff_timer, true);
        if (r < 0)
                return error_origin(r);
        supervisor->backoff_usec *= 2;
        if (supervisor->backoff_usec > SUPERVISOR_BACKOFF_MAX_USEC)
                supervisor->backoff_usec = SUPERVISOR_BACKOFF_MAX_USEC;
        return 0;
}

static int supervisor_start_broker(Supervisor *supervisor) {
        _cleanup_fd_ int theirs = -1;
        int fds[2], buffer = SUPERVISOR_SOCKET_BUFFER, r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return error_origin(-errno);
        supervisor->broker_fd = fds[0];
        theirs = fds[1];
        /* A user gets what the kernel lets everybody have, which is enough for some hundred domains. */
        if (setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) < 0 &&
            setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)) < 0)
                return error_origin(-errno);

        r = spawn_broker(&supervisor->options.paths, supervisor->broker_uid, supervisor->broker_gid, theirs,
                         &supervisor->broker_pid);
        if (r)
                return error_trace(r);
        supervisor->started_usec = clock_now();
        r = sd_event_add_child(supervisor->event, &supervisor->broker_source, supervisor->broker_pid, WEXITED,
                               supervisor_on_broker_exit, supervisor);
        /*
         * A broker that is traced is dead some time before it can be waited for, namely when its tracer has looked at it: once
         * would be too early. sd-event says so to the kernel only if it begins anew.
         */
        if (r >= 0)
                r = sd_event_source_set_enabled(supervisor->broker_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_source_set_enabled(supervisor->broker_source, SD_EVENT_ON);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(supervisor->broker_source, true);
        if (r >= 0)
                r = sd_event_add_io(supervisor->event, &supervisor->broker_io, supervisor->broker_fd, EPOLLIN,
                                    supervisor_on_broker_io, supervisor);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(supervisor->broker_io, true);
        if (r < 0)
                return error_origin(r);
        return error_trace(supervisor_announce(supervisor));
}

static int supervisor_add_unit(Supervisor *supervisor, const PlanDomain *domain) {
        Unit **larger, *unit;
        int r;

        larger = reallocarray(supervisor->units, supervisor->n_units + 1, sizeof(*larger));
        if (!larger)
                return error_origin(-ENOMEM);
        supervisor->units = larger;
        r = unit_new(&supervisor->host, domain, &unit);
        if (r)
                return r;
        supervisor->units[supervisor->n_units++] = unit;
        /* With the host, which means: as soon as there is a broker for its agent. */
        return supervisor->running && domain->autostart ? error_trace(unit_start(unit)) : 0;
}

static int supervisor_remove_unit(Supervisor *supervisor, size_t index) {
        Unit *unit = supervisor->units[index];
        int r;

        r = supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_GONE, .domain = unit->name }, NULL, 0);
        memmove(&supervisor->units[index], &supervisor->units[index + 1],
                (supervisor->n_units - index - 1) * sizeof(*supervisor->units));
        --supervisor->n_units;
        unit_free(unit);
        return error_trace(r);
}

/* Make the units what the plan says: first what goes, so that an account can move from one domain to another. */
static int supervisor_apply(Supervisor *supervisor) {
        int r;

        for (size_t i = supervisor->n_units; i-- > 0;) {
                const PlanDomain *domain = plan_find(supervisor->host.plan, &supervisor->units[i]->name);

                if (domain && unit_matches(supervisor->units[i], domain))
                        continue;
                r = supervisor_remove_unit(supervisor, i);
                if (r)
                        return error_trace(r);
        }
        for (size_t i = 0; i < supervisor->host.plan->n_domains; ++i) {
                const PlanDomain *domain = &supervisor->host.plan->domains[i];

                if (supervisor_find(supervisor, &domain->name))
                        continue;
                r = supervisor_add_unit(supervisor, domain);
                if (r)
                        return r;
        }
        return 0;
}

/* Return: 0 (also if it is broken: what was in force stays), or a negative error. */
static int supervisor_load(Supervisor *supervisor) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Plan *plan;
        int r;

        r = plan_load(supervisor->options.paths.where, &diagnostics, &plan);
        diagnostics_log(&diagnostics);
        if (r == PLAN_E_INVALID) {
                log_error("the inventory in %s is broken: every call is refused until it is mended (qair domain check)",
                          supervisor->options.paths.where->domains_dir);
                return supervisor_apply(supervisor);
        }
        if (r)
                return error_fold(r);
        plan_free(supervisor->host.plan);
        supervisor->host.plan = plan;
        return supervisor_apply(supervisor);
}

/* @request: of the broker, which waits for it; 0: of nobody */
static int supervisor_reread(Supervisor *supervisor, uint32_t request) {
        int r = supervisor_load(supervisor);

        r = r ?: supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_RELOAD, .number = request }, NULL, 0);
        return error_trace(r);
}

/* Saved is in force: what a domain's file says now, its sockets follow. */
static int supervisor_on_change(void *userdata) {
        log_debug("the inventory has changed");
        return error_trace(supervisor_reread(userdata, 0));
}

static int supervisor_on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Supervisor *supervisor = userdata;
        int r;

        (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)clock_now());
        log_info("reading the configuration again");
        r = supervisor_load(supervisor);
        if (!r)
                r = supervisor_send_audit(supervisor);
        if (!r)
                r = supervisor_send(supervisor, &(Supervise){ .type = SUPERVISE_TYPE_RELOAD }, NULL, 0);
        return error_trace(r); /* SERVING ends the reload */
}

static int supervisor_on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata) {
        Supervisor *supervisor = userdata;
        int r;

        (void)sd_notify(0, "STOPPING=1");
        supervisor->stopping = true;
        r = sd_event_exit(supervisor->event, 0);
        return r < 0 ? error_origin(r) : 0;
}

static int supervisor_watch_signals(Supervisor *supervisor) {
        static const struct {
                int number;
                sd_event_signal_handler_t handler;
        } signals[] = {
                { SIGTERM, supervisor_on_stop },
                { SIGINT, supervisor_on_stop },
                { SIGHUP, supervisor_on_reload },
        };
        sigset_t child;

        sigemptyset(&child);
        sigaddset(&child, SIGCHLD); /* sd_event_add_child(3) wants it blocked */
        if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
                return error_origin(-errno);
        for (size_t i = 0; i < ARRAY_SIZE(signals); ++i) {
                sd_event_source *signal_source;
                int r;

                r = sd_event_add_signal(supervisor->event, &signal_source, signals[i].number | SD_EVENT_SIGNAL_PROCMASK,
                                        signals[i].handler, supervisor);
                if (r < 0)
                        return error_origin(r);
                r = sd_event_source_set_exit_on_failure(signal_source, true);
                if (r >= 0)
                        r = sd_event_source_set_floating(signal_source, true);
                sd_event_source_unref(signal_source);
                if (r < 0)
                        return error_origin(r);
        }
        return 0;
}

static int supervisor_find_account(Supervisor *supervisor) {
        const char *name = supervisor->options.account;
        struct passwd *account;

        if (!name) {
                supervisor->broker_uid = getuid();
                supervisor->broker_gid = getgid();
                return 0;
        }
        errno = 0;
        account = getpwnam(name);
        if (!account) {
                log_error("there is no account %s for the broker: create it with `systemd-sysusers`, or "
                          "`useradd --system --no-create-home --shell /usr/sbin/nologin %s`",
                          name, name);
                return -ENOENT;
        }
        if (account->pw_uid == 0) {
                log_error("the broker's account %s is root: it has to be an account of its own", name);
                return -EINVAL;
        }
        supervisor->broker_uid = account->pw_uid;
        supervisor->broker_gid = account->pw_gid;
        return 0;
}

/* Sealed, so that no broker can take away the memory under another. */
static int supervisor_make_book(Supervisor *supervisor) {
        supervisor->book_fd = memfd_create("qair-open-calls", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (supervisor->book_fd < 0 || ftruncate(supervisor->book_fd, SUPERVISE_BOOK_SIZE) < 0 ||
            fcntl(supervisor->book_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return error_origin(-errno);
        return 0;
}

/* A user who has configured nothing yet has an empty inventory, and a policy that refuses everything. */
static int supervisor_prepare_user(const Paths *where) {
        const char *const folders[] = { where->config_dir, where->domains_dir, where->policy_dir };
        int r = rundir_make_parents(where->config_dir);

        if (r < 0)
                log_error("cannot make the folders above %s: %s", where->config_dir, strerror(-r));
        for (size_t i = 0; !r && i < ARRAY_SIZE(folders); ++i)
                if (mkdir(folders[i], 0700) < 0 && errno != EEXIST) {
                        log_error("cannot make %s: %m", folders[i]);
                        r = -errno;
                }
        return r;
}

int supervisor_new(const SupervisorOptions *options, Supervisor **ret_supervisor) {
        _cleanup_(supervisor_freep) Supervisor *supervisor = NULL;
        const Paths *where = options->paths.where;
        int r;

        supervisor = malloc(sizeof(*supervisor));
        if (!supervisor)
                return error_origin(-ENOMEM);
        *supervisor = (Supervisor){
                .options = *options,
                .host = { .paths = options->paths, .tell = supervisor_tell, .userdata = supervisor },
                .shared_fd = -1,
                .stores_fd = -1,
                .call_ids = CALL_IDS_INIT,
                .book_fd = -1,
                .broker_fd = -1,
                .backoff_usec = SUPERVISOR_BACKOFF_MIN_USEC,
        };
        spawn_raise_files(&supervisor->host.paths);
        r = plan_new_dom0(&supervisor->host.plan);
        if (r)
                return error_trace(r);
        r = sd_event_new(&supervisor->event);
        if (r < 0)
                return error_origin(r);
        supervisor->host.event = supervisor->event;
        r = guests_new(supervisor->event, where->run_dir, &supervisor->host.guests);
        if (r)
                return error_trace(r);
        r = supervisor_watch_signals(supervisor);
        r = r ?: supervisor_find_account(supervisor);
        r = r ?: rundir_prepare(where->run_dir);
        if (!r && where->is_user)
                r = supervisor_prepare_user(where);
        r = r ?: supervisor_make_book(supervisor);
        r = r ?: call_ids_init(&supervisor->call_ids, where->run_dir);
        /* Which domain an account is, there is no saying where all are one account. */
        if (!r && !where->is_user)
                r = rundir_bind_shared(where->run_dir, &supervisor->shared_fd)
                            ?: rundir_bind_stores(where->run_dir, &supervisor->stores_fd);
        /* Watched before it is read: no change is missed. */
        r = r ?: watch_new(supervisor->event, where->domains_dir, supervisor_on_change, supervisor, &supervisor->watch);
        r = r ?: supervisor_load(supervisor);
        if (r)
                return r;
        *ret_supervisor = steal_ptr(&supervisor);
        return 0;
}

/* Stop the broker, and wait: it ends at once, unless it is broken, and then it is killed. Agents end on their own time. */
static void supervisor_stop_broker(Supervisor *supervisor) {
        struct pollfd ended = { .fd = -1, .events = POLLIN };

        sd_event_source_disable_unref(supervisor->broker_source);
        sd_event_source_disable_unref(supervisor->broker_io);
        supervisor->broker_fd = fd_close(supervisor->broker_fd);
        if (supervisor->broker_pid <= 0)
                return;
        (void)kill(supervisor->broker_pid, SIGTERM);
        ended.fd = pidfd_open(supervisor->broker_pid, 0);
        if (ended.fd < 0 || poll(&ended, 1, SUPERVISOR_STOP_MSEC) <= 0)
                (void)kill(supervisor->broker_pid, SIGKILL);
        fd_close(ended.fd);
        while (waitpid(supervisor->broker_pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

Supervisor *supervisor_free(Supervisor *supervisor) {
        if (!supervisor)
                return NULL;
        watch_free(supervisor->watch);
        sd_event_source_disable_unref(supervisor->backoff_timer);
        supervisor_stop_broker(supervisor);
        for (size_t i = 0; i < supervisor->n_units; ++i)
                unit_free(supervisor->units[i]);
        free(supervisor->units);
        guests_free(supervisor->host.guests);
        supervisor->shared_fd = fd_close(supervisor->shared_fd);
        supervisor->stores_fd = fd_close(supervisor->stores_fd);
        call_ids_deinit(&supervisor->call_ids);
        fd_close(supervisor->book_fd);
        plan_free(supervisor->host.plan);
        sd_event_unref(supervisor->event);
        free(supervisor);
        return NULL;
}

int supervisor_run(Supervisor *supervisor) {
        int r;

        r = supervisor_start_broker(supervisor);
        if (r)
                return error_trace(r);
        supervisor->running = true;
        for (size_t i = 0; i < supervisor->n_units; ++i) {
                const PlanDomain *domain = plan_find(supervisor->host.plan, &supervisor->units[i]->name);

                if (!domain || !domain->autostart)
                        continue;
                r = unit_start(supervisor->units[i]);
                if (r)
                        return error_trace(r);
        }
        r = sd_event_loop(supervisor->event);
        return r < 0 ? error_trace(r) : 0;
}
