/* SPDX-License-Identifier: Apache-2.0 */
/* Real folders, changed in every way that changes what a request is to be decided by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/test-folder.h"
#include "policy-tools/kept.h"

typedef enum What {
        NOTHING,
        WRITE,   /* the file `path`, anew */
        APPEND,  /* to it */
        REMOVE,  /* it, or an empty folder */
        RENAME,  /* it, to `text` */
        FOLDER,  /* make it */
        SYMLINK, /* it leads to `text` */
        LINK,    /* it is another name of `text` */
} What;

typedef struct Step {
        What what;
        const char *path, *text;
} Step;

#define STEPS_MAX 3

typedef struct World {
        char root[64];
        char run[128], etc[128], domains[128], legacy[128];
        const char *directories[2];
        PolicyHandler handler;
        PolicyKept *kept;
} World;

static void save(const char *path, const char *mode, const char *text) {
        FILE *file = fopen(path, mode);

        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

/* In the world's folder. */
static void do_steps(const Step steps[static STEPS_MAX]) {
        for (size_t i = 0; i < STEPS_MAX; ++i) {
                const Step *step = &steps[i];

                switch (step->what) {
                case NOTHING:
                        break;
                case WRITE:
                        save(step->path, "w", step->text);
                        break;
                case APPEND:
                        save(step->path, "a", step->text);
                        break;
                case REMOVE:
                        assert_int_equal(remove(step->path), 0);
                        break;
                case RENAME:
                        assert_int_equal(rename(step->path, step->text), 0);
                        break;
                case FOLDER:
                        assert_int_equal(mkdir(step->path, 0755), 0);
                        break;
                case SYMLINK:
                        assert_int_equal(symlink(step->text, step->path), 0);
                        break;
                case LINK:
                        assert_int_equal(link(step->text, step->path), 0);
                        break;
                }
        }
}

static int setup(void **state) {
        static const char *const folders[] = { "run", "etc", "etc/include", "etc/more", "domains" };
        static World world;

        world = (World){ .root = "/tmp/test-kept.XXXXXX" };
        assert_non_null(mkdtemp(world.root));
        assert_int_equal(chdir(world.root), 0);
        snprintf(world.run, sizeof(world.run), "%s/run", world.root);
        snprintf(world.etc, sizeof(world.etc), "%s/etc", world.root);
        snprintf(world.domains, sizeof(world.domains), "%s/domains", world.root);
        snprintf(world.legacy, sizeof(world.legacy), "%s/legacy", world.root);
        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); ++i)
                assert_int_equal(mkdir(folders[i], 0755), 0);
        save("domains/work.conf", "w", "[domain]\nuser = a\n");
        save("etc/10.policy", "w", "s.A * * * deny\n!include include/x\n!include-dir more\n");
        save("etc/include/x", "w", "s.B * * * deny\n");
        world.directories[0] = world.run;
        world.directories[1] = world.etc;
        world.handler = (PolicyHandler){
                .directories = world.directories, .n_directories = 2, .legacy = world.legacy, .inventory = world.domains
        };
        assert_int_equal(policy_kept_new(&world.handler, &world.kept), 0);
        *state = &world;
        return 0;
}

static int teardown(void **state) {
        World *world = *state;

        policy_kept_free(world->kept);
        assert_null(world->handler.policy);
        assert_int_equal(chdir("/"), 0);
        return folder_remove(world->root);
}

static void refresh(World *world, size_t n_rules, size_t n_domains, const char *name) {
        assert_int_equal(policy_kept_refresh(world->kept), 0);
        if (!world->handler.policy || !world->handler.system)
                fail_msg("%s: nothing is kept", name);
        if (world->handler.policy->n_rules != n_rules || world->handler.system->facts->n_domains != n_domains)
                fail_msg("%s: %zu rules, %zu domains", name, world->handler.policy->n_rules,
                         (size_t)world->handler.system->facts->n_domains);
}

static void test_nothing_changes(void **state) {
        World *world = *state;
        const Policy *policy;

        refresh(world, 2, 2, "first");
        policy = world->handler.policy;
        refresh(world, 2, 2, "second");
        assert_ptr_equal(world->handler.policy, policy);
        policy_kept_check(world->kept);
        assert_ptr_equal(world->handler.policy, policy);
}

