/* SPDX-License-Identifier: Apache-2.0 */
/* The rules for ports of a virtual machine's calls; what it takes a real one to test is in test/vsock. */
#include "daemon/guest.h"

#include <fcntl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/test-client.h"
#include "daemon/test-dialled.h"

#define LISTENER 7
#define CID      42

static unsigned n_probed;

void __wrap_vsock_probe(int fd);

void __wrap_vsock_probe(int fd) {
        assert_true(fcntl(fd, F_GETFD) >= 0);
        ++n_probed;
}

typedef struct Fixture {
        Ports ports;
        Guest guest;
        Client *client;
        int fd; /* the client's end */
        ExecParams told;
} Fixture;

static void fixture_init(Fixture *fixture, Clients *clients, uint32_t type) {
        static const DaemonSettings over_vsock = { .vsock = "/nonexistent" };

        *fixture = (Fixture){ .ports = PORTS_INIT(1), .told = { WIRE_DOMAIN_DIRECT, 0 } };
        assert_int_equal(guest_init(&fixture->guest, &over_vsock, &fixture->ports, clients), 0);
        assert_true(fixture->ports.next < PORTS_N);
        fixture->guest.acceptor.data_port = LISTENER;
        fixture->guest.acceptor.data_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        assert_true(fixture->guest.acceptor.data_fd >= 0);
        fixture->guest.cid = CID;
        fixture->client = client_with(clients, type, &fixture->fd);
        assert_int_equal(guest_invite(&fixture->guest, fixture->client, &fixture->told), 0);
}

static void fixture_deinit(Fixture *fixture) {
        guest_deinit(&fixture->guest);
        fd_close(fixture->fd);
}

static bool is_taken(const Fixture *fixture) {
        return fixture->ports.is_taken[fixture->told.connect_port - VCHAN_PORT_DATA_MIN];
}

