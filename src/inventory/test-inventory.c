/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads each folder of test/data/inventory: accept-* must load, and `expect` has a line for each domain; reject-* must
 * not, and `expect` has all complaints. The files are copied first: a checkout's owner and modes are not ours to choose.
 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/test-folder.h"
#include "inventory/inventory.h"

static const char *arg_data;
static char folder[] = "/tmp/qair-test-inventory-XXXXXX";

static int setup(void **state) {
        strcpy(folder + strlen(folder) - 6, "XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
        return folder_remove(folder);
}

/* Copies a case's folder; returns what is expected of it. */
static char *copy_case(const char *name) {
        char path[512];
        struct dirent *entry;
        char *expect = NULL;
        DIR *dir;

        snprintf(path, sizeof(path), "%s/%s", arg_data, name);
        dir = opendir(path);
        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                _cleanup_free_ char *text = NULL;
                size_t n = 0;

                if (entry->d_type == DT_DIR)
                        continue;
                assert_int_equal(file_read(dirfd(dir), entry->d_name, 1 << 20, &text, &n), 0);
                if (strcmp(entry->d_name, "expect") == 0)
                        expect = steal_ptr(&text);
                else
                        folder_write(folder, entry->d_name, text, 0644);
        }
        closedir(dir);
        assert_non_null(expect);
        return expect;
}

static const char *name_of(const InventoryDomain *domain) {
        return domain ? domain->name.text : "-";
}

/* A line with everything that is not as it is for a plain domain. */
static void describe(FILE *stream, const InventoryDomain *domain) {
        char icon[DOMAIN_ICON_SIZE];

        domain_icon(domain, icon);
        fprintf(stream, "%s type=%s label=%s tags=", domain->name.text, domain_type_text(domain->type),
                domain_label_text(domain->label));
        for (size_t i = 0; i < domain->n_tags; ++i)
                fprintf(stream, "%s%s", i > 0 ? "," : "", domain->tags[i]);
        fprintf(stream, " user=%s guivm=%s template=%s default_dispvm=%s relayvm=%s max_calls=%u icon=%s",
                domain->user.text, name_of(domain->guivm), name_of(domain->template), name_of(domain->default_dispvm),
                name_of(domain->relayvm), domain->max_calls, icon);
        if (domain->type == DOMAIN_TYPE_REMOTEVM)
                fprintf(stream, " remote=%s:%s:%s", domain->remote_name.text, domain->transport_rpc,
                        domain->remote_host ?: "-");
        if (domain->file.values[PROPERTY_UUID].text)
                fprintf(stream, " uuid=%s", domain->uuid.text);
        if (domain->unknown_source)
                fprintf(stream, " unknown_source=%s", domain->unknown_source->name.text);
        if (domain->template_for_dispvms)
                fprintf(stream, " base");
        if (domain->default_user.text[0])
                fprintf(stream, " default_user=%s", domain->default_user.text);
        if (domain->start)
                fprintf(stream, " start=%s", domain->start);
        if (domain->stop)
                fprintf(stream, " stop=%s", domain->stop);
        if (domain->sandbox != DOMAIN_SANDBOX_NONE)
                fprintf(stream, " sandbox=%s", domain_sandbox_text(domain->sandbox));
        if (domain->idle_timeout_usec > 0)
                fprintf(stream, " idle=%ju", (uintmax_t)(domain->idle_timeout_usec / 1000000));
        if (domain->stop_timeout_sec > 0)
                fprintf(stream, " stopping=%u", domain->stop_timeout_sec);
        if (domain->link == DOMAIN_LINK_VSOCK)
                fprintf(stream, " link=vsock:%u", (unsigned)domain->vsock_cid);
        else if (domain->link == DOMAIN_LINK_VCHAN)
                fprintf(stream, " link=vchan:%u", (unsigned)domain->vchan_id);
        fprintf(stream, "%s%s%s\n", domain->autostart ? " autostart" : "", domain->internal ? " internal" : "",
                domain->shell ? " shell" : "");
}

