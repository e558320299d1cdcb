/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/watch.h"
#include "prompt/front.h"
#include "prompt/notice.h"
#include "prompt/request.h"

extern char **environ;

Agent *agent_free(Agent *agent) {
        if (!agent)
                return NULL;
        agent->options.until_idle = false; /* there is nothing left to end */
        while (agent->requests)
                request_free(agent->requests);
        while (agent->fronts)
                front_free(agent->fronts);
        notifier_free(agent->notifier);
        sd_event_unref(agent->event);
        fd_close(agent->ask_fd);
        fd_close(agent->front_fd);
        free(agent);
        return NULL;
}

/* Whoever may become us anyway, and root. Return: the connection, or -1 */
static int agent_accept(int fd) {
        _cleanup_fd_ int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        struct ucred peer;

        if (connection < 0)
                return -1;
        if (socket_peer(connection, &peer) < 0 || (peer.uid != 0 && peer.uid != geteuid())) {
                log_warning("closed a connection of another account");
                return -1;
        }
        return fd_steal(&connection);
}

static int agent_on_ask(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Agent *agent = userdata;
        int connection = agent_accept(fd);

        if (connection < 0)
                return 0;
        if (agent->n_requests >= AGENT_REQUESTS_MAX) {
                log_warning("%d questions are open: closed one more", AGENT_REQUESTS_MAX);
                fd_close(connection);
                return 0;
        }
        return error_trace(request_new(agent, connection));
}

static int agent_on_front(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Agent *agent = userdata;
        int connection = agent_accept(fd);

        if (connection < 0)
                return 0;
        if (agent->n_fronts >= AGENT_FRONTS_MAX) {
                log_warning("%d front ends are attached: closed one more", AGENT_FRONTS_MAX);
                fd_close(connection);
                return 0;
        }
        return error_trace(front_new(agent, connection, false));
}

static int agent_listen(Agent *agent, int fd, sd_event_io_handler_t handler) {
        sd_event_source *source = NULL;
        int r;

        r = fd_set_nonblocking(fd, true) ?: watch_io(agent->event, fd, EPOLLIN, handler, agent, &source);
        if (r >= 0)
                r = sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
        return r < 0 ? error_origin(r) : 0;
}

