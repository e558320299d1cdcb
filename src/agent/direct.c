/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/direct.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "data/status.h"

struct Direct {
        Direct *next, **place; /* in the table's list; GONE: in its list of those */
        Direct *next_killed;
        uint64_t kill_usec; /* SIGKILL is due; 0: no */
        uint32_t call_id;
        DirectState state;
        pid_t pid;
        int pidfd;  /* -1: reaped */
        int err_fd; /* -1: its end was seen */
        DataStatus status;
        bool killed;
        bool err_watched, status_watched;
        size_t n_left; /* DRAINING: bytes of stderr still to be sent */
        DataOutcome outcome;
        Watch program_watch, stderr_watch, status_watch;
        Servicelog log;
};

int direct_table_init(DirectTable *table, WatchSet *watches, const ServiceSettings *settings) {
        *table = DIRECT_TABLE_INIT;
        table->watches = watches;
        table->killed_last = &table->killed_first;
        servicelog_sink_init(&table->sink, settings->journal, settings->syslog);
        return error_trace(spawn_slots_init(&table->slots));
}

/* --- descriptors ------------------------------------------------------------------------------------------------ */

static void direct_close_err(DirectTable *table, Direct *direct) {
        direct->err_fd =
                direct->err_watched ? watch_set_close(table->watches, direct->err_fd) : fd_close(direct->err_fd);
        direct->err_watched = false;
}

/* Before anything is sent on it, since that may close it. */
static void direct_unwatch_status(DirectTable *table, Direct *direct) {
        if (direct->status_watched)
                watch_set_remove(table->watches, direct->status.fd);
        direct->status_watched = false;
}

/* Wait for room in the status stream, or for more stderr, never both: while one waits, the other cannot go on. */
static int direct_wait_for(DirectTable *table, Direct *direct, bool room) {
        int r = 0;

        if (!room) {
                direct_unwatch_status(table, direct);
        } else if (!direct->status_watched) {
                r = watch_set_add(table->watches, direct->status.fd, EPOLLOUT, &direct->status_watch);
                direct->status_watched = !r;
        }
        if (!r && direct->err_watched == room && direct->err_fd >= 0) {
                if (!room)
                        r = watch_set_add(table->watches, direct->err_fd, EPOLLIN, &direct->stderr_watch);
                else
                        watch_set_remove(table->watches, direct->err_fd);
                direct->err_watched = !room;
        }
        return error_origin(r);
}

/* --- life ------------------------------------------------------------------------------------------------------- */

static void direct_link(Direct **list, Direct *direct) {
        direct->next = *list;
        if (direct->next)
                direct->next->place = &direct->next;
        *list = direct;
        direct->place = list;
}

static void direct_unlink(Direct *direct) {
        *direct->place = direct->next;
        if (direct->next)
                direct->next->place = direct->place;
}

static void direct_unlink_killed(DirectTable *table, Direct *direct) {
        Direct **place = &table->killed_first;

        if (direct->kill_usec == 0)
                return;
        direct->kill_usec = 0;
        while (*place != direct)
                place = &(*place)->next_killed;
        *place = direct->next_killed;
        if (table->killed_last == &direct->next_killed)
                table->killed_last = place;
}

static void direct_free(DirectTable *table, Direct *direct) {
        direct_unlink_killed(table, direct);
        direct_unlink(direct);
        direct->pidfd = watch_set_close(table->watches, direct->pidfd);
        direct_close_err(table, direct);
        direct_unwatch_status(table, direct);
        data_status_deinit(&direct->status);
        servicelog_deinit(&direct->log);
        free(direct);
}

void direct_table_collect(DirectTable *table) {
        while (table->gone)
                direct_free(table, table->gone);
}

void direct_table_deinit(DirectTable *table) {
        direct_table_collect(table);
        while (table->first)
                direct_free(table, table->first);
        servicelog_sink_deinit(&table->sink);
        spawn_slots_deinit(&table->slots);
}

/* The call is over. What is left, if anything, is a process that nobody waits for, or somebody else's stderr. */
static void direct_become_tail(DirectTable *table, Direct *direct) {
        data_status_deinit(&direct->status);
        direct->state = DIRECT_STATE_TAIL;
        if (direct->err_fd >= 0 && table->n_tails >= DIRECT_TAILS_MAX)
                direct_close_err(table, direct);
        ++table->n_tails;
}

