/* SPDX-License-Identifier: Apache-2.0 */
/* What is particular to virtual machines: the rest is tested with the whole daemon. */
#include "daemon/clients.h"

#include <sys/stat.h>

#include "base/cleanup.h"
#include "daemon/test-client.h"

/* One that is to wait for the guest, at port 600. @ret_fd: its own end */
static Client *waiting_client(Clients *clients, int *ret_fd) {
        Client *client = client_with(clients, WIRE_TYPE_JUST_EXEC, ret_fd);

        client->state = CLIENT_STATE_WAITING;
        client->params = (ExecParams){ 0, 600 };
        return client;
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
                cmocka_unit_test_setup_teardown(test_hand_over, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_nobody_to_hand_over_to, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_close, clients_setup, clients_teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
