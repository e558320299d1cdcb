/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

/*
 * Debian 12's headers know the first version of Landlock alone; later kernels are asked for all that they have
 * (landlock(7)). The struct only ever grew at its end.
 */
struct sandbox_ruleset {
        uint64_t handled_access_fs;
        uint64_t handled_access_net; /* from ABI 4 */
        uint64_t scoped;             /* from ABI 6 */
};

#define SANDBOX_FS_ABI1 ((UINT64_C(1) << 13) - 1)
#define SANDBOX_FS_ABI2 (SANDBOX_FS_ABI1 | UINT64_C(1) << 13) /* REFER */
#define SANDBOX_FS_ABI3 (SANDBOX_FS_ABI2 | UINT64_C(1) << 14) /* TRUNCATE */
#define SANDBOX_FS_ABI5 (SANDBOX_FS_ABI3 | UINT64_C(1) << 15) /* IOCTL_DEV */
#define SANDBOX_NET     UINT64_C(3)                           /* BIND_TCP, CONNECT_TCP */
#define SANDBOX_SCOPED  UINT64_C(3)                           /* ABSTRACT_UNIX_SOCKET, SIGNAL */

static int sandbox_allow_reading(int ruleset_fd, const char *path) {
        struct landlock_path_beneath_attr rule = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE };
        _cleanup_fd_ int fd = -1;
        struct stat st;

        fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : error_origin(-errno);
        if (fstat(fd, &st) < 0)
                return error_origin(-errno);
        if (S_ISDIR(st.st_mode))
                rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
        rule.parent_fd = fd;
        if (syscall(SYS_landlock_add_rule, ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
                return error_origin(-errno);
        return 0;
}

static int sandbox_enter_landlock(const char *const *readable, size_t n_readable) {
        struct sandbox_ruleset ruleset = { .handled_access_fs = SANDBOX_FS_ABI1 };
        size_t n_ruleset = sizeof(uint64_t);
        _cleanup_fd_ int ruleset_fd = -1;
        long abi;

        abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (abi < 1) {
                log_warning("this kernel has no Landlock (%m): the broker could read what its account can");
                return 0;
        }
        if (abi >= 2)
                ruleset.handled_access_fs = abi >= 5 ? SANDBOX_FS_ABI5 : abi >= 3 ? SANDBOX_FS_ABI3 : SANDBOX_FS_ABI2;
        if (abi >= 4) {
                ruleset.handled_access_net = SANDBOX_NET;
                n_ruleset = 2 * sizeof(uint64_t);
        }
        if (abi >= 6) {
                ruleset.scoped = SANDBOX_SCOPED;
                n_ruleset = sizeof(ruleset);
        }

        ruleset_fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, n_ruleset, 0);
        if (ruleset_fd < 0)
                return error_origin(-errno);
        for (size_t i = 0; i < n_readable; ++i) {
                int r = sandbox_allow_reading(ruleset_fd, readable[i]);

                if (r)
                        return error_trace(r);
        }
        if (syscall(SYS_landlock_restrict_self, ruleset_fd, 0) < 0)
                return error_origin(-errno);
        return 0;
}

/*
 * What serving takes: events, sockets that exist already, socket pairs, reading files, memory, time. Each of these is
 * harmless on descriptors and paths that we may have anyway.
 */
static const int sandbox_syscalls[] = {
        SCMP_SYS(accept4),
        SCMP_SYS(brk),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(close),
        SCMP_SYS(close_range),
        SCMP_SYS(dup),
        SCMP_SYS(epoll_create1),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_pwait2),
        SCMP_SYS(epoll_wait),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(fcntl),
        SCMP_SYS(fstat),
        SCMP_SYS(fstatfs),
        SCMP_SYS(futex),
        SCMP_SYS(getdents64),
        SCMP_SYS(geteuid),
        SCMP_SYS(getpid),
        SCMP_SYS(getrandom),
        SCMP_SYS(getrusage),
        SCMP_SYS(getsockopt),
        SCMP_SYS(gettid),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(getuid),
        SCMP_SYS(inotify_add_watch),
        SCMP_SYS(inotify_init1),
        SCMP_SYS(inotify_rm_watch),
        SCMP_SYS(lseek),
        SCMP_SYS(lstat),
        SCMP_SYS(madvise),
        SCMP_SYS(mremap),
        SCMP_SYS(munmap),
        SCMP_SYS(newfstatat),
        SCMP_SYS(pipe2),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(pread64),
        SCMP_SYS(read),
        SCMP_SYS(readlink),
        SCMP_SYS(readlinkat),
        SCMP_SYS(recvfrom),
        SCMP_SYS(recvmmsg),
        SCMP_SYS(recvmsg),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(sched_yield),
        SCMP_SYS(sendmsg),
        SCMP_SYS(sendto),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(setsockopt),
        SCMP_SYS(shutdown),
        SCMP_SYS(signalfd4),
        SCMP_SYS(stat),
        SCMP_SYS(statx),
        SCMP_SYS(sysinfo),
        SCMP_SYS(tgkill),
        SCMP_SYS(timer_create),
        SCMP_SYS(timer_delete),
        SCMP_SYS(timer_settime),
        SCMP_SYS(timerfd_create),
        SCMP_SYS(timerfd_settime),
        SCMP_SYS(write),
        SCMP_SYS(writev),
};

/* Where the arguments decide whether a call is harmless. */
static int sandbox_allow_by_argument(scmp_filter_ctx filter) {
        int r;

        /* Files are opened for reading, or not at all. */
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                             SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY));
        /* Memory is data: nothing written becomes code. */
        r = r ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        r = r
                    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        /* Channels between two domains of this kernel, nothing that reaches further. */
        r = r ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
        /* Our own limits: read, never set. */
        r = r
                    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2, SCMP_A0(SCMP_CMP_EQ, 0),
                                        SCMP_A2(SCMP_CMP_EQ, 0));
        /* Pipes of ours that a service, which has another account, may open once more. */
        r = r ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fchmod), 1, SCMP_A1(SCMP_CMP_EQ, 0666));
        return r;
}

static int sandbox_enter_seccomp(void) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = 0;

        /* Libseccomp makes none with an action that the kernel does not have, and says nothing of why. */
        if (!filter) {
                log_error("this kernel has no system call filters (CONFIG_SECCOMP_FILTER, Linux 4.14), or is emulated: "
                          "the broker does not run without");
                return error_origin(-EOPNOTSUPP);
        }
        for (size_t i = 0; i < ARRAY_SIZE(sandbox_syscalls) && !r; ++i) {
                if (sandbox_syscalls[i] < 0)
                        continue; /* this architecture does not have it (stat on arm64) */
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, sandbox_syscalls[i], 0);
        }
        r = r ?: sandbox_allow_by_argument(filter);
        r = r ?: seccomp_load(filter);
        seccomp_release(filter);
        return error_origin(r);
}

int sandbox_enter(const char *const *readable, size_t n_readable) {
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_origin(-errno);
        r = sandbox_enter_landlock(readable, n_readable);
        if (r)
                return error_trace(r);
        return error_trace(sandbox_enter_seccomp());
}
