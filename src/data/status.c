/* SPDX-License-Identifier: Apache-2.0 */
#include "data/status.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "wire/data.h"
#include "wire/hello.h"

bool data_status_has_room(const DataStatus *status) {
        struct pollfd poll_fd = { .fd = status->fd, .events = POLLOUT };

        return poll(&poll_fd, 1, 0) == 1;
}

static int data_status_send(DataStatus *status, WireType type, const void *payload, size_t n_payload) {
        uint8_t data[WIRE_HEADER_SIZE + HELLO_SIZE + WIRE_HEADER_SIZE + DATA_STATUS_CHUNK_MAX];
        size_t n = 0, n_sent;
        int r;

        if (status->fd < 0)
                return DATA_STATUS_E_GONE;
        if (n_payload > DATA_STATUS_CHUNK_MAX)
                return error_origin(-EINVAL);
        if (!status->greeted) {
                wire_header_encode((WireHeader){ .type = WIRE_TYPE_HELLO, .length = HELLO_SIZE }, data);
                hello_encode(&(Hello){ .version = WIRE_VERSION }, data + WIRE_HEADER_SIZE);
                n = WIRE_HEADER_SIZE + HELLO_SIZE;
        }
        wire_header_encode((WireHeader){ .type = type, .length = (uint32_t)n_payload }, data + n);
        memcpy(data + n + WIRE_HEADER_SIZE, payload, n_payload);
        n += WIRE_HEADER_SIZE + n_payload;

        r = socket_send(status->fd, data, n, NULL, 0, &n_sent);
        switch (r) {
        case 0:
                break;
        case SOCKET_E_AGAIN:
        case SOCKET_E_LIMIT:
                return DATA_STATUS_E_AGAIN;
        case SOCKET_E_GONE:
                data_status_deinit(status);
                return DATA_STATUS_E_GONE;
        default:
                return error_fold(r);
        }
        if (n_sent < n) {
                /* Only where the socket's buffer is not what the kernel makes: half a frame is no frame. */
                data_status_deinit(status);
                return DATA_STATUS_E_GONE;
        }
        status->greeted = true;
        return 0;
}

int data_status_stderr(DataStatus *status, const void *data, size_t n) {
        return error_trace(data_status_send(status, WIRE_TYPE_DATA_STDERR, data, n));
}

int data_status_exit(DataStatus *status, int code) {
        uint8_t data[DATA_EXIT_CODE_SIZE];

        data_exit_code_encode(code, data);
        return error_trace(data_status_send(status, WIRE_TYPE_DATA_EXIT_CODE, data, sizeof(data)));
}

void data_status_deinit(DataStatus *status) {
        status->fd = fd_close(status->fd);
}
