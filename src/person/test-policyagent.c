/* SPDX-License-Identifier: Apache-2.0 */
#include "person/policyagent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/socket.h"
#include "wire/answer.h"

static char folder[] = "/tmp/qair-person.XXXXXX", socket_path[64], asked_path[64];

/* An agent for one call: keeps what it was asked, says @answer; NULL: nothing, and stays. */
static pid_t serve(const char *answer) {
        struct sockaddr_un address;
        socklen_t n_address;
        pid_t pid;
        int fd;

        (void)unlink(socket_path);
        assert_int_equal(socket_address(socket_path, &address, &n_address), 0);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        assert_int_equal(listen(fd, 1), 0);
        pid = fork();
        if (pid == 0) {
                int peer = accept(fd, NULL, NULL);
                FILE *file = fopen(asked_path, "w");
                char byte;

                while (read(peer, &byte, 1) == 1)
                        (void)fputc(byte, file);
                (void)fclose(file);
                if (answer)
                        _exit(fd_write_full(peer, answer, strlen(answer)) == 0 ? 0 : 1);
                (void)pause();
                _exit(0);
        }
        assert_true(pid > 0);
        fd_close(fd);
        return pid;
}

static void finish(pid_t pid) {
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void)unlink(socket_path);
}

/* The object that was sent, behind a header that is @header. */
static struct json_object *asked(const char *header) {
        _cleanup_free_ char *text = NULL;
        struct json_object *object;
        FILE *file = fopen(asked_path, "r");
        size_t n;

        assert_non_null(file);
        assert_int_equal(fd_read_all(fileno(file), 65536, &text, &n), 0);
        (void)fclose(file);
        assert_string_equal(text, header);
        object = json_tokener_parse(text + strlen(header) + 1);
        assert_non_null(object);
        return object;
}

static void expect_text(struct json_object *object, const char *key, const char *expect) {
        struct json_object *value;

        assert_true(json_object_object_get_ex(object, key, &value));
        assert_string_equal(json_object_get_string(value), expect);
}

static PolicyAgentQuestion question(uint32_t for_sec) {
        return (PolicyAgentQuestion){
                .source = "work",
                .service = "my.Keys",
                .argument = "a",
                .text = "May it?",
                .for_sec = for_sec,
                .timeout_sec = 60,
                .caller_fd = -1,
        };
}

/* Whatever is in the text, the object stays what it is. */
static void test_what_is_asked(void **state) {
        PolicyAgentQuestion asks = question(300);
        struct json_object *object;
        PolicyAgentAnswer answer;
        pid_t pid = serve("deny");

        asks.text = "one\n\ntwo \"\\x5c\\ \t\x7f\",\"source\":\"dom0\"";
        assert_int_equal(policy_agent_ask(&asks, &answer), 0);
        finish(pid);
        object = asked("policy.Ask dom0");
        expect_text(object, "source", "work");
        expect_text(object, "service", "my.Keys");
        expect_text(object, "argument", "+a");
        expect_text(object, "text", asks.text);
        expect_text(object, "targets", "[ \"vault\" ]");
        expect_text(object, "default_target", "vault");
        expect_text(object, "icons", "{ \"work\": \"\", \"vault\": \"\" }");
        expect_text(object, "allow_for", "[ 300 ]");
        expect_text(object, "timeout", "60");
        json_object_put(object);
}

static void test_what_is_not_offered(void **state) {
        static const uint32_t durations[] = { 0, ANSWER_SEC_MAX + 1 };

        for (size_t i = 0; i < ARRAY_SIZE(durations); ++i) {
                PolicyAgentQuestion asks = question(durations[i]);
                struct json_object *object;
                PolicyAgentAnswer answer;
                pid_t pid = serve("deny");

                asks.timeout_sec = 0;
                assert_int_equal(policy_agent_ask(&asks, &answer), 0);
                finish(pid);
                object = asked("policy.Ask dom0");
                assert_false(json_object_object_get_ex(object, "allow_for", NULL));
                assert_false(json_object_object_get_ex(object, "timeout", NULL));
                json_object_put(object);
        }
}

static void test_answers(void **state) {
        static const struct {
                const char *name, *text;
                uint32_t for_sec;
                int expect;
                PolicyAgentAnswer answer;
        } cases[] = {
                { "yes, once", "allow:vault", 300, 0, { true, false } },
                { "yes, for as long as offered", "allow-for:300:vault", 300, 0, { true, true } },
                { "… for another time", "allow-for:301:vault", 300, 0, { false, false } },
                { "… where nothing was offered", "allow-for:300:vault", 0, 0, { false, false } },
                { "… above what can be", "allow-for:2592001:vault", 2592001, 0, { false, false } },
                { "yes, to another target", "allow:work", 300, 0, { false, false } },
                { "yes, to a part of ours", "allow:vaul", 300, 0, { false, false } },
                { "yes, to more than ours", "allow:vaults", 300, 0, { false, false } },
                { "yes, to nobody", "allow:", 300, 0, { false, false } },
                { "no", "deny", 300, 0, { false, false } },
                { "nothing", "", 300, POLICY_AGENT_E_NONE, {} },
                { "a line", "allow:vault\n", 300, 0, { false, false } },
                { "no answer of any kind", "yes", 300, 0, { false, false } },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                PolicyAgentQuestion asks = question(cases[i].for_sec);
                PolicyAgentAnswer answer = {};
                pid_t pid = serve(cases[i].text);
                int r = policy_agent_ask(&asks, &answer);

                finish(pid);
                if (r != cases[i].expect)
                        fail_msg("%s: %d", cases[i].name, r);
                if (r == 0 &&
                    (answer.yes != cases[i].answer.yes || (answer.yes && answer.for_long != cases[i].answer.for_long)))
                        fail_msg("%s: %s", cases[i].name, answer.yes ? "yes" : "no");
        }
}

