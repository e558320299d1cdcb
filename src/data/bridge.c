/* SPDX-License-Identifier: Apache-2.0 */
#include "data/bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "data/child.h"
#include "data/relay.h"
#include "data/status.h"

typedef enum BridgeState {
        BRIDGE_STATE_RUNNING,   /* caller or service owe data, their ends, an exit */
        BRIDGE_STATE_FINISHING, /* the caller owes room for the exit code */
        BRIDGE_STATE_ORPHANED,  /* the service owes its exit; the caller is gone */
        BRIDGE_STATE_DONE,
} BridgeState;

typedef enum BridgeSource {
        BRIDGE_SOURCE_STATUS,
        BRIDGE_SOURCE_ERR,
        BRIDGE_SOURCE_CHILD,
        BRIDGE_SOURCE_SWITCH,
        BRIDGE_SOURCE_WATCH,
        BRIDGE_SOURCE_IN, /* a relay has two */
        BRIDGE_SOURCE_OUT = BRIDGE_SOURCE_IN + 2,
        _BRIDGE_SOURCE_N = BRIDGE_SOURCE_OUT + 2,
} BridgeSource;

typedef struct Bridge {
        const DataCallee *options;
        BridgeState state;
        DataStatus status;
        DataRelay in, out; /* the caller's pipe to the service, and back */
        bool in_closed;
        DataEnd err;
        bool err_waits; /* for room in the status stream */
        int child_pidfd;
        int child_status;
        CallHow child_how;
        bool told;

        /* SIGUSR1: the program's stdin, for both directions; -1: has none, or has asked already */
        int switch_fd, single_fd;
        bool switching;

        struct pollfd sources[_BRIDGE_SOURCE_N];
} Bridge;

static void bridge_deinit(Bridge *bridge) {
        data_relay_close(&bridge->in);
        data_relay_close(&bridge->out);
        data_end_deinit(&bridge->err);
        data_status_deinit(&bridge->status);
        bridge->child_pidfd = fd_close(bridge->child_pidfd);
        bridge->switch_fd = fd_close(bridge->switch_fd);
        bridge->single_fd = fd_close(bridge->single_fd);
}

/* The caller is gone: the service loses its ends and is waited for (5.8). */
static void bridge_orphan(Bridge *bridge) {
        data_relay_close(&bridge->in);
        data_relay_close(&bridge->out);
        data_end_deinit(&bridge->err);
        data_status_deinit(&bridge->status);
        bridge->single_fd = fd_close(bridge->single_fd);
        bridge->state = BRIDGE_STATE_ORPHANED;
}

static void bridge_close_in(Bridge *bridge) {
        if (bridge->in_closed)
                return;
        bridge->in_closed = true;
        data_relay_close_to(&bridge->in);
}

static int bridge_on_child(Bridge *bridge) {
        int r;

        r = data_child_wait(bridge->child_pidfd, &bridge->child_status, &bridge->child_how);
        if (r)
                return error_trace(r);
        bridge->child_pidfd = fd_close(bridge->child_pidfd);
        if (bridge->state == BRIDGE_STATE_RUNNING)
                bridge_close_in(bridge);
        return 0;
}

static int bridge_on_err(Bridge *bridge) {
        uint8_t data[DATA_STATUS_CHUNK_MAX];
        size_t n;
        int r;

        if (!data_status_has_room(&bridge->status)) {
                bridge->err_waits = true;
                return 0;
        }
        r = data_end_read(&bridge->err, data, sizeof(data), &n);
        if (r == DATA_END_E_AGAIN)
                return 0;
        if (r) {
                data_end_deinit(&bridge->err);
                return 0;
        }
        if (bridge->options->on_stderr)
                bridge->options->on_stderr(bridge->options->userdata, data, n);
        r = data_status_stderr(&bridge->status, data, n);
        return r > 0 ? 0 : error_trace(r);
}

/* 5.7: what the program wrote to its stdout before it asked is still delivered. */
static int bridge_check_switch(Bridge *bridge) {
        struct signalfd_siginfo info;

        if (bridge->switch_fd >= 0 && read(bridge->switch_fd, &info, sizeof(info)) == sizeof(info)) {
                /* Honoured once; after the end of its output there is nothing that could go on. */
                bridge->switch_fd = fd_close(bridge->switch_fd);
                bridge->switching = data_relay_is_open(&bridge->out);
        }
        if (bridge->switching && bridge->out.pending.n == 0 &&
            (bridge->out.ended || !data_end_is_readable(&bridge->out.from))) {
                data_relay_switch(&bridge->out, fd_steal(&bridge->single_fd));
                bridge->switching = false;
        }
        return 0;
}

static int bridge_run_relays(Bridge *bridge) {
        int r;

        r = data_relay_run(&bridge->in, bridge->sources + BRIDGE_SOURCE_IN);
        if (!r)
                r = data_relay_run(&bridge->out, bridge->sources + BRIDGE_SOURCE_OUT);
        /* After the end of its output was seen: it may have asked for the switch first, and closed stdout then. */
        if (!r)
                r = bridge_check_switch(bridge);
        if (r)
                return error_trace(r);
        if (bridge->in.to.fd < 0)
                bridge_close_in(bridge);
        if (bridge->out.from.fd < 0 || bridge->out.ended)
                data_relay_close(&bridge->out);
        return 0;
}

