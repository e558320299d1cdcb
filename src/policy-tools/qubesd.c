/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/qubesd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/socket.h"

/* `0` NUL, or `2` NUL. */
#define STATUS_SIZE 2

static int qubesd_fail(Diagnostics *reterr, const char *path, const char *what, const char *text) {
        int r = diagnostics_add(reterr, path, 0, 0, "%s%s", what, text);

        return r < 0 ? error_trace(r) : QUBESD_E_FAILED;
}

static int qubesd_connect(const char *path, Diagnostics *reterr, int *ret_fd) {
        static const struct timeval timeout = { .tv_sec = QUBESD_TIMEOUT_SEC };
        _cleanup_fd_ int fd = -1;
        int r;

        r = socket_connect(path, SOCK_STREAM, &fd);
        if (r)
                return qubesd_fail(reterr, path, "", r < 0 ? strerror(-r) : "the path is too long");
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
                return error_origin(-errno);
        *ret_fd = fd_steal(&fd);
        return 0;
}

int qubesd_call(const char *path, const char *what, const char *method, const char *destination, const char *payload,
                size_t n_max, Diagnostics *reterr, char **ret_reply, size_t *ret_n) {
        _cleanup_free_ char *request = NULL, *data = NULL;
        _cleanup_fd_ int fd = -1;
        int r, n_request;
        size_t n;

        n_request = asprintf(&request, "%s+ dom0 name %s%c%s", method, destination, '\0', payload);
        if (n_request < 0) {
                request = NULL;
                return error_origin(-ENOMEM);
        }
        r = qubesd_connect(path, reterr, &fd);
        if (r)
                return r;
        if (send(fd, request, (size_t)n_request, MSG_NOSIGNAL) != n_request || shutdown(fd, SHUT_WR) < 0)
                return qubesd_fail(reterr, path, "", strerror(errno));
        r = fd_read_all(fd, n_max + STATUS_SIZE, &data, &n);
        if (r < 0)
                return r == -ENOMEM ? error_origin(r) : qubesd_fail(reterr, path, "", strerror(-r));
        if (r > 0)
                return qubesd_fail(reterr, path, "", "the answer is too large");
        if (n >= STATUS_SIZE && memcmp(data, "2", STATUS_SIZE) == 0) {
                const char *type = data + STATUS_SIZE;

                r = diagnostics_add(reterr, path, 0, 0, "%s: %s", what, ESCAPED(type, strnlen(type, n - STATUS_SIZE)));
                return r < 0 ? error_trace(r) : QUBESD_E_FAILED;
        }
        if (n < STATUS_SIZE || memcmp(data, "0", STATUS_SIZE) != 0)
                return qubesd_fail(reterr, path, "", "the answer makes no sense");
        memmove(data, data + STATUS_SIZE, n - STATUS_SIZE + 1);
        *ret_reply = steal_ptr(&data);
        *ret_n = n - STATUS_SIZE;
        return 0;
}
