/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "qubesdb/view.h"

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

static const struct {
        const char *name, *text;
} files[] = {
        { "net.conf", "[domain]\nuser = net\n" },
        { "net2.conf", "[domain]\nuser = net2\nguivm = none\n" },
        { "base.conf", "[domain]\ntype = TemplateVM\n" },
        { "work.conf", "[domain]\nuser = work\ntemplate = base\nguivm = net\n" },
        { "far.conf",
          "[domain]\ntype = RemoteVM\nrelayvm = net\ntransport_rpc = qubesair.SSHProxy\nremote_name = vault\n"
          "remote_host = b.example\n" },
        { "farther.conf", "[domain]\ntype = RemoteVM\nrelayvm = net\ntransport_rpc = qubesair.SSHProxy\n" },
        { "other.conf", "[domain]\ntype = RemoteVM\nrelayvm = net2\ntransport_rpc = qubesair.SSHProxy\n" },
        { "nested.conf", "[domain]\ntype = RemoteVM\nrelayvm = far\ntransport_rpc = qubesair.SSHProxy\n" },
};

static Inventory *load(void) {
        char folder[] = "/tmp/qair-test-view-XXXXXX", path[128];
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Inventory *inventory = NULL;

        assert_non_null(mkdtemp(folder));
        for (size_t i = 0; i < ARRAY_SIZE(files); ++i) {
                _cleanup_fd_ int fd = -1;

                snprintf(path, sizeof(path), "%s/%s", folder, files[i].name);
                fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                assert_true(fd >= 0);
                assert_int_equal(fd_write_full(fd, files[i].text, strlen(files[i].text)), 0);
        }
        assert_int_equal(inventory_load(folder, &diagnostics, &inventory), 0);
        for (size_t i = 0; i < ARRAY_SIZE(files); ++i) {
                snprintf(path, sizeof(path), "%s/%s", folder, files[i].name);
                unlink(path);
        }
        rmdir(folder);
        return inventory;
}

static const char *value(const QubesdbStore *store, const char *path) {
        QubesdbPath parsed;
        const QubesdbEntry *entry;

        assert_true(qubesdb_path_parse(path, &parsed));
        entry = qubesdb_store_get(store, &parsed);
        return entry ? entry->value : "(none)";
}

static void test_view(void **state) {
        static const struct {
                const char *domain, *path, *value;
        } cases[] = {
                { "work", "/name", "work" },
                { "work", "/type", "AppVM" },
                { "work", "/default-user", "work" },
                { "work", "/qubes-base-template", "base" },
                { "work", "/qubes-vm-persistence", "rw-only" },
                { "work", "/qubes-gui-enabled", "True" },
                { "work", "/remote/far", "(none)" },
                { "base", "/qubes-vm-type", "TemplateVM" },
                { "base", "/qubes-vm-persistence", "full" },
                { "dom0", "/type", "AdminVM" },
                { "net2", "/qubes-gui-enabled", "False" },
                { "net", "/remote/far", "vault" },
                { "net", "/remotes/far", "vault" },
                { "net", "/remote-host/far", "b.example" },
                { "net", "/remote/farther", "farther" },
                { "net", "/remote-host/farther", "(none)" },
                { "net", "/remote/other", "(none)" },
                { "net", "/remote/nested", "(none)" },
                { "net2", "/remote/other", "other" },
                { "net2", "/remote/far", "(none)" },
        };
        _cleanup_(inventory_freep) Inventory *inventory = load();

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(qubesdb_store_freep) QubesdbStore *store = NULL;

                assert_int_equal(qubesdb_store_new(&store), 0);
                assert_int_equal(qubesdb_view_fill(inventory, inventory_lookup(inventory, cases[i].domain), store), 0);
                if (strcmp(value(store, cases[i].path), cases[i].value) != 0)
                        fail_msg("%s %s: %s", cases[i].domain, cases[i].path, value(store, cases[i].path));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_view) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
