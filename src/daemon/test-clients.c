/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to virtual machines: the rest is tested with the whole daemon. */
#include "daemon/clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/socket.h"
#include "wire/hello.h"

static const DaemonSettings settings = {
        .domain = 42,
        .name = "work",
        .uuid = "d0c2b1e4-0000-4000-8000-000000000042",
};

/* One that has given a command, and is to wait for the guest at port 600. @ret_fd: its own end */
static Client *waiting_client(Clients *clients, int *ret_fd) {
        uint8_t data[2 * WIRE_HEADER_SIZE + HELLO_SIZE + EXEC_PARAMS_SIZE + 4] = {};
        uint8_t *command = data + WIRE_HEADER_SIZE + HELLO_SIZE;
        ClientCommand received;
        Client *client;

        assert_int_equal(socket_connect("qrexec.42", SOCK_STREAM, ret_fd), 0);
        wire_header_encode((WireHeader){ WIRE_TYPE_HELLO, HELLO_SIZE }, data);
        hello_encode(&(Hello){ .version = WIRE_VERSION_DAEMON }, data + WIRE_HEADER_SIZE);
        wire_header_encode((WireHeader){ WIRE_TYPE_JUST_EXEC, EXEC_PARAMS_SIZE + 4 }, command);
        exec_params_encode(&(ExecParams){ WIRE_DOMAIN_FRAMED, 0 }, command + WIRE_HEADER_SIZE);
        memcpy(command + WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE, "u:c", 4);
        assert_int_equal(fd_write_full(*ret_fd, data, sizeof(data)), 0);
        assert_int_equal(clients_accept(clients), 0);
        client = clients->first;
        assert_int_equal(clients_receive(clients, client, &received), 0);
        assert_int_equal(client->type, WIRE_TYPE_JUST_EXEC);
        assert_int_equal(fd_read_full(*ret_fd, data, WIRE_HEADER_SIZE + HELLO_SIZE), 0);
        client->state = CLIENT_STATE_WAITING;
        client->params = (ExecParams){ 0, 600 };
        return client;
}

static int setup(void **state) {
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

static int teardown(void **state) {
        char folder[64];

        clients_deinit(*state);
        assert_non_null(getcwd(folder, sizeof(folder)));
        return chdir("/") || rmdir(folder);
}

static void test_hand_over(void **state) {
        _cleanup_fd_ int fd = -1, got_fd = -1;
        uint8_t data[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];
        struct stat want, got;
        ExecParams params;
        WireHeader header;
        Client *client;
        size_t n, n_fds;

        client = waiting_client(*state, &fd);
        assert_ptr_equal(clients_find(*state, &(ExecParams){ 0, 600 }), client);
        assert_int_equal(clients_hand_over(client, STDIN_FILENO), 0);
        assert_int_equal(client->state, CLIENT_STATE_CONNECTED);
        assert_int_equal(socket_receive(fd, data, sizeof(data), &n, &got_fd, 1, &n_fds), 0);
        assert_int_equal(n, sizeof(data));
        assert_int_equal(n_fds, 1);
        assert_int_equal(wire_header_decode(data, n, &header), 0);
        assert_int_equal(header.type, WIRE_TYPE_JUST_EXEC);
        assert_int_equal(header.length, EXEC_PARAMS_SIZE);
        assert_int_equal(exec_params_decode(data + WIRE_HEADER_SIZE, EXEC_PARAMS_SIZE, &params), 0);
        assert_int_equal(params.connect_domain, WIRE_DOMAIN_FRAMED);
        assert_int_equal(params.connect_port, 600);
        assert_int_equal(fstat(STDIN_FILENO, &want), 0);
        assert_int_equal(fstat(got_fd, &got), 0);
        assert_int_equal(got.st_ino, want.st_ino);
}

static void test_nobody_to_hand_over_to(void **state) {
        _cleanup_fd_ int fd = -1;
        Client *client = waiting_client(*state, &fd);

        fd = fd_close(fd);
        assert_int_equal(clients_hand_over(client, STDIN_FILENO), CLIENTS_E_GONE);
}

/* When the agent goes away: who waits is closed, who has its connection keeps its port until it goes. */
static void test_close(void **state) {
        _cleanup_fd_ int connected_fd = -1, waiting_fd = -1;
        Clients *clients = *state;
        ClientCommand command;
        Client *connected;
        char byte;

        connected = waiting_client(clients, &connected_fd);
        assert_int_equal(clients_hand_over(connected, STDIN_FILENO), 0);
        (void)waiting_client(clients, &waiting_fd);
        clients_close(clients);
        assert_int_equal(recv(waiting_fd, &byte, 1, 0), 0);
        assert_ptr_equal(clients->first, connected);
        assert_null(connected->next);
        assert_int_equal(connected->state, CLIENT_STATE_OVER);
        assert_int_equal(clients_receive(clients, connected, &command), CLIENTS_E_AGAIN);
        clients_close(clients);
        assert_ptr_equal(clients->first, connected);
        connected_fd = fd_close(connected_fd);
        assert_int_equal(clients_receive(clients, connected, &command), CLIENTS_E_GONE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_hand_over, setup, teardown),
                cmocka_unit_test_setup_teardown(test_nobody_to_hand_over_to, setup, teardown),
                cmocka_unit_test_setup_teardown(test_close, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
