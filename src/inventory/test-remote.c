/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "inventory/remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "inventory/test-hosts.h"

static Inventory *load(void) {
        char folder[] = HOSTS_FOLDER;
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Inventory *inventory = NULL;
        int r;

        hosts_make(folder);
        r = inventory_load(folder, &diagnostics, &inventory);
        assert_int_equal(folder_remove(folder), 0);
        if (r) {
                diagnostics_log(&diagnostics);
                fail();
        }
        return inventory;
}

static void test_source(void **state) {
        static const struct {
                const char *name, *relay, *requested, *expect; /* "": nobody; NULL: ambiguous */
                bool is_unknown;
        } cases[] = {
                { "its name here", "net", "b-work", "b-work" },
                { "its name over there", "net", "work", "b-work" },
                { "one name for both", "net", "far", "far" },
                { "the name of one, the remote name of another", "net", "y", NULL },
                { "behind another relay", "open", "far", "" },
                { "a relay's own", "open", "stranger", "stranger" },
                { "unknown, and none is named for that", "net", "nobody", "" },
                { "unknown", "open", "nobody", "stranger", true },
                { "a domain here is not unknown", "open", "work", "" },
                { "nor is the host", "open", "dom0", "" },
                { "nor the relay itself", "open", "open", "" },
                { "a keyword", "open", "@adminvm", "" },
                { "a UUID", "open", "uuid:00000000-0000-4000-8000-000000000000", "" },
                { "one who is no relay", "work", "far", "" },
        };
        _cleanup_(inventory_freep) Inventory *inventory = load();

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const InventoryDomain *source = NULL;
                RequestName requested = {};
                bool is_unknown = false;
                int r;

                strcpy(requested.text, cases[i].requested);
                r = remote_find_source(inventory, inventory_lookup(inventory, cases[i].relay), &requested, &source,
                                       &is_unknown);
                if (r != (cases[i].expect ? 0 : REMOTE_E_AMBIGUOUS) ||
                    (!r && strcmp(source ? source->name.text : "", cases[i].expect) != 0) ||
                    is_unknown != cases[i].is_unknown)
                        fail_msg("%s: %d, %s", cases[i].name, r, source ? source->name.text : "nobody");
        }
}

static void test_wrap(void **state) {
        static const struct {
                const char *target, *expect_target, *expect_service;
        } cases[] = {
                { "net", "net", "t.T+far+s.S+" },
                { "hop1", "net", "t.T+hop1+t.T+far+s.S+" },
                { "hop3", "net", "t.T+hop1+t.T+hop2+t.T+hop3+t.T+far+s.S+" },
                { "unknown", "unknown", "t.T+far+s.S+" },
        };
        static char service[SERVICE_DESCRIPTOR_MAX + 1];
        _cleanup_(inventory_freep) Inventory *inventory = load();
        DomainName target = {};

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                strcpy(service, "t.T+far+s.S+");
                strcpy(target.text, cases[i].target);
                assert_int_equal(remote_wrap(inventory, &target, service), 0);
                assert_string_equal(target.text, cases[i].expect_target);
                assert_string_equal(service, cases[i].expect_service);
        }

        /* As long as it may be, and a byte more. */
        memset(service, 's', sizeof(service) - 1);
        service[SERVICE_DESCRIPTOR_MAX - strlen("t.T+hop1+")] = '\0';
        strcpy(target.text, "hop1");
        assert_int_equal(remote_wrap(inventory, &target, service), 0);
        assert_int_equal(strlen(service), SERVICE_DESCRIPTOR_MAX);
        memset(service, 's', SERVICE_DESCRIPTOR_MAX + 1 - strlen("t.T+hop1+"));
        service[SERVICE_DESCRIPTOR_MAX + 1 - strlen("t.T+hop1+")] = '\0';
        strcpy(target.text, "hop1");
        assert_int_equal(remote_wrap(inventory, &target, service), REMOTE_E_TOO_LONG);
        assert_string_equal(target.text, "hop1");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_source),
                cmocka_unit_test(test_wrap),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
