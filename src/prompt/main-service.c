/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The services policy.Ask, policy.AskCount and policy.Notify of a GUI domain: hands a request on to the policy agent of
 * the account that it runs as, and the answer back. (On Qubes the service is the agent's socket itself; here several
 * accounts share a host, and each has its own.)
 *
 * When the caller hangs up, it does too: so a question disappears that nobody waits for any more.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "base/socket.h"
#include "prompt/header.h"

#define EXIT_NO_AGENT  1
#define EXIT_NO_ANSWER 2

#define SERVICE_CHUNK 65536

/* As the agent expects it; our environment is what the qrexec-agent says. */
static int send_header(int fd) {
        const char *service = getenv("QREXEC_SERVICE_FULL_NAME"), *source = getenv("QREXEC_REMOTE_DOMAIN");
        char header[HEADER_MAX];
        int n = snprintf(header, sizeof(header), "%s %s", service ?: "", source ?: "");

        if (!service || !source || n < 0 || n >= (int)sizeof(header)) {
                log_error("this is a service: it is started by a call, and by nothing else");
                return -EINVAL;
        }
        return fd_write_full(fd, header, (size_t)n + 1);
}

static int connect_agent(int *ret_fd) {
        char path[SOCKET_PATH_MAX];
        int r;

        r = paths_session(geteuid(), PATHS_POLICY_AGENT, path, sizeof(path))
                    ? -ENAMETOOLONG
                    : socket_connect(path, SOCK_STREAM, ret_fd);
        if (r)
                log_error("%s: %s: no policy agent runs here: it starts with a desktop session, or with 'qair prompts'",
                          path, strerror(-r));
        return r;
}

/* One chunk, from one to the other. Return: how much; 0 at the end; negative: it cannot go on */
static ssize_t copy(int from_fd, int to_fd) {
        static char buffer[SERVICE_CHUNK];
        ssize_t n = read(from_fd, buffer, sizeof(buffer));

        if (n < 0 && errno == EINTR)
                return 1;
        if (n > 0 && fd_write_full(to_fd, buffer, (size_t)n) < 0)
                return -1;
        return n;
}

/* Return: the exit status. */
static int carry(int agent_fd) {
        bool has_answer = false, has_input = true;

        for (;;) {
                struct pollfd polled[] = {
                        { .fd = agent_fd, .events = POLLIN },
                        { .fd = has_input ? STDIN_FILENO : -1, .events = POLLIN },
                        { .fd = STDOUT_FILENO, .events = POLLRDHUP }, /* a hang-up comes unasked */
                };

                if (poll(polled, ARRAY_SIZE(polled), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return EXIT_NO_ANSWER;
                }
                if (polled[2].revents)
                        return EXIT_NO_ANSWER;
                if (polled[1].revents && copy(STDIN_FILENO, agent_fd) <= 0) {
                        has_input = false;
                        if (shutdown(agent_fd, SHUT_WR) < 0)
                                return EXIT_NO_ANSWER;
                }
                if (polled[0].revents) {
                        ssize_t n = copy(agent_fd, STDOUT_FILENO);

                        if (n <= 0)
                                return n == 0 && has_answer ? 0 : EXIT_NO_ANSWER;
                        has_answer = true;
                }
        }
}

int main(int argc, char **argv) {
        const char *service = getenv("QREXEC_SERVICE_FULL_NAME") ?: "";
        static const char notify[] = "policy.Notify";
        int fd, status;

        if (fd_ensure_standard() < 0)
                return EXIT_NO_AGENT;
        log_open("policy-agent-service", false);
        if (connect_agent(&fd) || send_header(fd))
                return EXIT_NO_AGENT;
        status = carry(fd);
        /* A notification has no answer. */
        if (status == EXIT_NO_ANSWER && strncmp(service, notify, strlen(notify)) == 0)
                return 0;
        if (status == EXIT_NO_ANSWER)
                log_error("the policy agent gave no answer");
        return status;
}
