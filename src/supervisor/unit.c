/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/words.h"
#include "supervisor/launch.h"

typedef enum UnitRunKind {
        UNIT_RUN_AGENT,
        UNIT_RUN_START,
        UNIT_RUN_STOP,
} UnitRunKind;

/* A monitor: our child until it is waited for, so its pid is its own; or one that the service manager started for us. */
struct UnitRun {
        UnitRun *next;
        Unit *unit;
        UnitRunKind kind;
        pid_t pid;       /* our child; 0: it is none */
        int launched_fd; /* what is said of one that is none; -1 */
        int pidfd;       /* of that; -1: it has not begun, as far as we have heard */
        bool was_told;   /* it is to end when it has begun */
        sd_event_source *source;
};

static void unit_run_terminate(UnitRun *run) {
        if (run->pid > 0)
                (void)kill(run->pid, SIGTERM);
        else if (run->pidfd >= 0)
                (void)pidfd_send_signal(run->pidfd, SIGTERM, NULL, 0);
        run->was_told = true;
}

static UnitRun *unit_run_free(UnitRun *run) {
        if (!run)
                return NULL;
        for (UnitRun **place = &run->unit->runs; *place; place = &(*place)->next) {
                if (*place == run) {
                        *place = run->next;
                        break;
                }
        }
        if (run->unit->agent == run)
                run->unit->agent = NULL;
        if (run->unit->command == run)
                run->unit->command = NULL;
        sd_event_source_disable_unref(run->source);
        fd_close(run->launched_fd);
        fd_close(run->pidfd);
        free(run);
        return NULL;
}

static int unit_tell(Unit *unit, SuperviseType type, uint32_t status) {
        return error_trace(unit->host->tell(
                unit->host->userdata, &(Supervise){ .type = type, .number = status, .domain = unit->name }, NULL, 0));
}

static int unit_fail_start(Unit *unit, const char *why) {
        log_error("domain %s cannot be started: %s", unit->name.text, why);
        return unit_tell(unit, SUPERVISE_TYPE_ENDED, LAUNCH_STATUS_FAILED);
}

/* What was wished for while a command ran. */
static int unit_go_on(Unit *unit) {
        UnitWish wish = unit->wish;

        unit->wish = UNIT_WISH_NONE;
        switch (wish) {
        case UNIT_WISH_NONE:
                return 0;
        case UNIT_WISH_START:
                return unit_start(unit);
        case UNIT_WISH_STOP:
                return unit_stop(unit);
        }
        return 0;
}

static int unit_on_agent_exit(Unit *unit, bool was_live, uint32_t status) {
        log_info("domain %s stopped (status %u)", unit->name.text, status);
        if (was_live)
                return unit_tell(unit, SUPERVISE_TYPE_ENDED, status);
        /* It was told to. Where another serves already, that it took its time is no news to the broker. */
        return unit->agent ? 0 : unit_tell(unit, SUPERVISE_TYPE_STOPPED, 0);
}

static int unit_on_start_exit(Unit *unit, uint32_t status) {
        if (status == 0) {
                log_info("domain %s: its start command is done: waiting for its agent", unit->name.text);
                return 0;
        }
        log_error("domain %s: its start command failed (status %u): what it said is in the log", unit->name.text,
                  status);
        return unit_tell(unit, SUPERVISE_TYPE_ENDED, status);
}

static int unit_on_stop_exit(Unit *unit, uint32_t status) {
        if (status == 0)
                log_info("domain %s: its stop command is done", unit->name.text);
        else
                log_error("domain %s: its stop command failed (status %u): what it said is in the log", unit->name.text,
                          status);
        return unit_tell(unit, SUPERVISE_TYPE_STOPPED, status);
}

/* It has ended, and is freed. */
static int unit_on_run_end(UnitRun *run, uint32_t status) {
        Unit *unit = run->unit;
        UnitRunKind kind = run->kind;
        bool was_live = unit->agent == run;
        int r = 0;

        unit_run_free(run);
        switch (kind) {
        case UNIT_RUN_AGENT:
                return error_trace(unit_on_agent_exit(unit, was_live, status));
        case UNIT_RUN_START:
                r = unit_on_start_exit(unit, status);
                break;
        case UNIT_RUN_STOP:
                r = unit_on_stop_exit(unit, status);
                break;
        }
        return r ? error_trace(r) : error_trace(unit_go_on(unit));
}

static int unit_on_exit(sd_event_source *source, const siginfo_t *info, void *userdata) {
        uint32_t status = (uint32_t)(info->si_code == CLD_EXITED ? info->si_status : 128 + info->si_status);

        return error_trace(unit_on_run_end(userdata, status));
}

