/* SPDX-License-Identifier: Apache-2.0 */
/* The service configuration: protocol specification 6.3, and facts 108 to 112 of its appendix A. */
#include "agent/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define WAIT  1U
#define SKIP  2U
#define SEOF  4U
#define CEOF  8U
#define ERROR 16U
#define INDIR 32U

static unsigned flags_of(const Config *config) {
        return (config->wait_for_session ? WAIT : 0) | (config->skip_service_descriptor ? SKIP : 0) |
               (config->exit_on_service_eof ? SEOF : 0) | (config->exit_on_client_eof ? CEOF : 0) |
               (config->direct ? 0 : INDIR);
}

static void test_parse(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input;
                unsigned flags;
                const char *user;
                unsigned line;
        } cases[] = {
#define CASE(_name, _input, _flags, _user) { _name, _input, sizeof(_input) - 1, _flags, _user, 0 }
#define WRONG(_name, _input, _line) \
        { _name, _input, sizeof(_input) - 1, ERROR, NULL, _line }
                CASE("nothing", "", 0, NULL),
                CASE("an empty line", "\n", 0, NULL),
                CASE("an empty line with CR", "\r\n", 0, NULL),
                CASE("a comment", "# anything = ' \"\n", 0, NULL),
                CASE("a comment without newline", "#", 0, NULL),
                CASE("every key",
                     "wait-for-session=true\nskip-service-descriptor=true\nexit-on-service-eof=true\n"
                     "exit-on-client-eof=true\n",
                     WAIT | SKIP | SEOF | CEOF, NULL),
                CASE("all false",
                     "wait-for-session=false\nskip-service-descriptor=false\n"
                     "exit-on-service-eof=false\nexit-on-client-eof=false\n",
                     0, NULL),
                CASE("pipes", "direct=true\n", 0, NULL),
                CASE("no pipes", "direct=false\n", INDIR, NULL),
                CASE("no pipes and a user", "direct=false\nforce-user='u'\n", INDIR, "u"),
                CASE("109: no newline at the end", "wait-for-session=true", WAIT, NULL),
                CASE("CRLF", "wait-for-session=true\r\nexit-on-client-eof=true\r\n", WAIT | CEOF, NULL),
                CASE("blanks around =", "wait-for-session \t=\t true", WAIT, NULL),
                CASE("trailing blanks", "wait-for-session=true \t \n", WAIT, NULL),
                CASE("trailing blanks before CRLF", "wait-for-session=true \t\r\n", WAIT, NULL),
                CASE("a comment after the value", "wait-for-session=true # yes\n", WAIT, NULL),
                CASE("a comment right after the value", "wait-for-session=true#yes\n", WAIT, NULL),
                CASE("110: 1", "wait-for-session = 1\n", WAIT, NULL),
                CASE("0", "wait-for-session=0\n", 0, NULL),
                CASE("a user", "force-user='root'\n", 0, "root"),
                CASE("an empty user", "force-user=''\n", 0, ""),
                CASE("a user with # and blanks", "force-user=' a # b ' # c\n", 0, " a # b "),
                CASE("a user and a session", "force-user='u'\nwait-for-session=1\n", WAIT, "u"),
                CASE("a user and options that are off", "force-user='u'\nskip-service-descriptor=false\n", 0, "u"),
                CASE("108: an unknown key", "unknown=true\n", 0, NULL),
                CASE("an unknown key twice", "unknown=true\nunknown=12\n", 0, NULL),
                CASE("an unknown key with dots and digits", "a.b-c_9 = 'x'\n", 0, NULL),
                CASE("an unknown key that begins as a known one", "wait-for-session2=7\n", 0, NULL),
                CASE("the largest number", "unknown=18446744073709551615\n", 0, NULL),

                WRONG("109: a line of blanks", "wait-for-session=true\n \n", 2),
                WRONG("a line of blanks before CRLF", "\t\r\n", 1),
                WRONG("a CR that ends no line", "wait-for-session=true\r", 1),
                WRONG("a CR within a line", "wait-for-session=\rtrue\n", 1),
                WRONG("a leading blank", " wait-for-session=true\n", 1),
                WRONG("a section", "[section]\n", 1),
                WRONG("a leading digit", "1key=true\n", 1),
                WRONG("a leading =", "=true\n", 1),
                WRONG("a NUL in a comment", "# \0\n", 1),
                WRONG("a NUL in a key", "unknown\0=true\n", 1),
                WRONG("a NUL at the very end", "unknown=true\n\0", 2),
                WRONG("no =", "wait-for-session true\n", 1),
                WRONG("a key alone", "wait-for-session\n", 1),
                WRONG("a byte after the key", "wait-for-session: true\n", 1),
                WRONG("no value", "wait-for-session=\n", 1),
                WRONG("a comment for a value", "wait-for-session= # true\n", 1),
                WRONG("a word", "wait-for-session=yes\n", 1),
                WRONG("capitals", "wait-for-session=True\n", 1),
                WRONG("half a word", "wait-for-session=tru\n", 1),
                WRONG("a longer word", "wait-for-session=truely\n", 1),
                WRONG("two values", "wait-for-session=true false\n", 1),
                WRONG("110: 01", "wait-for-session=01\n", 1),
                WRONG("110: 2", "wait-for-session = 2\n", 1),
                WRONG("110: 1 for another key", "skip-service-descriptor = 1\n", 1),
                WRONG("0 for pipes", "direct = 0\n", 1),
                WRONG("a word for pipes", "direct = no\n", 1),
                WRONG("0 for another key", "exit-on-client-eof = 0\n", 1),
                WRONG("a sign", "wait-for-session=+1\n", 1),
                WRONG("a negative number", "unknown=-1\n", 1),
                WRONG("a fraction", "unknown=1.5\n", 1),
                WRONG("hexadecimal", "unknown=0x10\n", 1),
                WRONG("one more than the largest number", "unknown=18446744073709551616\n", 1),
                WRONG("ten times the largest number", "unknown=184467440737095516150\n", 1),
                WRONG("text for a boolean", "wait-for-session='true'\n", 1),
                WRONG("a boolean for text", "force-user=true\n", 1),
                WRONG("a number for text", "force-user=1\n", 1),
                WRONG("108: double quotes for an unknown key", "unknown=\"text\"\n", 1),
                WRONG("double quotes for a known key", "force-user=\"root\"\n", 1),
                WRONG("an open quote", "force-user='root\n", 1),
                WRONG("only an open quote", "force-user='\n", 1),
                WRONG("text over two lines", "force-user='ro\not'\n", 1),
                WRONG("three quotes", "force-user='''\n", 1),
                WRONG("an escaped quote", "force-user='a\\'b'\n", 1),
                WRONG("a key twice", "wait-for-session=true\n\nwait-for-session=true\n", 3),
                WRONG("a user twice", "force-user='a'\nforce-user='b'\n", 2),
                WRONG("111: a user and skip-service-descriptor", "force-user='u'\nskip-service-descriptor=true\n", 0),
                WRONG("111: a user and exit-on-service-eof", "exit-on-service-eof=true\nforce-user='u'\n", 0),
                WRONG("111: a user and exit-on-client-eof", "force-user=''\nexit-on-client-eof=true\n", 0),
#undef CASE
#undef WRONG
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT;
                _cleanup_(config_deinit) Config config = CONFIG_INIT;
                int r = config_parse("file", cases[i].input, cases[i].n_input, &errors, NULL, &config);

                if (r != (cases[i].flags == ERROR ? CONFIG_E_INVALID : 0))
                        fail_msg("%s: got %d (%s)", cases[i].name, r, errors.n_entries ? errors.entries[0].text : "-");
                if (r) {
                        if (errors.n_entries != 1 || errors.entries[0].line != cases[i].line)
                                fail_msg("%s: %zu errors, the first in line %u", cases[i].name, errors.n_entries,
                                         errors.n_entries ? errors.entries[0].line : 0);
                        if (flags_of(&config) || config.force_user)
                                fail_msg("%s: the result was touched on failure", cases[i].name);
                        continue;
                }
                if (flags_of(&config) != cases[i].flags)
                        fail_msg("%s: flags %u, want %u", cases[i].name, flags_of(&config), cases[i].flags);
                if (!config.force_user != !cases[i].user ||
                    (config.force_user && strcmp(config.force_user, cases[i].user) != 0))
                        fail_msg("%s: user %s", cases[i].name, config.force_user ?: "none");
        }
}

