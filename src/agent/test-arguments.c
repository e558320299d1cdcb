/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/arguments.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/test-capture.h"

#define WORDS_MAX 6

static int parse(const char *const *words, AgentArguments *ret_arguments) {
        char *argv[WORDS_MAX + 2] = { (char *)"qrexec-agent" };
        Capture capture;
        int argc = 1, r;

        for (; words[argc - 1]; ++argc)
                argv[argc] = (char *)words[argc - 1];
        optind = 0; /* from the start again */
        capture_begin(&capture);
        r = agent_arguments_parse(argc, argv, ret_arguments);
        capture_end(&capture);
        return r;
}

static void test_parse(void **state) {
        static const struct {
                const char *name, *words[WORDS_MAX + 1];
                int expect;
                AgentArguments arguments;
        } cases[] = {
                { "nothing", { NULL }, 0, {} },
                { "all of a local link",
                  { "--domain=work", "--link=/l", "--shell", "--stop-timeout=31536000", "--debug" },
                  0,
                  { .domain = "work", .link = "/l", .stop_sec = 31536000, .shell = true, .debug = true } },
                { "a socket", { "-a", "/s" }, 0, { .agent_socket = "/s" } },
                { "a fork server", { "-s", "/run/%s" }, 0, { .fork_server = "/run/%s" } },
                { "no fork server", { "-S" }, 0, { .fork_server = "" } },
                { "a domain over vchan", { "--guest=2147483647" }, 0, { .guest = 2147483647 } },
                { "a host over vsock",
                  { "--vsock", "-a", "/s", "--debug" },
                  0,
                  { .vsock = true, .agent_socket = "/s", .debug = true } },
                { "and a link of another kind", { "--vsock", "--link=/l" }, 2, {} },
                { "and a domain of this host", { "--domain=work", "--vsock" }, 2, {} },
                { "and one over vchan", { "--vsock", "--guest=7" }, 2, {} },
                { "the host is none", { "--guest=0" }, 2, {} },
                { "a number too large", { "--guest=2147483648" }, 2, {} },
                { "longer than a year", { "--stop-timeout=31536001" }, 2, {} },
                { "no number", { "--stop-timeout=1s" }, 2, {} },
                { "an unknown option", { "--what" }, 2, {} },
                { "a word", { "work" }, 2, {} },
                { "help", { "--help" }, 2, {} },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const AgentArguments *want = &cases[i].arguments;
                AgentArguments got = {};
                int r = parse(cases[i].words, &got);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (strcmp(got.domain ?: "-", want->domain ?: "-") != 0 ||
                    strcmp(got.link ?: "-", want->link ?: "-") != 0 ||
                    strcmp(got.agent_socket ?: "-", want->agent_socket ?: "-") != 0 ||
                    strcmp(got.fork_server ?: "-", want->fork_server ?: "-") != 0 || got.stop_sec != want->stop_sec ||
                    got.guest != want->guest || got.vsock != want->vsock || got.shell != want->shell ||
                    got.debug != want->debug)
                        fail_msg("%s: other arguments", cases[i].name);
        }
}

/* Ours, and then upstream's. */
static void test_vchan(void **state) {
        static const struct {
                const char *name;
                AgentArguments arguments;
                const char *domain, *vchan_domain; /* of the environment */
                bool expect;
        } cases[] = {
                { "nothing", {}, NULL, NULL, false },
                { "upstream's environment", {}, NULL, "0", true },
                { "upstream's option", { .agent_socket = "/s" }, NULL, NULL, true },
                { "a virtual machine", { .vsock = true }, NULL, NULL, true },
                { "one that is a domain of its own host, too", { .vsock = true }, "work", NULL, true },
                { "ours in the environment", {}, "work", "0", false },
                { "our domain", { .domain = "work", .agent_socket = "/s" }, NULL, "0", false },
                { "our link", { .link = "/l" }, NULL, "0", false },
                { "our guest", { .guest = 42 }, NULL, "0", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                (void)unsetenv("QREXEC_DOMAIN");
                (void)unsetenv("VCHAN_DOMAIN");
                if (cases[i].domain)
                        assert_int_equal(setenv("QREXEC_DOMAIN", cases[i].domain, 1), 0);
                if (cases[i].vchan_domain)
                        assert_int_equal(setenv("VCHAN_DOMAIN", cases[i].vchan_domain, 1), 0);
                if (agent_arguments_are_vchan(&cases[i].arguments) != cases[i].expect)
                        fail_msg("%s: want %d", cases[i].name, cases[i].expect);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_vchan),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
