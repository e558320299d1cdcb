/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"

/* Sockets of a thousand domains, and thousands of callers that wait: the broker refuses beyond that. */
#define SPAWN_BROKER_FILES 262144
#define SPAWN_EXIT_FAILED  125

/* In the child: default signals, an empty mask, and nothing inherited but 0 to 2. */
static void spawn_reset(int keep_fd) {
        sigset_t none;

        for (int number = 1; number < NSIG; ++number)
                (void)signal(number, SIG_DFL);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (keep_fd < 0) {
                (void)syscall(SYS_close_range, 3, ~0U, 0);
                return;
        }
        if (keep_fd > 3)
                (void)syscall(SYS_close_range, 3, keep_fd - 1, 0);
        (void)syscall(SYS_close_range, keep_fd + 1, ~0U, 0);
}

/* No capability, none that an exec could give back, no group but its own. */
static int spawn_drop(uid_t uid, gid_t gid) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2] = {};

        for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
                (void)prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
            setresuid(uid, uid, uid) < 0 || syscall(SYS_capset, &header, data) < 0)
                return -errno;
        return 0;
}

/* As many descriptors as we want; where even root may not raise the limit (a container), as many as there are. */
static void spawn_raise_files(void) {
        struct rlimit files = { .rlim_cur = SPAWN_BROKER_FILES, .rlim_max = SPAWN_BROKER_FILES };

        if (setrlimit(RLIMIT_NOFILE, &files) == 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
                return;
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
}

static void spawn_become_broker(const SpawnPaths *paths, uid_t uid, gid_t gid, int parent_fd) {
        char parent[32];
        char *argv[] = { (char *)"qrexecd", parent, NULL };
        char *environment[] = { NULL, NULL };

        spawn_reset(parent_fd);
        snprintf(parent, sizeof(parent), "--supervisor-fd=%d", parent_fd);
        if (getenv("JOURNAL_STREAM"))
                environment[0] = (char *)"JOURNAL_STREAM=1";
        spawn_raise_files();
        /* A session of its own: no terminal, whoever started the supervisor. */
        (void)setsid();
        if (chdir("/") < 0 || fd_set_cloexec(parent_fd, false) < 0 || spawn_drop(uid, gid) < 0) {
                log_error("cannot become the broker's account: %m");
                _exit(SPAWN_EXIT_FAILED);
        }
        execve(paths->broker, argv, environment);
        log_error("cannot run %s: %m", paths->broker);
        _exit(SPAWN_EXIT_FAILED);
}

int spawn_broker(const SpawnPaths *paths, uid_t uid, gid_t gid, int parent_fd, pid_t *ret_pid) {
        pid_t pid = fork();

        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0)
                spawn_become_broker(paths, uid, gid, parent_fd);
        *ret_pid = pid;
        return 0;
}

/* Everything it needs is in its arguments, so that nothing of ours is in its memory. */
static void spawn_become_monitor(const SpawnPaths *paths, const PlanDomain *domain) {
        char name[DOMAIN_NAME_MAX + 16], account[ACCOUNT_NAME_MAX + 16], uid[32], link[PATH_MAX];
        _cleanup_free_ char *service_path = NULL;
        char *argv[16] = { (char *)"qair-monitor", name, account, uid, NULL };
        char *environment[] = { NULL, NULL };
        size_t n = 4;

        spawn_reset(-1);
        if (getenv("JOURNAL_STREAM"))
                environment[0] = (char *)"JOURNAL_STREAM=1";
        snprintf(name, sizeof(name), "--domain=%s", domain->name.text);
        snprintf(account, sizeof(account), "--account=%s", domain->account.text);
        snprintf(uid, sizeof(uid), "--uid=%u", (unsigned)domain->uid);
        snprintf(link, sizeof(link), "--link=%s/domains/%s/link", paths->run_dir, domain->name.text);
        if (asprintf(&service_path, "--service-path=%s", domain->service_path) < 0)
                _exit(SPAWN_EXIT_FAILED);
        argv[n++] = service_path;
        argv[n++] = (char *)"--";
        argv[n++] = (char *)paths->agent;
        argv[n++] = name;
        argv[n++] = link;
        if (domain->shell)
                argv[n++] = (char *)"--shell";
        execve(paths->monitor, argv, environment);
        log_error("cannot run %s: %m", paths->monitor);
        _exit(SPAWN_EXIT_FAILED);
}

int spawn_domain(const SpawnPaths *paths, const PlanDomain *domain, pid_t *ret_pid) {
        pid_t pid = fork();

        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0)
                spawn_become_monitor(paths, domain);
        *ret_pid = pid;
        return 0;
}