/* 5.3 rule 2 */
static int bridge_check_finished(Bridge *bridge) {
        int r;

        switch (bridge->state) {
        case BRIDGE_STATE_RUNNING:
                if (!bridge->in_closed || data_relay_is_open(&bridge->out) || bridge->err.fd >= 0 ||
                    bridge->child_pidfd >= 0)
                        return 0;
                bridge->state = BRIDGE_STATE_FINISHING;
                __attribute__((__fallthrough__));
        case BRIDGE_STATE_FINISHING:
                r = data_status_exit(&bridge->status, bridge->child_status);
                if (r < 0)
                        return error_trace(r);
                bridge->told = r == 0;
                if (r != DATA_STATUS_E_AGAIN)
                        bridge->state = BRIDGE_STATE_DONE;
                return 0;
        case BRIDGE_STATE_ORPHANED:
                if (bridge->child_pidfd < 0)
                        bridge->state = BRIDGE_STATE_DONE;
                return 0;
        case BRIDGE_STATE_DONE:
                return 0;
        }
        return 0;
}

static int bridge_wait(Bridge *bridge) {
        struct pollfd *sources = bridge->sources;

        for (size_t i = 0; i < _BRIDGE_SOURCE_N; ++i)
                sources[i] = (struct pollfd){ .fd = -1, .events = POLLIN };
        sources[BRIDGE_SOURCE_CHILD].fd = bridge->child_pidfd;
        sources[BRIDGE_SOURCE_WATCH].fd = bridge->options->watch_fd;
        sources[BRIDGE_SOURCE_STATUS] = (struct pollfd){ .fd = bridge->status.fd };
        if (bridge->state == BRIDGE_STATE_FINISHING || bridge->err_waits)
                sources[BRIDGE_SOURCE_STATUS].events = POLLOUT;
        if (bridge->state == BRIDGE_STATE_RUNNING) {
                sources[BRIDGE_SOURCE_SWITCH].fd = bridge->switch_fd;
                if (!bridge->err_waits)
                        sources[BRIDGE_SOURCE_ERR].fd = bridge->err.fd;
                data_relay_want(&bridge->in, sources + BRIDGE_SOURCE_IN);
                data_relay_want(&bridge->out, sources + BRIDGE_SOURCE_OUT);
        }
        if (poll(sources, _BRIDGE_SOURCE_N, -1) < 0 && errno != EINTR)
                return error_origin(-errno);
        return 0;
}

static int bridge_dispatch(Bridge *bridge) {
        int r = 0;

        if (bridge->sources[BRIDGE_SOURCE_WATCH].revents)
                bridge->options->on_watch(bridge->options->userdata);
        if (bridge->sources[BRIDGE_SOURCE_CHILD].revents)
                r = bridge_on_child(bridge);
        if (!r && bridge->sources[BRIDGE_SOURCE_STATUS].revents & (POLLHUP | POLLERR))
                bridge_orphan(bridge);
        if (bridge->sources[BRIDGE_SOURCE_STATUS].revents & POLLOUT)
                bridge->err_waits = false;
        if (!r && bridge->state == BRIDGE_STATE_RUNNING && bridge->sources[BRIDGE_SOURCE_ERR].revents)
                r = bridge_on_err(bridge);
        if (!r && bridge->state == BRIDGE_STATE_RUNNING)
                r = bridge_run_relays(bridge);
        return r ? error_trace(r) : error_trace(bridge_check_finished(bridge));
}

static int bridge_open_switch(Bridge *bridge, int in_fd) {
        sigset_t usr1;

        bridge->single_fd = fcntl(in_fd, F_DUPFD_CLOEXEC, 3);
        if (bridge->single_fd < 0)
                return error_origin(-errno);
        (void)sigemptyset(&usr1);
        (void)sigaddset(&usr1, SIGUSR1);
        bridge->switch_fd = signalfd(-1, &usr1, SFD_NONBLOCK | SFD_CLOEXEC);
        return bridge->switch_fd < 0 ? error_origin(-errno) : 0;
}

static int bridge_init(Bridge *bridge, DataCallee *options, int stdin_fd, int stdout_fd) {
        int in_fd = fd_steal(&options->in_fd), out_fd = fd_steal(&options->out_fd), r;

        bridge->child_pidfd = fd_steal(&options->child_pidfd);
        bridge->status.fd = fd_steal(&options->stream_fd);
        if (options->err_fd >= 0)
                data_end_init_own(&bridge->err, fd_steal(&options->err_fd));
        r = bridge_open_switch(bridge, in_fd);
        bridge->in.drain = bridge->out.drain = bridge->out.lingers = true;
        data_relay_init(&bridge->in, stdin_fd, DATA_RELAY_KIND_OURS, in_fd, DATA_RELAY_KIND_OURS);
        data_relay_init(&bridge->out, out_fd, DATA_RELAY_KIND_OURS, stdout_fd, DATA_RELAY_KIND_OURS);
        return r;
}

int data_bridge_run(DataCallee *options, int stdin_fd, int stdout_fd, DataOutcome *ret_outcome) {
        Bridge bridge = {
                .options = options,
                .status = DATA_STATUS_INIT,
                .in = DATA_RELAY_INIT,
                .out = DATA_RELAY_INIT,
                .err = DATA_END_NONE,
                .child_pidfd = -1,
                .switch_fd = -1,
                .single_fd = -1,
        };
        int r;

        r = bridge_init(&bridge, options, stdin_fd, stdout_fd);
        while (!r && bridge.state != BRIDGE_STATE_DONE) {
                r = bridge_wait(&bridge);
                if (!r)
                        r = bridge_dispatch(&bridge);
        }
        if (!r)
                *ret_outcome = (DataOutcome){
                        .status = bridge.child_status,
                        .how = bridge.told ? bridge.child_how : CALL_HOW_ABANDONED,
                };
        bridge_deinit(&bridge);
        return error_trace(r);
}
