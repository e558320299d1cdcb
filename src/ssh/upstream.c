/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/upstream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/socket.h"
#include "ssh/helper.h"

/* gpg-agent may have to be started; an agent with a full backlog may get time to accept. */
#define GPGCONF_SEC 20
#define CONNECT_SEC 10

static bool is_ours(uid_t uid) {
        return uid == 0 || uid == geteuid();
}

/* What @argv prints, at most @n_max - 1 bytes; false if it fails or takes too long. */
static bool run_program(const char *const *argv, char *buffer, size_t n_max) {
        uint64_t deadline_usec = clock_now() + GPGCONF_SEC * USEC_PER_SEC, now_usec;
        int pipe_fds[2];
        size_t n = 0;
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return false;
        pid = fork();
        if (pid == 0) {
                int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void)signal(SIGPIPE, SIG_DFL);
                if (null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 && dup2(pipe_fds[1], STDOUT_FILENO) >= 0 &&
                    dup2(null_fd, STDERR_FILENO) >= 0)
                        (void)execv(argv[0], (char *const *)argv);
                _exit(127);
        }
        (void)fd_close(pipe_fds[1]);
        while (pid > 0 && n < n_max - 1 && (now_usec = clock_now()) < deadline_usec) {
                struct pollfd output = { .fd = pipe_fds[0], .events = POLLIN };
                ssize_t got;

                if (poll(&output, 1, (int)((deadline_usec - now_usec) / USEC_PER_MSEC) + 1) <= 0)
                        continue;
                got = read(pipe_fds[0], buffer + n, n_max - 1 - n);
                if (got <= 0)
                        break;
                n += (size_t)got;
        }
        (void)fd_close(pipe_fds[0]);
        buffer[n] = '\0';
        if (pid > 0 && clock_now() >= deadline_usec)
                (void)kill(pid, SIGKILL);
        return pid > 0 && process_wait(pid) == 0;
}

/* gpg-agent's socket for SSH, whatever GNUPGHOME is; the agent runs then. */
static int find_gpg_agent(char path[static PATH_MAX]) {
        static const char *const launch[] = { SSH_GPGCONF, "--launch", "gpg-agent", NULL };
        static const char *const list[] = { SSH_GPGCONF, "--list-dirs", "agent-ssh-socket", NULL };
        char nothing[2];

        if (!run_program(launch, nothing, sizeof(nothing)) || !run_program(list, path, PATH_MAX))
                return SSH_UPSTREAM_E_GPG;
        path[strcspn(path, "\n")] = '\0';
        return path[0] == '/' ? 0 : SSH_UPSTREAM_E_GPG;
}

static int find(const SshRules *rules, const char *socket_path, const char *run_dir, char path[static PATH_MAX]) {
        int n;

        if (!socket_path && !rules->socket && rules->is_gpg)
                return find_gpg_agent(path);
        n = socket_path || rules->socket ? snprintf(path, PATH_MAX, "%s", socket_path ?: rules->socket)
                                         : snprintf(path, PATH_MAX, "%s/%s.sock", run_dir, rules->agent);
        return n > 0 && n < PATH_MAX ? 0 : SSH_UPSTREAM_E_PATH;
}

int ssh_upstream_connect(const SshRules *rules, const char *socket_path, const char *run_dir,
                         char ret_path[static PATH_MAX], int *ret_fd) {
        const struct timeval limit = { .tv_sec = CONNECT_SEC };
        struct sockaddr_un address;
        struct ucred peer;
        _cleanup_fd_ int fd = -1;
        struct stat st;
        socklen_t n;
        int r;

        ret_path[0] = '\0';
        r = find(rules, socket_path, run_dir, ret_path);
        if (r)
                return r;
        if (socket_address(ret_path, &address, &n))
                return SSH_UPSTREAM_E_PATH;
        if (stat(ret_path, &st) < 0)
                return SSH_UPSTREAM_E_MISSING;
        if (!S_ISSOCK(st.st_mode)) {
                errno = ENOTSOCK;
                return SSH_UPSTREAM_E_MISSING;
        }
        if (!is_ours(st.st_uid)) {
                errno = EPERM;
                return SSH_UPSTREAM_E_OWNER;
        }
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
            connect(fd, (const struct sockaddr *)&address, n) < 0)
                return SSH_UPSTREAM_E_CONNECT;
        if (socket_peer(fd, &peer) || !is_ours(peer.uid)) {
                errno = EPERM;
                return SSH_UPSTREAM_E_PEER;
        }
        if (fd_set_nonblocking(fd, true) < 0)
                return SSH_UPSTREAM_E_CONNECT;
        *ret_fd = fd_steal(&fd);
        return 0;
}

const char *ssh_upstream_error_text(int r) {
        switch (r) {
        case SSH_UPSTREAM_E_PATH:
                return "the path is too long for a socket";
        case SSH_UPSTREAM_E_GPG:
                return "gpgconf does not say where gpg-agent listens: is it installed, with enable-ssh-support?";
        case SSH_UPSTREAM_E_MISSING:
                return "no socket there: start the agent";
        case SSH_UPSTREAM_E_OWNER:
                return "the socket is neither root's nor this user's";
        case SSH_UPSTREAM_E_CONNECT:
                return "the agent does not answer: is it running?";
        case SSH_UPSTREAM_E_PEER:
                return "who listens there is neither root nor this user";
        default:
                return "";
        }
}
