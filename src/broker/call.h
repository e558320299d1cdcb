/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call, from request to end. All that are open are in broker/calltable.h.
 *
 *   DECIDING -- allowed, target halted --> STARTING -- link is up --.
 *    |   |                  ^                                       v
 *    |   '-- allowed, target runs ------------------------> CONNECTING -- both ends have it --> RUNNING
 *    |                      |                                       ^
 *    '-- ask --> ASKING -- yes, target halted; yes, target runs ----'
 *
 *   every state -- refused, hang-up, deadline, CALL_ENDED, agent gone --> freed, with one audit record
 *
 *   DECIDING    inside call_request(): the policy is asked; no event is waited for
 *   ASKING      a person owes us an answer; the deadline of the prompt bounds it. It has no target, and no start record
 *   STARTING    the supervisor owes us the target's agent, or its failure; the target's deadline bounds it
 *   CONNECTING  the agent's socket owes us room for the message; the link's queue bounds it
 *   RUNNING     the agent owes us CALL_ENDED, or its link's end
 *
 * A running call costs the broker this struct and no descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/name.h"
#include "broker/channel.h"
#include "broker/record.h"
#include "wire/call.h"
#include "wire/reply.h"

typedef struct Broker Broker;
typedef struct Call Call;
typedef struct CallOrigin CallOrigin;
typedef struct Domain Domain;
typedef struct ConfigDecision ConfigDecision;
typedef struct Link Link;
typedef struct Prompt Prompt;
typedef struct Served Served;

typedef enum CallState {
        CALL_STATE_DECIDING,
        CALL_STATE_ASKING,
        CALL_STATE_STARTING,
        CALL_STATE_CONNECTING,
        CALL_STATE_RUNNING,
        _CALL_STATE_N,
} CallState;

/**
 * Whoever waits for the answer. It is told exactly once, by one of the last two functions, unless it cancelled before; the
 * function may free the origin, so nobody touches it afterwards.
 */
struct CallOrigin {
        /** from here on the call may run: were the request asked for again, it could run twice. NULL: nothing to do */
        void (*committed)(CallOrigin *origin);
        /** the call is running: @fds are the caller's ends (not owned), @mode says what they are (wire/header.h) */
        int (*connected)(CallOrigin *origin, uint32_t id, uint32_t mode, const int *fds, size_t n_fds);
        /** the call is over before it began; @id 0: it never got one */
        int (*refused)(CallOrigin *origin, uint32_t id, ReplyReason reason);
};

/** What was asked, as the caller said it, sanitised. Everything is borrowed until call_new() returns. */
typedef struct CallRequest {
        Domain *source;                      /* known from the kernel, never from a message */
        const RequestName *requested_source; /* whom a relay speaks for; empty: for itself */
        const RequestName *requested_target; /* may be empty: the policy decides */
        const char *service;                 /* NAME or NAME+ARGUMENT */
        uint32_t mode;                       /* WIRE_DOMAIN_FRAMED or WIRE_DOMAIN_DIRECT: how the data shall come */
        CallOrigin *origin;
} CallRequest;

/** What the host itself asks through a daemon socket: no policy, a command as it stands. */
typedef struct CallCommand {
        Domain *source; /* dom0 */
        Domain *target;
        const char *command; /* USER:…, NUL-terminated */
        uint32_t mode;       /* as in CallRequest */
        bool just_exec;
        CallOrigin *origin;
} CallCommand;

/** Bytes of an argument that a call remembers, for its end record and for lists; its start record has more. */
#define CALL_ARGUMENT_MAX 256

/** A call among those that wait for one answer (broker/prompt.h). */
typedef struct CallAsking {
        Prompt *prompt;
        Call *previous, *next;
        unsigned number; /* in the order in which they came; from 1 */
} CallAsking;

struct Call {
        Broker *broker;
        Call *next; /* in its bucket */
        uint32_t id;
        CallState state;
        bool just_exec;
        Domain *source;                /* NULL: begun under an earlier broker */
        Domain *target;                /* NULL: ASKING */
        CallAsking asking;             /* while ASKING */
        CallOrigin *origin;            /* NULL once it was told, or hung up */
        bool notify;                   /* tell a person if it fails */
        char *command;                 /* what the agent will be told; NULL once it was */
        uint32_t mode;                 /* how its ends get their data (wire/header.h) */
        Channel channel;               /* while CONNECTING */
        uint64_t start_usec;           /* when it was asked for */
        uint64_t state_usec;           /* since when it is in its state */
        uint64_t stage_usec[_STAGE_N]; /* how long it was in the earlier ones; STAGE_NONE: it was not */
        uint32_t place;                /* in the book */
        Link *drained_by;              /* the link that will tell its end, if that is not its target's live one */
        Served *killer;                /* an administrator who waits for its end, or NULL */

