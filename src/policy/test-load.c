/* SPDX-License-Identifier: Apache-2.0 */
/* Loading: files written to a directory of their own, and the files of test/data/policy, whose folder is an argument. */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/test-folder.h"
#include "policy/policy.h"

typedef struct World {
        char root[PATH_MAX];
        char etc[PATH_MAX + 16], run[PATH_MAX + 16], legacy[PATH_MAX + 16];
        Diagnostics diagnostics;
        Policy *policy;
} World;

static const char *arg_data;

static char *world_path(const World *world, const char *name, char buffer[static PATH_MAX * 2]) {
        snprintf(buffer, PATH_MAX * 2, "%s/%s", world->root, name);
        return buffer;
}

static void world_write_bytes(const World *world, const char *name, const char *data, size_t n) {
        char path[PATH_MAX * 2];
        FILE *file;

        world_path(world, name, path);
        for (char *slash = strchr(path + strlen(world->root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                (void)mkdir(path, 0755);
                *slash = '/';
        }
        file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fwrite(data, 1, n, file), n);
        assert_int_equal(fclose(file), 0);
}

static void world_write(const World *world, const char *name, const char *text) {
        world_write_bytes(world, name, text, strlen(text));
}

static int world_setup(void **state) {
        char template[] = "/tmp/test-policy-load.XXXXXX";
        World *world = calloc(1, sizeof(*world));

        assert_non_null(world);
        assert_non_null(mkdtemp(template));
        assert_non_null(realpath(template, world->root));
        snprintf(world->etc, sizeof(world->etc), "%s/etc", world->root);
        snprintf(world->run, sizeof(world->run), "%s/run", world->root);
        snprintf(world->legacy, sizeof(world->legacy), "%s/legacy", world->root);
        assert_int_equal(mkdir(world->etc, 0755), 0);
        assert_int_equal(mkdir(world->run, 0755), 0);
        assert_int_equal(mkdir(world->legacy, 0755), 0);
        *state = world;
        return 0;
}

static int world_teardown(void **state) {
        World *world = *state;
        int r = folder_remove(world->root);

        policy_unref(world->policy);
        diagnostics_deinit(&world->diagnostics);
        free(world);
        return r;
}

static int world_load(World *world) {
        PolicySources sources = { .directories = (const char *[]){ world->run, world->etc },
                                  .n_directories = 2,
                                  .legacy = world->legacy };

        diagnostics_deinit(&world->diagnostics);
        world->policy = policy_unref(world->policy);
        return policy_load(&sources, &world->diagnostics, &world->policy);
}

/* Loads, and compares "FILE:LINE RULE" of all rules, tabs as spaces, one on a line. */
static void world_assert_rules(World *world, const char *expect) {
        char got[4096] = "";
        size_t n = 0;

        if (world_load(world) != 0)
                fail_msg("%s:%u: %s", world->diagnostics.entries[0].path, world->diagnostics.entries[0].line,
                         world->diagnostics.entries[0].text);
        assert_int_equal(world->diagnostics.n_entries, 0);
        for (size_t i = 0; i < world->policy->n_rules; ++i) {
                const PolicyRule *rule = &world->policy->rules[i];
                _cleanup_free_ char *text = policy_rule_format(rule, NULL);

                assert_int_equal(strncmp(rule->path->text, world->root, strlen(world->root)), 0);
                for (char *tab = strchr(text, '\t'); tab; tab = strchr(tab, '\t'))
                        *tab = ' ';
                n += (size_t)snprintf(got + n, sizeof(got) - n, "%s:%u %s\n",
                                      rule->path->text + strlen(world->root) + 1, rule->line, text);
        }
        assert_string_equal(got, expect);
}

/* Loads, and compares all diagnostics, one on a line; {} stands for the root. */
static void world_assert_errors(World *world, int e, const char *expect) {
        char got[8192] = "", want[8192] = "";
        size_t n = 0;

        assert_int_equal(world_load(world), e);
        assert_null(world->policy);
        for (size_t i = 0; i < world->diagnostics.n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&world->diagnostics.entries[i]);

                n += (size_t)snprintf(got + n, sizeof(got) - n, "%s\n", text);
        }
        n = 0;
        for (; *expect != '\0'; ++expect) {
                if (strncmp(expect, "{}", 2) == 0) {
                        n += (size_t)snprintf(want + n, sizeof(want) - n, "%s", world->root);
                        ++expect;
                } else {
                        want[n++] = *expect;
                }
        }
        assert_string_equal(got, want);
}

