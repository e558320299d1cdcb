/* SPDX-License-Identifier: Apache-2.0 */
#include "client/stdin.h"

#include <sys/socket.h>
#include <unistd.h>

bool stdin_is_stream_socket(void) {
        int type;
        socklen_t n = sizeof(type);

        return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}
