/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-policy-agent: asks the person who sits at a GUI domain (policy specification, section 7).
 *
 *   request   one connection of the agent's socket: policy.Ask, policy.AskCount, policy.Notify
 *   front     one front end: a window program that we started, a terminal that attached itself
 *   notice    a notification, over D-Bus
 *
 * A question is shown by all front ends; the first answer wins, the others are told. A front end that dies takes no
 * question with it: others still show it, and a window program is started again a few times.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "prompt/lines.h"
#include "prompt/message.h"
#include "prompt/question.h"

/** Connections that ask, at a time: each may be a window. */
#define AGENT_REQUESTS_MAX 256
/** Front ends at a time. */
#define AGENT_FRONTS_MAX 16
/** How long a request may take to arrive. */
#define AGENT_READ_USEC (UINT64_C(10) * 1000000)
/** Counts that came before the question that they are about. */
#define AGENT_EARLY_MAX 64
/** Window programs that are started in AGENT_WINDOW_USEC, for one that does not stay is no use. */
#define AGENT_WINDOWS_MAX 3
#define AGENT_WINDOW_USEC (UINT64_C(10) * 1000000)

typedef struct Agent Agent;
typedef struct Front Front;
typedef struct Notifier Notifier;
typedef struct Request Request;

typedef struct AgentOptions {
        const char *window; /* the window program; NULL: none can be shown */
        bool until_idle;    /* end with the last front end */
} AgentOptions;

typedef struct AgentEarly {
        char name[QUESTION_NAME_MAX + 1];
        uint32_t count;
} AgentEarly;

struct Agent {
        AgentOptions options;
        sd_event *event;
        int ask_fd, front_fd; /* listening; owned */
        Request *requests;
        size_t n_requests;
        Front *fronts;
        size_t n_fronts;
        Notifier *notifier;
        uint32_t n_ever; /* questions so far: their numbers */
        AgentEarly early[AGENT_EARLY_MAX];
        size_t n_early; /* so far; the oldest gives way */
        bool has_window;
        uint64_t windows_usec[AGENT_WINDOWS_MAX]; /* when the last ones were started */
        size_t n_windows;
};

/**
 * agent_new() - listen
 * @ask_fd:   the socket of policy.Ask; owned from here on, also on failure
 * @front_fd: the socket of front ends; likewise
 *
 * Return: 0 or a negative error.
 */
int agent_new(const AgentOptions *options, int ask_fd, int front_fd, Agent **ret_agent);

/** agent_free() - accepts NULL. Return: NULL */
Agent *agent_free(Agent *agent);
DEFINE_CLEANUP(Agent *, agent_free)

/** agent_run() - until SIGTERM, or idle. Return: 0 or a negative error */
int agent_run(Agent *agent);

/** agent_show() - a question is complete: to all front ends, and to a window if there can be one. Return: 0 or -errno */
int agent_show(Agent *agent, Request *request);

/** agent_tell() - something about a question, to all front ends. Return: 0 or a negative error */
int agent_tell(Agent *agent, const Message *message);

/** agent_count() - so many wait for the question called @name, which may be still to come. Return: 0 or -errno */
int agent_count(Agent *agent, const char *name, uint32_t count);

/** agent_take_early() - what agent_count() said of a question that has come now; 1: nothing */
uint32_t agent_take_early(Agent *agent, const char *name);

/** agent_on_answer() - some front end's; what was not offered, or comes too late, is dropped. Return: 0 or -errno */
int agent_on_answer(Agent *agent, uint32_t number, const char *untrusted_answer);

/** agent_on_front_gone() - told by a front end, which has left the list. Return: 0 or a negative error */
int agent_on_front_gone(Agent *agent, bool was_window);

/** agent_on_request_gone() - told by a request, which has left the list. Return: 0 or a negative error */
int agent_on_request_gone(Agent *agent);
