/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "inventory/property.h"
#include "supervisor/rundir.h"

/* Sockets of a thousand domains, and thousands of callers that wait: the broker refuses beyond that. */
#define SPAWN_BROKER_FILES 262144
#define SPAWN_EXIT_FAILED  125
/* Where a domain finds its run directory, if it has a file system of its own. */
#define SPAWN_RUN_DIR_INSIDE "/run/qubes"
/* A command of an administrator finds what his own shell would. */
#define SPAWN_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

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

/* Where our programs find what is the user's (base/paths.h), and whether standard error is the journal's. */
static void spawn_choose_environment(const SpawnPaths *paths, char *ret_environment[static 8]) {
        static const char *const users[] = { "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME",
                                             "XDG_DATA_HOME" };
        size_t n = 0;

        if (getenv("JOURNAL_STREAM"))
                ret_environment[n++] = (char *)"JOURNAL_STREAM=1";
        for (size_t i = 0; paths->where->is_user && i < ARRAY_SIZE(users); ++i) {
                const char *value = getenv(users[i]);

                if (value && asprintf(&ret_environment[n], "%s=%s", users[i], value) > 0)
                        ++n;
        }
        ret_environment[n] = NULL;
}

/* As many descriptors as we want; where even root may not raise the limit (a container), as many as there are. */
static void spawn_raise_brokers_files(void) {
        struct rlimit files = { .rlim_cur = SPAWN_BROKER_FILES, .rlim_max = SPAWN_BROKER_FILES };

        if (setrlimit(RLIMIT_NOFILE, &files) == 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
                return;
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
}

/* A user's broker stays that user, who has no other account to give; it confines itself all the same. */
static int spawn_become_account(uid_t uid, gid_t gid) {
        if (uid != geteuid())
                return spawn_drop(uid, gid);
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static void spawn_become_broker(const SpawnPaths *paths, uid_t uid, gid_t gid, int parent_fd) {
        char parent[32];
        char *argv[] = { (char *)"qrexecd", parent, paths->where->is_user ? (char *)"--user" : NULL, NULL };
        char *environment[8];

        spawn_reset(parent_fd);
        snprintf(parent, sizeof(parent), "--supervisor-fd=%d", parent_fd);
        spawn_choose_environment(paths, environment);
        spawn_raise_brokers_files();
        /* A session of its own: no terminal, whoever started the supervisor. */
        (void)setsid();
        if (chdir("/") < 0 || fd_set_cloexec(parent_fd, false) < 0 || spawn_become_account(uid, gid) < 0) {
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

void spawn_raise_files(SpawnPaths *paths) {
        struct rlimit more;

        if (getrlimit(RLIMIT_NOFILE, &paths->files) < 0)
                return;
        more = (struct rlimit){ .rlim_cur = paths->files.rlim_max, .rlim_max = paths->files.rlim_max };
        (void)setrlimit(RLIMIT_NOFILE, &more);
}

/* What a monitor is told: all of it on its command line, so that nothing of ours is in its memory. */
#define SPAWN_ARGUMENTS_MAX (DOMAIN_COMMAND_MAX + 16)
typedef struct SpawnArguments {
        char *argv[SPAWN_ARGUMENTS_MAX + 1];
        size_t n;
        char name[DOMAIN_NAME_MAX + 16];
} SpawnArguments;

static void spawn_add(SpawnArguments *arguments, const char *argument) {
        if (arguments->n == SPAWN_ARGUMENTS_MAX)
                _exit(SPAWN_EXIT_FAILED);
        arguments->argv[arguments->n++] = (char *)argument;
}

__attribute__((noreturn)) static void spawn_become_monitor(const SpawnPaths *paths, SpawnArguments *arguments,
                                                           int report_fd, char **environment) {
        spawn_reset(report_fd);
        if (report_fd >= 0 && fd_set_cloexec(report_fd, false) < 0)
                _exit(SPAWN_EXIT_FAILED);
        if (paths->files.rlim_max > 0)
                (void)setrlimit(RLIMIT_NOFILE, &paths->files);
        execve(paths->monitor, arguments->argv, environment);
        log_error("cannot run %s: %m", paths->monitor);
        _exit(SPAWN_EXIT_FAILED);
}

static void spawn_add_format(SpawnArguments *arguments, const char *format, ...) _printf_(2, 3);
static void spawn_add_format(SpawnArguments *arguments, const char *format, ...) {
        va_list list;
        char *text;
        int n;

        va_start(list, format);
        n = vasprintf(&text, format, list);
        va_end(list);
        if (n < 0)
                _exit(SPAWN_EXIT_FAILED);
        spawn_add(arguments, text);
}

static void spawn_begin(SpawnArguments *arguments, const PlanDomain *domain, int report_fd) {
        *arguments = (SpawnArguments){};
        snprintf(arguments->name, sizeof(arguments->name), "--domain=%s", domain->name.text);
        spawn_add(arguments, "qair-monitor");
        spawn_add(arguments, arguments->name);
        if (report_fd >= 0)
                spawn_add_format(arguments, "--report-fd=%d", report_fd);
}

static void spawn_add_sandbox(SpawnArguments *arguments, const SpawnPaths *paths, const PlanDomain *domain,
                              const char *folder) {
        char home[PATH_MAX + 64];

        spawn_add_format(arguments, "--sandbox=%s", folder);
        if (!paths->where->is_user)
                return;
        /* Of an account the home is its own; here each domain gets one. */
        snprintf(home, sizeof(home), "%s/%s", paths->where->homes_dir, domain->name.text);
        if (rundir_make_parents(home) < 0 || rundir_make(home, 0700) < 0) {
                log_error("domain %s: there is no home for it: %s: %m", domain->name.text, home);
                _exit(SPAWN_EXIT_FAILED);
        }
        spawn_add_format(arguments, "--home=%s", home);
}

/* What is an agent to the broker is a daemon to the domain. */
static void spawn_add_daemon(SpawnArguments *arguments, const SpawnPaths *paths, const PlanDomain *domain,
                             const char *folder) {
        char vchan[PATH_MAX], vsock[PATH_MAX];

        rundir_vchan(paths->where->run_dir, &domain->name, vchan, sizeof(vchan));
        spawn_add(arguments, paths->daemon);
        spawn_add(arguments, "--direct");
        spawn_add_format(arguments, "--uuid=%s", domain->uuid.text);
        spawn_add_format(arguments, "--socket-dir=%s", vchan);
        spawn_add_format(arguments, "--broker=%s/qrexec-agent", folder);
        if (domain->cid == 0)
                return;
        rundir_vsock(paths->where->run_dir, &domain->name, vsock, sizeof(vsock));
        spawn_add_format(arguments, "--vsock=%s", vsock);
}

void spawn_become_agents_monitor(const SpawnPaths *paths, const PlanDomain *domain, int report_fd) {
        char *environment[] = { getenv("JOURNAL_STREAM") ? (char *)"JOURNAL_STREAM=1" : NULL, NULL };
        SpawnArguments arguments;
        char folder[PATH_MAX];

        spawn_begin(&arguments, domain, report_fd);
        rundir_folder(paths->where->run_dir, &domain->name, domain->is_folder, folder, sizeof(folder));
        if (domain->account.text[0] != '\0') {
                spawn_add_format(&arguments, "--account=%s", domain->account.text);
                spawn_add_format(&arguments, "--uid=%u", (unsigned)domain->uid);
        }
        spawn_add_format(&arguments, "--service-path=%s", domain->service_path);
        if (domain->is_sandboxed || paths->where->is_user)
                spawn_add_format(&arguments, "--config-path=%s", paths->where->rpc_config);
        if (domain->is_sandboxed)
                spawn_add_sandbox(&arguments, paths, domain, folder);
        spawn_add(&arguments, "--");
        if (domain->vchan > 0) {
                spawn_add_daemon(&arguments, paths, domain, folder);
        } else {
                spawn_add(&arguments, paths->agent);
                spawn_add(&arguments, arguments.name);
        }
        spawn_add_format(&arguments, "--link=%s/link", domain->is_sandboxed ? SPAWN_RUN_DIR_INSIDE : folder);
        if (domain->shell)
                spawn_add(&arguments, "--shell");
        if (domain->stop_sec > 0)
                spawn_add_format(&arguments, "--stop-timeout=%u", domain->stop_sec);
        if (domain->vchan > 0) {
                spawn_add(&arguments, "--");
                spawn_add_format(&arguments, "%u", domain->vchan);
                spawn_add(&arguments, domain->name.text);
                if (domain->inside.text[0] != '\0')
                        spawn_add(&arguments, domain->inside.text);
        }
        /* A user's dom0 is his session. What goes into a sandbox, the monitor says. */
        spawn_become_monitor(paths, &arguments, report_fd, paths->where->is_user ? environ : environment);
}

int spawn_agent(const SpawnPaths *paths, const PlanDomain *domain, pid_t *ret_pid) {
        pid_t pid = fork();

        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0)
                spawn_become_agents_monitor(paths, domain, -1);
        *ret_pid = pid;
        return 0;
}

void spawn_become_commands_monitor(const SpawnPaths *paths, const PlanDomain *domain, char *const *command,
                                   int report_fd) {
        char folder[PATH_MAX];
        SpawnArguments arguments;

        rundir_folder(paths->where->run_dir, &domain->name, domain->is_folder, folder, sizeof(folder));
        /* Of root's environment nothing is passed on; a user's own is what his programs expect. */
        if (!paths->where->is_user) {
                bool is_journal = getenv("JOURNAL_STREAM");

                if (clearenv() || setenv("PATH", SPAWN_PATH, 1) < 0 ||
                    (is_journal && setenv("JOURNAL_STREAM", "1", 1) < 0))
                        _exit(SPAWN_EXIT_FAILED);
        }
        if (setenv("QAIR_DOMAIN", domain->name.text, 1) < 0 || setenv("QAIR_RUN_DIR", folder, 1) < 0)
                _exit(SPAWN_EXIT_FAILED);
        spawn_begin(&arguments, domain, report_fd);
        spawn_add_format(&arguments, "--time-limit=%d", SPAWN_COMMAND_SEC);
        spawn_add(&arguments, "--");
        for (; *command; ++command)
                spawn_add(&arguments, *command);
        spawn_become_monitor(paths, &arguments, report_fd, environ);
}

int spawn_command(const SpawnPaths *paths, const PlanDomain *domain, char *const *command, pid_t *ret_pid) {
        pid_t pid = fork();

        if (pid < 0)
                return error_origin(-errno);
        if (pid == 0)
                spawn_become_commands_monitor(paths, domain, command, -1);
        *ret_pid = pid;
        return 0;
}
