/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains that are virtual machines of this host (`link = vsock:CID`), as far as it takes root: ports of vsock below 1024 are
 * root's, in the guest and here (doc/protocol.md, 5.5).
 *
 *   guest -- port 512 ---------------> here; handed to the process of its domain's link, if there is one
 *   guest -- its data listener ------> that process: the listener is ours, and it has a copy
 *
 * That process, a qrexec-daemon of the domain's account, connects to RUN/domains/NAME/vsock and is given VSOCK_GIFT_… (vchan/vsock.h).
 * The newest replaces an older one. The listener for data is kept as long as the domain is configured, whatever comes and goes.
 *
 * Who a guest is, the kernel says; nothing is read here, from a guest or from a link's process. Both can connect as often as they like:
 * one is accepted at a time, and only while there is nothing else to do.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/cleanup.h"
#include "base/name.h"
#include "supervisor/plan.h"
#include "vchan/vsock.h"

enum {
        _GUESTS_E_SUCCESS,
        GUESTS_E_PURPOSE, /* not from a port for control, which is root's in the guest; or from no guest */
        GUESTS_E_UNKNOWN, /* no domain is this guest */
        GUESTS_E_ABSENT,  /* it is that of a domain whose link nobody serves at the moment */
        GUESTS_E_BUSY,    /* or does not take what it is given */
};

typedef struct Guests Guests;

typedef struct Guest {
        Guests *guests;
        DomainName name;
        uint32_t cid;
        uid_t uid;
        int data_fd; /* the listener for data; -1: there could be none so far */
        int data_error;
        int socket_fd; /* RUN/domains/NAME/vsock */
        sd_event_source *socket_source;
        int link_fd; /* the link's process; -1: it is not there */
        sd_event_source *link_source;
        struct Guest *next;
} Guest;

/**
 * guests_new() - none yet, and no port is taken
 * @run_dir: borrowed
 *
 * Return: 0 or a negative error.
 */
int guests_new(sd_event *event, const char *run_dir, Guests **ret_guests);

/** guests_free() - after all of its guests; accepts NULL. Return: NULL */
Guests *guests_free(Guests *guests);
DEFINE_CLEANUP(Guests *, guests_free)

/**
 * guest_new() - a domain with a context id
 *
 * Where the kernel has no vsock, or another program the port, that is explained in the log, and tried again whenever the
 * link's process asks. Return: 0 or a negative error, explained in the log.
 */
int guest_new(Guests *guests, const PlanDomain *domain, Guest **ret_guest);

/** guest_free() - gives its ports back; what the link's process has stays that one's. Accepts NULL. Return: NULL */
Guest *guest_free(Guest *guest);

/**
 * guests_route() - whose control connection this is; pure
 * @first: all guests
 *
 * Return: 0, GUESTS_E_PURPOSE, GUESTS_E_UNKNOWN or GUESTS_E_ABSENT.
 */
int guests_route(Guest *first, const VsockPeer *peer, Guest **ret_guest);
