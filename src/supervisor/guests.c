/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/guests.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/complaint.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "base/watchdog.h"
#include "supervisor/rundir.h"

/* When descriptors run out, what waits to be accepted is left alone for so long. */
#define GUESTS_PAUSE_USEC (100 * USEC_PER_MSEC)
/* The smallest that there is, room for a few gifts: who does not take them has no connection of a guest's waiting. */
#define GUEST_SOCKET_BUFFER 1

struct Guests {
        sd_event *event;
        const char *run_dir;
        Guest *first;
        int control_fd; /* -1: nobody needs it, or it cannot be had */
        int control_error;
        sd_event_source *control_source;
        sd_event_source *pause_timer; /* runs while nothing is accepted */
        Watchdog *watchdog;           /* over the end of connections that a domain's account has made */
        Complaint complaint;
};

/* --- whose it is ------------------------------------------------------------------------------------------------ */

int guests_route(Guest *first, const VsockPeer *peer, Guest **ret_guest) {
        if (vsock_peer_purpose(peer) != VSOCK_PURPOSE_CONTROL)
                return GUESTS_E_PURPOSE;
        for (Guest *guest = first; guest; guest = guest->next) {
                if (guest->cid != peer->cid)
                        continue;
                if (guest->link_fd < 0)
                        return GUESTS_E_ABSENT;
                *ret_guest = guest;
                return 0;
        }
        return GUESTS_E_UNKNOWN;
}

/* --- waiting for whom there is no room --------------------------------------------------------------------------- */

static int guests_set_accepting(Guests *guests, bool accepting) {
        int enabled = accepting ? SD_EVENT_ON : SD_EVENT_OFF, r = 0;

        if (guests->control_source)
                r = sd_event_source_set_enabled(guests->control_source, enabled);
        for (Guest *guest = guests->first; guest && r >= 0; guest = guest->next)
                r = sd_event_source_set_enabled(guest->socket_source, enabled);
        return r < 0 ? error_origin(r) : 0;
}

static int guests_on_pause_end(sd_event_source *source, uint64_t usec, void *userdata) {
        Guests *guests = userdata;

        guests->pause_timer = sd_event_source_disable_unref(guests->pause_timer);
        return guests_set_accepting(guests, true);
}

static int guests_pause(Guests *guests, const char *why) {
        int r;

        if (guests->pause_timer)
                return 0;
        log_warning("connections of virtual machines wait: %s", why);
        r = sd_event_add_time_relative(guests->event, &guests->pause_timer, CLOCK_MONOTONIC, GUESTS_PAUSE_USEC, 0,
                                       guests_on_pause_end, guests);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(guests->pause_timer, true);
        return r < 0 ? error_origin(r) : guests_set_accepting(guests, false);
}

/* --- control connections ---------------------------------------------------------------------------------------- */

/* What waits there unread, descriptors of the account's choosing, is dropped with it. */
static int guests_close_fd(Guests *guests, int fd) {
        watchdog_arm(guests->watchdog);
        (void)fd_close(fd);
        if (watchdog_disarm(guests->watchdog))
                log_warning("a descriptor that was sent to us unasked was slow to close");
        return -1;
}

static void guest_drop_link(Guest *guest) {
        guest->link_source = sd_event_source_disable_unref(guest->link_source);
        guest->link_fd = guests_close_fd(guest->guests, guest->link_fd);
}

/* Return: 0, GUESTS_E_ABSENT, GUESTS_E_BUSY, or a negative error */
static int guest_give(Guest *guest, char gift, int fd) {
        int r;

        r = socket_send(guest->link_fd, &gift, 1, &fd, 1, NULL);
        switch (r) {
        case SOCKET_E_AGAIN:
        case SOCKET_E_LIMIT:
                return GUESTS_E_BUSY;
        case SOCKET_E_GONE:
                guest_drop_link(guest);
                return GUESTS_E_ABSENT;
        default:
                return error_fold(r);
        }
}

