/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: a domain's socket in a folder of its own, and clients of it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"
#include "daemon/clients.h"
#include "wire/hello.h"

/* For cmocka: *state is a Clients, in a new working directory. */
static inline int clients_setup(void **state) {
        static const DaemonSettings settings = {
                .domain = 42,
                .name = "work",
                .uuid = "d0c2b1e4-0000-4000-8000-000000000042",
        };
        static char folder[32];
        static Clients clients;

        strcpy(folder, "/tmp/test-clients.XXXXXX");
        assert_non_null(mkdtemp(folder));
        assert_int_equal(chdir(folder), 0);
        assert_int_equal(clients_init(&clients, &settings), 0);
        assert_int_equal(clients_open(&clients), 0);
        *state = &clients;
        return 0;
}

static inline int clients_teardown(void **state) {
        char folder[64];

        clients_deinit(*state);
        assert_non_null(getcwd(folder, sizeof(folder)));
        return chdir("/") || rmdir(folder);
}

/** client_with() - one that has given a command. @ret_fd: its own end */
static inline Client *client_with(Clients *clients, uint32_t type, int *ret_fd) {
        uint8_t data[2 * WIRE_HEADER_SIZE + HELLO_SIZE + EXEC_PARAMS_SIZE + 4] = {};
        uint8_t *command = data + WIRE_HEADER_SIZE + HELLO_SIZE;
        ClientCommand received;
        Client *client;

        assert_int_equal(socket_connect("qrexec.42", SOCK_STREAM, ret_fd), 0);
        wire_header_encode((WireHeader){ WIRE_TYPE_HELLO, HELLO_SIZE }, data);
        hello_encode(&(Hello){ .version = WIRE_VERSION_DAEMON }, data + WIRE_HEADER_SIZE);
        wire_header_encode((WireHeader){ type, EXEC_PARAMS_SIZE + 4 }, command);
        exec_params_encode(&(ExecParams){ WIRE_DOMAIN_FRAMED, 0 }, command + WIRE_HEADER_SIZE);
        memcpy(command + WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE, "u:c", 4);
        assert_int_equal(fd_write_full(*ret_fd, data, sizeof(data)), 0);
        assert_int_equal(clients_accept(clients), 0);
        client = clients->first;
        assert_int_equal(clients_receive(clients, client, &received), 0);
        assert_int_equal(client->type, type);
        assert_int_equal(fd_read_full(*ret_fd, data, WIRE_HEADER_SIZE + HELLO_SIZE), 0);
        return client;
}
