/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One domain, as the supervisor keeps it: its sockets, and what was started for it. How that is done is the plan's to
 * say, when it is done:
 *
 *                    start                                  stop
 *   an account       its agent's monitor                    SIGTERM to the monitor, then the `stop` command if any
 *   with `start`     that command; its agent comes later    the `stop` command
 *
 * An agent that was told to stop may take its time, for the calls that run there: it is waited for, and no longer in
 * the way of another. A start that is asked for while a `stop` command runs follows it, and the other way round.
 *
 * The broker is told ENDED when an agent has gone or a start has failed, STOPPED when a stop is done.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "supervisor/guests.h"
#include "supervisor/plan.h"
#include "supervisor/rundir.h"
#include "supervisor/spawn.h"
#include "wire/supervise.h"

/** What all units share. */
typedef struct UnitHost {
        sd_event *event;
        SpawnPaths paths;
        Guests *guests;
        Plan *plan; /* as it is in force; the supervisor's */
        /** tell the broker; the descriptors stay the unit's. Return: 0 or a negative error */
        int (*tell)(void *userdata, const Supervise *message, const int *fds, size_t n_fds);
        void *userdata;
} UnitHost;

typedef struct UnitRun UnitRun;

typedef enum UnitWish {
        UNIT_WISH_NONE,
        UNIT_WISH_START, /* when the running command has ended */
        UNIT_WISH_STOP,
} UnitWish;

typedef struct Unit {
        const UnitHost *host;
        DomainName name;
        uid_t uid;
        bool is_folder;
        bool is_vchan;
        uint32_t cid;
        Guest *guest; /* of a virtual machine; otherwise NULL */
        RundirSockets sockets;
        UnitRun *runs;    /* all processes that are waited for */
        UnitRun *agent;   /* of these, the live agent's monitor, or NULL */
        UnitRun *command; /* of these, the `start` or `stop` command that runs, or NULL */
        UnitWish wish;
} Unit;

/**
 * unit_new() - bind its sockets and announce them to the broker
 * @host: borrowed as long as the unit lives
 *
 * Return: 0 or a negative error, which has been explained in the log.
 */
int unit_new(const UnitHost *host, const PlanDomain *domain, Unit **ret_unit);

/** unit_free() - stop its agent, and remove its sockets; its commands are not run; accepts NULL. Return: NULL */
Unit *unit_free(Unit *unit);
DEFINE_CLEANUP(Unit *, unit_free)

/** unit_matches() - is it what the plan says, as far as sockets and identity go? */
bool unit_matches(const Unit *unit, const PlanDomain *domain);

/** unit_announce() - tell a broker of its sockets. Return: 0 or a negative error */
int unit_announce(Unit *unit);

/** unit_start() - start it, unless it runs or is being started. Return: 0 or a negative error */
int unit_start(Unit *unit);

/** unit_stop() - stop it. Return: 0 or a negative error */
int unit_stop(Unit *unit);