static void test_notices(void **state) {
        static const char text[] = "a=1\nwait-for-session=true\nbb = 'x' # why\n";
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT, notices = DIAGNOSTICS_INIT;
        _cleanup_(config_deinit) Config config = CONFIG_INIT;

        assert_int_equal(config_parse("file", text, strlen(text), &errors, &notices, &config), 0);
        assert_int_equal(errors.n_entries, 0);
        assert_int_equal(notices.n_entries, 2);
        assert_int_equal(notices.entries[0].line, 1);
        assert_int_equal(notices.entries[1].line, 3);
        assert_non_null(strstr(notices.entries[1].text, "\"bb\""));
}

/* --- from files --- */

static char folder[32];

static void write_file(const char *name, const char *text, mode_t mode) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "%s/%s", folder, name);
        fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
        assert_int_equal(fchmod(fd, mode), 0);
        fd_close(fd);
}

static int load(const char *text, Config *ret_config) {
        _cleanup_(diagnostics_deinit) Diagnostics errors = DIAGNOSTICS_INIT;
        Command command;
        int r;

        assert_int_equal(command_parse(text, true, &command), 0);
        r = config_load(folder, &command, &errors, NULL, ret_config);
        assert_int_equal(errors.n_entries, r ? 1 : 0);
        return r;
}

