/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"

int relay_open(Relay *relay, const char *name, int *ret_write_fd) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        *relay = RELAY_INIT;
        relay->name = name;
        relay->fd = fds[0];
        r = fd_set_nonblocking(relay->fd, true);
        if (r < 0) {
                fd_close(fds[1]);
                return error_origin(r);
        }
        *ret_write_fd = fds[1];
        return 0;
}

static void relay_tell_lost(Relay *relay) {
        if (relay->n_lost > 0)
                log_warning("%s: %u more lines were left out", relay->name, relay->n_lost);
        relay->n_lost = 0;
}

static void relay_pass_line(Relay *relay) {
        uint64_t second = clock_now() / USEC_PER_SEC;

        if (second != relay->second) {
                relay_tell_lost(relay);
                relay->second = second;
                relay->n_lines = 0;
        }
        if (++relay->n_lines > RELAY_LINES_PER_SEC)
                ++relay->n_lost;
        else
                log_info("%s: %s", relay->name,
                         escape((char[ESCAPE_MAX(RELAY_LINE_MAX)]){ 0 }, ESCAPE_MAX(RELAY_LINE_MAX), relay->line,
                                relay->n_line));
}

/* Return: bytes read, 0 at the end of the stream, -1 if there is nothing now. */
static ssize_t relay_take(Relay *relay) {
        char buffer[4096];
        ssize_t n = read(relay->fd, buffer, sizeof(buffer));

        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? -1 : 0;
        for (ssize_t i = 0; i < n; ++i) {
                if (buffer[i] == '\n' || relay->n_line == sizeof(relay->line)) {
                        if (!relay->skip_line)
                                relay_pass_line(relay);
                        relay->skip_line = buffer[i] != '\n';
                        relay->n_line = 0;
                }
                if (buffer[i] != '\n' && !relay->skip_line)
                        relay->line[relay->n_line++] = buffer[i];
        }
        return n;
}

bool relay_read(Relay *relay) {
        return relay_take(relay) != 0;
}

void relay_close(Relay *relay) {
        size_t n_left = RELAY_DRAIN_MAX;

        if (relay->fd < 0)
                return;
        for (;;) {
                ssize_t n = relay_take(relay);

                if (n <= 0 || (size_t)n >= n_left)
                        break;
                n_left -= (size_t)n;
        }
        if (relay->n_line > 0)
                relay_pass_line(relay); /* a last line without its end */
        relay_tell_lost(relay);
        relay->fd = fd_close(relay->fd);
}
