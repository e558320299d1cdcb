/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "broker/remote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

static const char remote[] = "[domain]\ntype = RemoteVM\ntransport_rpc = t.T\n";

static const struct {
        const char *name, *relay, *more;
} domains[] = {
        { "work", NULL, "user = work\n" },
        { "net", NULL, "user = net\n" },
        { "open", NULL, "user = open\nunknown_source = stranger\n" },
        { "b-work", "net", "remote_name = work\n" },
        { "far", "net", "" },
        { "x", "net", "remote_name = y\n" },
        { "y", "net", "remote_name = z\n" },
        { "stranger", "open", "" },
        { "hop1", "net", "" },
        { "hop2", "hop1", "" },
        { "hop3", "hop2", "" },
};

static Inventory *load(void) {
        char folder[] = "/tmp/qair-test-remote-XXXXXX", path[128], text[512];
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Inventory *inventory = NULL;

        assert_non_null(mkdtemp(folder));
        for (size_t i = 0; i < ARRAY_SIZE(domains); ++i) {
                _cleanup_fd_ int fd = -1;
                int n = snprintf(text, sizeof(text), "%s%s%s\n%s", domains[i].relay ? remote : "[domain]\n",
                                 domains[i].relay ? "relayvm = " : "", domains[i].relay ?: "", domains[i].more);

                snprintf(path, sizeof(path), "%s/%s.conf", folder, domains[i].name);
                fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                assert_true(fd >= 0);
                assert_int_equal(fd_write_full(fd, text, (size_t)n), 0);
        }
        if (inventory_load(folder, &diagnostics, &inventory)) {
                diagnostics_log(&diagnostics);
                fail();
        }
        for (size_t i = 0; i < ARRAY_SIZE(domains); ++i) {
                snprintf(path, sizeof(path), "%s/%s.conf", folder, domains[i].name);
                unlink(path);
        }
        rmdir(folder);
        return inventory;
}

static void test_source(void **state) {
        static const struct {
                const char *name, *relay, *requested, *expect;
        } cases[] = {
                { "its name here", "net", "b-work", "b-work" },
                { "its name over there", "net", "work", "b-work" },
                { "one name for both", "net", "far", "far" },
                { "the name of one, the remote name of another", "net", "y", NULL },
                { "behind another relay", "open", "far", "far" },
                { "a relay's own", "open", "stranger", "stranger" },
                { "unknown, and none is named for that", "net", "nobody", "nobody" },
                { "unknown", "open", "nobody", "stranger" },
                { "a domain here is not unknown", "open", "work", "work" },
                { "nor is the host", "open", "dom0", "dom0" },
                { "nor the relay itself", "open", "open", "open" },
                { "a keyword", "open", "@adminvm", "@adminvm" },
                { "a UUID", "open", "uuid:00000000-0000-4000-8000-000000000000",
                  "uuid:00000000-0000-4000-8000-000000000000" },
                { "one who is no relay", "work", "far", "far" },
        };
        _cleanup_(inventory_freep) Inventory *inventory = load();

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                RequestName requested = {}, source = {};
                int r;

                strcpy(requested.text, cases[i].requested);
                r = remote_find_source(inventory, inventory_lookup(inventory, cases[i].relay), &requested, &source);
                if (r != (cases[i].expect ? 0 : REMOTE_E_AMBIGUOUS) ||
                    (!r && strcmp(source.text, cases[i].expect) != 0))
                        fail_msg("%s: %d, %s", cases[i].name, r, source.text);
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