        /* for the audit, which knows a call by the names of its start as long as it lives */
        DomainName relay_name;   /* who spoke for the source; "": nobody */
        DomainName source_name;  /* @source, or whom it spoke for; "": not known, begun under an earlier supervisor */
        RequestName target_name; /* as the policy resolved it; "": that is @target */
        size_t n_argument;       /* its length, if it was cut; else 0 */
        char service[];          /* NAME or NAME+ARGUMENT, at most CALL_ARGUMENT_MAX of it */
};

enum {
        _CALL_KILL_E_SUCCESS,
        CALL_KILL_E_AWAY, /* nobody can be told: the target's agent has no link */
};

/** call_service_length() - how much of @service, NAME or NAME+ARGUMENT, a call remembers */
size_t call_service_length(const char *service);
/** call_state_text() - "running", … */
const char *call_state_text(CallState state);
/** call_target_text() - the target, as the policy resolved it */
const char *call_target_text(const Call *call);

/**
 * call_request() - admit and decide one call
 * @ret_call: the call if it waits for something, so that the origin can cancel it; NULL if the origin was told
 *
 * Whatever a caller does wrong ends in a refusal. Return: 0 or a negative error.
 */
int call_request(Broker *broker, const CallRequest *request, Call **ret_call);

/**
 * call_prepare() - make what the next call will need, unless that was done already
 *
 * For the moment between a caller's connection and its request, which would be spent waiting. Return: 0 or a negative error.
 */
int call_prepare(Broker *broker);

/** call_command() - the same for the host's own calls */
int call_command(Broker *broker, const CallCommand *command, Call **ret_call);

/** call_cancel() - its origin is gone; it is not told anything */
void call_cancel(Call *call);

/**
 * call_kill() - end it
 *
 * One that runs is ended by its agent, which then reports its end; one that has not begun is refused at once, and gone.
 * Return: 0, CALL_KILL_E_AWAY, or a negative error.
 */
int call_kill(Call *call);

/**
 * call_on_answer() - told by its prompt: the person, or that there was none to be asked, has decided
 * @request:  what was asked for; its origin is not used
 *
 * The call has left the prompt afterwards, and may be gone. Return: 0 or a negative error.
 */
int call_on_answer(Call *call, const CallRequest *request, const ConfigDecision *decision);

/** call_on_sent() - told by the link: the agent has the message. Return: 0 or a negative error */
int call_on_sent(Call *call);

/** call_on_not_sent() - told by the link: the agent will not have it. Return: 0 or a negative error */
int call_on_not_sent(Call *call);

/** call_on_ended() - told by the link: CALL_ENDED */
void call_on_ended(Call *call, const CallEnded *ended);

/*
 * Its steps, for broker/calltable.h: what happens to a domain happens to its calls.
 */

/**
 * call_new() - enter a call into the table
 * @source:     NULL: it began under an earlier broker
 * @target:     NULL: not known yet
 * @asked_usec: when it was asked for
 *
 * *@ret_call is the table's. Return: 0 or a negative error.
 */
int call_new(Broker *broker, uint32_t id, Domain *source, Domain *target, const char *service, uint64_t asked_usec,
             Call **ret_call);
/** call_free() - forget it, and who waits for it; accepts NULL. Return: NULL */
Call *call_free(Call *call);
DEFINE_CLEANUP(Call *, call_free)
/** call_connect() - the target runs: tell its agent, then the origin. Return: 0 or a negative error */
int call_connect(Call *call);
/** call_refuse() - it will not run: tell the origin, record it, free it. Return: 0 or a negative error */
int call_refuse(Call *call, ReplyReason reason, const char *why);
/** call_end() - record how it ended (@reason may be NULL, @status -1: not known), tell who wanted it ended, free it */
void call_end(Call *call, const char *how, const char *reason, int status, uint64_t run_usec);
