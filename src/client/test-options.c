/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "client/daemon.h"
#include "client/host-options.h"
#include "client/vm-options.h"

#define WORDS_MAX 8

/* A command line that may be changed, as main() gets it. */
typedef struct Line {
        char text[WORDS_MAX][64];
        char *argv[WORDS_MAX + 1];
        int argc;
} Line;

static void line_set(Line *line, const char *const *words) {
        line->argc = 0;
        line->argv[line->argc++] = strcpy(line->text[0], "program");
        for (size_t i = 0; words[i]; ++i) {
                assert_in_range(strlen(words[i]), 0, sizeof(line->text[0]) - 1);
                line->argv[line->argc] = strcpy(line->text[line->argc], words[i]);
                ++line->argc;
        }
        line->argv[line->argc] = NULL;
        opterr = 0;
}

#define WORDS(...) \
        { __VA_ARGS__, NULL }

static void test_vm_results(void **state) {
        static const struct {
                const char *name;
                const char *words[WORDS_MAX];
                int r;
        } cases[] = {
                { "target and service", WORDS("work", "svc"), 0 },
                { "no service", WORDS("work"), VM_OPTIONS_E_USAGE },
                { "nothing", { NULL }, VM_OPTIONS_E_USAGE },
                { "help", WORDS("-h"), VM_OPTIONS_E_HELP },
                { "help first", WORDS("--help", "--nonsense"), VM_OPTIONS_E_HELP },
                { "unknown option", WORDS("-x", "work", "svc"), VM_OPTIONS_E_USAGE },
                { "a value is missing", WORDS("-p"), VM_OPTIONS_E_USAGE },
                { "prefix twice", WORDS("-p", "a", "--prefix-data=b", "work", "svc"), VM_OPTIONS_E_USAGE },
                { "source twice", WORDS("-s", "a", "-s", "b", "work", "svc"), VM_OPTIONS_E_USAGE },
                { "socket twice: the last", WORDS("-a", "x", "-a", "y", "work", "svc"), 0 },
                { "stdin socket and program", WORDS("--use-stdin-socket", "work", "svc", "prog"), VM_OPTIONS_E_USAGE },
                { "largest buffer", WORDS("--buffer-size=2147483647", "work", "svc"), 0 },
                { "buffer too large", WORDS("--buffer-size=2147483648", "work", "svc"), VM_OPTIONS_E_INVALID },
                { "buffer of no digit", WORDS("--buffer-size=x", "work", "svc"), VM_OPTIONS_E_INVALID },
                { "buffer with more", WORDS("--buffer-size=0x", "work", "svc"), VM_OPTIONS_E_INVALID },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                VmOptions options;
                Line line;
                int r;

                line_set(&line, cases[i].words);
                r = vm_options_parse(line.argc, line.argv, &options);
                if (r != cases[i].r)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].r);
        }
}

static void test_vm_values(void **state) {
        VmOptions options;
        Line line;

        line_set(&line, (const char *[])WORDS("$dispvm:$x", "svc+arg"));
        assert_int_equal(vm_options_parse(line.argc, line.argv, &options), 0);
        assert_string_equal(options.target, "@dispvm:@x");
        assert_string_equal(options.service, "svc+arg");
        assert_string_equal(options.source, "");
        assert_null(options.program);
        assert_null(options.prefix);
        assert_null(options.socket_path);
        assert_int_equal(options.buffer_size, 0);
        assert_int_equal(options.filter_stdout, FILTER_CHOICE_DEFAULT);

        /* Options end at the first other word: the program keeps its own. */
        line_set(&line, (const char *[])WORDS("-tT", "--buffer-size=0x10", "work", "svc", "prog", "-t"));
        assert_int_equal(vm_options_parse(line.argc, line.argv, &options), 0);
        assert_int_equal(options.filter_stdout, FILTER_CHOICE_ON);
        assert_int_equal(options.filter_stderr, FILTER_CHOICE_ON);
        assert_int_equal(options.buffer_size, 16);
        assert_ptr_equal(options.program, line.argv + 5);
        assert_string_equal(options.program[1], "-t");

        line_set(&line,
                 (const char *[])WORDS("-t", "--no-filter-escape-chars-stdout", "-s", "x", "--", "-work", "svc"));
        assert_int_equal(vm_options_parse(line.argc, line.argv, &options), 0);
        assert_int_equal(options.filter_stdout, FILTER_CHOICE_OFF);
        assert_string_equal(options.source, "x");
        assert_string_equal(options.target, "-work");
}

