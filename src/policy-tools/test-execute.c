/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/socket.h"
#include "base/test-folder.h"
#include "policy-tools/execute.h"

#define UUID "uuid:00000001-0000-4000-8000-000000000001"

static char folder[] = "/tmp/qair-execute.XXXXXX", path[64], log_path[64];

/* qubesd for @n calls: answers each with a reply, and appends what it was asked to a file, NUL as `|`. */
static pid_t serve(const char *const *replies, const size_t *n_replies, size_t n) {
        struct sockaddr_un address;
        socklen_t n_address;
        pid_t pid;
        int fd;

        unlink(path);
        assert_int_equal(socket_address(path, &address, &n_address), 0);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address, n_address), 0);
        assert_int_equal(listen(fd, 4), 0);
        pid = fork();
        if (pid == 0) {
                FILE *log = fopen(log_path, "w");

                for (size_t i = 0; i < n; ++i) {
                        int client = accept(fd, NULL, NULL);
                        char byte;

                        while (read(client, &byte, 1) == 1)
                                fputc(byte == '\0' ? '|' : byte, log);
                        fputc('\n', log);
                        if (write(client, replies[i], n_replies[i]) < 0)
                                _exit(1);
                        close(client);
                }
                fclose(log);
                _exit(0);
        }
        close(fd);
        return pid;
}

static void test_commands(void **state) {
        static const struct {
                const char *name, *target, *answer, *reply;
                size_t n_reply;
                const char *command, *asked;
        } cases[] = {
                { "to dom0", "@adminvm", "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True", NULL, 0,
                  "/client -Ed dom0 -c SOCKET1,work,7 -- QUBESRPC s.Go+x work keyword adminvm", "" },
                { "to dom0 by name", "dom0", "user=DEFAULT\nresult=allow\ntarget=dom0\nautostart=True", NULL, 0,
                  "/client -Ed dom0 -c SOCKET1,work,7 -- QUBESRPC s.Go+x work name dom0", "" },
                { "to a domain", "vault",
                  "user=keys\nresult=allow\ntarget=vault\ntarget_uuid=" UUID "\nautostart=True\nrequested_target=vault",
                  "0\0", 2, "/client -Ed " UUID " -c SOCKET1,work,7 -- keys:QUBESRPC s.Go+x work",
                  "admin.vm.Start+ dom0 name " UUID "|\n" },
                { "a service at a relay", "far", "result=allow\ntarget=relay\nservice=net.Carry+far+s.Go+", NULL, 0,
                  NULL, "" },
                { "a relayed call", "vault", "result=allow\ntarget=vault\ntarget_uuid=" UUID "\npolicy_source=far",
                  NULL, 0, NULL, "" },
                { "must not be started", "vault", "target=vault\ntarget_uuid=" UUID "\nautostart=False", NULL, 0, NULL,
                  "" },
                { "no uuid", "vault", "user=DEFAULT\nresult=allow\ntarget=vault\nautostart=True", NULL, 0, NULL, "" },
                { "cannot be started", "vault", "target=vault\ntarget_uuid=" UUID "\nautostart=True",
                  "2\0Error\0\0no\0", 11, NULL, "admin.vm.Start+ dom0 name " UUID "|\n" },
                { "a reply that makes no sense", "vault", "target=vault\ntarget_uuid=" UUID "\nautostart=True", "what",
                  4, NULL, "admin.vm.Start+ dom0 name " UUID "|\n" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const PolicyExecution execution = {
                        "7", "work", cases[i].target, "s.Go+x", "SOCKET1", path, "/client"
                };
                _cleanup_(policy_execution_command_deinit) PolicyExecutionCommand command = {};
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                char line[512] = "", asked[512] = "";
                FILE *log;
                pid_t pid = serve(&cases[i].reply, &cases[i].n_reply, cases[i].reply ? 1 : 0);
                int r = policy_execution_prepare(&execution, cases[i].answer, &diagnostics, &command);

                assert_int_equal(waitpid(pid, NULL, 0), pid);
                for (size_t k = 0; command.words[k]; ++k)
                        snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s%s", k > 0 ? " " : "",
                                 command.words[k]);
                log = fopen(log_path, "r");
                asked[fread(asked, 1, sizeof(asked) - 1, log)] = '\0';
                fclose(log);
                if (r != (cases[i].command ? 0 : POLICY_EXECUTION_E_FAILED) ||
                    strcmp(line, cases[i].command ?: "") != 0)
                        fail_msg("%s: got %d, %s", cases[i].name, r, line);
                if (strcmp(asked, cases[i].asked) != 0)
                        fail_msg("%s: asked %s", cases[i].name, asked);
                assert_int_equal(diagnostics.n_entries, r == 0 ? 0 : 1);
        }
}

static void test_disposable(void **state) {
        static const char *const replies[] = { "0\0uuid:new", "0\0" };
        static const size_t n_replies[] = { 10, 2 };
        const PolicyExecution execution = { "7", "work", "@dispvm", "s.Go", "SOCKET1", path, "/client" };
        _cleanup_(policy_execution_command_deinit) PolicyExecutionCommand command = {};
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        char asked[512] = "";
        FILE *log;
        pid_t pid = serve(replies, n_replies, 2);

        assert_int_equal(
                policy_execution_prepare(&execution,
                                         "user=DEFAULT\nresult=allow\ntarget=@dispvm:dvm\ntarget_uuid=@dispvm:" UUID
                                         "\nautostart=True\nrequested_target=@dispvm",
                                         &diagnostics, &command),
                0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_string_equal(command.words[1], "-EWkd");
        assert_string_equal(command.words[2], "uuid:new");
        assert_string_equal(command.words[6], "DEFAULT:QUBESRPC s.Go work");
        log = fopen(log_path, "r");
        asked[fread(asked, 1, sizeof(asked) - 1, log)] = '\0';
        fclose(log);
        assert_string_equal(asked, "admin.vm.CreateDisposable+ dom0 name " UUID
                                   "|uuid\nadmin.vm.Start+ dom0 name uuid:new|\n");
}

static void test_run(void **state) {
        PolicyExecutionCommand done = { .words = { (char *)"/bin/sh", (char *)"-c", (char *)"exit 7" } };
        PolicyExecutionCommand killed = { .words = { (char *)"/bin/sh", (char *)"-c", (char *)"kill -9 $$" } };
        PolicyExecutionCommand missing = { .words = { (char *)"/nonexistent" } };

        assert_int_equal(policy_execution_run(&done), 7);
        assert_int_equal(policy_execution_run(&killed), 255);
        assert_true(policy_execution_run(&missing) < 0);
}

static int set_up(void **state) {
        if (!mkdtemp(folder))
                return -1;
        snprintf(path, sizeof(path), "%s/socket", folder);
        snprintf(log_path, sizeof(log_path), "%s/log", folder);
        return 0;
}

static int tear_down(void **state) {
        return folder_remove(folder);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_commands),
                cmocka_unit_test(test_disposable),
                cmocka_unit_test(test_run),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
