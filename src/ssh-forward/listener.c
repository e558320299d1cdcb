/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh-forward/listener.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/number.h"
#include "base/socket.h"

/** The first descriptor that a service manager passes. */
#define LISTENER_PASSED_FD 3

static int listener_make_folder(const char *path) {
        char folder[PATH_MAX];
        const char *slash = strrchr(path, '/');
        size_t n = slash ? (size_t)(slash - path) : 0;

        if (n == 0 || n >= sizeof(folder))
                return 0;
        memcpy(folder, path, n);
        folder[n] = '\0';
        if (mkdir(folder, 0700) == 0 || errno == EEXIST)
                return 0;
        log_error("%s: cannot be made: %s", ESCAPED(folder, n), strerror(errno));
        return LISTENER_E_FAILED;
}

/* Return: 0: there is nothing at @path any more */
static int listener_clear(const char *path) {
        struct stat st;
        int fd, r;

        if (lstat(path, &st) < 0) {
                if (errno == ENOENT)
                        return 0;
                log_error("%s: %s", ESCAPED(path, strlen(path)), strerror(errno));
                return LISTENER_E_FAILED;
        }
        if (!S_ISSOCK(st.st_mode)) {
                log_error("%s: is there already, and no socket: choose another path", ESCAPED(path, strlen(path)));
                return LISTENER_E_FAILED;
        }
        r = socket_connect(path, SOCK_STREAM | SOCK_NONBLOCK, &fd);
        if (r == 0)
                fd_close(fd);
        if (r == 0 || r == -EAGAIN) {
                log_error("%s: another program listens there already", ESCAPED(path, strlen(path)));
                return LISTENER_E_FAILED;
        }
        if (unlink(path) < 0 && errno != ENOENT) {
                log_error("%s: a socket without a listener cannot be removed: %s", ESCAPED(path, strlen(path)),
                          strerror(errno));
                return LISTENER_E_FAILED;
        }
        return 0;
}

int listener_open(const char *path, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address;
        socklen_t n;
        mode_t mask;
        int r;

        if (socket_address(path, &address, &n)) {
                log_error("%s: too long for the path of a socket", ESCAPED(path, strlen(path)));
                return LISTENER_E_FAILED;
        }
        r = listener_make_folder(path);
        if (!r)
                r = listener_clear(path);
        if (r)
                return r;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_origin(-errno);
        /* The mode is right from the beginning: nobody else connects between bind and chmod. */
        mask = umask(0177);
        r = bind(fd, (struct sockaddr *)&address, n);
        (void)umask(mask);
        if (r < 0 || listen(fd, LISTENER_BACKLOG) < 0) {
                log_error("cannot listen at %s: %s", ESCAPED(path, strlen(path)), strerror(errno));
                return LISTENER_E_FAILED;
        }
        *ret_fd = fd_steal(&fd);
        return 0;
}

/* Return: how many descriptors were passed to this process and no other */
static unsigned listener_n_passed(void) {
        const char *pid_text = getenv("LISTEN_PID"), *n_text = getenv("LISTEN_FDS");
        uint64_t pid, n;

        if (!pid_text || !n_text || number_parse(pid_text, strlen(pid_text), 1, INT_MAX, &pid) ||
            number_parse(n_text, strlen(n_text), 0, INT_MAX, &n) || (pid_t)pid != getpid())
                return 0;
        return (unsigned)n;
}

static bool listener_is_one(int fd) {
        int family = 0, type = 0, listens = 0;
        socklen_t n = sizeof(int);

        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &n) == 0 &&
               getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
               getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && family == AF_UNIX &&
               type == SOCK_STREAM && listens;
}

int listener_take(int *ret_fd) {
        unsigned n = listener_n_passed();
        int r;

        /* Not for programs that we may start. */
        (void)unsetenv("LISTEN_PID");
        (void)unsetenv("LISTEN_FDS");
        (void)unsetenv("LISTEN_FDNAMES");
        if (n == 0) {
                *ret_fd = -1;
                return 0;
        }
        if (n > 1 || !listener_is_one(LISTENER_PASSED_FD)) {
                log_error("the service manager passed something else than one listening Unix stream socket: its unit "
                          "needs one ListenStream=, and Accept=no");
                return LISTENER_E_FAILED;
        }
        r = fd_set_cloexec(LISTENER_PASSED_FD, true);
        if (r == 0)
                r = fd_set_nonblocking(LISTENER_PASSED_FD, true);
        if (r < 0)
                return error_origin(r);
        *ret_fd = LISTENER_PASSED_FD;
        return 0;
}