static void test_host_results(void **state) {
        static const struct {
                const char *name;
                const char *words[WORDS_MAX];
                int r;
        } cases[] = {
                { "target and command", WORDS("-d", "work", "a:b"), 0 },
                { "no target", WORDS("a:b"), HOST_OPTIONS_E_INVALID },
                { "no command", WORDS("-d", "work"), HOST_OPTIONS_E_INVALID },
                { "two commands", WORDS("-d", "work", "a:b", "c"), HOST_OPTIONS_E_INVALID },
                { "an empty target", WORDS("-d", "", "a:b"), HOST_OPTIONS_E_INVALID },
                { "a path as target", WORDS("-d", "../work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-e and -l", WORDS("-e", "-l", "true", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-l and stdin socket", WORDS("-l", "true", "--use-stdin-socket", "-d", "work", "a:b"),
                  HOST_OPTIONS_E_INVALID },
                { "a wait of no number", WORDS("-w", "1s", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "the longest wait", WORDS("-w", "2147483647", "-d", "work", "a:b"), 0 },
                { "a wait too long", WORDS("-w", "2147483648", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "prefix twice", WORDS("-p", "a", "-p", "b", "-d", "work", "a:b"), HOST_OPTIONS_E_USAGE },
                { "-c", WORDS("-c", "SOCKET1,a,5", "-d", "work", "a:b"), 0 },
                { "-c with -W", WORDS("-W", "-c", "SOCKET1,a,5", "-d", "work", "a:b"), 0 },
                { "-c with an empty ident", WORDS("-c", ",a,5", "-d", "work", "a:b"), 0 },
                { "the longest ident", WORDS("-c", "0123456789012345678901234567890,a,5", "-d", "work", "a:b"), 0 },
                { "an ident too long", WORDS("-c", "01234567890123456789012345678901,a,5", "-d", "work", "a:b"),
                  HOST_OPTIONS_E_INVALID },
                { "-c twice", WORDS("-c", "A,a,5", "-c", "B,b,6", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-c without a domain", WORDS("-c", "SOCKET1", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-c without an id", WORDS("-c", "SOCKET1,a", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-c without a name", WORDS("-c", "SOCKET1,,5", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-c with id 0", WORDS("-c", "SOCKET1,a,0", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-c with the largest id", WORDS("-c", "SOCKET1,a,2147483647", "-d", "work", "a:b"), 0 },
                { "-c with an id too large", WORDS("-c", "SOCKET1,a,2147483648", "-d", "work", "a:b"),
                  HOST_OPTIONS_E_INVALID },
                { "-c with more behind the id", WORDS("-c", "SOCKET1,a,5,6", "-d", "work", "a:b"),
                  HOST_OPTIONS_E_INVALID },
                { "-c of the host", WORDS("-c", "SOCKET1,dom0,5", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-c of the host, as a keyword", WORDS("-c", "SOCKET1,@adminvm,5", "-d", "work", "a:b"),
                  HOST_OPTIONS_E_INVALID },
                { "-c and -e", WORDS("-c", "SOCKET1,a,5", "-e", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-c and -l", WORDS("-c", "SOCKET1,a,5", "-l", "x", "-d", "work", "a:b"), HOST_OPTIONS_E_INVALID },
                { "-k", WORDS("-k", "-d", "work", "a:b"), 0 },
                { "help", WORDS("--help"), HOST_OPTIONS_E_HELP },
                { "unknown", WORDS("-x"), HOST_OPTIONS_E_HELP },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                HostOptions options;
                Line line;
                int r;

                line_set(&line, cases[i].words);
                r = host_options_parse(line.argc, line.argv, &options);
                if (r != cases[i].r)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].r);
        }
}

static void test_host_command_length(void **state) {
        for (size_t n = DAEMON_COMMAND_MAX; n <= DAEMON_COMMAND_MAX + 1; ++n) {
                _cleanup_free_ char *command = malloc(n + 1);
                HostOptions options;
                Line line;

                line_set(&line, (const char *[])WORDS("-d", "work", "command"));
                line.argv[3] = command;
                assert_non_null(command);
                memset(command, 'x', n);
                command[n] = '\0';
                assert_int_equal(host_options_parse(line.argc, line.argv, &options),
                                 n == DAEMON_COMMAND_MAX ? 0 : HOST_OPTIONS_E_INVALID);
        }
}

static void test_host_values(void **state) {
        static const char *const hosts[] = { "dom0", "@adminvm", "uuid:00000000-0000-0000-0000-000000000000" };
        HostOptions options;
        Line line;

        line_set(&line, (const char *[])WORDS("-d", "work", "a:b"));
        assert_int_equal(host_options_parse(line.argc, line.argv, &options), 0);
        assert_string_equal(options.socket_dir, "/run/qubes");
        assert_int_equal(options.wait_seconds, 10);
        assert_false(options.target_is_host);
        assert_false(options.filter_stdout || options.filter_stderr || options.ignore_status);
        assert_false(options.kill || options.wait_for_end);
        assert_int_equal(options.caller.domain, 0);

        line_set(&line, (const char *[])WORDS("-kW", "-c", "SOCKET1,a,5", "-d", "work", "a:b"));
        assert_int_equal(host_options_parse(line.argc, line.argv, &options), 0);
        assert_true(options.kill && options.wait_for_end);
        assert_string_equal(options.caller.ident, "SOCKET1");
        assert_int_equal(options.caller.domain, 5);

        for (size_t i = 0; i < ARRAY_SIZE(hosts); ++i) {
                line_set(&line, (const char *[])WORDS("-tTE", "-w0", "-d", hosts[i], "a:b"));
                assert_int_equal(host_options_parse(line.argc, line.argv, &options), 0);
                assert_true(options.target_is_host);
                assert_true(options.filter_stdout && options.filter_stderr && options.ignore_status);
                assert_int_equal(options.wait_seconds, 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_vm_results),          cmocka_unit_test(test_vm_values),
                cmocka_unit_test(test_host_results),        cmocka_unit_test(test_host_values),
                cmocka_unit_test(test_host_command_length),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