static void direct_check_gone(DirectTable *table, Direct *direct) {
        if (direct->state != DIRECT_STATE_TAIL || direct->pidfd >= 0 || direct->err_fd >= 0)
                return;
        --table->n_tails;
        direct->state = DIRECT_STATE_GONE;
        direct_unlink(direct);
        direct_link(&table->gone, direct);
}

/* --- events ----------------------------------------------------------------------------------------------------- */

/* Return: 0: go on when the descriptor says so; DATA_STATUS_E_AGAIN: wait for room; or a negative error. */
static int direct_forward_err(DirectTable *table, Direct *direct) {
        uint8_t data[DATA_STATUS_CHUNK_MAX];
        size_t n_max = sizeof(data);
        ssize_t n;

        if (direct->status.fd >= 0 && !data_status_has_room(&direct->status))
                return DATA_STATUS_E_AGAIN;
        if (direct->state == DIRECT_STATE_DRAINING && direct->n_left < n_max)
                n_max = direct->n_left;
        n = read(direct->err_fd, data, n_max);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
                direct->n_left = 0;
                return 0;
        }
        if (n <= 0) {
                direct->n_left = 0;
                direct_close_err(table, direct);
                return 0;
        }
        direct->n_left -= direct->state == DIRECT_STATE_DRAINING ? (size_t)n : 0;
        servicelog_write(&direct->log, data, (size_t)n);
        if (direct->status.fd >= 0) {
                int r = data_status_stderr(&direct->status, data, (size_t)n);

                /* There was room, so only memory can be short: what the log has, the caller lacks. */
                if (r < 0)
                        return error_trace(r);
        }
        return 0;
}

/* From the program's exit on. */
static int direct_finish(DirectTable *table, Direct *direct, DataOutcome *ret_outcome) {
        int r = 0;

        direct_unwatch_status(table, direct);
        while (direct->state == DIRECT_STATE_DRAINING && !r) {
                if (direct->n_left == 0 || direct->err_fd < 0)
                        direct->state = DIRECT_STATE_TELLING;
                else
                        r = direct_forward_err(table, direct);
        }
        if (!r)
                r = data_status_exit(&direct->status, direct->outcome.status);
        if (r == DATA_STATUS_E_AGAIN)
                return error_trace(direct_wait_for(table, direct, true));
        if (r < 0)
                return error_trace(r);
        if (r == DATA_STATUS_E_GONE)
                direct->outcome.how = CALL_HOW_ABANDONED;
        *ret_outcome = direct->outcome;
        r = direct_wait_for(table, direct, false);
        if (r)
                return error_trace(r);
        direct_become_tail(table, direct);
        direct_check_gone(table, direct);
        return DIRECT_E_ENDED;
}

static int direct_wait_program(const Direct *direct, int options, siginfo_t *ret_info) {
        int r;

        do
                r = waitid(P_PIDFD, (id_t)direct->pidfd, ret_info, WEXITED | WNOHANG | options);
        while (r < 0 && errno == EINTR);
        return r < 0 ? error_origin(-errno) : 0;
}

static int direct_on_program(DirectTable *table, Direct *direct, DataOutcome *ret_outcome) {
        siginfo_t info = {};
        int n = 0, r = 0;

        if (direct->killed) {
                r = direct_wait_program(direct, WNOWAIT, &info);
                /* What was told to end has ended: so must what it started, as long as the group's number is its own. */
                if (!r && info.si_pid != 0)
                        spawn_signal_group(direct->pid, direct->pidfd, SIGKILL);
        }
        if (!r)
                r = direct_wait_program(direct, 0, &info);
        if (r)
                return error_trace(r);
        if (info.si_pid == 0)
                return 0;
        direct_unlink_killed(table, direct);
        direct->pidfd = watch_set_close(table->watches, direct->pidfd);
        if (direct->state == DIRECT_STATE_TAIL) {
                direct_check_gone(table, direct);
                return 0;
        }

        direct->outcome = info.si_code == CLD_EXITED
                                  ? (DataOutcome){ .how = CALL_HOW_EXITED, .status = info.si_status }
                                  : (DataOutcome){ .how = CALL_HOW_SIGNALLED, .status = 128 + info.si_status };
        if (direct->killed)
                direct->outcome.how = CALL_HOW_KILLED;
        direct->state = DIRECT_STATE_DRAINING;
        if (direct->err_fd >= 0 && ioctl(direct->err_fd, FIONREAD, &n) < 0)
                return error_origin(-errno);
        direct->n_left = (size_t)n;
        return error_trace(direct_finish(table, direct, ret_outcome));
}

