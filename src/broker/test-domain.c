/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "broker/broker.h"

static Domain *add(Broker *broker, const char *text, uid_t uid) {
        DomainName name;
        Domain *domain;

        assert_int_equal(domain_name_parse(text, strlen(text), &name), 0);
        assert_int_equal(domain_new(broker, &name, uid, &domain), 0);
        assert_int_equal(domain_table_add(&broker->domains, domain), 0);
        domain_unref(domain); /* the table has its own */
        return domain;
}

static void test_find(void **state) {
        Broker broker = {};
        Domain *vault, *work;

        vault = add(&broker, "vault", 1002);
        work = add(&broker, "work", 1001);
        add(&broker, "a", 5000);
        assert_ptr_equal(domain_table_find(&broker.domains, "vault"), vault);
        assert_ptr_equal(domain_table_find(&broker.domains, "work"), work);
        assert_null(domain_table_find(&broker.domains, "wor"));
        assert_null(domain_table_find(&broker.domains, "works"));
        assert_null(domain_table_find(&broker.domains, ""));
        assert_ptr_equal(domain_table_find_uid(&broker.domains, 1001), work);
        assert_ptr_equal(domain_table_find_uid(&broker.domains, 1002), vault);
        assert_null(domain_table_find_uid(&broker.domains, 0));
        assert_null(domain_table_find_uid(&broker.domains, 1003));
        assert_null(domain_table_find_uid(&broker.domains, (uid_t)-1));
        domain_table_deinit(&broker.domains);
}

/* A service of dom0 runs as the account of dom0's agent; it must not be able to call with dom0's rights. */
static void test_account_of_dom0_is_no_caller(void **state) {
        Broker broker = {};

        add(&broker, "dom0", 990);
        assert_non_null(domain_table_find(&broker.domains, "dom0"));
        assert_null(domain_table_find_uid(&broker.domains, 990));
        domain_table_deinit(&broker.domains);
}

static void test_many(void **state) {
        enum { N = 2000 };
        Broker broker = {};
        char text[32];

        for (unsigned i = 0; i < N; ++i) {
                unsigned number = i * 7919 % N; /* every number once, in no order */

                snprintf(text, sizeof(text), "domain-%u", number);
                add(&broker, text, 10000 + number);
        }
        for (unsigned i = 0; i < N; ++i) {
                Domain *domain;

                snprintf(text, sizeof(text), "domain-%u", i);
                domain = domain_table_find(&broker.domains, text);
                assert_non_null(domain);
                assert_string_equal(domain->name.text, text);
                assert_ptr_equal(domain_table_find_uid(&broker.domains, 10000 + i), domain);
                if (i % 2)
                        domain_table_remove(&broker.domains, domain);
        }
        for (unsigned i = 0; i < N; ++i) {
                snprintf(text, sizeof(text), "domain-%u", i);
                assert_int_equal(domain_table_find(&broker.domains, text) != NULL, i % 2 == 0);
                assert_int_equal(domain_table_find_uid(&broker.domains, 10000 + i) != NULL, i % 2 == 0);
        }
        domain_table_deinit(&broker.domains);
}

static void test_references(void **state) {
        Broker broker = {};
        Domain *domain = domain_ref(add(&broker, "vault", 1));

        domain_table_remove(&broker.domains, domain);
        domain_table_remove(&broker.domains, domain); /* harmless when repeated */
        assert_string_equal(domain->name.text, "vault");
        assert_null(domain_unref(domain));
        assert_null(domain_unref(NULL));
        domain_table_deinit(&broker.domains);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_find),
                cmocka_unit_test(test_account_of_dom0_is_no_caller),
                cmocka_unit_test(test_many),
                cmocka_unit_test(test_references),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