/* The complaints, a line each, without the folder's name. */
static void complaints_format(FILE *stream, const Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&diagnostics->entries[i]);
                const char *line = text;
                size_t n = strlen(folder);

                if (strncmp(line, folder, n) == 0)
                        line += line[n] == '/' ? n + 1 : n;
                for (const char *at; (at = strstr(line, folder)); line = at + n + 1)
                        fprintf(stream, "%.*s", (int)(at - line), line);
                fprintf(stream, "%s\n", line);
        }
}

static void check_case(const char *name) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_free_ char *expect = NULL, *got = NULL;
        bool accept = strncmp(name, "accept-", 7) == 0;
        FILE *stream;
        size_t n = 0;
        int r;

        assert_int_equal(setup(NULL), 0);
        expect = copy_case(name);
        stream = open_memstream(&got, &n);
        r = inventory_load(folder, &diagnostics, &inventory);
        complaints_format(stream, &diagnostics);
        for (size_t i = 0; inventory && i < inventory->n_domains; ++i)
                describe(stream, &inventory->domains[i]);
        fclose(stream);
        assert_int_equal(teardown(NULL), 0);

        if (r != (accept ? 0 : INVENTORY_E_INVALID))
                fail_msg("%s: got %d:\n%s", name, r, got);
        if (strcmp(got, expect) != 0)
                fail_msg("%s: got:\n%swanted:\n%s", name, got, expect);
}

static void test_cases(void **state) {
        DIR *dir = opendir(arg_data);
        struct dirent *entry;
        int n_accept = 0, n_reject = 0;

        assert_non_null(dir);
        while ((entry = readdir(dir))) {
                if (entry->d_name[0] == '.')
                        continue;
                check_case(entry->d_name);
                ++*(strncmp(entry->d_name, "accept-", 7) == 0 ? &n_accept : &n_reject);
        }
        closedir(dir);
        assert_true(n_accept >= 6);
        assert_true(n_reject >= 10);
}

/* One load; what it complains of, without the folder's name. */
static char *load(int expect, Inventory **ret_inventory) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        char *text = NULL;
        FILE *stream;
        size_t n = 0;

        assert_int_equal(inventory_load(folder, &diagnostics, &inventory), expect);
        stream = open_memstream(&text, &n);
        complaints_format(stream, &diagnostics);
        fclose(stream);
        if (ret_inventory)
                *ret_inventory = steal_ptr(&inventory);
        return text;
}

#define check_load(_expect, _complaints)                            \
        do {                                                        \
                _cleanup_free_ char *_text = load((_expect), NULL); \
                                                                    \
                assert_string_equal(_text, (_complaints));          \
        } while (0)

static char *path_of(const char *name) {
        static char path[512];

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        return path;
}

