/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/failure.h"

#include <string.h>

#include "base/cleanup.h"

RelayFailure relay_failure_find(const char *untrusted_text) {
        /* OpenSSH's own words; nothing depends on them but which advice is given. The first that is found decides. */
        static const struct {
                const char *part;
                RelayFailure failure;
        } parts[] = {
                { "Could not resolve hostname", RELAY_FAILURE_NAME },
                { "Host key verification failed", RELAY_FAILURE_HOST_KEY },
                { "host key is known for", RELAY_FAILURE_HOST_KEY },
                { "REMOTE HOST IDENTIFICATION HAS CHANGED", RELAY_FAILURE_HOST_KEY },
                { "Permission denied", RELAY_FAILURE_KEY },
                { "Too many authentication failures", RELAY_FAILURE_KEY },
                { "Connection refused", RELAY_FAILURE_CONNECT },
                { "timed out", RELAY_FAILURE_CONNECT },
                { "No route to host", RELAY_FAILURE_CONNECT },
                { "Network is unreachable", RELAY_FAILURE_CONNECT },
                { "Connection closed by", RELAY_FAILURE_CONNECT },
                { "Connection reset by", RELAY_FAILURE_CONNECT },
        };

        for (size_t i = 0; i < ARRAY_SIZE(parts); ++i)
                if (strstr(untrusted_text, parts[i].part))
                        return parts[i].failure;
        return RELAY_FAILURE_OTHER;
}

const char *relay_failure_text(RelayFailure failure) {
        switch (failure) {
        case RELAY_FAILURE_NAME:
                return "nobody knows its name: check remote_host of the RemoteVM, and HostName in ~/.ssh/config";
        case RELAY_FAILURE_CONNECT:
                return "it does not answer: check that it is up, that sshd runs there, and what is between";
        case RELAY_FAILURE_HOST_KEY:
                return "its host key is not the one that is known here: check its fingerprint over there, then have it "
                       "written into known_hosts (qair relay add)";
        case RELAY_FAILURE_KEY:
                return "it does not accept our key: run there what `qair relay add` said";
        case RELAY_FAILURE_OTHER:
                return "ssh gave up";
        }
        return "";
}
