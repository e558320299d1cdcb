/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include <stdio.h>

#include "base/words.h"

/* What came of it: descriptors in and out, where the options end, what the rest is, and what people are told. */
static void describe(const GpgCommand *command, char *ret_text) {
        char *at = ret_text;

        for (size_t i = 0; i < command->input.n; ++i)
                at += sprintf(at, "%s%d", i ? "," : "", command->input.fds[i]);
        for (size_t i = 0; i < command->output.n; ++i)
                at += sprintf(at, "%s%d", i ? "," : " ", command->output.fds[i]);
        at += sprintf(at, " %zu%s%s %s", command->n_options, command->takes_users ? " users" : "",
                      command->has_signature ? " signature" : "", gpg_operation_text(command->operation));
        if (command->key)
                sprintf(at, " %s", command->key);
}

static int parse(GpgRole role, const char *text, char *ret_text) {
        _cleanup_free_ char **words = NULL;
        char complaint[GPG_COMPLAINT_MAX] = "";
        GpgCommand command;
        size_t n = 0;
        int r;

        if (text[0] != '\0')
                assert_int_equal(words_split(text, &words), 0);
        while (words && words[n])
                ++n;
        r = gpg_command_parse(role, words, n, &command, complaint);
        if (r)
                strcpy(ret_text, complaint);
        else
                describe(&command, ret_text);
        return r;
}

typedef struct Case {
        const char *text, *expect; /* expect NULL: refused */
        const char *complaint;     /* a part of it */
} Case;

static void check(GpgRole role, const Case *cases, size_t n) {
        for (size_t i = 0; i < n; ++i) {
                char text[GPG_COMPLAINT_MAX];
                int r = parse(role, cases[i].text, text);

                if (r != (cases[i].expect ? 0 : GPG_COMMAND_E_REFUSED))
                        fail_msg("%s: got %d: %s", cases[i].text, r, text);
                if (cases[i].expect && strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].text, text);
                if (!cases[i].expect && cases[i].complaint && !strstr(text, cases[i].complaint))
                        fail_msg("%s: said %s", cases[i].text, text);
        }
}

/* Of both roles. */
static const Case both[] = {
        { "", "0 1,2 0 other" },
        { "-k", "0 1,2 1 users list" },
        { "--list-keys a b", "0 1,2 1 users list a" },
        { "-k -- -foo", "0 1,2 2 users list -foo" },
        { "-k ''", "0 1,2 1 users list " },
        { "-bsa", "0 1,2 1 sign" },
        { "-s -e -r x -u me", "0 1,2 6 sign me" },
        { "-er x", "0 1,2 2 encrypt x" },
        { "-erx", "0 1,2 1 encrypt x" },
        { "-er -s", "0 1,2 2 encrypt -s" },
        { "-u '' -s", "0 1,2 3 sign " },
        { "--local-user= -s", "0 1,2 2 sign " },
        { "--local-user=a=b -s", "0 1,2 2 sign a=b" },
        { "--recipient --sign -e", "0 1,2 3 encrypt --sign" },
        { "-d", "0 1,2 1 decrypt" },
        { "--", "0 1,2 1 other" },
        { "--version", "0 1,2 1 other" },
        { "-k --export", "0 1,2 2 users export" },
        { "-o - -s", "0 1,2 3 sign" },
        { "-o- -s", "0 1,2 2 sign" },
        { "--output=- -s", "0 1,2 2 sign" },
        { "--verify", "0 1,2 1 verify" },
        { "--status-fd 9 --logger-fd 2 --attribute-fd 7 -s", "0 1,2,9,7 7 sign" },
        { "--status-fd=5 --logger-fd 5 -s", "0 1,2,5 4 sign" },
        { "--status-fd 1 --logger-fd 2 -k", "0 1,2 5 users list" },
        { "--status-fd 1023 -k", "0 1,2,1023 3 users list" },
        { "--list-options SHOW-USAGE -k", "0 1,2 3 users list" },
        { "-k --sign", NULL, "conflicting commands" },
        { "--sign -k", NULL, "conflicting commands" },
        { "-v", NULL, "invalid option -- 'v'" },
        { "-sv", NULL, "invalid option -- 'v'" },
        { "-s-", NULL, "invalid option -- '-'" },
        { "--decry", NULL, "unrecognized option '--decry'" },
        { "--card-status", NULL, "unrecognized option '--card-status': smart cards" },
        { "--export-secret-keys=x", NULL, "unrecognized option '--export-secret-keys=x': secret keys" },
        { "--SIGN", NULL, "unrecognized option '--SIGN'" },
        { "--=x", NULL, "unrecognized option" },
        { "--sign=", NULL, "doesn't allow" },
        { "--recipient", NULL, "requires an argument" },
        { "-r", NULL, "requires an argument" },
        { "-sr", NULL, "requires an argument" },
        { "--command-fd 3", NULL, "Forbidden option: --command-fd" },
        { "--command-fd=3", NULL, "Forbidden option: --command-fd" },
        { "--utf8-strings -k", NULL, "Forbidden option: --utf8-strings" },
        { "--cipher-algo AES -k", NULL, "Forbidden option: --cipher-algo" },
        { "-o out -s", NULL, "Only '-'" },
        { "-oout -s", NULL, "Only '-'" },
        { "--output=/tmp/x -s", NULL, "Only '-'" },
        { "-o '' -s", NULL, "Only '-'" },
        { "--status-fd 1 --status-fd 2 -k", NULL, "only once" },
        { "--status-fd 01 -k", NULL, "Invalid fd argument" },
        { "--status-fd 0x1 -k", NULL, "Invalid fd argument" },
        { "--status-fd 1024 -k", NULL, "Invalid fd argument" },
        { "--status-fd -1 -k", NULL, "Invalid fd argument" },
        { "--status-fd=+1 -k", NULL, "Invalid fd argument" },
        { "--status-fd '' -k", NULL, "Invalid fd argument" },
        { "--status-fd 4294967297 -k", NULL, "Invalid fd argument" },
        { "--status-fd 0 -k", NULL, "Invalid fd argument" },
        { "--list-options show-keyring -k", NULL, "show-keyring" },
        { "--list-options show-sig-subpackets=1+1 -k", NULL, "Invalid character + following subpacket number" },
        { "-k user -foo", NULL, "before all other arguments" },
        { "-s - -foo", NULL, "before all other arguments" },
        { "-s - -", NULL, "too many filename arguments" },
        { "-k '\x01'", NULL, "not printable" },
        { "-k '\xff'", NULL, "not printable" },
        { "-k '\xc3'", NULL, "not printable" },
};