/* Anybody with a virtual machine can make us say this. */
static void guests_complain(Guests *guests, const VsockPeer *peer, const char *why) {
        unsigned n_unsaid;

        if (!complaint_is_due(&guests->complaint, clock_now(), &n_unsaid))
                return;
        if (n_unsaid > 0)
                log_notice("%u more connections over vsock were closed", n_unsaid);
        log_notice("closed a connection over vsock, from port %u of context id %u: %s", peer->port, peer->cid, why);
}

static int guests_on_control(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        _cleanup_fd_ int connection_fd = -1;
        Guests *guests = userdata;
        Guest *guest = NULL;
        VsockPeer peer;
        int r;

        r = vsock_accept(fd, &peer, &connection_fd);
        if (r == VSOCK_E_AGAIN)
                return 0;
        if (r)
                return guests_pause(guests, r < 0 ? strerror(-r) : "no descriptor is left");
        r = guests_route(guests->first, &peer, &guest);
        if (!r)
                r = guest_give(guest, VSOCK_GIFT_CONTROL, connection_fd);
        switch (r) {
        case 0:
                return 0;
        case GUESTS_E_PURPOSE:
                guests_complain(guests, &peer, "that is no port from which an agent dials");
                return 0;
        case GUESTS_E_UNKNOWN:
                guests_complain(guests, &peer, "no domain has this context id (link = vsock:CID)");
                return 0;
        case GUESTS_E_ABSENT:
                log_debug("context id %u dialled, and its domain is not started", peer.cid);
                return 0;
        case GUESTS_E_BUSY:
                guests_complain(guests, &peer, "the link of its domain does not take it");
                return 0;
        default:
                return error_fold(r);
        }
}

/* --- ports ------------------------------------------------------------------------------------------------------ */