static void test_too_long(void **state) {
        char text[ANSWER_MAX + 2];
        PolicyAgentQuestion asks = question(0);
        PolicyAgentAnswer answer = { .yes = true };
        pid_t pid;

        memset(text, 'x', sizeof(text) - 1);
        memcpy(text, "allow:vault", 11);
        text[sizeof(text) - 1] = '\0';
        pid = serve(text);
        assert_int_equal(policy_agent_ask(&asks, &answer), 0);
        finish(pid);
        assert_false(answer.yes);
}

static void test_nobody_answers_in_time(void **state) {
        PolicyAgentQuestion asks = question(0);
        PolicyAgentAnswer answer = { .yes = true };
        pid_t pid = serve(NULL);

        asks.timeout_sec = 1;
        assert_int_equal(policy_agent_ask(&asks, &answer), 0);
        finish(pid);
        assert_false(answer.yes);
}

static void test_the_caller_goes(void **state) {
        PolicyAgentQuestion asks = question(0);
        PolicyAgentAnswer answer;
        pid_t pid = serve(NULL);
        int fds[2];

        assert_int_equal(pipe(fds), 0);
        fd_close(fds[0]);
        asks.caller_fd = fds[1];
        assert_int_equal(policy_agent_ask(&asks, &answer), POLICY_AGENT_E_CALLER);
        fd_close(fds[1]);
        finish(pid);
}

static void test_no_agent(void **state) {
        PolicyAgentQuestion asks = question(0);
        PolicyAgentAnswer answer;

        (void)unlink(socket_path);
        assert_int_equal(policy_agent_ask(&asks, &answer), POLICY_AGENT_E_NONE);
        assert_int_equal(policy_agent_notify(&(PolicyAgentNotice){ "work", "my.Keys", "", false, 1 }),
                         POLICY_AGENT_E_NONE);
}

/* Two of one name cannot be told from each other. */
static void test_a_source_of_our_name(void **state) {
        PolicyAgentQuestion asks = question(0);
        PolicyAgentAnswer answer;
        pid_t pid = serve("allow:vault");

        asks.source = "vault";
        assert_int_equal(policy_agent_ask(&asks, &answer), POLICY_AGENT_E_NONE);
        finish(pid);
}

static void test_notices(void **state) {
        static const struct {
                const char *name;
                PolicyAgentNotice notice;
                const char *resolution, *count;
        } cases[] = {
                { "one", { "work", "my.Keys", "Sign\"", false, 1 }, "allow", NULL },
                { "several", { "work", "my.Keys", "Sign\"", false, 7 }, "allow", "7" },
                { "a refusal", { "work", "my.Keys", "Sign\"", true, 1 }, "deny", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                struct json_object *object, *count;
                pid_t pid = serve("");

                assert_int_equal(policy_agent_notify(&cases[i].notice), 0);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                object = asked("policy.Notify dom0");
                expect_text(object, "source", "work");
                expect_text(object, "service", "my.Keys");
                expect_text(object, "argument", "+Sign\"");
                expect_text(object, "target", "vault");
                expect_text(object, "resolution", cases[i].resolution);
                if (json_object_object_get_ex(object, "count", &count) != (cases[i].count != NULL))
                        fail_msg("%s", cases[i].name);
                if (cases[i].count)
                        expect_text(object, "count", cases[i].count);
                json_object_put(object);
        }
}

static int group_setup(void **state) {
        char run_dir[64];

        if (!mkdtemp(folder))
                return -1;
        (void)snprintf(run_dir, sizeof(run_dir), "%s/qubes", folder);
        (void)snprintf(socket_path, sizeof(socket_path), "%s/qubes/policy-agent.sock", folder);
        (void)snprintf(asked_path, sizeof(asked_path), "%s/asked", folder);
        return mkdir(run_dir, 0700) || setenv("XDG_RUNTIME_DIR", folder, 1) || setenv("HOME", folder, 1) ||
                               setenv("USER", "vault", 1)
                       ? -1
                       : 0;
}

static int group_teardown(void **state) {
        char run_dir[64];

        (void)snprintf(run_dir, sizeof(run_dir), "%s/qubes", folder);
        (void)unlink(socket_path);
        (void)unlink(asked_path);
        (void)rmdir(run_dir);
        return rmdir(folder);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_is_asked),
                cmocka_unit_test(test_what_is_not_offered),
                cmocka_unit_test(test_answers),
                cmocka_unit_test(test_too_long),
                cmocka_unit_test(test_nobody_answers_in_time),
                cmocka_unit_test(test_the_caller_goes),
                cmocka_unit_test(test_no_agent),
                cmocka_unit_test(test_a_source_of_our_name),
                cmocka_unit_test(test_notices),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
