/* SPDX-License-Identifier: Apache-2.0 */
/* Programs started for real: what they find around them (protocol specification, 6.9), and how a failure is known. */
#include "agent/spawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* A started shell script, and the pipe that its output comes through. */
typedef struct Program {
        pid_t pid;
        int pidfd;
        int out_fd;
} Program;

static Program start_with(const char *script, const char *directory, const struct rlimit *files,
                          const sigset_t *signals) {
        char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
        char *environment[] = { (char *)"PATH=/usr/bin:/bin", (char *)"MARK=x", NULL };
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), pipe_fds[2], error = 0;
        Program program = {};

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        assert_int_equal(spawn_process(&(Spawn){ .program = "/bin/sh",
                                                 .argv = argv,
                                                 .environment = environment,
                                                 .directory = directory,
                                                 .stdin_fd = null_fd,
                                                 .stdout_fd = pipe_fds[1],
                                                 .stderr_fd = pipe_fds[1],
                                                 .files = files,
                                                 .signals = signals },
                                       &error, &program.pid, &program.pidfd),
                         0);
        fd_close(null_fd);
        fd_close(pipe_fds[1]);
        program.out_fd = pipe_fds[0];
        return program;
}

static Program start(const char *script, const char *directory, const struct rlimit *files) {
        return start_with(script, directory, files, NULL);
}

static void read_all(int fd, char *text, size_t n_text) {
        size_t n = 0;
        ssize_t got;

        while ((got = read(fd, text + n, n_text - 1 - n)) > 0)
                n += (size_t)got;
        text[n] = '\0';
}

static siginfo_t finish(Program *program) {
        siginfo_t info = {};

        assert_int_equal(waitid(P_PIDFD, (id_t)program->pidfd, &info, WEXITED), 0);
        fd_close(program->pidfd);
        fd_close(program->out_fd);
        return info;
}

static void check_output(const char *name, const char *script, const char *directory, const struct rlimit *files,
                         const char *expect) {
        Program program = start(script, directory, files);
        char text[4096];
        siginfo_t info;

        read_all(program.out_fd, text, sizeof(text));
        info = finish(&program);
        if (strcmp(text, expect) != 0)
                fail_msg("%s: got \"%s\", want \"%s\"", name, text, expect);
        assert_int_equal(info.si_code, CLD_EXITED);
        assert_int_equal(info.si_status, 0);
}

/* With reserved slots: the same surroundings, the parent's table as before, and one start after the other. */
static void test_slots(void **state) {
        char *argv[] = { (char *)"sh", (char *)"-c", (char *)"echo out; echo err >&2; ls /proc/self/fd | wc -l", NULL };
        char *missing[] = { (char *)"missing", NULL };
        char *environment[] = { (char *)"PATH=/usr/bin:/bin", NULL };
        struct stat before[3], after;
        SpawnSlots slots;
        int lowest, many[100];

        for (int i = 0; i < 3; ++i)
                assert_int_equal(fstat(i, &before[i]), 0);
        assert_int_equal(spawn_slots_init(&slots), 0);
        for (size_t i = 0; i < ARRAY_SIZE(many); ++i)
                many[i] = fcntl(slots.null_fd, F_DUPFD_CLOEXEC, 200);
        lowest = fcntl(slots.null_fd, F_DUPFD_CLOEXEC, 3);
        fd_close(lowest);
        for (int i = 0; i < 3; ++i) {
                int pipe_fds[2], error = 0, null_fd = slots.null_fd;
                Program program = {};
                char text[256];
                siginfo_t info;

                assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
                program.out_fd = pipe_fds[0];
                assert_int_equal(spawn_process(&(Spawn){ .program = "/bin/sh",
                                                         .argv = argv,
                                                         .environment = environment,
                                                         .stdin_fd = null_fd,
                                                         .stdout_fd = pipe_fds[1],
                                                         .stderr_fd = pipe_fds[1],
                                                         .slots = &slots },
                                               &error, &program.pid, &program.pidfd),
                                 0);
                fd_close(pipe_fds[1]);
                /* It ends only if no slot of ours still holds the writable end. */
                read_all(program.out_fd, text, sizeof(text));
                assert_string_equal(text, "out\nerr\n4\n");
                assert_true(fcntl(program.pidfd, F_GETFD) & FD_CLOEXEC);
                info = finish(&program);
                assert_int_equal(info.si_status, 0);

                assert_int_equal(spawn_process(&(Spawn){ .program = "/missing",
                                                         .argv = missing,
                                                         .environment = environment,
                                                         .stdin_fd = null_fd,
                                                         .stdout_fd = null_fd,
                                                         .stderr_fd = null_fd,
                                                         .slots = &slots },
                                               &error, &program.pid, &program.pidfd),
                                 SPAWN_E_NOT_FOUND);
                assert_int_equal(error, ENOENT);
        }
        /* Nothing was left open in our table, and our own three are what they were. */
        assert_int_equal(fcntl(slots.null_fd, F_DUPFD_CLOEXEC, 3), lowest);
        fd_close(lowest);
        for (int i = 0; i < 3; ++i) {
                assert_int_equal(fstat(i, &after), 0);
                assert_int_equal(after.st_ino, before[i].st_ino);
                assert_int_equal(after.st_dev, before[i].st_dev);
        }
        for (size_t i = 0; i < ARRAY_SIZE(many); ++i)
                fd_close(many[i]);
        spawn_slots_deinit(&slots);
        spawn_slots_deinit(&slots);
}

