/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-agent-vchan: what qrexec-agent(8) becomes where it is told of a daemon of upstream's kind. Its arguments are the same.
 */
#include <stdlib.h>
#include <unistd.h>

#include "agent/location.h"
#include "agent/startup.h"
#include "agent/vchan.h"
#include "base/log.h"
#include "base/socket.h"

/* Return: 0, or what main() returns; it has been said why */
static int find_medium(const AgentArguments *arguments, Medium *ret_medium) {
        Medium medium = { .kind = arguments->vsock ? MEDIUM_KIND_VSOCK : MEDIUM_KIND_VCHAN };

        switch (medium.kind) {
        case MEDIUM_KIND_VCHAN:
                if (vchan_place_init(getenv("VCHAN_SOCKET_DIR"), getenv("VCHAN_DOMAIN"), &medium.place)) {
                        log_error("VCHAN_DOMAIN is no domain's id: a decimal number is wanted");
                        return EXIT_FAILURE;
                }
                break;
        case MEDIUM_KIND_VSOCK:
                /* The host knows us by a port that only root may have. */
                if (geteuid() != 0) {
                        log_error("--vsock: only root of a virtual machine can speak for it: run this as root");
                        return EXIT_FAILURE;
                }
                break;
        }
        *ret_medium = medium;
        return 0;
}

/* The other end is a host that may have anything done here; where programs begin is as upstream has it. */
static int run(Startup *startup) {
        const char *socket_path = startup->arguments.agent_socket ?: VCHAN_AGENT_SOCKET;
        struct sockaddr_un address;
        VchanAgent *agent = NULL;
        socklen_t n_address;
        Medium medium;
        int r;

        r = find_medium(&startup->arguments, &medium);
        if (!r)
                r = startup_init(startup);
        if (r)
                return r;
        if (socket_address(socket_path, &address, &n_address)) {
                log_error("%s: too long for a socket's path", socket_path);
                return EXIT_FAILURE;
        }
        startup->settings.shell = true;
        startup->settings.home = NULL;
        r = vchan_agent_new(&startup->settings, &medium, socket_path, startup->notify, &agent);
        if (!r)
                r = vchan_agent_run(agent);
        agent = vchan_agent_free(agent);
        return r ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        Startup startup;
        int r;

        r = startup_open(argc, argv, &startup);
        if (r)
                return r;
        r = run(&startup);
        startup_deinit(&startup);
        return r;
}
