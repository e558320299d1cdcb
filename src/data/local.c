/* SPDX-License-Identifier: Apache-2.0 */
#include "data/local.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"

int data_local_init(DataLocal *local, int write_fd, int read_fd, bool inherited, bool with_switch) {
        sigset_t usr1;

        *local = DATA_LOCAL_INIT;
        local->inherited = inherited;
        local->single = write_fd >= 0 && write_fd == read_fd;
        data_end_init(&local->write, write_fd, true, inherited && !local->single);
        if (local->single)
                local->read = local->write;
        else
                data_end_init(&local->read, read_fd, false, inherited);
        local->write_open = write_fd >= 0;
        local->read_open = read_fd >= 0;

        if (!with_switch || local->single || !local->read_open || local->write.kind != DATA_END_KIND_SOCKET)
                return 0;
        (void)sigemptyset(&usr1);
        (void)sigaddset(&usr1, SIGUSR1);
        local->switch_fd = signalfd(-1, &usr1, SFD_NONBLOCK | SFD_CLOEXEC);
        if (local->switch_fd < 0) {
                int r = -errno;

                data_local_deinit(local);
                return error_origin(r);
        }
        return 0;
}

void data_local_deinit(DataLocal *local) {
        data_local_close_write(local);
        data_local_close_read(local);
        if (!local->single)
                data_end_deinit(&local->read);
        data_end_deinit(&local->write);
        local->read = DATA_END_NONE;
        local->switch_fd = fd_close(local->switch_fd);
}

/* A socket that both directions share, or that a program may still switch to, must stay open. */
static void data_local_close(DataLocal *local, DataEnd *end, int how) {
        if (end->kind == DATA_END_KIND_SOCKET && (local->single || !local->inherited))
                (void)shutdown(end->fd, how); /* ENOTCONN: the other end was faster */
        else if (!local->single)
                data_end_deinit(end);
}

void data_local_close_write(DataLocal *local) {
        if (!local->write_open)
                return;
        local->write_open = false;
        data_local_close(local, &local->write, SHUT_WR);
}

void data_local_close_read(DataLocal *local) {
        if (!local->read_open)
                return;
        local->read_open = false;
        data_local_close(local, &local->read, SHUT_RD);
}

int data_local_write(DataLocal *local, const void *data, size_t n, size_t *ret_n) {
        return data_end_write(&local->write, data, n, ret_n);
}

int data_local_on_switch(DataLocal *local) {
        struct signalfd_siginfo info;
        ssize_t n;

        if (local->switch_fd < 0)
                return 0;
        do
                n = read(local->switch_fd, &info, sizeof(info));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? 0 : error_origin(-errno);
        /* Honoured once; after the end-of-file of its output there is nothing that could go on. */
        local->switch_fd = fd_close(local->switch_fd);
        local->switching = local->read_open;
        return 0;
}

static void data_local_switch(DataLocal *local) {
        (void)shutdown(local->read.fd, SHUT_RD);
        data_end_deinit(&local->read);
        local->read = local->write;
        local->single = true;
        local->switching = false;
}

int data_local_read(DataLocal *local, void *data, size_t n_max, size_t *ret_n) {
        int r;

        if (local->switching && !data_end_is_readable(&local->read)) {
                data_local_switch(local);
                return DATA_END_E_AGAIN;
        }
        r = data_end_read(&local->read, data, n_max, ret_n);
        if (r == 0 || r == DATA_END_E_AGAIN)
                return r;
        /*
         * A program asks first and closes its stdout then. Both may have happened between two looks of ours, in the
         * order in which poll() looks at descriptors: so look again, or its end-of-file would be taken for the end.
         */
        if (data_local_on_switch(local) < 0)
                return DATA_END_E_FAILED;
        if (local->switching) {
                data_local_switch(local);
                return DATA_END_E_AGAIN;
        }
        return r;
}
