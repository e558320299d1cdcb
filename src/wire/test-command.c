/* SPDX-License-Identifier: Apache-2.0 */
/* "fact N" is a line of the protocol specification's Appendix A. */
#include "wire/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/name.h"

static const char *part_text(CommandPart part, char *buffer, size_t n_buffer) {
        snprintf(buffer, n_buffer, "%.*s", (int)part.n, part.text ?: "");
        return buffer;
}

static void check_part(const char *name, const char *what, CommandPart part, const char *expect) {
        char buffer[256];

        if (strcmp(part_text(part, buffer, sizeof(buffer)), expect ?: "") != 0)
                fail_msg("%s: %s is \"%s\", want \"%s\"", name, what, buffer, expect ?: "");
}

static void test_service(void **state) {
        static const struct {
                const char *name, *text;
                bool has_user;
                const char *user;
                bool nogui;
                const char *metadata, *descriptor, *service;
                bool has_argument;
                const char *argument, *source;
                unsigned n_tokens;
                const char *type, *requested;
        } cases[] = {
                { "call for a domain", "user:QUBESRPC my.svc+arg dom1", true, "user", false, "my.svc+arg dom1",
                  "my.svc+arg", "my.svc", true, "arg", "dom1", 2 },
                { "call for the host", "QUBESRPC my.svc+ work name dom0", false, "", false, "my.svc+ work name dom0",
                  "my.svc+", "my.svc", true, "", "work", 4, "name", "dom0" },
                { "keyword", "QUBESRPC a+ work keyword adminvm", false, "", false, "a+ work keyword adminvm", "a+", "a",
                  true, "", "work", 4, "keyword", "adminvm" },
                { "without plus, fact 102", "u:QUBESRPC svc dom1", true, "u", false, "svc dom1", "svc", "svc", false,
                  "", "dom1", 2 },
                { "the argument begins at the first plus", "u:QUBESRPC a++b+c d", true, "u", false, "a++b+c d",
                  "a++b+c", "a", true, "+b+c", "d", 2 },
                { "nogui", "u:nogui:QUBESRPC a+ d", true, "u", true, "a+ d", "a+", "a", true, "", "d", 2 },
                { "nobody", ":QUBESRPC a+ d", true, "", false, "a+ d", "a+", "a", true, "", "d", 2 },
                { "the user ends at the first colon", "a:QUBESRPC b:c d", true, "a", false, "b:c d", "b:c", "b:c",
                  false, "", "d", 2 },
                { "trailing space, fact 92", "u:QUBESRPC a+ d ", true, "u", false, "a+ d ", "a+", "a", true, "", "d",
                  2 },
                { "spaces between later tokens", "QUBESRPC a+ d  name   t", false, "", false, "a+ d  name   t", "a+",
                  "a", true, "", "d", 4, "name", "t" },
                { "three tokens, fact 93", "u:QUBESRPC a+ d name", true, "u", false, "a+ d name", "a+", "a", true, "",
                  "d", 3 },
                { "five tokens, fact 93", "u:QUBESRPC a+ d name t x", true, "u", false, "a+ d name t x", "a+", "a",
                  true, "", "d", 5 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Command command;
                const char *name = cases[i].name;

                if (command_parse(cases[i].text, cases[i].has_user, &command) != 0)
                        fail_msg("%s: malformed", name);
                if (!command.is_service || command.nogui != cases[i].nogui ||
                    command.has_argument != cases[i].has_argument || command.n_tokens != cases[i].n_tokens)
                        fail_msg("%s: wrong flags, or %u tokens", name, command.n_tokens);
                check_part(name, "user", command.user, cases[i].user);
                check_part(name, "metadata", command.metadata, cases[i].metadata);
                check_part(name, "descriptor", command.descriptor, cases[i].descriptor);
                check_part(name, "service", command.name, cases[i].service);
                check_part(name, "argument", command.argument, cases[i].argument);
                check_part(name, "source", command.source, cases[i].source);
                check_part(name, "type", command.type, cases[i].type);
                check_part(name, "requested", command.requested, cases[i].requested);
                check_part(name, "shell", command.shell, "");
        }
}

static void test_shell(void **state) {
        static const struct {
                const char *name, *text;
                bool has_user;
                const char *user;
                bool nogui;
                const char *shell;
        } cases[] = {
                { "for a domain", "user:ls -l", true, "user", false, "ls -l" },
                { "for the host", "user:ls -l", false, "", false, "user:ls -l" },
                { "nogui", "user:nogui:ls", true, "user", true, "ls" },
                { "nogui is skipped once", "user:nogui:nogui:ls", true, "user", true, "nogui:ls" },
                { "nogui twice hides a service", "user:nogui:nogui:QUBESRPC a+ d", true, "user", true,
                  "nogui:QUBESRPC a+ d" },
                { "other case", "user:qubesrpc a d", true, "user", false, "qubesrpc a d" },
                { "leading space", "user: QUBESRPC a d", true, "user", false, " QUBESRPC a d" },
                { "part of the word", "user:QUBESRP", true, "user", false, "QUBESRP" },
                { "empty", "user:", true, "user", false, "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Command command;

                if (command_parse(cases[i].text, cases[i].has_user, &command) != 0)
                        fail_msg("%s: malformed", cases[i].name);
                if (command.is_service || command.nogui != cases[i].nogui)
                        fail_msg("%s: wrong flags", cases[i].name);
                check_part(cases[i].name, "user", command.user, cases[i].user);
                check_part(cases[i].name, "shell", command.shell, cases[i].shell);
                check_part(cases[i].name, "descriptor", command.descriptor, "");
        }
}

static void test_malformed(void **state) {
        static const struct {
                const char *name, *text;
        } cases[] = {
                { "no user", "QUBESRPC a d" },
                { "empty", "" },
                { "a letter after the word, fact 91", "user:QUBESRPCx a d" },
                { "a tab after the word, fact 91", "user:QUBESRPC\ta d" },
                { "the word alone, fact 91", "user:QUBESRPC" },
                { "no descriptor", "user:QUBESRPC " },
                { "an empty descriptor", "user:QUBESRPC  a d" },
                { "no source", "user:QUBESRPC a" },
                { "an empty source", "user:QUBESRPC a " },
                { "two spaces before the source, fact 92", "user:QUBESRPC a  d" },
                { "an empty name", "user:QUBESRPC +arg d" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Command command = { .n_tokens = 4711 };
                int r = command_parse(cases[i].text, true, &command);

                if (r != COMMAND_E_MALFORMED)
                        fail_msg("%s: got %d", cases[i].name, r);
                if (command.n_tokens != 4711)
                        fail_msg("%s: output was touched", cases[i].name);
        }
}

static int parse_sizes(size_t n_name, size_t n_argument) {
        _cleanup_free_ char *text = malloc(n_name + n_argument + 32);
        Command command;
        char *at = stpcpy(text, "u:QUBESRPC ");

        memset(at, 'n', n_name);
        at += n_name;
        *at++ = '+';
        memset(at, 'a', n_argument);
        strcpy(at + n_argument, " d");
        return command_parse(text, true, &command);
}

static void test_limits(void **state) {
        assert_int_equal(parse_sizes(255, 0), 0); /* fact 94 */
        assert_int_equal(parse_sizes(256, 0), COMMAND_E_MALFORMED);
        assert_int_equal(parse_sizes(100, 65000 - 101), 0);
        assert_int_equal(parse_sizes(100, 65001 - 101), COMMAND_E_MALFORMED);
}

static void test_format(void **state) {
        static const struct {
                const char *name, *user, *descriptor, *source, *type, *requested, *expect;
        } cases[] = {
                { "vector EXEC_CMDLINE", "user", "my.svc+arg", "dom1", NULL, NULL, "user:QUBESRPC my.svc+arg dom1" },
                { "a plus is appended", "user", "my.svc", "dom1", NULL, NULL, "user:QUBESRPC my.svc+ dom1" },
                { "no further plus, fact 126", "user", "my.svc+", "dom1", NULL, NULL, "user:QUBESRPC my.svc+ dom1" },
                { "for the host", NULL, "a", "work", "keyword", "dispvm", "QUBESRPC a+ work keyword dispvm" },
                { "for dom0's agent", "qrexec-dom0", "a", "work", "name", "dom0",
                  "qrexec-dom0:QUBESRPC a+ work name dom0" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int n = (int)strlen(cases[i].expect);
                char text[128];

                assert_int_equal(command_format(text, (size_t)n + 1, cases[i].user, cases[i].descriptor,
                                                cases[i].source, cases[i].type, cases[i].requested),
                                 n);
                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, text);
                assert_int_equal(command_format(text, (size_t)n, cases[i].user, cases[i].descriptor, cases[i].source,
                                                cases[i].type, cases[i].requested),
                                 -EMSGSIZE);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_service), cmocka_unit_test(test_shell),  cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_limits),  cmocka_unit_test(test_format),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