static bool is_closed(const Fixture *fixture) {
        char byte;

        return recv(fixture->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void test_invite(void **state) {
        static const struct {
                const char *name;
                ExecParams params;
                int expect;
        } cases[] = {
                { "direct", { WIRE_DOMAIN_DIRECT, 0 }, 0 },
                { "framed", { WIRE_DOMAIN_FRAMED, 0 }, 0 },
                { "to be dialled", { 0, 0 }, GUEST_E_REFUSE },
                { "to be dialled by another", { 42, 0 }, GUEST_E_REFUSE },
                { "refused", { WIRE_DOMAIN_REFUSED, 0 }, GUEST_E_REFUSE },
                { "a port that others gave", { WIRE_DOMAIN_FRAMED, 513 }, GUEST_E_REFUSE },
                { "a port of another daemon", { 42, 513 }, GUEST_E_REFUSE },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Ports ports = { .domain = 1, .in_turn = true, .next = 87 };
                Guest guest = { .acceptor.data_port = LISTENER, .ports = &ports };
                ExecParams params = cases[i].params;
                Client client = { .state = CLIENT_STATE_RUNNING };
                int r = guest_invite(&guest, &client, &params);

                if (r != cases[i].expect || (r == 0) != (client.state == CLIENT_STATE_WAITING))
                        fail_msg("%s: got %d", cases[i].name, r);
                if (r == 0 && (params.connect_domain != LISTENER || params.connect_port != 600 ||
                               client.params.connect_port != 600))
                        fail_msg("%s: port %u of %u", cases[i].name, params.connect_port, params.connect_domain);
        }
}

static void test_no_port_is_left(void **state) {
        Ports ports = PORTS_INIT(1);
        Guest guest = { .acceptor.data_port = LISTENER, .ports = &ports };
        Client client = {};

        for (int i = 0; i < PORTS_N; ++i)
                assert_int_equal(guest_invite(&guest, &client, &(ExecParams){ WIRE_DOMAIN_FRAMED, 0 }), 0);
        assert_int_equal(guest_invite(&guest, &client, &(ExecParams){ WIRE_DOMAIN_FRAMED, 0 }), GUEST_E_REFUSE);
}

/* Is it the client's by now? */
static bool is_handed_over(const Fixture *fixture, int fd) {
        char message[WIRE_HEADER_SIZE + EXEC_PARAMS_SIZE];
        size_t n, n_fds = 0;
        int got_fd = -1;

        if (socket_receive(fixture->fd, message, sizeof(message), &n, &got_fd, 1, &n_fds) || n_fds != 1)
                return false;
        assert_int_equal(n, sizeof(message));
        assert_int_equal(send(got_fd, "x", 1, MSG_NOSIGNAL), 1);
        fd_close(got_fd);
        assert_int_equal(recv(fd, message, sizeof(message), 0), 1);
        return true;
}

/* The guest says that it is done behind what it has dialled: that is heard first. */
static void test_terminated_and_not_accepted_yet(void **state) {
        static const uint32_t types[] = { WIRE_TYPE_EXEC_CMDLINE, WIRE_TYPE_JUST_EXEC, WIRE_TYPE_SERVICE_CONNECT };

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i) {
                bool stays = types[i] == WIRE_TYPE_SERVICE_CONNECT;
                Fixture fixture;
                int fd;

                fixture_init(&fixture, *state, types[i]);
                fd = dial(CID, fixture.told.connect_port);
                assert_int_equal(guest_terminate(&fixture.guest, &fixture.told), 0);
                assert_true(is_handed_over(&fixture, fd));
                assert_int_equal(is_taken(&fixture), stays);
                assert_int_equal(is_closed(&fixture), !stays);
                /* It ends with its client, as if we had never had it. */
                assert_int_equal(hangs_up(fd), !stays);
                if (stays)
                        guest_remove_client(&fixture.guest, fixture.client);
                assert_true(hangs_up(fd));
                fd_close(fd);
                fixture_deinit(&fixture);
        }
}

/* Have what was dialled be heard, and nothing else. */
static void hear(Fixture *fixture) {
        assert_int_equal(guest_terminate(&fixture->guest, &(ExecParams){ LISTENER + 1, 513 }), 0);
}

static void test_who_dials(void **state) {
        static const struct {
                const char *name;
                uint32_t cid;
                int port; /* from the one that was told */
                bool expect;
        } cases[] = {
                { "another guest", CID + 1, 0, false },
                { "this host, over the loopback", 1, 0, false },
                { "the host of this one", 2, 0, false },
                { "from another port", CID, 1, false },
                { "from a port that is no call's", CID, 1000, false },
                { "who was told to", CID, 0, true },
                { "a second time", CID, 0, false },
        };
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int fd = dial(cases[i].cid, fixture.told.connect_port + (uint32_t)cases[i].port);

                hear(&fixture);
                if (is_handed_over(&fixture, fd) != cases[i].expect || hangs_up(fd) == cases[i].expect)
                        fail_msg("%s", cases[i].name);
                fd_close(fd);
        }
        fixture_deinit(&fixture);
}

/* Nobody has dialled, and nobody will. */
static void test_terminated_unanswered(void **state) {
        static const uint32_t types[] = { WIRE_TYPE_EXEC_CMDLINE, WIRE_TYPE_JUST_EXEC, WIRE_TYPE_SERVICE_CONNECT };

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i) {
                Fixture fixture;

                fixture_init(&fixture, *state, types[i]);
                assert_int_equal(guest_terminate(&fixture.guest, &fixture.told), 0);
                assert_false(is_taken(&fixture));
                assert_true(is_closed(&fixture));
                fixture_deinit(&fixture);
        }
}

static void test_terminated_into_the_guest(void **state) {
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        assert_int_equal(clients_hand_over(fixture.client, STDIN_FILENO), 0);
        assert_true(is_taken(&fixture));
        assert_int_equal(guest_terminate(&fixture.guest, &fixture.told), 0);
        assert_false(is_taken(&fixture));
        fixture_deinit(&fixture);
}

