/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo PATH - listen on the Unix socket PATH and send back what comes in, until the peer has sent everything
 *
 * The socket service of the benchmarks: no library, no process per connection. Prints a line when it listens.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define ECHO_BACKLOG 4096

static int echo_watch(int epoll_fd, int fd) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void echo_serve(int fd) {
        char buffer[4096];
        ssize_t n;

        n = recv(fd, buffer, sizeof(buffer), 0);
        if (n <= 0 || send(fd, buffer, (size_t)n, MSG_NOSIGNAL) != n)
                close(fd);
}

int main(int argc, char **argv) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int listen_fd, epoll_fd;

        if (argc != 2 ||
            snprintf(address.sun_path, sizeof(address.sun_path), "%s", argv[1]) >= (int)sizeof(address.sun_path))
                return 2;
        listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (listen_fd < 0 || epoll_fd < 0 || bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
            chmod(argv[1], 0666) < 0 || listen(listen_fd, ECHO_BACKLOG) < 0 || echo_watch(epoll_fd, listen_fd) < 0) {
                perror("echo");
                return 1;
        }
        if (puts("ready") < 0 || fflush(stdout) != 0)
                return 1;
        for (;;) {
                struct epoll_event event;
                int fd;

                if (epoll_wait(epoll_fd, &event, 1, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return 1;
                }
                if (event.data.fd != listen_fd) {
                        echo_serve(event.data.fd);
                        continue;
                }
                fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0 && echo_watch(epoll_fd, fd) < 0)
                        close(fd);
        }
}