/* What somebody else could change is not believed. */
static void test_modes(void **state) {
        folder_write(folder, "a.conf", "[domain]\n", 0644);
        check_load(0, "");

        assert_int_equal(chmod(path_of("a.conf"), 0664), 0);
        check_load(INVENTORY_E_INVALID, "a.conf: may be written by its group or by others: chmod go-w\n");
        assert_int_equal(unlink(path_of("a.conf")), 0);

        folder_write(folder, "plain", "[domain]\n", 0644);
        assert_int_equal(symlink("plain", path_of("a.conf")), 0);
        check_load(INVENTORY_E_INVALID, "a.conf: is a symbolic link: copy the file here\n");
        assert_int_equal(unlink(path_of("a.conf")), 0);

        assert_int_equal(mkdir(path_of("a.conf"), 0755), 0);
        check_load(INVENTORY_E_INVALID, "a.conf: not a regular file: a plain file is needed\n");
        assert_int_equal(rmdir(path_of("a.conf")), 0);

        assert_int_equal(mkfifo(path_of("a.conf"), 0644), 0);
        check_load(INVENTORY_E_INVALID, "a.conf: not a regular file: a plain file is needed\n");
        assert_int_equal(unlink(path_of("a.conf")), 0);

        folder_write(folder, "a.rpc", "", 0644);
        check_load(INVENTORY_E_INVALID, "a.rpc: is no folder: a domain's services stand in a folder NAME.rpc\n");
        assert_int_equal(unlink(path_of("a.rpc")), 0);
        assert_int_equal(mkdir(path_of("a.rpc"), 0755), 0);
        check_load(0, "");
        assert_int_equal(chmod(path_of("a.rpc"), 0757), 0);
        check_load(INVENTORY_E_INVALID, "a.rpc: may be written by its group or by others: chmod go-w\n");
        assert_int_equal(chmod(path_of("a.rpc"), 0755), 0);

        if (geteuid() == 0) {
                assert_int_equal(chown(path_of("a.rpc"), 1, 1), 0);
                check_load(INVENTORY_E_INVALID, "a.rpc: has the wrong owner: chown it to root\n");
                assert_int_equal(chown(path_of("a.rpc"), 0, 0), 0);
                folder_write(folder, "a.conf", "[domain]\n", 0644);
                assert_int_equal(chown(path_of("a.conf"), 1, 1), 0);
                check_load(INVENTORY_E_INVALID, "a.conf: has the wrong owner: chown it to root\n");
                assert_int_equal(chown(path_of("a.conf"), 0, 0), 0);
                assert_int_equal(chown(folder, 1, 1), 0);
                check_load(INVENTORY_E_INVALID, ": has the wrong owner: chown it to root\n");
                assert_int_equal(chown(folder, 0, 0), 0);
        }
        assert_int_equal(chmod(folder, 0777), 0);
        check_load(INVENTORY_E_INVALID, ": may be written by its group or by others: chmod go-w\n");
}

static void test_no_folder(void **state) {
        static const char *const dirs[] = { "/nonexistent/qair", "/dev/null", "/tmp/a:b" };

        for (size_t i = 0; i < ARRAY_SIZE(dirs); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                Inventory *inventory = NULL;

                assert_int_equal(inventory_load(dirs[i], &diagnostics, &inventory), INVENTORY_E_INVALID);
                assert_int_equal(diagnostics.n_entries, 1);
                assert_null(inventory);
        }
}

static void test_file_size(void **state) {
        _cleanup_free_ char *text = malloc(DOMAIN_FILE_MAX + 2);

        assert_non_null(text);
        memset(text, '\n', DOMAIN_FILE_MAX + 1);
        memcpy(text, "[domain]", 8);
        text[DOMAIN_FILE_MAX] = '\0';
        folder_write(folder, "a.conf", text, 0644);
        check_load(0, "");
        text[DOMAIN_FILE_MAX] = '\n';
        text[DOMAIN_FILE_MAX + 1] = '\0';
        folder_write(folder, "a.conf", text, 0644);
        check_load(INVENTORY_E_INVALID, "a.conf: file too large: at most 64 KiB\n");
}

static void test_number_of_domains(void **state) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        char name[64];

        for (int i = 0; i < INVENTORY_DOMAINS_MAX; ++i) {
                snprintf(name, sizeof(name), "d%d.conf", i);
                folder_write(folder, name, "[domain]\n", 0644);
        }
        free(load(0, &inventory));
        assert_int_equal(inventory->n_domains, INVENTORY_DOMAINS_MAX + 1); /* dom0 is not counted */
        folder_write(folder, "e.conf", "[domain]\n", 0644);
        check_load(INVENTORY_E_INVALID, "e.conf: one domain too many: a host has at most 4096\n");
}

