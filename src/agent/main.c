/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-agent(8): starts services of one domain for the broker. Libc alone: there is one of these per domain.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/location.h"
#include "agent/startup.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"
#include "base/name.h"
#include "base/socket.h"

#define AGENT_VCHAN QAIR_LIBEXECDIR "/qrexec-agent-vchan"

/* Where the broker is. Return: a path, NULL if there is none that could be used (said). */
static const char *find_link(const AgentArguments *arguments, char **buffer) {
        const char *domain = arguments->domain ?: getenv("QREXEC_DOMAIN"), *path = arguments->link;
        struct sockaddr_un address;
        socklen_t n_address;
        DomainName name;
        int r;

        if (!path && !domain)
                path = LOCATION_LINK_INSIDE;
        if (!path) {
                r = domain_name_parse(domain, strlen(domain), &name);
                if (r) {
                        log_error("the name of the domain, \"%s\", %s", ESCAPED(domain, strlen(domain)),
                                  name_error_text(r));
                        return NULL;
                }
                if (asprintf(buffer, LOCATION_LINKS "/%s/link", name.text) < 0) {
                        *buffer = NULL;
                        return NULL;
                }
                path = *buffer;
        }
        if (socket_address(path, &address, &n_address)) {
                log_error("%s: too long for a socket's path", ESCAPED(path, strlen(path)));
                return NULL;
        }
        return path;
}

/* Return: what main() returns */
static int run(Startup *startup) {
        _cleanup_free_ char *buffer = NULL;
        const char *link_path = find_link(&startup->arguments, &buffer);
        Agent *agent = NULL;
        int r;

        if (!link_path)
                return EXIT_FAILURE;
        r = startup_init(startup);
        if (r)
                return r;
        r = agent_new(&startup->settings, link_path, startup->arguments.stop_sec * USEC_PER_SEC, startup->notify,
                      &agent);
        if (!r)
                r = agent_run(agent);
        agent = agent_free(agent);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        Startup startup;
        int r;

        r = startup_open(argc, argv, &startup);
        if (r)
                return r;
        if (agent_arguments_are_vchan(&startup.arguments)) {
                execv(AGENT_VCHAN, argv);
                log_error("cannot run " AGENT_VCHAN ", which serves links over vchan: %m");
                return EXIT_FAILURE;
        }
        r = run(&startup);
        startup_deinit(&startup);
        return r;
}
