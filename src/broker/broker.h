/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexecd: the one process per host that decides about calls and connects their ends. A reference monitor: every call
 * passes it, no byte of a call's payload does. Single-threaded, driven by events, blocking on nothing.
 *
 *   listener   accepts connections and knows, from the kernel, who is at the other end
 *   caller     one trigger connection: a request, then one answer
 *   client     one connection of a daemon socket: qrexec-client, on the host
 *   link       the control connection of one agent
 *   domain     what is going on with one domain: its sockets, its link, what it is charged for
 *   lifecycle  … how it is started and stopped
 *   dbpeer     one connection that asks QubesDB
 *   call       one call from request to end, and the table of all
 *   book       the open calls, written where they outlive this process; spool the records that are not written yet
 *   config     inventory and policy, as they are in force
 *   parent     the socket pair to the supervisor
 *   audit      one record at the start of a call, one at its end; record and callrecord say what is in it
 *   management the services of the broker itself, on streams that end in it (served)
 *   owncall    a call that we make ourselves, of dom0
 *   prompt     a question that waits for a person; promptrequest says it in JSON
 *   grant      what a person said for longer than once, and what they may say so (askconfig)
 *   notify     tells a person what was refused or allowed
 *   timing     where the time of calls goes
 *   sandbox    seccomp and Landlock
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "broker/call.h"
#include "broker/calltable.h"
#include "broker/caller.h"
#include "broker/domain.h"
#include "broker/timing.h"

typedef struct Audit Audit;
typedef struct Book Book;
typedef struct Config Config;
typedef struct Grants Grants;
typedef struct Listener Listener;
typedef struct Notify Notify;
typedef struct Parent Parent;
typedef struct Prompt Prompt;
typedef struct Served Served;
typedef struct Watchdog Watchdog;

typedef struct Broker {
        sd_event *event;
        Config *config;
        Parent *parent;
        Watchdog *watchdog; /* NULL: the kernel refuses descriptors that nobody asked for */
        Listener *shared;   /* the trigger socket of all accounts */
        Listener *stores;   /* the QubesDB socket of all accounts */
        DomainTable domains;
        Domain *gone;      /* domains that were removed, and whose agents have still to say what ended */
        Domain *strangers; /* whoever is no domain: pays for its connections like one, and is told so */
        CallerTurns turns; /* of domains with connections that were not looked at */
        CallTable calls;
        Channel prepared; /* for the next call, or empty */
        Book *book;       /* where open calls outlive us */
        Served *served;   /* calls that end in us */
        Prompt *prompts;  /* questions that wait for a person */
        Grants *grants;
        Notify *notifies; /* sources that a person was told of lately */
        Audit *audit;
        Timing timing;
        uint64_t began_usec;
        unsigned n_turns;  /* of the loop, since records were last written */
        uint64_t n_events; /* that were dispatched */
        uid_t uid;         /* our own account */
        uid_t admin_uid;   /* who is dom0 */
        int fds_end;       /* one above the highest descriptor that a domain's doing may take */
        int spare_fd;      /* given up for a moment when descriptors run out, to refuse instead of spin */
        uint8_t *scratch;  /* BROKER_SCRATCH_SIZE bytes: what is being received, until its handler returns */
        uint8_t *outgoing; /* as many: what is being sent; apart, since a handler of the one may well do the other */
} Broker;

/** The largest message of any connection: a trigger, or a command on a link. */
#define BROKER_SCRATCH_SIZE (128 * 1024)

/**
 * Descriptors that no domain's doing takes: for root, for agents that come back, for reading the configuration, for the call
 * in hand. The lowest free number is always the next, so a high one says that few are left.
 */
#define BROKER_FDS_RESERVED 32

/** broker_share() - of a limit for one domain what our own, which may be a low one, permits: a quarter, if that is less */
size_t broker_share(const Broker *broker, size_t limit);

/**
 * broker_new() - a broker that serves nothing yet
 * @parent_fd: our end of the socket pair to the supervisor; owned from here on, also on failure
 * @admin_uid: who may call as dom0: root, or the user whose broker this is
 *
 * Return: 0 or a negative error.
 */
int broker_new(Config *config, int parent_fd, uid_t admin_uid, Broker **ret_broker);

/** broker_free() - close everything; calls in flight go on without us. Return: NULL */
Broker *broker_free(Broker *broker);

/**
 * broker_retire() - end, so that the supervisor starts another; whoever was not answered yet asks that one
 *
 * Return: 0 or a negative error.
 */
int broker_retire(Broker *broker);

/** broker_run() - serve until told to stop. Return: 0 or a negative error */
int broker_run(Broker *broker);