static void test_load(void **state) {
        _cleanup_(config_deinit) Config config = { .wait_for_session = true };
        char path[64];

        strcpy(folder, "/tmp/test-config.XXXXXX");
        assert_non_null(mkdtemp(folder));

        assert_int_equal(load("u:QUBESRPC none+x source", &config), 0);
        assert_int_equal(flags_of(&config), 0); /* defaults, whatever stood there */

        write_file("svc", "wait-for-session=true\nexit-on-client-eof=true\n", 0644);
        write_file("svc+arg", "exit-on-service-eof=true\n", 0644);
        write_file("bad", "wait-for-session=maybe\n", 0644);
        assert_int_equal(load("u:QUBESRPC svc+other source", &config), 0);
        assert_int_equal(flags_of(&config), WAIT | CEOF);
        /* 112: the specific file replaces the generic one */
        assert_int_equal(load("u:QUBESRPC svc+arg source", &config), 0);
        assert_int_equal(flags_of(&config), SEOF);
        assert_int_equal(load("u:QUBESRPC bad source", &config), CONFIG_E_INVALID);

        /* a folder in a file's place */
        snprintf(path, sizeof(path), "%s/folder", folder);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(load("u:QUBESRPC folder source", &config), CONFIG_E_INVALID);
        rmdir(path);

        /* a file one byte too large */
        write_file("large", "", 0644);
        snprintf(path, sizeof(path), "%s/large", folder);
        assert_int_equal(truncate(path, CONFIG_SIZE_MAX + 1), 0);
        assert_int_equal(load("u:QUBESRPC large source", &config), CONFIG_E_INVALID);

        for (const char *const *name = (const char *const[]){ "svc", "svc+arg", "bad", "large", NULL }; *name; ++name) {
                snprintf(path, sizeof(path), "%s/%s", folder, *name);
                assert_int_equal(unlink(path), 0);
        }
        assert_int_equal(rmdir(folder), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_notices),
                cmocka_unit_test(test_load),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
