/* SPDX-License-Identifier: Apache-2.0 */
/* Real lookups in account databases of its own, bind-mounted over /etc/passwd and /etc/group in a private mount
 * namespace. Needs root; is skipped otherwise. */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/test-folder.h"
#include "inventory/inventory.h"

/* Exit status that tells meson a test was skipped. */
#define SKIPPED 77

static const char passwd[] = "root:x:0:0::/root:/bin/sh\n"
                             "nobody:x:65534:65534::/:/bin/false\n"
                             "qrexec:x:990:990::/:/bin/false\n"
                             "qrexec-dom0:x:991:991::/:/bin/false\n"
                             "work:x:1001:1001::/home/work:/bin/sh\n"
                             "vault:x:1002:1002::/home/vault:/bin/sh\n"
                             "toor:x:0:0::/root:/bin/sh\n"
                             "overflow:x:65534:1003::/:/bin/sh\n"
                             "broker2:x:990:1004::/:/bin/sh\n"
                             "work2:x:1001:1001::/home/work:/bin/sh\n"
                             "member:x:1005:1005::/home/member:/bin/sh\n"
                             "primary:x:1006:992::/home/primary:/bin/sh\n";
static const char group[] = "root:x:0:\n"
                            "qubes:x:992:qrexec-dom0,member\n"
                            "work:x:1001:\n";

static char folder[] = "/tmp/qair-test-accounts-XXXXXX";

static bool enter_private_world(void) {
        _cleanup_free_ char *passwd_path = NULL, *group_path = NULL;

        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return false;
        /* The folder is a mount of its own, so that nothing is left behind. */
        if (!mkdtemp(folder) || mount("none", folder, "tmpfs", 0, "mode=755") < 0)
                return false;
        folder_write(folder, "passwd", passwd, 0644);
        folder_write(folder, "group", group, 0644);
        folder_write(folder, "nsswitch", "passwd: files\ngroup: files\n", 0644);
        if (asprintf(&passwd_path, "%s/passwd", folder) < 0 || asprintf(&group_path, "%s/group", folder) < 0)
                return false;
        return mount(passwd_path, "/etc/passwd", NULL, MS_BIND, NULL) == 0 &&
               mount(group_path, "/etc/group", NULL, MS_BIND, NULL) == 0;
}

static void test_accounts(void **state) {
        static const struct {
                const char *user; /* of the domain that is called dUSER */
                AccountFault fault;
                uid_t uid;
                gid_t gid;
                const char *complaint; /* NULL: none */
        } cases[] = {
                { "work", ACCOUNT_FAULT_NONE, 1001, 1001 },
                { "vault", ACCOUNT_FAULT_NONE, 1002, 1002 },
                { "missing", ACCOUNT_FAULT_MISSING, .complaint = "useradd --create-home missing" },
                { "toor", ACCOUNT_FAULT_ROOT, .complaint = "has user id 0" },
                { "overflow", ACCOUNT_FAULT_OVERFLOW, .complaint = "every id that is not mapped" },
                { "broker2", ACCOUNT_FAULT_BROKER, .complaint = "the user id of the broker's" },
                { "member", ACCOUNT_FAULT_GROUP, .complaint = "gpasswd --delete member qubes" },
                { "primary", ACCOUNT_FAULT_GROUP, .complaint = "is in the group 'qubes'" },
                { "work2", ACCOUNT_FAULT_SHARED,
                  .complaint = "the same user id as 'work', which is the domain 'dwork'" },
        };
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        size_t n_complaints = 0;

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char name[64], text[128];

                snprintf(name, sizeof(name), "d%s.conf", cases[i].user);
                snprintf(text, sizeof(text), "[domain]\nuser = %s\n", cases[i].user);
                folder_write(folder, name, text, 0644);
        }
        folder_write(folder, "container.conf", "[domain]\nstart = /usr/bin/podman start x\n", 0644);
        assert_int_equal(inventory_load(folder, &diagnostics, &inventory), 0);
        assert_int_equal(inventory_check_accounts(inventory, &diagnostics), INVENTORY_E_INVALID);

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char name[64], path[512];
                const InventoryDomain *domain;
                const char *found = NULL;

                snprintf(name, sizeof(name), "d%s", cases[i].user);
                snprintf(path, sizeof(path), "%s/%s.conf", folder, name);
                domain = inventory_lookup(inventory, name);
                if (domain->account_fault != cases[i].fault)
                        fail_msg("%s: fault %d", cases[i].user, domain->account_fault);
                if (domain->uid != (cases[i].complaint ? (uid_t)-1 : cases[i].uid) ||
                    domain->gid != (cases[i].complaint ? (gid_t)-1 : cases[i].gid))
                        fail_msg("%s: uid %u gid %u", cases[i].user, domain->uid, domain->gid);
                for (size_t k = 0; k < diagnostics.n_entries; ++k)
                        if (strcmp(diagnostics.entries[k].path, path) == 0) {
                                found = diagnostics.entries[k].text;
                                assert_int_equal(diagnostics.entries[k].line, 2);
                                ++n_complaints;
                        }
                if ((found != NULL) != (cases[i].complaint != NULL) || (found && !strstr(found, cases[i].complaint)))
                        fail_msg("%s: complaint %s", cases[i].user, found ?: "none");
        }
        assert_int_equal(diagnostics.n_entries, n_complaints);
        /* dom0's own account may be, and is, in the group. */
        assert_int_equal(inventory_dom0(inventory)->uid, 991);
        assert_true(inventory_lookup(inventory, "container")->uid == (uid_t)-1);
        assert_int_equal(inventory_lookup(inventory, "container")->account_fault, ACCOUNT_FAULT_NONE);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_accounts) };
        bool ready = enter_private_world();
        int r = ready ? cmocka_run_group_tests(tests, NULL, NULL) : SKIPPED;

        if (geteuid() == 0) {
                (void)umount2(folder, MNT_DETACH);
                (void)rmdir(folder);
        }
        return r;
}
