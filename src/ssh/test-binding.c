/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/binding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ssh/test-sample.h"

static SshBinding make(const char *session_id, const char *host_key, bool is_forwarding) {
        return (SshBinding){ SLICE_OF(host_key), SLICE_OF(session_id), SLICE_OF("signature"), is_forwarding };
}

static void test_rules(void **state) {
        SshBindings bindings = {};
        SshBinding one = make("one", "key 1", true), again = make("one", "key 1", true),
                   other = make("one", "key 2", true), two = make("two", "key 1", true),
                   last = make("end", "key 3", false);

        assert_null(ssh_bindings_last(&bindings));
        assert_int_equal(ssh_bindings_check(&bindings, &one), 0);
        assert_int_equal(bindings.n, 0);
        ssh_bindings_record(&bindings, &one, true);
        assert_int_equal(ssh_bindings_check(&bindings, &again), 0);
        ssh_bindings_record(&bindings, &again, false);
        assert_int_equal(bindings.n, 1);
        assert_true(bindings.bound[0].is_verified);
        assert_int_equal(ssh_bindings_check(&bindings, &other), SSH_BINDINGS_E_OTHER);
        assert_int_equal(ssh_bindings_check(&bindings, &two), 0);
        ssh_bindings_record(&bindings, &two, false);
        assert_true(ssh_bindings_has_forwarding(&bindings));
        assert_int_equal(ssh_bindings_check(&bindings, &last), 0);
        ssh_bindings_record(&bindings, &last, true);
        assert_int_equal(bindings.n, 3);
        assert_true(ssh_bound_is(ssh_bindings_last(&bindings), SLICE_OF("end")));
        /* Nothing comes after one that does not forward, not even itself. */
        assert_int_equal(ssh_bindings_check(&bindings, &last), SSH_BINDINGS_E_BOUND);
        assert_int_equal(ssh_bindings_check(&bindings, &one), SSH_BINDINGS_E_BOUND);
}

static void test_full(void **state) {
        SshBindings bindings = {};

        for (unsigned i = 0; i < SSH_BINDINGS_MAX; ++i) {
                SshBinding binding = make((char[]){ (char)('a' + i), '\0' }, "key", true);

                assert_int_equal(ssh_bindings_check(&bindings, &binding), 0);
                ssh_bindings_record(&bindings, &binding, true);
        }
        assert_int_equal(bindings.n, SSH_BINDINGS_MAX);
        assert_int_equal(ssh_bindings_check(&bindings, &(SshBinding[]){ make("new", "key", true) }[0]),
                         SSH_BINDINGS_E_FULL);
        assert_int_equal(ssh_bindings_check(&bindings, &(SshBinding[]){ make("a", "key", true) }[0]), 0);
        ssh_bindings_record(&bindings, &(SshBinding[]){ make("new", "key", true) }[0], true);
        assert_int_equal(bindings.n, SSH_BINDINGS_MAX);
}

/* A certificate of a host is another key than the one in it, but goes by the same fingerprint. */
static void test_certificates(void **state) {
        Sample plain, certificate;
        SshBinding one = { sample_key(&plain, 'h'), SLICE_OF("id"), SLICE_OF(""), true };
        SshBinding other = { sample_certificate(&certificate, 'h', 2, true), SLICE_OF("id"), SLICE_OF(""), true };
        SshBindings bindings = {}, others = {};

        ssh_bindings_record(&bindings, &one, true);
        assert_int_equal(ssh_bindings_check(&bindings, &other), SSH_BINDINGS_E_OTHER);
        ssh_bindings_record(&others, &other, true);
        assert_true(ssh_fingerprint_equal(&bindings.bound[0].fingerprint, &others.bound[0].fingerprint));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_full),
                cmocka_unit_test(test_certificates),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
