/* SPDX-License-Identifier: Apache-2.0 */
#include "client/connect.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "client/host.h"
#include "client/hostservice.h"
#include "vchan/peer.h"
#include "wire/header.h"

/* A domain's id, and its port, as the words of a command. */
#define CONNECT_NUMBER_MAX 16

static int connect_peer(const HostOptions *options, const char *name, int *ret_fd) {
        int r = peer_connect_daemon(options->socket_dir, name, ret_fd);

        if (r == PEER_E_ABSENT)
                log_error("%s/qrexec.%s: nobody is there: no such domain, or it is not running",
                          ESCAPED(options->socket_dir, strlen(options->socket_dir)), ESCAPED(name, strlen(name)));
        return r;
}

/* Tell the caller's daemon that the request is allowed. @ret_port: where the host dials it; NULL: @params say */
static int connect_caller(const HostOptions *options, const ExecParams *params, uint32_t *ret_port) {
        _cleanup_fd_ int fd = -1;
        char id[CONNECT_NUMBER_MAX];
        ExecParams answer;
        int r;

        (void)snprintf(id, sizeof(id), "%u", options->caller.domain);
        r = connect_peer(options, id, &fd);
        if (!r)
                r = peer_command(fd, WIRE_TYPE_SERVICE_CONNECT, params, options->caller.ident, IDENT_SIZE,
                                 ret_port ? &answer : NULL);
        if (!r && ret_port)
                *ret_port = answer.connect_port;
        return r;
}

int connect_domain(const HostOptions *options) {
        _cleanup_fd_ int fd = -1;
        ExecParams params;
        int r;

        r = connect_peer(options, options->target, &fd);
        if (!r)
                r = peer_command(fd, WIRE_TYPE_EXEC_CMDLINE, &(ExecParams){ .connect_domain = options->caller.domain },
                                 options->command, strlen(options->command) + 1, &params);
        if (!r)
                r = connect_caller(options, &params, NULL);
        if (r)
                return CONNECT_STATUS_FAILED;
        /* The target's daemon closes at the end of the call. */
        if (options->wait_for_end)
                peer_wait(fd);
        return 0;
}

int connect_host(const HostOptions *options) {
        char id[CONNECT_NUMBER_MAX], port_text[CONNECT_NUMBER_MAX], wait[32];
        const char *argv[HOST_SERVICE_WORDS_MAX] = { wait, "--shell" };
        uint32_t port;
        size_t n = 2;

        if (connect_caller(options, &(ExecParams){ 0 }, &port))
                return HOST_STATUS_FAILED;
        (void)snprintf(wait, sizeof(wait), "--wait=%u", options->wait_seconds);
        (void)snprintf(id, sizeof(id), "%u", options->caller.domain);
        (void)snprintf(port_text, sizeof(port_text), "%u", port);
        if (!options->ignore_status)
                argv[n++] = "--status";
        argv[n++] = id;
        argv[n++] = port_text;
        argv[n] = options->command;
        return host_service_become(options, argv);
}