static void test_both(void **state) {
        check(GPG_ROLE_CLIENT, both, ARRAY_SIZE(both));
        check(GPG_ROLE_SERVER, both, ARRAY_SIZE(both));
}

static void test_client(void **state) {
        static const Case cases[] = {
                { "-s file", "0 1,2 1 sign" },
                { "-s -- -file", "0 1,2 2 sign" },
                { "file", "0 1,2 0 other" },
                { "--verify sig", "0 1,2 1 signature verify" },
                { "--verify sig data", "0 1,2 1 signature verify" },
                { "--verify - -", "0 1,2 1 signature verify" },
                { "--verify -- -sig -data", "0 1,2 2 signature verify" },
                { "--verify sig d1 d2", NULL, "too many filename arguments" },
                { "--sign f1 f2", NULL, "too many filename arguments" },
        };

        check(GPG_ROLE_CLIENT, cases, ARRAY_SIZE(cases));
}

static void test_server(void **state) {
        static const Case cases[] = {
                { "-s -", "0 1,2 1 sign" },
                { "-s -- -", "0 1,2 2 sign" },
                { "--verify /dev/fd/3", "0,3 1,2 1 signature verify" },
                { "--verify /dev/fd/3 -", "0,3 1,2 1 signature verify" },
                { "--verify /dev/fd/1023 -", "0,1023 1,2 1 signature verify" },
                { "''", NULL },
                { "-d /etc/passwd", NULL },
                { "/etc/passwd", NULL },
                { "-d -- --", NULL },
                { "-d - -", NULL },
                { "--verify -", NULL },
                { "--verify /etc/passwd", NULL },
                { "--verify /dev/fd/", NULL },
                { "--verify /dev/fd/0", NULL },
                { "--verify /dev/fd/2", NULL },
                { "--verify /dev/fd/03", NULL },
                { "--verify /dev/fd/x", NULL },
                { "--verify /dev/fd/3/../../x", NULL },
                { "--verify /dev/fd/1024", NULL },
                { "--verify /dev/fd/3 /etc/passwd", NULL },
                { "--verify /dev/fd/3 - -", NULL },
                { "--status-fd 5 --verify /dev/fd/5", NULL },
                { "--sig", NULL },
                { "--homedir=/x -k", NULL },
        };

        check(GPG_ROLE_SERVER, cases, ARRAY_SIZE(cases));
}

/* What GnuPG gets is what was checked. */
static void test_rewrites(void **state) {
        char option[] = "--list-options= SHOW-USAGE", value[] = "export-CLEAN  backup", name[] = "--export-options";
        char *words[] = { option, name, value };
        char complaint[GPG_COMPLAINT_MAX];
        GpgCommand command;

        assert_int_equal(gpg_command_parse(GPG_ROLE_SERVER, words, 3, &command, complaint), 0);
        assert_string_equal(option, "--list-options=show-usage");
        assert_string_equal(value, "export-clean,backup");
}

static void test_signature(void **state) {
        char status[] = "--status-fd=5", verify[] = "--verify", file[] = "sig";
        char *words[] = { status, verify, file };
        char complaint[GPG_COMPLAINT_MAX];
        GpgCommand command;

        assert_int_equal(gpg_command_parse(GPG_ROLE_CLIENT, words, 3, &command, complaint), 0);
        assert_int_equal(gpg_command_n_files(&command, 3), 0);
        assert_int_equal(gpg_command_set_signature(&command, 5), GPG_COMMAND_E_REFUSED);
        assert_int_equal(gpg_command_set_signature(&command, 3), 0);
        assert_int_equal(command.input.n, 2);
        assert_int_equal(command.input.fds[1], 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_both),     cmocka_unit_test(test_client),    cmocka_unit_test(test_server),
                cmocka_unit_test(test_rewrites), cmocka_unit_test(test_signature),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