static int direct_on_stderr(DirectTable *table, Direct *direct, uint32_t events) {
        int r = 0;

        /* A hang-up alone: there is no writer, and nothing to read. */
        if (events & EPOLLIN)
                r = direct_forward_err(table, direct);
        else
                direct_close_err(table, direct);
        if (r == DATA_STATUS_E_AGAIN)
                return error_trace(direct_wait_for(table, direct, true));
        direct_check_gone(table, direct);
        return error_trace(r);
}

/* There is room, or nobody reads any more. */
static int direct_on_status(DirectTable *table, Direct *direct, DataOutcome *ret_outcome) {
        int r;

        r = direct_wait_for(table, direct, false);
        if (r)
                return error_trace(r);
        switch (direct->state) {
        case DIRECT_STATE_RUNNING:
                return 0;
        case DIRECT_STATE_DRAINING:
        case DIRECT_STATE_TELLING:
                return error_trace(direct_finish(table, direct, ret_outcome));
        case DIRECT_STATE_TAIL:
        case DIRECT_STATE_GONE:
                return 0;
        }
        return 0;
}

static Direct *direct_of(Watch *watch) {
        switch (watch->kind) {
        case WATCH_KIND_PROGRAM:
                return container_of(watch, Direct, program_watch);
        case WATCH_KIND_STDERR:
                return container_of(watch, Direct, stderr_watch);
        case WATCH_KIND_STATUS:
                return container_of(watch, Direct, status_watch);
        case WATCH_KIND_SIGNALS:
        case WATCH_KIND_REPORTS:
        case WATCH_KIND_SESSION:
        case WATCH_KIND_LINK:
        case WATCH_KIND_LISTENER:
        case WATCH_KIND_PEER:
        case WATCH_KIND_HANDLER:
        case WATCH_KIND_HANDED:
        case WATCH_KIND_CARRIER_SOCKET:
        case WATCH_KIND_CARRIER_STDIN:
        case WATCH_KIND_CARRIER_STDOUT:
        case WATCH_KIND_CARRIER_STATUS:
                break;
        }
        return NULL;
}

int direct_on_event(DirectTable *table, Watch *watch, uint32_t events, uint32_t *ret_call_id,
                    DataOutcome *ret_outcome) {
        Direct *direct = direct_of(watch);
        int r = 0;

        if (!direct)
                return error_origin(-EINVAL);
        /* Events that were taken together with the one that ended it, or made it stop waiting, are stale. */
        *ret_call_id = direct->call_id;
        if (watch->kind == WATCH_KIND_PROGRAM && direct->pidfd >= 0)
                r = direct_on_program(table, direct, ret_outcome);
        else if (watch->kind == WATCH_KIND_STDERR && direct->err_watched)
                r = direct_on_stderr(table, direct, events);
        else if (watch->kind == WATCH_KIND_STATUS && direct->status_watched)
                r = direct_on_status(table, direct, ret_outcome);
        return r;
}

/* --- orders ----------------------------------------------------------------------------------------------------- */

/* A pipe, not a socket, so that a program can open /dev/stderr once more (6.9). */
static int direct_open_stderr(int *ret_ours, int *ret_theirs) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        *ret_ours = fds[0];
        *ret_theirs = fds[1];
        /* Each end has a description of its own, and a new one no other flag: this is not the program's. */
        return fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int direct_spawn(DirectTable *table, Direct *direct, const Service *service, const Channel *channel,
                        bool just_exec) {
        _cleanup_fd_ int stderr_fd = -1;
        ServiceProgram program = {
                .stdin_fd = just_exec ? table->slots.null_fd : channel->stdin_fd,
                .stdout_fd = just_exec ? table->slots.null_fd : channel->stdout_fd,
                .stderr_fd = table->slots.null_fd,
                .slots = &table->slots,
        };
        int r;

        /* What a shell command that nobody waits for has to say is for nobody. */
        if (!just_exec || service->command.is_service) {
                r = direct_open_stderr(&direct->err_fd, &stderr_fd);
                if (r) {
                        SERVICE_LOG(service, "cannot make a pipe for its messages");
                        return SERVICE_E_FAILED;
                }
                program.stderr_fd = stderr_fd;
        }
        r = service_spawn(service, &program);
        if (r)
                return r;
        direct->pid = program.pid;
        direct->pidfd = program.pidfd;

        r = watch_set_add(table->watches, direct->pidfd, EPOLLIN, &direct->program_watch);
        if (!r)
                r = direct_wait_for(table, direct, false);
        if (r) {
                siginfo_t info;

                /* A program that we cannot watch must not run. */
                spawn_signal_group(direct->pid, direct->pidfd, SIGKILL);
                while (waitid(P_PIDFD, (id_t)direct->pidfd, &info, WEXITED) < 0 && errno == EINTR)
                        ;
                SERVICE_LOG(service, "cannot watch it, so it was killed");
                return SERVICE_E_FAILED;
        }
        return 0;
}

