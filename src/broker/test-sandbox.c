/* SPDX-License-Identifier: Apache-2.0 */
/* Each case runs in a child that confines itself for real, tries one thing, and reports by how it ends. */
#include <stdarg.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "broker/sandbox.h"

static char readable_path[] = "/tmp/qair-sandbox-XXXXXX";

static int opened(const char *path, int flags) {
        return open(path, flags | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
}

static int try_read_allowed(void) {
        return opened(readable_path, O_RDONLY);
}
static int try_read_other(void) {
        return opened("/etc/passwd", O_RDONLY);
}
static int try_list_other(void) {
        return opened("/etc", O_RDONLY | O_DIRECTORY);
}
static int try_write(void) {
        return opened(readable_path, O_WRONLY);
}
static int try_create(void) {
        return opened("/tmp/qair-sandbox-created", O_RDONLY | O_CREAT);
}
static int try_exec(void) {
        char *argv[] = { (char *)"true", NULL };

        return execv("/bin/true", argv) < 0 ? errno : 0;
}
static int try_fork(void) {
        return fork() < 0 ? errno : 0;
}
static int try_socket(void) {
        return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}
static int try_connect(void) {
        return connect(0, NULL, 0) < 0 ? errno : 0;
}
static int try_kill(void) {
        return kill(getppid(), 0) < 0 ? errno : 0;
}
static int try_ptrace(void) {
        return syscall(SYS_ptrace, 16, getppid(), 0, 0) < 0 ? errno : 0;
}
static int try_executable_memory(void) {
        return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                       ? errno
                       : 0;
}
static int try_unix_pair(void) {
        int fds[2];

        return socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0 ? errno : 0;
}
static int try_other_pair(void) {
        int fds[2];

        return socketpair(AF_TIPC, SOCK_STREAM, 0, fds) < 0 ? errno : 0;
}

static int try_open_pipe(void) {
        int fds[2];

        return pipe2(fds, O_CLOEXEC) < 0 || fchmod(fds[0], 0666) < 0 || shutdown(0, SHUT_RD) == 0 ? EINVAL : 0;
}
static int try_receive_packets(void) {
        struct mmsghdr message = {};
        int fds[2];

        return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0 || recvmmsg(fds[0], &message, 1, MSG_DONTWAIT, NULL) == 0
                       ? EINVAL
               : errno == EAGAIN ? 0
                                 : errno;
}
static int try_close_neighbours(void) {
        int fds[2];

        return pipe2(fds, O_CLOEXEC) < 0 || close_range((unsigned)fds[0], (unsigned)fds[1], 0) < 0 ? errno : 0;
}
static int try_get_limit(void) {
        struct rlimit files;

        return getrlimit(RLIMIT_NOFILE, &files) < 0 ? errno : 0;
}
static int try_set_limit(void) {
        struct rlimit files = { 100, 100 };

        return setrlimit(RLIMIT_NOFILE, &files) < 0 ? errno : 0;
}
static int try_set_user_id(void) {
        int fds[2];

        return pipe2(fds, O_CLOEXEC) < 0 || fchmod(fds[0], 04777) < 0 ? errno : 0;
}

/* Return: what the child reported, or 1000 + the signal that ended it. */
static int run_confined(int (*what)(void)) {
        const char *const readable[] = { readable_path, "/does/not/exist" };
        struct rlimit no_core = {};
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void)setrlimit(RLIMIT_CORE, &no_core);
                if (sandbox_enter(readable, ARRAY_SIZE(readable)))
                        _exit(254);
                _exit(what());
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void test_confined(void **state) {
        enum { KILLED = 1000 + SIGSYS };
        static const struct {
                const char *name;
                int (*what)(void);
                int expect;
                bool is_landlock;
        } cases[] = {
                { "read what was named", try_read_allowed, 0, false },
                { "read another file", try_read_other, EACCES, true },
                { "list another folder", try_list_other, EACCES, true },
                { "open for writing", try_write, KILLED, false },
                { "create a file", try_create, KILLED, false },
                { "run a program", try_exec, KILLED, false },
                { "fork", try_fork, KILLED, false },
                { "make a network socket", try_socket, KILLED, false },
                { "connect", try_connect, KILLED, false },
                { "signal a process", try_kill, KILLED, false },
                { "trace a process", try_ptrace, KILLED, false },
                { "map executable memory", try_executable_memory, KILLED, false },
                { "make a Unix socket pair", try_unix_pair, 0, false },
                { "make a pipe for others", try_open_pipe, 0, false },
                { "close neighbours", try_close_neighbours, 0, false },
                { "read a limit", try_get_limit, 0, false },
                { "set a limit", try_set_limit, KILLED, false },
                { "receive packets", try_receive_packets, 0, false },
                { "set another mode", try_set_user_id, KILLED, false },
                { "make another socket pair", try_other_pair, KILLED, false },
        };
        bool has_landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int got;

                if (cases[i].is_landlock && !has_landlock)
                        continue;
                got = run_confined(cases[i].what);
                if (got != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, got, cases[i].expect);
        }
        assert_int_equal(access("/tmp/qair-sandbox-created", F_OK), -1);
}

static int setup(void **state) {
        int fd = mkstemp(readable_path);

        return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state) {
        return unlink(readable_path);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_confined, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