/* Waits behind everything else: a guest can make as many of these events as it likes. */
static int guests_watch(Guests *guests, int fd, sd_event_io_handler_t handler, void *userdata,
                        sd_event_source **ret_source) {
        int r;

        r = sd_event_add_io(guests->event, ret_source, fd, EPOLLIN, handler, userdata);
        if (r >= 0)
                r = sd_event_source_set_priority(*ret_source, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(*ret_source, true);
        if (r >= 0 && guests->pause_timer)
                r = sd_event_source_set_enabled(*ret_source, SD_EVENT_OFF);
        return r < 0 ? error_origin(r) : 0;
}

static const char *guests_error_text(int error) {
        return error == EAFNOSUPPORT ? "this kernel has no vsock (modprobe vhost_vsock)" : strerror(error);
}

/* Return: 0 (also if it cannot be had: once said), or a negative error */
static int guests_listen(Guests *guests) {
        int error = 0, r;

        if (guests->control_fd >= 0)
                return 0;
        r = vsock_listen(VSOCK_PORT_CONTROL, &error, &guests->control_fd);
        if (r && error != guests->control_error)
                log_error("virtual machines cannot be domains: port %d of vsock cannot be listened at: %s",
                          VSOCK_PORT_CONTROL, guests_error_text(error));
        guests->control_error = r ? error : 0;
        return r ? 0 : guests_watch(guests, guests->control_fd, guests_on_control, guests, &guests->control_source);
}

static void guest_listen_data(Guest *guest) {
        int error = 0, r;
        uint32_t port;

        if (guest->data_fd >= 0)
                return;
        r = vsock_listen_data(&error, &guest->data_fd, &port);
        if (r && error != guest->data_error)
                log_error("domain %s cannot be reached: %s", guest->name.text,
                          r == VSOCK_E_TAKEN ? "no port of vsock below 512 is left for its data"
                                             : guests_error_text(error));
        else if (!r)
                log_info("domain %s: the data of context id %u comes to port %u of vsock", guest->name.text, guest->cid,
                         port);
        guest->data_error = r ? error : 0;
}

/* Return: 0 or a negative error; whether it has its ports, its fields tell */
static int guest_listen(Guest *guest) {
        int r = guests_listen(guest->guests);

        guest_listen_data(guest);
        return r;
}

/* --- the link's process ----------------------------------------------------------------------------------------- */

/* It has nothing to say; whatever it does, it ends. */
static int guest_on_link(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        guest_drop_link(userdata);
        return 0;
}

/* Takes the descriptor. */
static int guest_take_link(Guest *guest, int link_fd) {
        int size = GUEST_SOCKET_BUFFER, r;

        guest_drop_link(guest);
        guest->link_fd = link_fd;
        if (setsockopt(link_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
                return error_origin(-errno);
        r = guests_watch(guest->guests, link_fd, guest_on_link, guest, &guest->link_source);
        r = r ?: guest_give(guest, VSOCK_GIFT_DATA, guest->data_fd);
        if (r > 0)
                guest_drop_link(guest);
        return r < 0 ? r : 0;
}

/* Return: 0 or a negative error */
static int guest_check_link(Guest *guest, int link_fd, bool *ret_ok) {
        struct ucred peer;
        int r;

        r = socket_peer(link_fd, &peer);
        if (r)
                return r;
        if (peer.uid != guest->uid && peer.uid != 0) {
                log_notice("domain %s: account %u is not its own, and gets no connection of its", guest->name.text,
                           (unsigned)peer.uid);
                *ret_ok = false;
                return 0;
        }
        r = guest_listen(guest);
        /* It tries again, and then perhaps there are ports. */
        *ret_ok = guest->data_fd >= 0 && guest->guests->control_fd >= 0;
        return r;
}

static int guest_on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Guest *guest = userdata;
        bool ok = false;
        int link_fd, r;

        link_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (link_fd < 0)
                return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED
                               ? 0
                               : guests_pause(guest->guests, strerror(errno));
        r = guest_check_link(guest, link_fd, &ok);
        if (!r && ok)
                return guest_take_link(guest, link_fd);
        (void)guests_close_fd(guest->guests, link_fd);
        return r;
}

/* --- life ------------------------------------------------------------------------------------------------------- */

int guests_new(sd_event *event, const char *run_dir, Guests **ret_guests) {
        _cleanup_(guests_freep) Guests *guests = NULL;
        int r;

        guests = malloc(sizeof(*guests));
        if (!guests)
                return error_origin(-ENOMEM);
        *guests = (Guests){ .event = event, .run_dir = run_dir, .control_fd = -1 };
        r = watchdog_new(&guests->watchdog);
        if (r)
                return r;
        *ret_guests = steal_ptr(&guests);
        return 0;
}

static void guests_close(Guests *guests) {
        guests->control_source = sd_event_source_disable_unref(guests->control_source);
        guests->control_fd = fd_close(guests->control_fd);
        guests->control_error = 0;
}

Guests *guests_free(Guests *guests) {
        if (!guests)
                return NULL;
        guests_close(guests);
        sd_event_source_disable_unref(guests->pause_timer);
        watchdog_free(guests->watchdog);
        free(guests);
        return NULL;
}

int guest_new(Guests *guests, const PlanDomain *domain, Guest **ret_guest) {
        Guest *guest;
        int r;

        guest = malloc(sizeof(*guest));
        if (!guest)
                return error_origin(-ENOMEM);
        *guest = (Guest){
                .guests = guests,
                .name = domain->name,
                .cid = domain->cid,
                .uid = domain->uid,
                .data_fd = -1,
                .socket_fd = -1,
                .link_fd = -1,
                .next = guests->first,
        };
        guests->first = guest;
        r = rundir_bind_vsock(guests->run_dir, &domain->name, domain->uid, &guest->socket_fd);
        r = r ?: guests_watch(guests, guest->socket_fd, guest_on_socket, guest, &guest->socket_source);
        r = r ?: guest_listen(guest);
        if (r) {
                guest_free(guest);
                return r;
        }
        *ret_guest = guest;
        return 0;
}

Guest *guest_free(Guest *guest) {
        Guest **place;

        if (!guest)
                return NULL;
        place = &guest->guests->first;
        while (*place != guest)
                place = &(*place)->next;
        *place = guest->next;
        guest_drop_link(guest);
        sd_event_source_disable_unref(guest->socket_source);
        (void)guests_close_fd(guest->guests, guest->socket_fd);
        fd_close(guest->data_fd);
        if (!guest->guests->first)
                guests_close(guest->guests);
        free(guest);
        return NULL;
}