static void test_surroundings(void **state) {
        const struct rlimit files = { .rlim_cur = 77, .rlim_max = 77 };
        int leaked;

        /* Open on purpose without close-on-exec: no service may see it. */
        leaked = open("/dev/null", O_RDONLY);
        assert_true(leaked >= 3);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGHUP, SIG_IGN);

        check_output("descriptors: 0, 1, 2 and no other",
                     "for fd in $(seq 0 99); do [ -e /proc/$$/fd/$fd ] && echo $fd; done; :", NULL, NULL, "0\n1\n2\n");
        check_output("the environment as given", "env | sort", NULL, NULL, "MARK=x\nPATH=/usr/bin:/bin\nPWD=/\n");
        check_output("a directory", "pwd", "/usr", NULL, "/usr\n");
        check_output("a directory that is not there", "pwd", "/no/such/place", NULL, "/\n");
        check_output("the limit of open files", "ulimit -n", NULL, &files, "77\n");
        check_output("a session of its own", "ps -o sid= -p $$ | tr -d ' ' | sed \"s/^$$\\$/same/\"", NULL, NULL,
                     "same\n");
        /* Signals 32 and 33 are the C library's own; make leaves them ignored, and nobody can change it. */
        check_output("no signal blocked or ignored",
                     "for set in SigBlk SigIgn; do"
                     " echo $((0x$(sed -n \"s/^$set:[^0-9a-f]*//p\" /proc/self/status) & ~0x180000000)); done",
                     NULL, NULL, "0\n0\n");
        check_output("90: standard error can be opened once more", "echo x >/proc/self/fd/2", NULL, NULL, "x\n");

        signal(SIGPIPE, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        fd_close(leaked);
}

static void test_our_mask_stays(void **state) {
        sigset_t set, before, after;
        Program program;

        sigemptyset(&set);
        sigaddset(&set, SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, &before);
        program = start("exit 3", NULL, NULL);
        sigprocmask(SIG_SETMASK, &before, &after);
        assert_true(sigismember(&after, SIGUSR1));
        assert_false(sigismember(&after, SIGTERM));
        assert_int_equal(finish(&program).si_status, 3);
}

static void test_failures(void **state) {
        static const struct {
                const char *name, *path, *text;
                mode_t mode;
                int expect, error;
        } cases[] = {
                { "no such file", "missing", NULL, 0, SPAWN_E_NOT_FOUND, ENOENT },
                { "no such interpreter", "interpreter", "#!/no/such/shell\n", 0755, SPAWN_E_NOT_FOUND, ENOENT },
                { "not executable", "plain", "#!/bin/sh\n", 0644, SPAWN_E_FAILED, EACCES },
                { "no format that exec knows", "garbage", "garbage", 0755, SPAWN_E_FAILED, ENOEXEC },
                { "a directory", ".", NULL, 0, SPAWN_E_FAILED, EACCES },
        };
        char folder[] = "/tmp/test-spawn.XXXXXX", *argv[] = { (char *)"x", NULL };
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        assert_non_null(mkdtemp(folder));
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int error = 0, pidfd = -42, r, fd;
                pid_t pid = -42;
                char path[64];

                snprintf(path, sizeof(path), "%s/%s", folder, cases[i].path);
                if (cases[i].text) {
                        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
                        assert_int_equal(fd_write_full(fd, cases[i].text, strlen(cases[i].text)), 0);
                        assert_int_equal(fchmod(fd, cases[i].mode), 0);
                        fd_close(fd);
                }
                r = spawn_process(&(Spawn){ .program = path,
                                            .argv = argv,
                                            .environment = argv + 1,
                                            .stdin_fd = null_fd,
                                            .stdout_fd = null_fd,
                                            .stderr_fd = null_fd },
                                  &error, &pid, &pidfd);
                if (r != cases[i].expect || error != cases[i].error)
                        fail_msg("%s: got %d (%s), want %d (%s)", cases[i].name, r, strerror(error), cases[i].expect,
                                 strerror(cases[i].error));
                if (pid != -42 || pidfd != -42)
                        fail_msg("%s: the result was touched on failure", cases[i].name);
                if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
                        fail_msg("%s: a child was left", cases[i].name);
                if (cases[i].text)
                        assert_int_equal(unlink(path), 0);
        }
        assert_int_equal(rmdir(folder), 0);
        fd_close(null_fd);
}

