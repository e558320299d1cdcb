/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "relay/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

#define A31   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define START "qrexec-client-vm --source-qube=work "

static void test_parse(void **state) {
        static const struct {
                const char *name, *text, *source, *target, *service;
        } cases[] = {
                { "plain", START "vault my.Service+x", "work", "vault", "my.Service+x" },
                { "no argument", START "vault my.Service", "work", "vault", "my.Service" },
                { "an empty argument", START "vault my.Service+", "work", "vault", "my.Service+" },
                { "an argument with a plus", START "vault my.Service+a+b", "work", "vault", "my.Service+a+b" },
                { "dashes", START "-- vault my.Service", "work", "vault", "my.Service" },
                { "a folder", "/usr/bin/" START "vault my.Service", "work", "vault", "my.Service" },
                { "the other folder", "/usr/lib/qubes/" START "vault my.Service", "work", "vault", "my.Service" },
                { "a keyword", START "@default my.Service", "work", "@default", "my.Service" },
                { "a disposable", START "@dispvm:base my.Service", "work", "@dispvm:base", "my.Service" },
                { "the longest source", "qrexec-client-vm --source-qube=" A31 " v s", A31, "v", "s" },
                { "a source that is too long", "qrexec-client-vm --source-qube=" A31 "a v s" },
                { "the longest target", START A31 A31 "a s", "work", A31 A31 "a", "s" },
                { "a target that is too long", START A31 A31 "aa s" },
                { "nothing", "" },
                { "a shell", "/bin/sh" },
                { "another program", "qrexec-client --source-qube=work vault my.Service" },
                { "another folder", "/tmp/qrexec-client-vm --source-qube=work vault my.Service" },
                { "no source", "qrexec-client-vm vault my.Service" },
                { "an empty source", "qrexec-client-vm --source-qube= vault my.Service" },
                { "a source that is none", "qrexec-client-vm --source-qube=@adminvm vault my.Service" },
                { "another option", START "--buffer-size=1 vault my.Service" },
                { "an option as target", START "-t my.Service" },
                { "an option behind dashes", START "-- -t my.Service" },
                { "a local program", START "vault my.Service /bin/sh" },
                { "no service", START "vault" },
                { "an empty service", START "vault " },
                { "a service without name", START "vault +x" },
                { "two blanks", START " vault my.Service" },
                { "a blank in front", " " START "vault my.Service" },
                { "a blank behind", START "vault my.Service " },
                { "a newline", START "vault my.Service\n" },
                { "a second command", START "vault my.Service;id" },
                { "a substitution", START "vault my.Service+$(id)" },
                { "a quote", START "'vault' my.Service" },
                { "a slash in the service", START "vault ../my.Service" },
                { "a dot as service", START "vault .." },
                { "eight bits", START "vault my.Servic\xc3\xa9" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                RelayCommand command = {};
                int r = relay_command_parse(cases[i].text, &command);

                if (r != (cases[i].source ? 0 : RELAY_COMMAND_E_MALFORMED))
                        fail_msg("%s: got %d", cases[i].name, r);
                if (r)
                        continue;
                assert_string_equal(command.source.text, cases[i].source);
                assert_string_equal(command.target.text, cases[i].target);
                assert_string_equal(command.service, cases[i].service);
        }
}

static void test_format(void **state) {
        static char text[RELAY_COMMAND_MAX], service[SERVICE_DESCRIPTOR_MAX + 2];
        RelayCommand command = { .source = { A31 }, .target = { A31 A31 "a" } }, again;
        size_t n;

        memset(service, 's', SERVICE_DESCRIPTOR_MAX);
        service[1] = '+';
        command.service = service;
        n = relay_command_format(&command, text);
        assert_int_equal(n, strlen(text));
        assert_int_equal(relay_command_parse(text, &again), 0);
        assert_string_equal(again.service, service);

        service[SERVICE_DESCRIPTOR_MAX] = 's';
        assert_int_equal(relay_argument_parse(service, &command.source, &again.service), RELAY_COMMAND_E_MALFORMED);
}

static void test_argument(void **state) {
        static const struct {
                const char *text, *target, *service;
        } cases[] = {
                { "far+my.Service+x", "far", "my.Service+x" },
                { "far+my.Service+", "far", "my.Service+" },
                { "far+my.Service", "far", "my.Service" },
                { "far+my.Service+a+b", "far", "my.Service+a+b" },
                { "far+net.Carry+farther+my.Service+", "far", "net.Carry+farther+my.Service+" },
                { "far" },
                { "far+" },
                { "+my.Service" },
                { "@default+my.Service+" },
                { "far+my/Service" },
                { "far++x" },
                { "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const char *service = NULL;
                DomainName target = {};
                int r = relay_argument_parse(cases[i].text, &target, &service);

                if (r != (cases[i].target ? 0 : RELAY_COMMAND_E_MALFORMED))
                        fail_msg("%s: got %d", cases[i].text, r);
                if (r)
                        continue;
                assert_string_equal(target.text, cases[i].target);
                assert_string_equal(service, cases[i].service);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_format),
                cmocka_unit_test(test_argument),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
