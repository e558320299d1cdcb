/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host for fuzz targets that run the broker itself: its configuration in a folder, the sockets of four domains, and the
 * supervisor's end of its socket pair. One thread: host_turn() lets the broker work until it has nothing left to do.
 *
 * Every domain may call my.Echo and my.Ask in every other; of the latter, whoever sits at `c` is asked. Brokers may come and go:
 * sockets, records and the book of open calls stay.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "broker/broker.h"
#include "wire/supervise.h"

/** dom0, a, b, c */
#define HOST_DOMAINS_N 4
#define HOST_DOM0      0

typedef enum HostSocket {
        HOST_SOCKET_TRIGGER,
        HOST_SOCKET_LINK,
        HOST_SOCKET_DAEMON,
        _HOST_SOCKET_N,
} HostSocket;

typedef struct HostDomain {
        DomainName name;
        bool is_there; /* the broker has been told of it, and not yet that it is gone */
        int fds[_HOST_SOCKET_N];
        struct sockaddr_un addresses[_HOST_SOCKET_N];
        socklen_t n_addresses[_HOST_SOCKET_N];
} HostDomain;

typedef struct Host {
        Broker *broker;
        int supervisor_fd;
        int book_fd, records_fd;
        uint32_t next_ids; /* the block that is given next */
        HostDomain domains[HOST_DOMAINS_N];
} Host;

/** A record of the audit, as far as it matters here. */
typedef struct HostRecord {
        enum { HOST_RECORD_START, HOST_RECORD_END, HOST_RECORD_REFUSED } event;
        uint32_t call_id; /* 0: the request never got one */
        int target;       /* a domain's number, or -1: none that is here */
        const char *how;  /* END: how it ended; else "" */
        int status;       /* END: of its service; -1: not known */
} HostRecord;

/** host_prepare() - read the configuration, if that was not done already */
void host_prepare(void);
/** host_init() - sockets, an empty book, no records; no broker yet */
void host_init(Host *host);
void host_deinit(Host *host);

/** host_start() - a new broker, which is told of all domains */
void host_start(Host *host);
/** host_stop() - it ends as it does when its supervisor tells it to; whoever waits for an answer must have hung up just now */
void host_stop(Host *host);

/** host_end() - all domains are removed, and the broker ends: checks that it has nothing left, nor the book an entry */
void host_end(Host *host);

/** host_turn() - until the broker has nothing to do; checks that it goes on */
void host_turn(Host *host);

/** host_tell() - a message of the supervisor about a domain; FOLDER brings its sockets */
void host_tell(Host *host, SuperviseType type, unsigned domain, uint32_t number);

/** host_connect() - Return: a descriptor, or -1: nobody listens */
int host_connect(const Host *host, unsigned domain, HostSocket socket);

/** host_domain() - as the broker has it, or NULL */
Domain *host_domain(const Host *host, unsigned domain);

/** host_read_records() - all of them, in order; nothing may follow but host_deinit() */
void host_read_records(const Host *host, void (*on_record)(void *userdata, const HostRecord *record), void *userdata);
