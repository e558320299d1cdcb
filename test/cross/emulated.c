/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What qemu's user-mode emulation lacks and every kernel of an ARM machine has; preloaded (ld.so(8)) on the emulated
 * host alone, so that the programs there are those that would be installed on such a machine, unchanged.
 *
 *   seccomp(2)   is not there (ENOSYS), so that libseccomp makes no filter and the broker ends: here a filter is made that
 *                filters nothing
 *   clone(2)     with CLONE_VFORK is taken for fork(2), which then refuses CLONE_FILES and CLONE_PIDFD (EINVAL): here the
 *                one is left out, for the child makes a copy of the table of descriptors before it changes anything; and
 *                for the other the descriptor is opened afterwards
 */
#include <dlfcn.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* As libseccomp declares them, but for the context, which nobody looks into. */
void *seccomp_init(uint32_t action);
int seccomp_rule_add(void *filter, uint32_t action, int syscall, unsigned n_arguments, ...);
int seccomp_load(const void *filter);
void seccomp_release(void *filter);

void *seccomp_init(uint32_t action) {
        static int filter;

        (void)action;
        return &filter;
}

int seccomp_rule_add(void *filter, uint32_t action, int syscall, unsigned n_arguments, ...) {
        (void)filter, (void)action, (void)syscall, (void)n_arguments;
        return 0;
}

int seccomp_load(const void *filter) {
        (void)filter;
        return 0;
}

void seccomp_release(void *filter) {
        (void)filter;
}

int clone(int (*function)(void *), void *stack, int flags, void *argument, ...) {
        int (*real)(int (*)(void *), void *, int, void *, ...) =
                (int (*)(int (*)(void *), void *, int, void *, ...))dlsym(RTLD_NEXT, "clone");
        pid_t *parent_tid, *child_tid;
        va_list arguments;
        void *tls;
        int pid;

        va_start(arguments, argument);
        parent_tid = va_arg(arguments, pid_t *);
        tls = va_arg(arguments, void *);
        child_tid = va_arg(arguments, pid_t *);
        va_end(arguments);
        if (!(flags & CLONE_VFORK))
                return real(function, stack, flags, argument, parent_tid, tls, child_tid);
        pid = real(function, stack, flags & ~(CLONE_FILES | CLONE_PIDFD), argument, parent_tid, tls, child_tid);
        if (pid > 0 && (flags & CLONE_PIDFD))
                *parent_tid = (int)syscall(SYS_pidfd_open, pid, 0);
        return pid;
}