/* The guest's agent has handed the connection on, and the call goes on: the port is the call's. */
static void test_terminated_out_of_the_guest(void **state) {
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_SERVICE_CONNECT);
        assert_int_equal(clients_hand_over(fixture.client, STDIN_FILENO), 0);
        assert_int_equal(guest_terminate(&fixture.guest, &fixture.told), 0);
        assert_true(is_taken(&fixture));
        assert_int_equal(guest_terminate(&fixture.guest, &fixture.told), 0);
        assert_true(is_taken(&fixture));
        guest_remove_client(&fixture.guest, fixture.client);
        assert_false(is_taken(&fixture));
        fixture_deinit(&fixture);
}

/* The client is done first: then the guest has the last word. */
static void test_the_client_goes_first(void **state) {
        static const uint32_t types[] = { WIRE_TYPE_EXEC_CMDLINE, WIRE_TYPE_SERVICE_CONNECT };

        for (size_t i = 0; i < ARRAY_SIZE(types); ++i) {
                Fixture fixture;

                fixture_init(&fixture, *state, types[i]);
                assert_int_equal(clients_hand_over(fixture.client, STDIN_FILENO), 0);
                guest_remove_client(&fixture.guest, fixture.client);
                assert_true(is_taken(&fixture));
                assert_int_equal(guest_terminate(&fixture.guest, &fixture.told), 0);
                assert_false(is_taken(&fixture));
                fixture_deinit(&fixture);
        }
}

/* A guest that says neither that it is there nor that it will not come holds up no client for ever. */
static void test_it_does_not_dial(void **state) {
        uint64_t deadline_usec;
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        deadline_usec = fixture.client->deadline_usec;
        assert_true(deadline_usec > clock_now() + GUEST_DIAL_USEC - USEC_PER_SEC);
        assert_true(guest_deadline(&fixture.guest) == deadline_usec);
        guest_on_deadline(&fixture.guest, deadline_usec - 1);
        assert_false(is_closed(&fixture));
        guest_on_deadline(&fixture.guest, deadline_usec);
        assert_true(is_closed(&fixture));
        assert_true(guest_deadline(&fixture.guest) == UINT64_MAX);
        /* It may dial yet. */
        assert_true(is_taken(&fixture));
        assert_int_equal(guest_terminate(&fixture.guest, &fixture.told), 0);
        assert_false(is_taken(&fixture));
        fixture_deinit(&fixture);
}

static void test_it_has_dialled(void **state) {
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        assert_int_equal(clients_hand_over(fixture.client, STDIN_FILENO), 0);
        assert_true(guest_deadline(&fixture.guest) == UINT64_MAX);
        guest_on_deadline(&fixture.guest, UINT64_MAX);
        assert_int_equal(fixture.client->state, CLIENT_STATE_CONNECTED);
        fixture_deinit(&fixture);
}

/* The agent goes away: nobody will say that a call is over, but its client. */
static void test_the_agent_goes_away(void **state) {
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        assert_int_equal(clients_hand_over(fixture.client, STDIN_FILENO), 0);
        clients_close(*state);
        assert_true(is_taken(&fixture));
        guest_remove_client(&fixture.guest, fixture.client);
        assert_false(is_taken(&fixture));
        fixture_deinit(&fixture);
}

/* Nobody will say that a call is over for which it did not dial: but it may dial yet, for a time. */
static void test_the_agent_goes_away_and_has_not_dialled(void **state) {
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        clients_close(*state);
        assert_true(is_closed(&fixture));
        guest_lose_agent(&fixture.guest, 1000);
        assert_true(guest_deadline(&fixture.guest) == 1000 + GUEST_DIAL_USEC);
        guest_on_deadline(&fixture.guest, 999 + GUEST_DIAL_USEC);
        assert_true(is_taken(&fixture));
        /* Another one goes away, and nothing is new. */
        guest_lose_agent(&fixture.guest, 2000);
        guest_on_deadline(&fixture.guest, 1000 + GUEST_DIAL_USEC);
        assert_true(is_taken(&fixture));
        guest_on_deadline(&fixture.guest, 2000 + GUEST_DIAL_USEC);
        assert_false(is_taken(&fixture));
        assert_true(guest_deadline(&fixture.guest) == UINT64_MAX);
        fixture_deinit(&fixture);
}