static void test_lookup(void **state) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;

        folder_write(folder, "work.conf", "[domain]\ntags = b a\n", 0644);
        folder_write(folder, "vault.conf", "[domain]\n", 0644);
        free(load(0, &inventory));
        assert_int_equal(inventory->n_domains, 3);
        assert_string_equal(inventory_lookup(inventory, "work")->name.text, "work");
        assert_string_equal(inventory_lookup(inventory, "vault")->name.text, "vault");
        assert_ptr_equal(inventory_lookup(inventory, "dom0"), inventory_dom0(inventory));
        assert_string_equal(inventory_dom0(inventory)->uuid.text, UUID_DOM0);
        assert_null(inventory_lookup(inventory, "Work"));
        assert_null(inventory_lookup(inventory, ""));
        assert_string_not_equal(inventory_lookup(inventory, "work")->uuid.text,
                                inventory_lookup(inventory, "vault")->uuid.text);
        assert_true(domain_has_tag(inventory_lookup(inventory, "work"), "a"));
        assert_true(domain_has_tag(inventory_lookup(inventory, "work"), "b"));
        assert_false(domain_has_tag(inventory_lookup(inventory, "work"), "c"));
        assert_false(domain_has_tag(inventory_lookup(inventory, "vault"), "a"));
        assert_true(inventory_lookup(inventory, "work")->uid == (uid_t)-1);
}

static void test_service_path(void **state) {
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        _cleanup_free_ char *path = NULL;
        char expect[1024];

        folder_write(folder, "work.conf", "[domain]\ntemplate = base\n", 0644);
        folder_write(folder, "base.conf", "[domain]\ntemplate = debian\n", 0644);
        folder_write(folder, "debian.conf", "[domain]\n", 0644);
        free(load(0, &inventory));
        assert_int_equal(inventory_service_path(inventory, inventory_lookup(inventory, "work"), &path), 0);
        snprintf(expect, sizeof(expect),
                 "/run/qubes-rpc:%s/work.rpc:%s/base.rpc:%s/debian.rpc:/usr/local/etc/qubes-rpc:/etc/qubes-rpc", folder,
                 folder, folder);
        assert_string_equal(path, expect);
}

/* A change is seen as if it had been made, and the files stay as they are. */
static void test_changed(void **state) {
        static const struct {
                const char *name, *domain, *text;
                size_t n_domains; /* 0: refused */
        } cases[] = {
                { "a file more", "far", "[domain]\ntemplate = work\n", 4 },
                { "another content", "work", "[domain]\nlabel = blue\n", 3 },
                { "one file less", "vault", NULL, 2 },
                { "none less", "far", NULL, 3 },
                { "dom0 gets a file", "dom0", "[domain]\ntags = host\n", 3 },
                { "a broken file", "far", "junk\n", 0 },
                { "a reference that does not exist", "far", "[domain]\ntemplate = nowhere\n", 0 },
                { "others refer to it", "work", NULL, 0 },
                { "a name that is reserved", "disp7", "[domain]\n", 0 },
        };

        folder_write(folder, "work.conf", "[domain]\n", 0644);
        folder_write(folder, "vault.conf", "[domain]\ntemplate = work\n", 0644);
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                _cleanup_(inventory_freep) Inventory *inventory = NULL;
                InventoryChange change = { .name = cases[i].domain,
                                           .text = cases[i].text,
                                           .n_text = cases[i].text ? strlen(cases[i].text) : 0 };
                int r = inventory_load_changed(folder, &change, &diagnostics, &inventory);

                if (r != (cases[i].n_domains ? 0 : INVENTORY_E_INVALID))
                        fail_msg("%s: got %d", cases[i].name, r);
                if (inventory && inventory->n_domains != cases[i].n_domains)
                        fail_msg("%s: got %zu domains", cases[i].name, inventory->n_domains);
                check_load(0, "");
        }
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cases),
                cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
                cmocka_unit_test(test_no_folder),
                cmocka_unit_test_setup_teardown(test_file_size, setup, teardown),
                cmocka_unit_test_setup_teardown(test_number_of_domains, setup, teardown),
                cmocka_unit_test_setup_teardown(test_lookup, setup, teardown),
                cmocka_unit_test_setup_teardown(test_service_path, setup, teardown),
                cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
        };

        if (argc != 2)
                return 2;
        arg_data = argv[1];
        return cmocka_run_group_tests(tests, NULL, NULL);
}