static void test_order(void **state) {
        World *world = *state;

        world_write(world, "etc/9.policy", "s.A * * * deny\n");
        world_write(world, "etc/10-b.policy", "s.B * * * deny");
        world_write(world, "run/10-a.policy", "s.C * * * deny\n\ns.D * * * deny\n");
        world_write(world, "etc/README", "junk");
        world_write(world, "etc/10-b.policy~", "junk");
        world_write(world, "etc/.10-c.policy", "junk");
        world_write(world, "etc/sub/10-d.policy", "junk");
        world_assert_rules(world, "run/10-a.policy:1 s.C * * * deny\nrun/10-a.policy:3 s.D * * * deny\n"
                                  "etc/10-b.policy:1 s.B * * * deny\netc/9.policy:1 s.A * * * deny\n");
        assert_int_equal(world->policy->n_files, 3);
}

static void test_hide(void **state) {
        World *world = *state;

        world_write(world, "etc/10-a.policy", "junk");
        world_write(world, "run/10-a.policy", "");
        world_write(world, "etc/10-b.policy", "s.A * * * deny\n");
        world_assert_rules(world, "etc/10-b.policy:1 s.A * * * deny\n");
}

static void test_names(void **state) {
        World *world = *state;

        world_write(world, "etc/30-User.policy", "");
        world_write(world, "run/10-a.policy", "junk");
        world_assert_errors(world, POLICY_E_LOAD, "invalid filename: {}/etc/30-User.policy\n");
        world_write(world, "run/a b.policy", "");
        world_assert_errors(world, POLICY_E_LOAD, "invalid filename: {}/run/a b.policy\n");
}

static void test_missing(void **state) {
        World *world = *state;

        assert_int_equal(rmdir(world->run), 0);
        world_assert_errors(world, POLICY_E_LOAD,
                            "failed to load {}/run file: [Errno 2] No such file or directory: '{}/run'\n");
        world_write(world, "run", "");
        world_assert_errors(world, POLICY_E_LOAD, "failed to load {}/run file: [Errno 20] Not a directory: '{}/run'\n");
}

/* The first error is the one that counts; the rest of the policy is looked at all the same. */
static void test_all_errors(void **state) {
        World *world = *state;

        world_write(world, "etc/10-a.policy", "s.A * * * deny\njunk\n!nothing\n!include include/x\n!include gone\n");
        world_write(world, "etc/include/x", "\ns.A * * * permit\n");
        world_write(world, "etc/20-b.policy", "s.A\n");
        world_assert_errors(world, POLICY_E_SYNTAX,
                            "{}/etc/10-a.policy:2: wrong number of fields\n"
                            "{}/etc/10-a.policy:3: invalid directive\n"
                            "{}/etc/include/x:2: invalid action: permit\n"
                            "{}/etc/10-a.policy:5: not a file: {}/etc/gone\n"
                            "{}/etc/20-b.policy:1: wrong number of fields\n");
        world_write(world, "etc/15-c.policy", "!include-dir bad\n");
        world_write(world, "etc/bad/A.policy", "");
        assert_int_equal(world_load(world), POLICY_E_SYNTAX); /* the first error's, not the last's */
}

