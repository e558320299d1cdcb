/* SPDX-License-Identifier: Apache-2.0 */
/* "A49" is line 49 of the protocol specification's Appendix A. */
#include "daemon/ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void expect(Ports *ports, uint32_t peer, uint32_t port) {
        uint32_t got = 0;

        assert_int_equal(ports_allocate(ports, peer, &got), 0);
        assert_int_equal(got, port);
}

static void test_A49_parity(void **state) {
        Ports ports = PORTS_INIT(42);

        expect(&ports, 43, 514);
        expect(&ports, 43, 516);
        expect(&ports, 10, 513);
        expect(&ports, 10, 515);
        expect(&ports, 0, 517);
        expect(&ports, 0, 518);
        expect(&ports, 42, 519); /* itself: as a lower one */
        assert_true(ports_release(&ports, 43, 514));
        expect(&ports, 0, 514);
}

static void test_A50_limits(void **state) {
        Ports higher = PORTS_INIT(42), lower = PORTS_INIT(42), host = PORTS_INIT(42);
        uint32_t port = 4711;

        for (uint32_t i = 0; i < 128; ++i) {
                expect(&higher, 43 + i, 514 + 2 * i);
                expect(&lower, 1, 513 + 2 * i);
        }
        assert_int_equal(ports_allocate(&higher, 43, &port), PORTS_E_FULL);
        assert_int_equal(ports_allocate(&lower, 1, &port), PORTS_E_FULL);
        assert_int_equal(port, 4711);
        expect(&higher, 1, 513);
        for (uint32_t i = 0; i < 256; ++i)
                expect(&host, 0, 513 + i);
        assert_int_equal(ports_allocate(&host, 0, &port), PORTS_E_FULL);
}

static void test_A31_release(void **state) {
        Ports ports = PORTS_INIT(42);

        expect(&ports, 43, 514);
        assert_false(ports_release(&ports, 44, 514));
        assert_false(ports_release(&ports, 43, 516));
        assert_false(ports_release(&ports, 43, 512));
        assert_false(ports_release(&ports, 43, 769));
        expect(&ports, 43, 516);
        assert_true(ports_release(&ports, 43, 514));
        assert_false(ports_release(&ports, 43, 514));
        expect(&ports, 43, 514);
}

static void test_in_turn(void **state) {
        Ports ports = { .domain = 1, .in_turn = true, .next = 254 };
        uint32_t port = 4711;

        expect(&ports, 0, 767);
        assert_true(ports_release(&ports, 0, 767));
        expect(&ports, 0, 768);
        expect(&ports, 0, 513);
        assert_true(ports_release(&ports, 0, 513));
        for (uint32_t i = 514; i <= 767; ++i)
                expect(&ports, 0, i);
        expect(&ports, 0, 513);
        assert_int_equal(ports_allocate(&ports, 0, &port), PORTS_E_FULL);
        assert_true(ports_release(&ports, 0, 600));
        expect(&ports, 0, 600);
}

static void test_limits_of_ports(void **state) {
        assert_false(port_is_data(512));
        assert_true(port_is_data(513));
        assert_true(port_is_data(768));
        assert_false(port_is_data(769));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_A49_parity),      cmocka_unit_test(test_A50_limits),
                cmocka_unit_test(test_A31_release),     cmocka_unit_test(test_in_turn),
                cmocka_unit_test(test_limits_of_ports),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
