/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/socket.h"
#include "base/test-folder.h"
#include "policy-tools/agentcall.h"
#include "policy-tools/test-world.h"
#include "policy/evaluate.h"

static char folder[] = "/tmp/qair-agentcall.XXXXXX", asked[64], client[64];

static void test_question(void **state) {
        PolicySystem *system = world_system();
        Policy *policy = world_policy("s.Go * work vault ask default_target=vault\ns.Go * work dvm ask");
        const PolicyRequest request = { .source = POLICY_SLICE("work"),
                                        .target = POLICY_SLICE("vault"),
                                        .service = POLICY_SLICE("s.Go+x") };
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        _cleanup_free_ char *text = NULL;
        PolicyResolution resolution;

        policy_evaluate(policy, system->facts, &request, &resolution);
        assert_int_equal(policy_question_new(policy, system->facts, &resolution, &question), 0);
        assert_int_equal(policy_agent_question(question, &text), 0);
        assert_non_null(strstr(text, "\"source\": \"work\""));
        assert_non_null(strstr(text, "\"argument\": \"+x\""));
        assert_non_null(strstr(text, "\"default_target\": \"vault\""));
        assert_non_null(strstr(text, "\"@dispvm:dvm\": \"\""));
        policy_unref(policy);
        policy_system_free(system);
}

/* All that is not ASCII is escaped; what would end a text or a line too. */
static void test_notice(void **state) {
        const PolicyNotice notice = { "deny", POLICY_SLICE("s.Go"), POLICY_SLICE("+"), POLICY_SLICE("a\"\n\xff"),
                                      POLICY_SLICE("\xc3\xa9\xf0\x9f\x99\x82") };
        _cleanup_free_ char *text = NULL;

        assert_int_equal(policy_agent_notice(&notice, &text), 0);
        assert_non_null(strstr(text, "\"source\": \"a\\\"\\n\\ufffd\""));
        assert_non_null(strstr(text, "\"target\": \"\\u00e9\\ud83d\\ude42\""));
        assert_non_null(strstr(text, "\"resolution\": \"deny\""));
}

/* An agent for one call: answers, and keeps what it was asked, NUL as `|`. */
static pid_t serve(const char *service, const char *answer, size_t n_answer) {
        struct sockaddr_un address;
        socklen_t n_address;
        char path[128];
        pid_t pid;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", folder, service);
        unlink(path);
        assert_int_equal(socket_address(path, &address, &n_address), 0);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        assert_int_equal(listen(fd, 1), 0);
        pid = fork();
        if (pid == 0) {
                int peer = accept(fd, NULL, NULL);
                FILE *file = fopen(asked, "w");
                char byte;

                while (read(peer, &byte, 1) == 1)
                        fputc(byte == '\0' ? '|' : byte, file);
                fclose(file);
                _exit(fd_write_full(peer, answer, n_answer) == 0 ? 0 : 1);
        }
        close(fd);
        return pid;
}

static void assert_asked(const char *expect) {
        char text[512];
        FILE *file = fopen(asked, "r");

        assert_non_null(file);
        text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        fclose(file);
        assert_string_equal(text, expect);
}

static int call(const char *guivm, const char *service, char **ret_answer) {
        const PolicyAgentPaths paths = { folder, client, "/nonexistent" };

        return policy_agent_call(&paths, guivm, service, "{\"x\": 1}", ret_answer);
}

static void test_agent_of_dom0(void **state) {
        static char much[POLICY_AGENT_ANSWER_MAX + 1];
        char *answer = NULL;
        pid_t pid = serve("policy.Ask", "allow:vault", 11);

        assert_int_equal(call("dom0", "policy.Ask", &answer), 0);
        assert_string_equal(answer, "allow:vault");
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_asked("policy.Ask dom0 name dom0|{\"x\": 1}");
        free(answer);

        memset(much, 'x', sizeof(much));
        pid = serve("policy.Ask", much, sizeof(much));
        assert_int_equal(call("dom0", "policy.Ask", &answer), POLICY_AGENT_E_FAILED);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(call("dom0", "policy.Nobody", &answer), POLICY_AGENT_E_FAILED);
}

static void become(const char *script) {
        FILE *file = fopen(client, "w");

        assert_non_null(file);
        fprintf(file, "#!/bin/sh\n%s\n", script);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(chmod(client, 0700), 0);
}

static void test_agent_elsewhere(void **state) {
        char *answer = NULL;

        assert_int_equal(call("sys-gui", "policy.Ask", &answer), POLICY_AGENT_E_FAILED); /* neither client is there */
        become("printf '%s|' \"$@\" >$(dirname $0)/asked; cat >>$(dirname $0)/asked; printf deny");
        assert_int_equal(call("sys-gui", "policy.Ask", &answer), 0);
        assert_string_equal(answer, "deny");
        assert_asked("-d|sys-gui|DEFAULT:QUBESRPC policy.Ask dom0|{\"x\": 1}");
        free(answer);
        become("printf allow:vault; exit 1");
        assert_int_equal(call("sys-gui", "policy.Ask", &answer), POLICY_AGENT_E_FAILED);
}

static int set_up(void **state) {
        signal(SIGPIPE, SIG_IGN);
        if (!mkdtemp(folder))
                return -1;
        snprintf(asked, sizeof(asked), "%s/asked", folder);
        snprintf(client, sizeof(client), "%s/client", folder);
        return 0;
}

static int tear_down(void **state) {
        return folder_remove(folder);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_question),
                cmocka_unit_test(test_notice),
                cmocka_unit_test(test_agent_of_dom0),
                cmocka_unit_test(test_agent_elsewhere),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