static void test_include(void **state) {
        World *world = *state;

        world_write(world, "etc/10-a.policy",
                    "s.A * * * deny\n!include include/x\n!include-dir more\n!include-service s.S +x include/old\n"
                    "s.Z * * * deny\n");
        world_write(world, "etc/include/x", "s.X * * * deny\n!include include/y\n");
        world_write(world, "etc/include/y", "s.Y * * * deny\n");
        world_write(world, "etc/more/20-b.policy", "s.N * * * deny\n");
        world_write(world, "etc/more/10-a.policy", "s.M * * * deny\n");
        world_write(world, "etc/more/README", "junk");
        world_write(world, "etc/include/old",
                    "# c\n$tag:t,$dispvm,allow, user=u,,target=$adminvm\n$include:include/z\n");
        world_write(world, "etc/include/z", "!include include/zz\n");
        world_write(world, "etc/include/zz", "desk web deny");
        world_assert_rules(world, "etc/10-a.policy:1 s.A * * * deny\n"
                                  "etc/include/x:1 s.X * * * deny\n"
                                  "etc/include/y:1 s.Y * * * deny\n"
                                  "etc/more/10-a.policy:1 s.M * * * deny\n"
                                  "etc/more/20-b.policy:1 s.N * * * deny\n"
                                  "etc/include/old:2 s.S +x @tag:t @dispvm allow target=@adminvm user=u\n"
                                  "etc/include/zz:1 s.S +x desk web deny\n"
                                  "etc/10-a.policy:5 s.Z * * * deny\n");
        assert_int_equal(world->policy->n_files, 9); /* and the included folder */
}

/* What is replaced in the old format is replaced in the whole line, and before anything is understood. */
static void test_old(void **state) {
        World *world = *state;

        world_write(world, "etc/10-a.policy", "!include-service s.S * old\n");
        world_write(world, "etc/old", ",!include x\n");
        world_assert_errors(world, POLICY_E_SYNTAX, "{}/etc/old:1: wrong number of fields\n");
        world_write(world, "etc/old", "a$include:x b\n!include-dir x\n$compat-4.0\n,\n");
        world_assert_errors(world, POLICY_E_SYNTAX,
                            "{}/etc/old:1: invalid action: b\n{}/etc/old:2: invalid directive\n"
                            "{}/etc/old:3: wrong number of fields\n{}/etc/old:4: wrong number of fields\n");
}

static void test_compat(void **state) {
        World *world = *state;

        world_write(world, "etc/10-a.policy", "!compat-4.0\n");
        world_write(world, "legacy/s.Go", "$anyvm web allow\n");
        world_write(world, "legacy/s.Go+x", "$include:include/y\n");
        world_write(world, "legacy/s.Go+", "");
        world_write(world, "legacy/s.Ab", "dom0 web ask\n");
        world_write(world, "legacy/include/y", "desk web ask\n");
        world_write(world, "legacy/s.Go.rpmsave", "junk");
        world_write(world, "legacy/s.Go.rpmnew", "junk");
        world_write(world, "legacy/s.Go.swp", "junk");
        world_write(world, "legacy/s.Go~", "junk");
        world_write(world, "legacy/.s.Go", "junk");
        world_assert_rules(world, "legacy/s.Ab:1 s.Ab * dom0 web ask\n"
                                  "legacy/s.Go+:0 s.Go + @anyvm @anyvm deny\n"
                                  "legacy/s.Go+:0 s.Go + @anyvm @adminvm deny\n"
                                  "legacy/include/y:1 s.Go +x desk web ask\n"
                                  "legacy/s.Go+x:0 s.Go +x @anyvm @anyvm deny\n"
                                  "legacy/s.Go+x:0 s.Go +x @anyvm @adminvm deny\n"
                                  "legacy/s.Go:1 s.Go * @anyvm web allow\n");
        assert_int_equal(world->policy->warnings.n_entries, 1);
        assert_non_null(strstr(world->policy->warnings.entries[0].text, "etc/10-a.policy line 1 is transitional"));
        world_write(world, "legacy/s.Go.bak", "junk");
        world_assert_errors(world, POLICY_E_SYNTAX, "{}/legacy/s.Go.bak:1: wrong number of fields\n");
}

