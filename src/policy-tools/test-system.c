/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/socket.h"
#include "policy-tools/system.h"

#define DOMAIN "{\"domains\": {\"a\": "
#define END    "}}"

static void test_errors(void **state) {
        static const struct {
                const char *name, *text, *message;
        } cases[] = {
                { "no domains at all", "{\"domains\": {}}", NULL },
                { "a domain of which nothing is known", DOMAIN "{}" END, NULL },
                { "unknown members", DOMAIN "{\"x\": [1, {}]}" END, NULL },
                { "blanks at the end", "{\"domains\": {}} \n", NULL },
                { "nulls", DOMAIN "{\"uuid\": null, \"guivm\": null, \"internal\": null}" END, NULL },
                { "empty", "", "not JSON: it ends too early" },
                { "cut", "{\"domains\": {", "not JSON: it ends too early" },
                { "text after it", "{\"domains\": {}} x", "not JSON: unexpected character" },
                { "an array", "[]", "system information is an object with a member 'domains', an object" },
                { "null", "null\n", "system information is an object with a member 'domains', an object" },
                { "no domains", "{}", "system information is an object with a member 'domains', an object" },
                { "domains are an array", "{\"domains\": []}",
                  "system information is an object with a member 'domains', an object" },
                { "an entry that is none", DOMAIN "1" END, "domain a: its entry should be an object" },
                { "null is no entry", DOMAIN "null" END, "domain a: its entry should be an object" },
                { "a number for a text", DOMAIN "{\"type\": 1}" END, "domain a: type should be a text or null" },
                { "NUL in a text", DOMAIN "{\"type\": \"a\\u0000\"}" END, "domain a: type should be a text or null" },
                { "a text for a boolean", DOMAIN "{\"template_for_dispvms\": \"no\"}" END,
                  "domain a: template_for_dispvms should be true or false" },
                { "a text for tags", DOMAIN "{\"tags\": \"x\"}" END, "domain a: tags should be a list of texts" },
                { "a number for a tag", DOMAIN "{\"tags\": [\"x\", 1]}" END,
                  "domain a: tags should be a list of texts" },
                { "a keyword for a name", "{\"domains\": {\"@a\": {}}}",
                  "a domain's name is empty, '*', or begins with '@' or 'uuid:', which mean something else" },
                { "one uuid twice", "{\"domains\": {\"a\": {\"uuid\": \"1\"}, \"b\": {\"uuid\": \"1\"}}}",
                  "two domains have the same name or the same uuid" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                _cleanup_(policy_system_freep) PolicySystem *system = NULL;
                int r = policy_system_parse("x", cases[i].text, strlen(cases[i].text), &diagnostics, &system);

                if (r != (cases[i].message ? POLICY_SYSTEM_E_INVALID : 0))
                        fail_msg("%s: got %d", cases[i].name, r);
                if (cases[i].message && strcmp(diagnostics.entries[0].text, cases[i].message) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, diagnostics.entries[0].text);
        }
}

static void test_deep(void **state) {
        static const char text[] = "{\"domains\":{\"a\":{\"x\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}}}";
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;

        assert_int_equal(policy_system_parse("x", text, strlen(text), &diagnostics, &system), POLICY_SYSTEM_E_INVALID);
}

static void test_members(void **state) {
        static const char text[] =
                "{\"domains\": {\"b\": {\"uuid\": \"u-b\", \"type\": \"AppVM\", \"tags\": [\"x\", \"y\"],"
                "\"template_for_dispvms\": true, \"default_dispvm\": \"d\", \"internal\": \"1\","
                "\"power_state\": \"Running\", \"guivm\": \"g\", \"icon\": \"i\", \"label\": \"0x123456\"},"
                "\"a\": {\"internal\": \"\", \"power_state\": \"Paused\", \"type\": \"RemoteVM\", \"relayvm\": \"b\","
                "\"transport_rpc\": \"t\"}, \"c\": {\"internal\": false}, \"d\": {\"internal\": true}}}";
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        const PolicyDomain *b, *a;

        assert_int_equal(policy_system_parse("x", text, strlen(text), &diagnostics, &system), 0);
        assert_int_equal(system->facts->n_domains, 4);
        b = &system->facts->domains[0]; /* the order of the text */
        a = &system->facts->domains[1];
        assert_string_equal(b->name->text, "b");
        assert_string_equal(b->uuid->text, "uuid:u-b");
        assert_string_equal(b->type->text, "AppVM");
        assert_int_equal(b->n_tags, 2);
        assert_int_equal(b->is_base, POLICY_FACT_YES);
        assert_string_equal(b->default_dispvm->text, "d");
        assert_true(b->internal);
        assert_int_equal(b->running, POLICY_FACT_YES);
        assert_string_equal(b->guivm->text, "g");
        assert_string_equal(b->icon->text, "i");
        assert_string_equal(system->labels[0], "0x123456");
        assert_null(a->uuid);
        assert_false(a->has_tags);
        assert_int_equal(a->is_base, POLICY_FACT_UNKNOWN);
        assert_false(a->internal);
        assert_int_equal(a->running, POLICY_FACT_NO);
        assert_true(a->is_remote);
        assert_string_equal(a->relayvm->text, "b");
        assert_string_equal(a->transport_rpc->text, "t");
        assert_null(system->labels[1]);
        assert_false(system->facts->domains[2].internal);
        assert_true(system->facts->domains[3].internal);
}

/* A service that takes one request, checks it, and answers. */
static pid_t serve(const char *path, const char *answer, size_t n_answer) {
        static const char request[] = "internal.GetSystemInfo+ dom0 name dom0";
        struct sockaddr_un address;
        socklen_t n_address;
        char buffer[sizeof(request) + 1];
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
        pid_t pid;

        assert_int_equal(socket_address(path, &address, &n_address), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        assert_int_equal(listen(fd, 1), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid > 0) {
                close(fd);
                return pid;
        }
        peer = accept(fd, NULL, NULL);
        if (fd_read_full(peer, buffer, sizeof(request)) != 0 || memcmp(buffer, request, sizeof(request)) != 0 ||
            read(peer, buffer, 1) != 0 || fd_write_full(peer, answer, n_answer) < 0)
                _exit(1);
        _exit(0);
}

static void test_socket(void **state) {
#define ANSWER(_text) _text, sizeof(_text) - 1
        static const struct {
                const char *name, *answer;
                size_t n_answer;
                const char *message;
        } cases[] = {
                { "domains", ANSWER("0\0{\"domains\": {\"a\": {}}}"), NULL },
                { "an error", ANSWER("2\0QubesException\0\0what\0"), "error getting system info: QubesException" },
                { "an error that ends", ANSWER("2\0"), "error getting system info: " },
                { "nothing", ANSWER(""), "the answer makes no sense" },
                { "something else", ANSWER("1\0{}"), "the answer makes no sense" },
                { "no JSON", ANSWER("0\0"), "not JSON: it ends too early" },
        };
#undef ANSWER
        char directory[] = "/tmp/qair-system.XXXXXX", path[64];

        assert_non_null(mkdtemp(directory));
        snprintf(path, sizeof(path), "%s/socket", directory);
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                _cleanup_(policy_system_freep) PolicySystem *system = NULL;
                pid_t pid = serve(path, cases[i].answer, cases[i].n_answer);
                int r = policy_system_load(path, &diagnostics, &system), status;

                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_int_equal(status, 0);
                if (r != (cases[i].message ? POLICY_SYSTEM_E_INVALID : 0))
                        fail_msg("%s: got %d", cases[i].name, r);
                if (cases[i].message && strcmp(diagnostics.entries[0].text, cases[i].message) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, diagnostics.entries[0].text);
                assert_int_equal(unlink(path), 0);
        }
        assert_int_equal(rmdir(directory), 0);
}

static void test_missing(void **state) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;

        assert_int_equal(policy_system_load("/nonexistent/x", &diagnostics, &system), POLICY_SYSTEM_E_INVALID);
        assert_string_equal(diagnostics.entries[0].path, "/nonexistent/x");
}

/* A folder without files still has dom0. */
static void test_inventory(void **state) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        char directory[] = "/tmp/qair-system.XXXXXX";

        assert_non_null(mkdtemp(directory));
        assert_int_equal(policy_system_from_inventory(directory, &diagnostics, &system), 0);
        assert_int_equal(system->facts->n_domains, 1);
        assert_string_equal(system->facts->domains[0].name->text, "dom0");
        assert_int_equal(system->facts->domains[0].running, POLICY_FACT_YES);
        assert_int_equal(strlen(system->labels[0]), 8);
        assert_int_equal(rmdir(directory), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_errors), cmocka_unit_test(test_deep),    cmocka_unit_test(test_members),
                cmocka_unit_test(test_socket), cmocka_unit_test(test_missing), cmocka_unit_test(test_inventory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