static int agent_watch_signals(Agent *agent) {
        static const int signals[] = { SIGTERM, SIGINT };

        /* Window programs are nobody's children once they have ended. */
        if (signal(SIGCHLD, SIG_IGN) == SIG_ERR || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return error_origin(-errno);
        for (size_t i = 0; i < ARRAY_SIZE(signals); ++i) {
                int r = sd_event_add_signal(agent->event, NULL, signals[i] | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);

                if (r < 0)
                        return error_origin(r);
        }
        return 0;
}

int agent_new(const AgentOptions *options, int ask_fd, int front_fd, Agent **ret_agent) {
        _cleanup_(agent_freep) Agent *agent = calloc(1, sizeof(*agent));
        int r;

        if (!agent) {
                fd_close(ask_fd);
                fd_close(front_fd);
                return error_origin(-ENOMEM);
        }
        agent->options = *options;
        agent->ask_fd = ask_fd;
        agent->front_fd = front_fd;
        r = sd_event_new(&agent->event);
        if (r < 0)
                return error_origin(r);
        r = agent_watch_signals(agent);
        r = r ?: notifier_new(agent->event, &agent->notifier);
        r = r ?: agent_listen(agent, ask_fd, agent_on_ask);
        r = r ?: agent_listen(agent, front_fd, agent_on_front);
        if (r)
                return error_trace(r);
        *ret_agent = steal_ptr(&agent);
        return 0;
}

int agent_run(Agent *agent) {
        int r = sd_event_loop(agent->event);

        return r < 0 ? error_trace(r) : 0;
}

/*
 * The window program
 */

static bool agent_may_start_window(Agent *agent) {
        uint64_t now = clock_now(), *oldest = &agent->windows_usec[agent->n_windows % AGENT_WINDOWS_MAX];

        if (!agent->options.window || agent->has_window || agent->n_fronts >= AGENT_FRONTS_MAX)
                return false;
        if (agent->n_windows >= AGENT_WINDOWS_MAX && now - *oldest < AGENT_WINDOW_USEC)
                return false;
        *oldest = now;
        ++agent->n_windows;
        return true;
}

/* With its end of a socket pair as descriptor 3, and the signals as we found them. */
static int agent_spawn_window(const char *program, int fd, pid_t *ret_pid) {
        const char *const argv[] = { program, "--front-end-fd=3", NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, defaults;
        int r;

        sigemptyset(&none);
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGCHLD);
        sigaddset(&defaults, SIGPIPE);
        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return error_origin(-r);
        r = posix_spawnattr_init(&attributes);
        if (r != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return error_origin(-r);
        }
        r = posix_spawn_file_actions_adddup2(&actions, fd, 3);
        r = r ?: posix_spawnattr_setsigmask(&attributes, &none);
        r = r ?: posix_spawnattr_setsigdefault(&attributes, &defaults);
        r = r ?: posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        r = r ?: posix_spawn(ret_pid, program, &actions, &attributes, (char *const *)argv, environ);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return -r;
}

static int agent_start_window(Agent *agent) {
        _cleanup_fd_ int ours = -1, theirs = -1;
        int fds[2], r;
        pid_t pid;

        if (!agent_may_start_window(agent))
                return 0;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return error_origin(-errno);
        ours = fds[0];
        /* Descriptor 3 itself would keep its FD_CLOEXEC. */
        theirs = fcntl(fds[1], F_DUPFD_CLOEXEC, 4);
        fd_close(fds[1]);
        if (theirs < 0)
                return error_origin(-errno);
        r = agent_spawn_window(agent->options.window, theirs, &pid);
        if (r) {
                log_warning("%s cannot be started: %s: questions are for terminals alone", agent->options.window,
                            strerror(-r));
                return 0;
        }
        r = fd_set_nonblocking(ours, true);
        if (r)
                return error_origin(r);
        agent->has_window = true;
        return error_trace(front_new(agent, fd_steal(&ours), true));
}

/*
 * Questions
 */

int agent_show(Agent *agent, Request *request) {
        int r = 0;

        request_set_number(request, ++agent->n_ever);
        for (Front *front = agent->fronts, *next; front && !r; front = next) {
                next = front_next(front);
                r = front_show(front, request);
        }
        /* A new one is shown all that is open, this one too. */
        return r ? error_trace(r) : error_trace(agent_start_window(agent));
}

int agent_tell(Agent *agent, const Message *message) {
        int r = 0;

        for (Front *front = agent->fronts, *next; front && !r; front = next) {
                next = front_next(front);
                r = front_tell(front, message);
        }
        return error_trace(r);
}

int agent_count(Agent *agent, const char *name, uint32_t count) {
        AgentEarly *early;

        for (Request *request = agent->requests; request; request = request_next(request))
                if (request_is_called(request, name))
                        return error_trace(request_set_count(request, count));
        early = &agent->early[agent->n_early++ % AGENT_EARLY_MAX];
        snprintf(early->name, sizeof(early->name), "%s", name);
        early->count = count;
        return 0;
}

uint32_t agent_take_early(Agent *agent, const char *name) {
        uint32_t count = 1;

        /* The latest of several counts is the last in the ring. */
        for (size_t i = 0; i < AGENT_EARLY_MAX; ++i) {
                AgentEarly *early = &agent->early[(agent->n_early + i) % AGENT_EARLY_MAX];

                if (name[0] == '\0' || strcmp(early->name, name) != 0)
                        continue;
                count = early->count;
                *early = (AgentEarly){};
        }
        return count;
}

int agent_on_answer(Agent *agent, uint32_t number, const char *untrusted_answer) {
        for (Request *request = agent->requests; request; request = request_next(request)) {
                Answer answer;

                if (request_number(request) != number)
                        continue;
                if (answer_decode(untrusted_answer, strlen(untrusted_answer), &answer) ||
                    !question_offers(request_question(request), &answer)) {
                        log_warning("a front end sent an answer that was not offered: dropped");
                        return 0;
                }
                return error_trace(request_answer(request, untrusted_answer));
        }
        return 0;
}

int agent_on_request_gone(Agent *agent) {
        return agent->options.until_idle && agent->n_fronts == 0 && agent->n_requests == 0
                       ? error_origin(sd_event_exit(agent->event, 0))
                       : 0;
}

int agent_on_front_gone(Agent *agent, bool was_window) {
        int r;

        if (was_window)
                agent->has_window = false;
        if (was_window && agent->n_requests > 0) {
                r = agent_start_window(agent);
                if (r)
                        return error_trace(r);
        }
        if (agent->n_fronts > 0)
                return 0;
        /* It comes to nothing, and better now than when time is up. */
        if (was_window || agent->options.until_idle)
                while (agent->requests)
                        request_free(agent->requests);
        return agent->options.until_idle ? error_origin(sd_event_exit(agent->event, 0)) : 0;
}