/* The shipped 35-compat.policy says nothing to those who have nothing there. */
static void test_compat_empty(void **state) {
        World *world = *state;

        world_write(world, "etc/10-a.policy", "!compat-4.0\n");
        world_write(world, "legacy/s.Go.rpmsave", "junk");
        world_assert_rules(world, "");
        assert_int_equal(world->policy->warnings.n_entries, 0);
}

static void test_compat_missing(void **state) {
        World *world = *state;

        assert_int_equal(rmdir(world->legacy), 0);
        world_assert_rules(world, "");
        world_write(world, "etc/10-a.policy", "!compat-4.0\n");
        world_assert_errors(world, POLICY_E_LOAD,
                            "failed to load {}/legacy file: [Errno 2] No such file or directory: '{}/legacy'\n");
}

/* A chain of @n files; the last has a rule. */
static void write_chain(const World *world, unsigned n) {
        char name[64], text[64];

        for (unsigned i = 0; i < n; ++i) {
                snprintf(name, sizeof(name), i == 0 ? "etc/10-a.policy" : "etc/chain/%u", i);
                snprintf(text, sizeof(text), "!include chain/%u\n", i + 1);
                world_write(world, name, i + 1 < n ? text : "s.A * * * deny\n");
        }
}

static void test_depth(void **state) {
        World *world = *state;

        write_chain(world, POLICY_INCLUDE_DEPTH_MAX + 1);
        assert_int_equal(world_load(world), 0);
        assert_int_equal(world->policy->n_rules, 1);
        write_chain(world, POLICY_INCLUDE_DEPTH_MAX + 2);
        world_assert_errors(world, POLICY_E_SYNTAX,
                            "{}/etc/chain/64:1: files include each other too deeply, or in a loop: at most 64 are "
                            "allowed\n");
        world_write(world, "etc/chain/64", "!include chain/1\n");
        assert_int_equal(world_load(world), POLICY_E_SYNTAX);
}

/* Includes that double at each step end at a limit, not at the end of time. */
static void test_doubling(void **state) {
        World *world = *state;
        char name[64], text[64];

        for (int i = 0; i < 40; ++i) {
                snprintf(name, sizeof(name), i == 0 ? "etc/10-a.policy" : "etc/x/%d", i);
                snprintf(text, sizeof(text), "!include x/%d\n!include x/%d\n", i + 1, i + 1);
                world_write(world, name, i < 39 ? text : "");
        }
        assert_int_equal(world_load(world), POLICY_E_SYNTAX);
        assert_non_null(strstr(world->diagnostics.entries[0].text, "too many files: at most 8192 are allowed"));
}

static void write_filled(const World *world, const char *name, size_t n_line, size_t n_total) {
        char *data = malloc(n_total);

        assert_non_null(data);
        memset(data, '#', n_total);
        for (size_t i = n_line; i < n_total; i += n_line + 1)
                data[i] = '\n';
        world_write_bytes(world, name, data, n_total);
        free(data);
}

static void test_sizes(void **state) {
        World *world = *state;

        write_filled(world, "etc/10-a.policy", POLICY_LINE_MAX, POLICY_LINE_MAX);
        world_assert_rules(world, "");
        write_filled(world, "etc/10-a.policy", POLICY_LINE_MAX + 1, POLICY_LINE_MAX + 1);
        world_assert_errors(world, POLICY_E_SYNTAX,
                            "{}/etc/10-a.policy:1: too many bytes in a line: at most 65536 are allowed\n");
        write_filled(world, "etc/10-a.policy", 1000, POLICY_FILE_SIZE_MAX);
        world_assert_rules(world, "");
        write_filled(world, "etc/10-a.policy", 1000, POLICY_FILE_SIZE_MAX + 1);
        world_assert_errors(world, POLICY_E_SYNTAX,
                            "{}/etc/10-a.policy: too many bytes: at most 4194304 are allowed\n");
}

