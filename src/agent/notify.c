/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/notify.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/socket.h"

void notify_ready(const char *path) {
        static const char message[] = "READY=1";
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address;
        socklen_t n_address;

        if (socket_address(path, &address, &n_address))
                return;
        if (address.sun_path[0] == '@') {
                /* An abstract name is counted, not terminated. */
                address.sun_path[0] = '\0';
                --n_address;
        }
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return;
        (void)sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, n_address);
}