/* A port that has come back in time may be another call's when that is over. */
static void test_an_orphan_that_comes_back(void **state) {
        Fixture fixture;
        uint32_t port;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        clients_close(*state);
        guest_lose_agent(&fixture.guest, 1000);
        assert_int_equal(guest_terminate(&fixture.guest, &fixture.told), 0);
        assert_false(is_taken(&fixture));
        fixture.ports.next = fixture.told.connect_port - VCHAN_PORT_DATA_MIN;
        assert_int_equal(ports_allocate(&fixture.ports, VCHAN_DOMAIN_HOST, &port), 0);
        assert_int_equal(port, fixture.told.connect_port);
        guest_on_deadline(&fixture.guest, 1000 + GUEST_DIAL_USEC);
        assert_true(is_taken(&fixture));
        fixture_deinit(&fixture);
}

/* What it has dialled for is its client's, as long as that stays. */
static void test_the_agent_goes_away_and_has_dialled(void **state) {
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        assert_int_equal(clients_hand_over(fixture.client, STDIN_FILENO), 0);
        clients_close(*state);
        guest_lose_agent(&fixture.guest, 1000);
        assert_true(guest_deadline(&fixture.guest) == UINT64_MAX);
        guest_on_deadline(&fixture.guest, UINT64_MAX);
        assert_true(is_taken(&fixture));
        fixture_deinit(&fixture);
}

/* Another agent comes: the calls of the one before find out whether their machine knows of them. */
static void test_probe(void **state) {
        Fixture fixture;

        n_probed = 0;
        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        guest_probe(&fixture.guest);
        assert_int_equal(n_probed, 0);
        assert_int_equal(clients_hand_over(fixture.client, STDIN_FILENO), 0);
        clients_close(*state);
        guest_probe(&fixture.guest);
        assert_int_equal(n_probed, 1);
        guest_remove_client(&fixture.guest, fixture.client);
        guest_probe(&fixture.guest);
        assert_int_equal(n_probed, 1);
        fixture_deinit(&fixture);
}

static void test_what_was_not_given_out(void **state) {
        Fixture fixture;

        fixture_init(&fixture, *state, WIRE_TYPE_EXEC_CMDLINE);
        assert_int_equal(guest_terminate(&fixture.guest, &(ExecParams){ LISTENER + 1, fixture.told.connect_port }), 0);
        assert_int_equal(guest_terminate(&fixture.guest, &(ExecParams){ 0, fixture.told.connect_port }), 0);
        assert_int_equal(guest_terminate(&fixture.guest,
                                         &(ExecParams){ LISTENER, fixture.told.connect_port == 513 ? 514 : 513 }),
                         0);
        assert_true(is_taken(&fixture));
        assert_false(is_closed(&fixture));
        fixture_deinit(&fixture);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_invite),
                cmocka_unit_test(test_no_port_is_left),
                cmocka_unit_test_setup_teardown(test_terminated_and_not_accepted_yet, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_who_dials, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_terminated_unanswered, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_terminated_into_the_guest, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_terminated_out_of_the_guest, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_the_client_goes_first, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_it_does_not_dial, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_it_has_dialled, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_the_agent_goes_away, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_the_agent_goes_away_and_has_not_dialled, clients_setup,
                                                clients_teardown),
                cmocka_unit_test_setup_teardown(test_an_orphan_that_comes_back, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_the_agent_goes_away_and_has_dialled, clients_setup,
                                                clients_teardown),
                cmocka_unit_test_setup_teardown(test_probe, clients_setup, clients_teardown),
                cmocka_unit_test_setup_teardown(test_what_was_not_given_out, clients_setup, clients_teardown),
        };

        log_set_max_level(0);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