static void test_changes(void **state) {
        // clang-format off
        static const struct {
                const char *name;
                Step steps[STEPS_MAX];
                size_t n_rules, n_domains;
        } cases[] = {
                { "a line is added", { { APPEND, "etc/10.policy", "s.C * * * deny\n" } }, 3, 2 },
                { "a file is added", { { WRITE, "etc/20.policy", "s.D * * * deny\n" } }, 4, 2 },
                { "a file is replaced", { { WRITE, "etc/new", "\n" }, { RENAME, "etc/new", "etc/20.policy" } }, 3, 2 },
                { "a file is removed", { { REMOVE, "etc/20.policy" } }, 3, 2 },
                { "an included file is changed", { { APPEND, "etc/include/x", "s.B * * * allow\n" } }, 4, 2 },
                { "an included folder has a first file", { { WRITE, "etc/more/1.policy", "s.E * * * deny\n" } }, 5, 2 },
                { "an included folder is another", { { RENAME, "etc/more", "old" }, { FOLDER, "etc/more" } }, 4, 2 },
                { "an empty folder has a first file", { { WRITE, "run/7.policy", "s.F * * * deny\n" } }, 5, 2 },
                { "a folder is another",
                  { { RENAME, "etc", "other" }, { FOLDER, "etc" }, { WRITE, "etc/1.policy", "s.A * * * deny\n" } }, 2, 2 },
                { "a domain is added", { { WRITE, "domains/vault.conf", "[domain]\nuser = b\n" } }, 2, 3 },
                { "a domain is removed", { { REMOVE, "domains/work.conf" } }, 2, 2 },
                { "the old format is read from now on",
                  { { WRITE, "etc/2.policy", "!compat-4.0\n" }, { FOLDER, "legacy" } }, 2, 2 },
                { "it has a first file", { { WRITE, "legacy/s.G", "$anyvm $anyvm deny\n" } }, 3, 2 },
        };
        // clang-format on
        World *world = *state;

        refresh(world, 2, 2, "at first");
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
                do_steps(cases[i].steps);
                refresh(world, cases[i].n_rules, cases[i].n_domains, cases[i].name);
        }
}

/* In a process that was forked before the change, and while the first has read anew already. */
static void test_check(void **state) {
        World *world = *state;
        Policy *policy;
        PolicySystem *system;
        PolicyKept *kept;

        refresh(world, 2, 2, "at first");
        save("etc/10.policy", "a", "s.C * * * deny\n");
        policy_kept_check(world->kept);
        assert_null(world->handler.policy);
        assert_null(world->handler.system);
        refresh(world, 3, 2, "afterwards");
        policy = world->handler.policy;
        system = world->handler.system;
        policy_kept_check(world->kept);
        assert_ptr_equal(world->handler.policy, policy);
        assert_ptr_equal(world->handler.system, system);

        assert_int_equal(policy_kept_new(&world->handler, &kept), 0);
        policy_kept_check(kept); /* nothing is there to be forgotten */
        assert_ptr_equal(world->handler.policy, policy);
        world->handler.policy = NULL;
        world->handler.system = NULL;
        policy_kept_free(kept);
        world->handler.policy = policy;
        world->handler.system = system;
}

static void test_what_is_not_kept(void **state) {
        // clang-format off
        static const struct {
                const char *name;
                Step steps[STEPS_MAX], back[STEPS_MAX];
        } cases[] = {
                { "a broken policy", { { WRITE, "etc/30.policy", "junk\n" } }, { { REMOVE, "etc/30.policy" } } },
                { "a broken inventory", { { WRITE, "domains/x.conf", "junk\n" } }, { { REMOVE, "domains/x.conf" } } },
                { "a link to a file", { { WRITE, "far", "\n" }, { SYMLINK, "etc/30.policy", "../far" } }, { { REMOVE, "etc/30.policy" } } },
                { "a file with a second name", { { LINK, "etc/30.policy", "far" } }, { { REMOVE, "etc/30.policy" } } },
                { "a link to a folder", { { RENAME, "etc", "real" }, { SYMLINK, "etc", "real" } }, { { REMOVE, "etc" }, { RENAME, "real", "etc" } } },
                { "a missing file is included", { { REMOVE, "etc/include/x" } }, { { WRITE, "etc/include/x", "\n" } } },
                { "no domains", { { RENAME, "domains", "gone" } }, { { RENAME, "gone", "domains" } } },
        };
        // clang-format on
        World *world = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
                assert_int_equal(policy_kept_refresh(world->kept), 0);
                if (!world->handler.policy)
                        fail_msg("before %s: nothing is kept", cases[i].name);
                do_steps(cases[i].steps);
                assert_int_equal(policy_kept_refresh(world->kept), 0);
                if (world->handler.policy || world->handler.system)
                        fail_msg("%s: it is kept", cases[i].name);
                do_steps(cases[i].back);
                /* It is not tried again at once. */
                assert_int_equal(policy_kept_refresh(world->kept), 0);
                assert_null(world->handler.policy);
                policy_kept_free(world->kept);
                assert_int_equal(policy_kept_new(&world->handler, &world->kept), 0);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_changes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
                cmocka_unit_test_setup_teardown(test_check, setup, teardown),
                cmocka_unit_test_setup_teardown(test_what_is_not_kept, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
