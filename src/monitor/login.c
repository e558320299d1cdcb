/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/login.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "monitor/environment.h"
#include "monitor/session.h"

/*
 * Evaluates the system's and the user's login files, then has the facts of the call in the environment, and becomes the
 * program: NAME=VALUE words, "--", the program's words. None of them is ever read as shell text.
 */
#define LOGIN_SCRIPT                                                                                                \
        "unset QREXEC_SERVICE_FULL_NAME QREXEC_REMOTE_DOMAIN QREXEC_REQUESTED_TARGET_TYPE QREXEC_REQUESTED_TARGET " \
        "QREXEC_REQUESTED_TARGET_KEYWORD QREXEC_SERVICE_ARGUMENT; "                                                 \
        "while [ \"$1\" != -- ]; do export \"$1\"; shift; done; shift; exec \"$@\""

static const char *const login_variables[] = {
        "QREXEC_SERVICE_FULL_NAME",        "QREXEC_REMOTE_DOMAIN",
        "QREXEC_REQUESTED_TARGET_TYPE",    "QREXEC_REQUESTED_TARGET",
        "QREXEC_REQUESTED_TARGET_KEYWORD", "QREXEC_SERVICE_ARGUMENT",
};

typedef struct Login {
        const LoginOptions *options;
        struct passwd *account;
        Session *session;
        char **environment;
        int signal_fd;
        sigset_t signals; /* as they were */
} Login;

static void login_deinit(Login *login) {
        environment_free(login->environment);
        login->session = session_close(login->session);
        fd_close(login->signal_fd);
}

/* An account that could not be lived in is none. Return: 0 or a negative error (said) */
static int login_find_account(Login *login) {
        const char *name = login->options->account;

        login->account = getpwnam(name);
        if (login->account && login->account->pw_dir && login->account->pw_dir[0] != '\0')
                return 0;
        log_error("there is no account \"%s\" here, or it has no home", ESCAPED(name, strlen(name)));
        return -ENOENT;
}

/* Nothing of the agent's own is in it. */
static int login_make_environment(Login *login) {
        const struct passwd *account = login->account;
        const char *agent_pid = getenv("QREXEC_AGENT_PID");
        int r;

        r = session_environment(login->session, &login->environment);
        r = r ?: environment_set(&login->environment, "HOME", account->pw_dir);
        r = r ?: environment_set(&login->environment, "SHELL", account->pw_shell[0] ? account->pw_shell : "/bin/sh");
        r = r ?: environment_set(&login->environment, "USER", account->pw_name);
        r = r ?: environment_set(&login->environment, "LOGNAME", account->pw_name);
        if (!r && agent_pid)
                r = environment_set(&login->environment, "QREXEC_AGENT_PID", agent_pid);
        return r;
}

/* SIGTERM is looked at from now on, and taken by nobody else. */
static int login_open_signals(Login *login) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &set, &login->signals) < 0)
                return error_origin(-errno);
        login->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        return login->signal_fd < 0 ? error_origin(-errno) : 0;
}

/* --- the child -------------------------------------------------------------------------------------------------- */

static void login_exec_shell(const Login *login) {
        const char *shell = login->account->pw_shell[0] ? login->account->pw_shell : "/bin/sh";
        const char *slash = strrchr(shell, '/');
        _cleanup_free_ char *name = NULL;

        if (asprintf(&name, "-%s", slash ? slash + 1 : shell) < 0) {
                name = NULL;
                return;
        }
        (void)execve(shell, (char *const[]){ name, (char *)"-c", login->options->command[0], NULL },
                     login->environment);
        log_error("cannot run %s: %m", ESCAPED(shell, strlen(shell)));
}

static void login_exec_program(const Login *login) {
        const char *argv[LOGIN_WORDS_MAX + 8] = { "sh", "-l", "-c", LOGIN_SCRIPT, "sh" };
        size_t n = 5;

        for (size_t i = 0; i < ARRAY_SIZE(login_variables); ++i) {
                const char *value = getenv(login_variables[i]);
                char *word;

                if (!value)
                        continue;
                if (asprintf(&word, "%s=%s", login_variables[i], value) < 0)
                        return;
                argv[n++] = word;
        }
        argv[n++] = "--";
        for (size_t i = 0; login->options->command[i]; ++i) {
                if (n + 1 == ARRAY_SIZE(argv))
                        return;
                argv[n++] = login->options->command[i];
        }
        (void)execve("/bin/sh", (char *const *)argv, login->environment);
        log_error("cannot run /bin/sh: %m");
}

/* What only root may is over with setresuid(2); the groups are set already, by the session. */
__attribute__((noreturn)) static void login_become(const Login *login, pid_t parent) {
        const struct passwd *account = login->account;

        if (setresgid(account->pw_gid, account->pw_gid, account->pw_gid) < 0 ||
            setresuid(account->pw_uid, account->pw_uid, account->pw_uid) < 0 || setsid() < 0 ||
            prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || close_range(3, ~0U, 0) < 0 || getppid() != parent ||
            sigprocmask(SIG_SETMASK, &login->signals, NULL) < 0) {
                log_error("cannot become the account %s: %m", account->pw_name);
                _exit(LOGIN_EXIT_FAILED);
        }
        if (chdir(account->pw_dir) < 0)
                (void)fprintf(stderr, "qrexec: cannot go to the home directory %s: %m\n", account->pw_dir);
        if (login->options->shell)
                login_exec_shell(login);
        else
                login_exec_program(login);
        _exit(LOGIN_EXIT_FAILED);
}

/* --- the parent ------------------------------------------------------------------------------------------------- */

/* The service's streams end with the service: ours go somewhere else. */
static void login_let_go(void) {
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (int fd = 0; null_fd >= 0 && fd <= 2; ++fd)
                (void)dup2(null_fd, fd);
        fd_close(null_fd);
}

/* Return: what the child ended with */
static int login_wait(const Login *login, pid_t pid, int pidfd) {
        struct pollfd sources[] = { { .fd = pidfd, .events = POLLIN }, { .fd = login->signal_fd, .events = POLLIN } };
        int status;

        for (;;) {
                struct signalfd_siginfo info;

                if (poll(sources, ARRAY_SIZE(sources), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return LOGIN_EXIT_FAILED;
                }
                if (sources[0].revents)
                        break;
                /* Its group, which has its name as long as it is not waited for; itself, where it has none yet. */
                if (read(login->signal_fd, &info, sizeof(info)) == sizeof(info) && kill(-pid, SIGTERM) < 0)
                        (void)kill(pid, SIGTERM);
        }
        status = process_wait(pid);
        return status < 0 ? LOGIN_EXIT_FAILED : status;
}

static int login_start(const Login *login) {
        _cleanup_fd_ int pidfd = -1;
        pid_t pid, parent = getpid();

        pid = fork();
        if (pid == 0)
                login_become(login, parent);
        if (pid > 0)
                pidfd = pidfd_open(pid, 0);
        if (pid < 0 || pidfd < 0) {
                log_error("cannot start a process: %m");
                return LOGIN_EXIT_FAILED;
        }
        login_let_go();
        return login_wait(login, pid, pidfd);
}

int login_run(const LoginOptions *options) {
        _cleanup_(login_deinit) Login login = { .options = options, .signal_fd = -1 };

        if (login_find_account(&login) < 0 || login_open_signals(&login) < 0 ||
            session_begin("of this agent", login.account->pw_name, login.account->pw_gid, &login.session) < 0 ||
            session_open(login.session) < 0 || login_make_environment(&login) < 0)
                return LOGIN_EXIT_FAILED;
        return login_start(&login);
}
