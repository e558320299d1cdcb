/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of services: protocol specification 6.8, and facts 102 to 104 of its appendix A. */
#include "agent/environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char *get(char **environment, const char *name) {
        const char *found = NULL;
        size_t n = strlen(name);

        for (; *environment; ++environment)
                if (strncmp(*environment, name, n) == 0 && (*environment)[n] == '=') {
                        if (found)
                                fail_msg("%s is set twice", name);
                        found = *environment + n + 1;
                }
        return found;
}

static void expect(const char *case_name, char **environment, const char *name, const char *value) {
        const char *got = get(environment, name);

        if (!got != !value || (got && strcmp(got, value) != 0))
                fail_msg("%s: %s is %s, want %s", case_name, name, got ?: "unset", value ?: "unset");
}

static void test_call(void **state) {
        static const struct {
                const char *name, *command;
                const char *full_name, *remote, *type, *target, *keyword, *argument;
        } cases[] = {
                { "no argument", "u:QUBESRPC svc work", "svc", "work", "", NULL, NULL, NULL },
                { "102: a bare +", "u:QUBESRPC svc+ work", "svc+", "work", "", NULL, NULL, "" },
                { "an argument", "u:QUBESRPC svc+a+b work", "svc+a+b", "work", "", NULL, NULL, "a+b" },
                { "a name was asked for", "u:QUBESRPC svc+ work name vault", "svc+", "work", "name", "vault", NULL,
                  "" },
                { "a keyword was asked for", "u:QUBESRPC svc+ work keyword adminvm", "svc+", "work", "keyword", NULL,
                  "adminvm", "" },
                { "another type", "u:QUBESRPC svc+ work odd thing", "svc+", "work", "odd", NULL, NULL, "" },
        };
        char *base[] = { (char *)"PATH=/bin", NULL };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const char *name = cases[i].name;
                Command command;
                char **environment;

                assert_int_equal(command_parse(cases[i].command, true, &command), 0);
                assert_int_equal(environment_new(base, &command, 42, &environment), 0);
                expect(name, environment, "PATH", "/bin");
                expect(name, environment, "QREXEC_AGENT_PID", "42");
                expect(name, environment, "QREXEC_SERVICE_FULL_NAME", cases[i].full_name);
                expect(name, environment, "QREXEC_REMOTE_DOMAIN", cases[i].remote);
                expect(name, environment, "QREXEC_REQUESTED_TARGET_TYPE", cases[i].type); /* 103 */
                expect(name, environment, "QREXEC_REQUESTED_TARGET", cases[i].target);
                expect(name, environment, "QREXEC_REQUESTED_TARGET_KEYWORD", cases[i].keyword);
                expect(name, environment, "QREXEC_SERVICE_ARGUMENT", cases[i].argument);
                environment = environment_free(environment);
                assert_null(environment);
        }
}

static void test_base(void **state) {
        char *base[] = {
                (char *)"QREXEC_ANYTHING=x",
                (char *)"A=1",
                (char *)"QREXEC=x",
                (char *)"QREXEC_SERVICE_PATH=/svc",
                (char *)"QREXECX=x",
                (char *)"QREXEC_SERVICE_PATHS=x",
                (char *)"QREXEC_REMOTE_DOMAIN=dom0",
                (char *)"QREXEC_REQUESTED_TARGET=dom0",
                (char *)"QREXEC_AGENT_PID=1",
                (char *)"XQREXEC_=kept",
                (char *)"B=",
                NULL,
        };
        char **environment;
        Command command;
        size_t n = 0;

        /* 104: nothing stray reaches a service. */
        assert_int_equal(command_parse("u:QUBESRPC svc work", true, &command), 0);
        assert_int_equal(environment_new(base, &command, 7, &environment), 0);
        expect("104", environment, "QREXEC_ANYTHING", NULL);
        expect("104", environment, "QREXEC", NULL);
        expect("104", environment, "QREXECX", NULL);
        expect("104", environment, "QREXEC_SERVICE_PATHS", NULL);
        expect("104", environment, "QREXEC_REQUESTED_TARGET", NULL);
        expect("kept", environment, "QREXEC_SERVICE_PATH", "/svc");
        expect("kept", environment, "A", "1");
        expect("kept", environment, "B", "");
        expect("kept", environment, "XQREXEC_", "kept");
        expect("replaced", environment, "QREXEC_AGENT_PID", "7");
        expect("replaced", environment, "QREXEC_REMOTE_DOMAIN", "work");
        while (environment[n])
                ++n;
        assert_int_equal(n, 4 + 4);
        environment_free(environment);

        /* Without a pumping process there is none to signal. */
        assert_int_equal(environment_new(base, &command, 0, &environment), 0);
        expect("no handler", environment, "QREXEC_AGENT_PID", NULL);
        environment_free(environment);

        /* A shell command is no call of a service. */
        assert_int_equal(command_parse("u:id", true, &command), 0);
        assert_int_equal(environment_new(base, &command, 7, &environment), 0);
        expect("shell", environment, "QREXEC_REMOTE_DOMAIN", NULL);
        expect("shell", environment, "QREXEC_SERVICE_FULL_NAME", NULL);
        expect("shell", environment, "QREXEC_REQUESTED_TARGET_TYPE", NULL);
        expect("shell", environment, "QREXEC_AGENT_PID", "7");
        expect("shell", environment, "A", "1");
        environment_free(environment);

        assert_null(environment_free(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_call),
                cmocka_unit_test(test_base),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
