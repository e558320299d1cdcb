/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/deputy.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

struct Deputy {
        int pidfd; /* owned */
        Deputy *next;
};

int deputies_init(Deputies *deputies, const DaemonSettings *settings) {
        *deputies = (Deputies){ .settings = settings };
        deputies->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        return deputies->epoll_fd < 0 ? error_origin(-errno) : 0;
}

static void deputies_remove(Deputies *deputies, Deputy *deputy) {
        Deputy **place = &deputies->first;

        while (*place != deputy)
                place = &(*place)->next;
        *place = deputy->next;
        if (deputies->live == deputy)
                deputies->live = NULL;
        fd_close(deputy->pidfd);
        free(deputy);
}

void deputies_deinit(Deputies *deputies) {
        deputies_dismiss(deputies);
        while (deputies->first)
                deputies_remove(deputies, deputies->first);
        deputies->epoll_fd = fd_close(deputies->epoll_fd);
}

/*
 * In the forked process; does not return. Its calls' programs find the daemon's sockets by the environment, and by VCHAN_DOMAIN whether
 * they are dialled or given a connection.
 */
__attribute__((noreturn)) static void deputy_become(const DaemonSettings *settings, pid_t parent) {
        const Brokered *brokered = settings->brokered;
        char domain[64], link[256], guest[32], stop_timeout[48];
        const char *argv[8] = { "qrexec-agent", domain, link, guest };
        sigset_t none;
        size_t n = 4;

        (void)snprintf(domain, sizeof(domain), "--domain=%s", settings->name);
        (void)snprintf(link, sizeof(link), "--link=%s", brokered->link);
        (void)snprintf(guest, sizeof(guest), "--guest=%u", settings->domain);
        if (brokered->shell)
                argv[n++] = "--shell";
        if (brokered->stop_timeout) {
                (void)snprintf(stop_timeout, sizeof(stop_timeout), "--stop-timeout=%s", brokered->stop_timeout);
                argv[n++] = stop_timeout;
        }
        sigemptyset(&none);
        /* It must not stay when we are gone, for whatever reason; and we may be gone already. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != parent ||
            (settings->vsock ? unsetenv("VCHAN_DOMAIN") : setenv("VCHAN_DOMAIN", "0", 1)) < 0 ||
            setenv("VCHAN_SOCKET_DIR", settings->place.directory, 1) < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                _exit(1);
        (void)signal(SIGPIPE, SIG_DFL);
        (void)execv(brokered->agent, (char *const *)argv);
        log_error("cannot run %s: %s", brokered->agent, strerror(errno));
        _exit(1);
}

int deputies_start(Deputies *deputies) {
        pid_t pid, parent = getpid();
        struct epoll_event event = { .events = EPOLLIN };
        Deputy *deputy;
        int error;

        deputy = malloc(sizeof(*deputy));
        if (!deputy)
                return DEPUTIES_E_FAILED;
        *deputy = (Deputy){ .pidfd = -1, .next = deputies->first };
        event.data.ptr = deputy;
        pid = fork();
        if (pid == 0)
                deputy_become(deputies->settings, parent);
        if (pid > 0)
                deputy->pidfd = pidfd_open(pid, 0);
        if (pid > 0 && deputy->pidfd >= 0 && epoll_ctl(deputies->epoll_fd, EPOLL_CTL_ADD, deputy->pidfd, &event) == 0) {
                deputies->first = deputies->live = deputy;
                return 0;
        }
        error = errno;
        log_error("cannot start the domain's agent at the broker: %s", strerror(error));
        fd_close(deputy->pidfd);
        free(deputy);
        return DEPUTIES_E_FAILED;
}

void deputies_dismiss(Deputies *deputies) {
        if (deputies->live)
                (void)pidfd_send_signal(deputies->live->pidfd, SIGTERM, NULL, 0);
        deputies->live = NULL;
}

int deputies_on_event(Deputies *deputies) {
        struct epoll_event event;
        siginfo_t info = {};
        bool was_live;
        Deputy *deputy;
        int n, r;

        n = epoll_wait(deputies->epoll_fd, &event, 1, 0);
        if (n < 0 && errno != EINTR)
                return error_origin(-errno);
        if (n <= 0)
                return 0;
        deputy = event.data.ptr;
        do
                r = waitid(P_PIDFD, (id_t)deputy->pidfd, &info, WEXITED | WNOHANG);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return error_origin(-errno);
        if (info.si_pid == 0)
                return 0;
        was_live = deputies->live == deputy;
        if (epoll_ctl(deputies->epoll_fd, EPOLL_CTL_DEL, deputy->pidfd, NULL) < 0)
                return error_origin(-errno);
        deputies_remove(deputies, deputy);
        if (!was_live)
                return 0;
        log_error("the domain's agent at the broker ended by itself (status %d)", info.si_status);
        return DEPUTIES_E_LOST;
}