static int unit_on_launched(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        UnitRun *run = userdata;
        uint32_t status;
        int pidfd, r;

        r = launch_receive(fd, &pidfd, &status);
        switch (r) {
        case 0:
                fd_close(run->pidfd);
                run->pidfd = pidfd;
                if (run->was_told)
                        unit_run_terminate(run);
                return 0;
        case LAUNCH_E_AGAIN:
                return 0;
        case LAUNCH_E_ENDED:
                return error_trace(unit_on_run_end(run, status));
        default:
                return error_fold(r);
        }
}

static int unit_launch(Unit *unit, UnitRun *run) {
        static const LaunchKind kinds[] = {
                [UNIT_RUN_AGENT] = LAUNCH_KIND_AGENT,
                [UNIT_RUN_START] = LAUNCH_KIND_START,
                [UNIT_RUN_STOP] = LAUNCH_KIND_STOP,
        };
        int r;

        r = launch_request(unit->host->paths.launcher, kinds[run->kind], &unit->name, &run->launched_fd);
        if (r)
                return r;
        r = sd_event_add_io(unit->host->event, &run->source, run->launched_fd, EPOLLIN, unit_on_launched, run);
        return r < 0 ? error_origin(r) : 0;
}

static int unit_spawn(Unit *unit, UnitRun *run, const PlanDomain *domain, char *const *words) {
        int r;

        r = words ? spawn_command(&unit->host->paths, domain, words, &run->pid)
                  : spawn_agent(&unit->host->paths, domain, &run->pid);
        if (r)
                return error_trace(r);
        r = sd_event_add_child(unit->host->event, &run->source, run->pid, WEXITED, unit_on_exit, run);
        return r < 0 ? error_origin(r) : 0;
}

/* It could not even be asked for, which the log explains. */
static int unit_fail_run(Unit *unit, UnitRunKind kind) {
        log_error("domain %s cannot be %s", unit->name.text, kind == UNIT_RUN_STOP ? "stopped" : "started");
        return unit_tell(unit, kind == UNIT_RUN_STOP ? SUPERVISE_TYPE_STOPPED : SUPERVISE_TYPE_ENDED,
                         LAUNCH_STATUS_FAILED);
}

/* @command: NULL: its agent; *@ret_run stays as it is where there is none (0 all the same: the broker was told) */
static int unit_run(Unit *unit, const PlanDomain *domain, UnitRunKind kind, const char *command, UnitRun **ret_run) {
        _cleanup_free_ char **words = NULL;
        UnitRun *run;
        int r;

        if (command) {
                r = words_split(command, &words);
                if (r)
                        return error_fold(r); /* the inventory has split it before */
        }
        run = malloc(sizeof(*run));
        if (!run)
                return error_origin(-ENOMEM);
        *run = (UnitRun){ .unit = unit, .kind = kind, .launched_fd = -1, .pidfd = -1 };
        r = unit->host->paths.launcher ? unit_launch(unit, run) : unit_spawn(unit, run, domain, words);
        if (!r) {
                r = sd_event_source_set_exit_on_failure(run->source, true);
                r = r < 0 ? error_origin(r) : 0;
        }
        if (r) {
                unit_run_free(run);
                return r < 0 ? r : error_trace(unit_fail_run(unit, kind));
        }
        run->next = unit->runs;
        unit->runs = run;
        *ret_run = run;
        return 0;
}

int unit_start(Unit *unit) {
        const PlanDomain *domain = plan_find(unit->host->plan, &unit->name);

        if (unit->command) {
                unit->wish = unit->command->kind == UNIT_RUN_START ? UNIT_WISH_NONE : UNIT_WISH_START;
                return 0;
        }
        if (unit->agent)
                return 0;
        if (!domain)
                return error_trace(unit_fail_start(unit, "the inventory does not have it any more"));
        if (domain->start) {
                log_info("domain %s: running its start command", unit->name.text);
                return error_trace(unit_run(unit, domain, UNIT_RUN_START, domain->start, &unit->command));
        }
        if (!domain->has_agent)
                return error_trace(unit_fail_start(
                        unit, domain->is_folder ? "it has no start command: set `start`, or start it by other means"
                                                : "it has no account that its agent could run as"));
        if (domain->account.text[0] != '\0')
                log_info("domain %s started as account %s", unit->name.text, domain->account.text);
        else
                log_info("domain %s started%s", unit->name.text, domain->is_sandboxed ? " in a sandbox" : "");
        return error_trace(unit_run(unit, domain, UNIT_RUN_AGENT, NULL, &unit->agent));
}