static void test_limit(void **state) {
        const struct rlimit none = { 0 };
        char *argv[] = { (char *)"true", NULL };
        int status;
        pid_t pid;

        /* RLIMIT_NPROC does not bind root, so an ordinary account tries. */
        pid = fork();
        if (pid == 0) {
                int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC), error = 0, pidfd, r;
                pid_t child;

                if (setgid(65534) < 0 || setuid(65534) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0)
                        _exit(geteuid() == 0 ? 1 : 77);
                r = spawn_process(&(Spawn){ .program = "/bin/true",
                                            .argv = argv,
                                            .environment = argv + 1,
                                            .stdin_fd = null_fd,
                                            .stdout_fd = null_fd,
                                            .stderr_fd = null_fd },
                                  &error, &child, &pidfd);
                _exit(r == SPAWN_E_LIMIT && error == EAGAIN ? 0 : 2);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
                skip();
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* The mask of ignored signals of a program that is started with @signals, but for the C library's own two. */
static unsigned long long ignored_by(const sigset_t *signals) {
        Program program = start_with("sed -n 's/^SigIgn:[^0-9a-f]*//p' /proc/self/status", NULL, NULL, signals);
        char text[64];

        read_all(program.out_fd, text, sizeof(text));
        (void)finish(&program);
        return strtoull(text, NULL, 16) & ~0x180000000ULL;
}

static void handle_nothing(int number) {
}

static void test_signals(void **state) {
        sigset_t found, one;

        /* A shell has jobs in the background ignore some. */
        for (int number = 1; number < SIGRTMIN; ++number)
                (void)signal(number, SIG_DFL);
        signal(SIGPIPE, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGUSR2, handle_nothing);

        spawn_find_signals(&found);
        assert_true(sigismember(&found, SIGPIPE));
        assert_true(sigismember(&found, SIGHUP));
        assert_true(sigismember(&found, SIGUSR2));
        assert_false(sigismember(&found, SIGTERM));

        assert_int_equal(ignored_by(NULL), 0);
        assert_int_equal(ignored_by(&found), 0);
        /* It believes what it is told. */
        sigemptyset(&one);
        sigaddset(&one, SIGPIPE);
        assert_int_equal(ignored_by(&one), 1ULL << (SIGHUP - 1));

        signal(SIGPIPE, SIG_DFL);
        signal(SIGHUP, SIG_DFL);
        signal(SIGUSR2, SIG_DFL);
}

static void test_signal_group(void **state) {
        Program program = start("sh -c 'echo ready; exec sleep 1000' & wait", NULL, NULL);
        char text[64];
        siginfo_t info;

        assert_int_equal(read(program.out_fd, text, 6), 6);
        spawn_signal_group(program.pid, program.pidfd, SIGKILL);
        /* The pipe ends when the last of the group is gone. */
        read_all(program.out_fd, text, sizeof(text));
        info = finish(&program);
        assert_int_equal(info.si_code, CLD_KILLED);
        assert_int_equal(info.si_status, SIGKILL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_surroundings), cmocka_unit_test(test_our_mask_stays),
                cmocka_unit_test(test_failures),     cmocka_unit_test(test_limit),
                cmocka_unit_test(test_signals),      cmocka_unit_test(test_signal_group),
                cmocka_unit_test(test_slots),
        };

        if (chdir("/") < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