static Direct *direct_new(DirectTable *table, const Service *service) {
        Direct *direct = malloc(sizeof(*direct));

        if (!direct)
                return NULL;
        *direct = (Direct){
                .call_id = service->call_id,
                .state = DIRECT_STATE_RUNNING,
                .pidfd = -1,
                .err_fd = -1,
                .status = DATA_STATUS_INIT,
                .program_watch = { WATCH_KIND_PROGRAM },
                .stderr_watch = { WATCH_KIND_STDERR },
                .status_watch = { WATCH_KIND_STATUS },
        };
        if (service->command.is_service)
                servicelog_init(&direct->log, &table->sink, &service->command, service->call_id);
        direct_link(&table->first, direct);
        return direct;
}

int direct_start(DirectTable *table, const Service *service, Channel *channel, bool just_exec, Direct **ret_direct,
                 DataOutcome *ret_outcome) {
        Direct *direct = direct_new(table, service);
        int r = direct ? direct_spawn(table, direct, service, channel, just_exec) : SERVICE_E_FAILED;

        if (r) {
                service_failure(r, &ret_outcome->status, &ret_outcome->how);
                /* Whoever does not wait learns only that there was a process (5.9); the broker learns all. */
                channel_refuse(channel, just_exec && r != SERVICE_E_FAILED ? 0 : ret_outcome->status);
                if (direct)
                        direct_free(table, direct);
                return DIRECT_E_ENDED;
        }
        if (just_exec) {
                channel_refuse(channel, 0);
                direct_become_tail(table, direct);
                *ret_outcome = (DataOutcome){ .how = CALL_HOW_DETACHED };
                return DIRECT_E_ENDED;
        }
        direct->status.fd = fd_steal(&channel->status_fd);
        channel_close(channel);
        *ret_direct = direct;
        return 0;
}

void direct_kill(DirectTable *table, Direct *direct, uint64_t now_usec) {
        if (direct->pidfd < 0 || direct->killed)
                return;
        direct->killed = true;
        spawn_signal_group(direct->pid, direct->pidfd, SIGTERM);
        direct->kill_usec = now_usec + DIRECT_KILL_USEC;
        *table->killed_last = direct;
        table->killed_last = &direct->next_killed;
}

uint64_t direct_table_deadline(const DirectTable *table) {
        return table->killed_first ? table->killed_first->kill_usec : UINT64_MAX;
}

void direct_table_on_deadline(DirectTable *table, uint64_t now_usec) {
        while (table->killed_first && table->killed_first->kill_usec <= now_usec) {
                Direct *direct = table->killed_first;

                direct_unlink_killed(table, direct);
                direct->next_killed = NULL;
                spawn_signal_group(direct->pid, direct->pidfd, SIGKILL);
        }
}

/* --- the end of the agent --------------------------------------------------------------------------------------- */

bool direct_table_has_stderr(const DirectTable *table) {
        for (const Direct *direct = table->first; direct; direct = direct->next)
                if (direct->err_fd >= 0)
                        return true;
        return false;
}

void direct_table_leave(DirectTable *table) {
        for (Direct *direct = table->first; direct; direct = direct->next)
                direct->log.sink = NULL;
}

int direct_table_resume(DirectTable *table, WatchSet *watches) {
        table->watches = watches;
        for (Direct *direct = table->first, *next; direct; direct = next) {
                int r;

                next = direct->next;
                direct->pidfd = fd_close(direct->pidfd);
                direct->status_watched = false;
                if (direct->state != DIRECT_STATE_TAIL)
                        direct_become_tail(table, direct);
                direct->err_watched = false;
                r = direct_wait_for(table, direct, false);
                if (r)
                        return error_trace(r);
                direct_check_gone(table, direct);
        }
        direct_table_collect(table);
        return 0;
}
