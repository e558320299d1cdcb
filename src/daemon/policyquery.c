/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/policyquery.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"

enum {
        QUERY_MALFORMED = 256, /* apart from POLICY_QUERY_E_… */
};

/* Read to the end, and understand it. Return: 0, POLICY_QUERY_E_DENIED, or QUERY_MALFORMED */
static int policy_query_read(int fd, PolicyAnswer *answer) {
        char data[POLICY_ANSWER_MAX + 1];
        size_t n = 0;

        for (;;) {
                ssize_t n_read = read(fd, data + n, sizeof(data) - n);

                if (n_read < 0 && errno == EINTR)
                        continue;
                if (n_read <= 0)
                        break;
                n += (size_t)n_read;
                if (n == sizeof(data))
                        break;
        }
        if (policy_answer_parse(data, n, answer))
                return QUERY_MALFORMED;
        return answer->allow ? 0 : POLICY_QUERY_E_DENIED;
}

/* Return: 0, POLICY_QUERY_E_DENIED, or QUERY_MALFORMED: ask the program */
static int policy_query_socket(const DaemonSettings *settings, const Trigger *trigger, PolicyAnswer *answer) {
        _cleanup_fd_ int fd = -1;
        int n;

        if (socket_connect(DAEMON_POLICY_SOCKET, SOCK_STREAM, &fd))
                return QUERY_MALFORMED;
        n = dprintf(fd, "source=%s\n%s%s%sintended_target=%s\nservice_and_arg=%s\n\n", settings->name,
                    trigger->has_source ? "requested_source=" : "", trigger->has_source ? trigger->source.text : "",
                    trigger->has_source ? "\n" : "", trigger->target.text, trigger->service);
        return n < 0 ? QUERY_MALFORMED : policy_query_read(fd, answer);
}

__attribute__((noreturn)) static void policy_query_exec(const DaemonSettings *settings, const Trigger *trigger,
                                                        int fd) {
        const char *const argv[] = { "qrexec-policy-exec", "--", settings->name, trigger->target.text,
                                     trigger->service,     NULL };

        (void)signal(SIGPIPE, SIG_DFL);
        if (dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0)
                (void)execv(settings->policy_program, (char *const *)argv);
        log_error("cannot run %s: %s", settings->policy_program, strerror(errno));
        _exit(1);
}

static int policy_query_program(const DaemonSettings *settings, const Trigger *trigger, PolicyAnswer *answer) {
        _cleanup_fd_ int ours = -1;
        int fds[2], r, status;
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
                return POLICY_QUERY_E_FAILED;
        ours = fds[0];
        pid = fork();
        if (pid == 0)
                policy_query_exec(settings, trigger, fds[1]);
        fd_close(fds[1]);
        if (pid < 0)
                return POLICY_QUERY_E_FAILED;
        r = policy_query_read(ours, answer);
        /* One that says more than an answer can be is not waited for to say all of it. */
        ours = fd_close(ours);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return POLICY_QUERY_E_FAILED;
        if (status != 0) {
                log_error("%s failed", settings->policy_program);
                return POLICY_QUERY_E_FAILED;
        }
        if (r == QUERY_MALFORMED)
                log_error("%s: the answer is not understood", settings->policy_program);
        return r ? POLICY_QUERY_E_DENIED : 0;
}

int policy_query(const DaemonSettings *settings, const Trigger *trigger, PolicyAnswer *ret_answer) {
        int r;

        r = policy_query_socket(settings, trigger, ret_answer);
        if (r != QUERY_MALFORMED)
                return r;
        if (trigger->source.text[0] != '\0') {
                log_error("%s does not answer, and a request for \"%s\" cannot be decided otherwise",
                          DAEMON_POLICY_SOCKET, trigger->source.text);
                return POLICY_QUERY_E_FAILED;
        }
        return policy_query_program(settings, trigger, ret_answer);
}