static void test_rules_max(void **state) {
        World *world = *state;
        const size_t n_line = strlen("* * * * deny\n");
        size_t n_file = POLICY_RULES_MAX / 2;
        char *text = malloc(n_file * n_line + 1), *end = text;

        assert_non_null(text);
        for (size_t i = 0; i < n_file; ++i)
                end = stpcpy(end, "* * * * deny\n");
        world_write(world, "etc/10-a.policy", text);
        world_write(world, "etc/20-b.policy", text);
        free(text);
        assert_int_equal(world_load(world), 0);
        assert_int_equal(world->policy->n_rules, POLICY_RULES_MAX);
        world_write(world, "etc/30-c.policy", "* * * * deny\n");
        world_assert_errors(world, POLICY_E_SYNTAX,
                            "{}/etc/30-c.policy:1: too many rules: at most 200000 are allowed\n");
}

static void test_encoding(void **state) {
        World *world = *state;

        world_write(world, "etc/10-a.policy", "s.A\n# \xff\n");
        world_assert_errors(world, POLICY_E_SYNTAX, "{}/etc/10-a.policy:2: invalid UTF-8\n");
        world_write_bytes(world, "etc/10-a.policy", "#\0\ns.A * a\0b * deny\n", 20);
        assert_int_equal(world_load(world), 0);
        assert_int_equal(world->policy->rules[0].source.value->n, 3);
        world_write_bytes(world, "etc/10-a.policy", "!include a\0b\n", 13);
        world_assert_errors(world, POLICY_E_SYNTAX, "{}/etc/10-a.policy:1: not a file: a\\x00b\n");
}

/*
 * The files of test/data/policy: "# rules: N" or "# error: LINE: TEXT" on the first line says what they yield.
 */

static void check_data(const char *name) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        _cleanup_free_ char *data = NULL;
        char path[PATH_MAX], got[512];
        const char *rest;
        size_t n = 0, n_got;
        int r;

        snprintf(path, sizeof(path), "%s/%s", arg_data, name);
        assert_int_equal(file_read(-1, path, POLICY_FILE_SIZE_MAX, &data, &n), 0);
        r = policy_parse(name, (PolicySlice){ data, n }, &diagnostics, &policy);
        if (r == 0)
                snprintf(got, sizeof(got), "# rules: %zu", policy->n_rules);
        else
                snprintf(got, sizeof(got), "# error: %u: %s", diagnostics.entries[0].line, diagnostics.entries[0].text);
        n_got = strlen(got);
        rest = data + n_got;
        if (strncmp(data, got, n_got) != 0 || (*rest != '\n' && *rest != '\r'))
                fail_msg("%s: %s", name, got);
        assert_int_equal(strncmp(name, r == 0 ? "accept-" : "reject-", 7), 0);
}

static void test_data(void **state) {
        DIR *folder = opendir(arg_data);
        struct dirent *entry;
        unsigned n = 0;

        assert_non_null(folder);
        while ((entry = readdir(folder))) {
                if (entry->d_name[0] == '.')
                        continue;
                check_data(entry->d_name);
                ++n;
        }
        closedir(folder);
        assert_true(n > 20);
}

int main(int argc, char **argv) {
#define WORLD_TEST(_function) cmocka_unit_test_setup_teardown(_function, world_setup, world_teardown)
        static const struct CMUnitTest tests[] = {
                WORLD_TEST(test_order),     WORLD_TEST(test_hide),     WORLD_TEST(test_names),
                WORLD_TEST(test_missing),   WORLD_TEST(test_include),  WORLD_TEST(test_all_errors),
                WORLD_TEST(test_old),       WORLD_TEST(test_compat),   WORLD_TEST(test_compat_empty),
                WORLD_TEST(test_old),       WORLD_TEST(test_compat),   WORLD_TEST(test_compat_missing),
                WORLD_TEST(test_depth),     WORLD_TEST(test_sizes),    WORLD_TEST(test_doubling),
                WORLD_TEST(test_rules_max), WORLD_TEST(test_encoding), cmocka_unit_test(test_data),
        };
#undef WORLD_TEST

        if (argc != 2) {
                fprintf(stderr, "usage: test-policy-load FOLDER\n");
                return 1;
        }
        arg_data = argv[1];
        return cmocka_run_group_tests_name("policy/load", tests, NULL, NULL);
}
