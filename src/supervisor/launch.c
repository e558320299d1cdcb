/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/launch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/words.h"

/* The request comes with the connection; who does not send it has died. */
#define LAUNCH_REQUEST_SEC 10

static const char *const launch_words[_LAUNCH_KIND_N] = {
        [LAUNCH_KIND_AGENT] = "agent",
        [LAUNCH_KIND_START] = "start",
        [LAUNCH_KIND_STOP] = "stop",
};

size_t launch_format(LaunchKind kind, const DomainName *domain, char ret_text[static LAUNCH_REQUEST_MAX + 1]) {
        return (size_t)snprintf(ret_text, LAUNCH_REQUEST_MAX + 1, "%s %s", launch_words[kind], domain->text);
}

int launch_parse(const char *text, size_t n, LaunchKind *ret_kind, DomainName *ret_domain) {
        for (LaunchKind kind = 0; kind < _LAUNCH_KIND_N; ++kind) {
                size_t n_word = strlen(launch_words[kind]);

                if (n <= n_word || memcmp(text, launch_words[kind], n_word) != 0 || text[n_word] != ' ')
                        continue;
                if (domain_name_parse(text + n_word + 1, n - n_word - 1, ret_domain))
                        return LAUNCH_E_MALFORMED;
                *ret_kind = kind;
                return 0;
        }
        return LAUNCH_E_MALFORMED;
}

int launch_request(const char *path, LaunchKind kind, const DomainName *domain, int *ret_fd) {
        char request[LAUNCH_REQUEST_MAX + 1];
        size_t n = launch_format(kind, domain, request);
        _cleanup_fd_ int fd = -1;
        int r;

        r = socket_connect(path, SOCK_SEQPACKET | SOCK_NONBLOCK, &fd);
        if (r) {
                log_error("%s: %s: is qair-domain.socket up?", path, r < 0 ? strerror(-r) : "too long");
                return LAUNCH_E_FAILED;
        }
        r = socket_send(fd, request, n, NULL, 0, NULL);
        if (r) {
                log_error("%s: the request was not taken", path);
                return r < 0 ? error_trace(r) : LAUNCH_E_FAILED;
        }
        *ret_fd = fd_steal(&fd);
        return 0;
}

int launch_receive(int fd, int *ret_pidfd, uint32_t *ret_status) {
        _cleanup_fd_ int pidfd = -1;
        uint8_t data[LAUNCH_STATUS_SIZE];
        size_t n, n_fds = 0;
        int r;

        r = socket_receive(fd, data, sizeof(data), &n, &pidfd, 1, &n_fds);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
                return LAUNCH_E_AGAIN;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
        case SOCKET_E_TRUNCATED:
                *ret_status = LAUNCH_STATUS_FAILED;
                return LAUNCH_E_ENDED;
        default:
                return error_fold(r);
        }
        if (n_fds == 1) {
                *ret_pidfd = fd_steal(&pidfd);
                return 0;
        }
        if (n == sizeof(*ret_status))
                memcpy(ret_status, data, sizeof(*ret_status));
        else
                *ret_status = LAUNCH_STATUS_FAILED;
        return LAUNCH_E_ENDED;
}

/* Return: 0, or what it is (logged) */
static int launch_receive_request(int fd, LaunchKind *ret_kind, DomainName *ret_domain) {
        struct timeval limit = { .tv_sec = LAUNCH_REQUEST_SEC };
        char request[LAUNCH_REQUEST_MAX + 1];
        struct ucred peer;
        size_t n;
        int r;

        r = socket_peer(fd, &peer);
        if (r)
                return error_trace(r);
        if (peer.uid != geteuid()) {
                log_error("account %u asks for a domain to be started, and may not", (unsigned)peer.uid);
                return LAUNCH_E_FAILED;
        }
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
                return error_origin(-errno);
        r = socket_receive_wait(fd, request, sizeof(request), &n, NULL, 0, NULL);
        if (r || launch_parse(request, n, ret_kind, ret_domain)) {
                log_error("there is no request for the start of a domain, or none that makes sense");
                return LAUNCH_E_FAILED;
        }
        return 0;
}

static const PlanDomain *launch_find(const Plan *plan, LaunchKind kind, const DomainName *name) {
        const PlanDomain *domain = plan_find(plan, name);
        bool has_it = false;

        switch (kind) {
        case LAUNCH_KIND_AGENT:
                has_it = domain && domain->has_agent;
                break;
        case LAUNCH_KIND_START:
                has_it = domain && domain->start;
                break;
        case LAUNCH_KIND_STOP:
                has_it = domain && domain->stop;
                break;
        case _LAUNCH_KIND_N:
                break;
        }
        if (!has_it)
                log_error("domain %s: the inventory has no %s for it any more", name->text,
                          kind == LAUNCH_KIND_AGENT ? "agent" : "such command");
        return has_it ? domain : NULL;
}

int launch_serve(const SpawnPaths *paths, int fd) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(plan_freep) Plan *plan = NULL;
        _cleanup_free_ char **words = NULL;
        _cleanup_fd_ int pidfd = -1;
        const PlanDomain *domain;
        DomainName name;
        LaunchKind kind;

        if (launch_receive_request(fd, &kind, &name))
                return LAUNCH_STATUS_FAILED;
        if (plan_load(paths->where, &diagnostics, &plan)) {
                diagnostics_log(&diagnostics);
                return LAUNCH_STATUS_FAILED;
        }
        domain = launch_find(plan, kind, &name);
        if (!domain)
                return LAUNCH_STATUS_FAILED;
        if (kind != LAUNCH_KIND_AGENT &&
            words_split(kind == LAUNCH_KIND_START ? domain->start : domain->stop, &words) != 0)
                return LAUNCH_STATUS_FAILED;

        /* Whoever wants it no longer is not there to take this. */
        pidfd = pidfd_open(getpid(), 0);
        if (pidfd < 0 || socket_send(fd, "R", 1, &pidfd, 1, NULL)) {
                log_notice("domain %s: nobody waits for its start any more", name.text);
                return LAUNCH_STATUS_FAILED;
        }
        if (words)
                spawn_become_commands_monitor(paths, domain, words, fd);
        else
                spawn_become_agents_monitor(paths, domain, fd);
}