int unit_stop(Unit *unit) {
        const PlanDomain *domain = plan_find(unit->host->plan, &unit->name);

        if (unit->command && unit->command->kind == UNIT_RUN_STOP) {
                unit->wish = UNIT_WISH_NONE;
                return 0;
        }
        if (unit->command) {
                unit_run_terminate(unit->command);
                unit->wish = UNIT_WISH_STOP;
                return 0;
        }
        if (unit->agent) {
                unit_run_terminate(unit->agent);
                unit->agent = NULL; /* waited for, and no longer in the way */
                if (!domain || !domain->stop)
                        return 0; /* its exit tells */
        } else if (!domain || !domain->stop) {
                log_error("domain %s cannot be stopped: %s", unit->name.text,
                          domain && domain->start ? "it has a start command and no stop command"
                                                  : "an earlier supervisor has started its agent: end that by hand");
                return error_trace(unit_tell(unit, SUPERVISE_TYPE_STOPPED, LAUNCH_STATUS_FAILED));
        }
        log_info("domain %s: running its stop command", unit->name.text);
        return error_trace(unit_run(unit, domain, UNIT_RUN_STOP, domain->stop, &unit->command));
}

int unit_announce(Unit *unit) {
        int fds[] = { unit->sockets.trigger_fd, unit->sockets.link_fd, unit->sockets.daemon_fd };
        int store_fds[] = { unit->sockets.store_fd, unit->sockets.host_store_fd };
        Supervise message = { .type = SUPERVISE_TYPE_DOMAIN, .number = unit->uid, .domain = unit->name };
        int r;

        if (unit->is_folder)
                message = (Supervise){ .type = SUPERVISE_TYPE_FOLDER, .domain = unit->name };
        r = unit->host->tell(unit->host->userdata, &message, fds, ARRAY_SIZE(fds));
        if (r)
                return error_trace(r);
        message = (Supervise){ .type = SUPERVISE_TYPE_STORE, .domain = unit->name };
        return error_trace(unit->host->tell(unit->host->userdata, &message, store_fds, ARRAY_SIZE(store_fds)));
}

bool unit_matches(const Unit *unit, const PlanDomain *domain) {
        return unit->uid == domain->uid && unit->is_folder == domain->is_folder &&
               unit->is_vchan == (domain->vchan != 0) && unit->cid == domain->cid;
}

int unit_new(const UnitHost *host, const PlanDomain *domain, Unit **ret_unit) {
        _cleanup_(unit_freep) Unit *unit = NULL;
        int r;

        unit = malloc(sizeof(*unit));
        if (!unit)
                return error_origin(-ENOMEM);
        *unit = (Unit){
                .host = host,
                .name = domain->name,
                .uid = domain->uid,
                .is_folder = domain->is_folder,
                .is_vchan = domain->vchan != 0,
                .cid = domain->cid,
                .sockets = RUNDIR_SOCKETS_INIT,
        };
        r = rundir_bind_domain(host->paths.where->run_dir, &domain->name, domain->is_folder, &unit->sockets);
        if (!r && unit->is_vchan)
                r = rundir_make_vchan(host->paths.where->run_dir, &domain->name, domain->uid);
        if (!r && unit->cid != 0)
                r = guest_new(host->guests, domain, &unit->guest);
        r = r ?: unit_announce(unit);
        if (r)
                return r;
        *ret_unit = steal_ptr(&unit);
        return 0;
}

static int unit_on_orphan_exit(sd_event_source *source, const siginfo_t *info, void *userdata) {
        return 0; /* it only has to be waited for */
}

/* What has not begun never will: from now on its launcher is told that nobody wants it. */
static void unit_run_abandon(UnitRun *run) {
        uint32_t status;

        if (run->launched_fd >= 0 && run->pidfd < 0) {
                (void)shutdown(run->launched_fd, SHUT_RDWR);
                (void)launch_receive(run->launched_fd, &run->pidfd, &status);
        }
        unit_run_terminate(run);
}

Unit *unit_free(Unit *unit) {
        if (!unit)
                return NULL;
        while (unit->runs) {
                UnitRun *run = unit->runs;
                pid_t pid = run->pid;

                /* A command that runs goes on, half a start is none; an agent that was told to stop has been told. */
                if (run == unit->agent)
                        unit_run_abandon(run);
                unit_run_free(run);
                if (pid > 0)
                        (void)sd_event_add_child(unit->host->event, NULL, pid, WEXITED, unit_on_orphan_exit, NULL);
        }
        guest_free(unit->guest);
        rundir_remove_domain(unit->host->paths.where->run_dir, &unit->name, unit->is_folder, &unit->sockets);
        free(unit);
        return NULL;
}
