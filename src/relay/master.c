/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/master.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/sha256.h"
#include "base/socket.h"
#include "relay/failure.h"

#define SUN_PATH_SIZE sizeof(((struct sockaddr_un *)0)->sun_path)

/* What ssh says before it gives up: its last words are the reason. */
#define MASTER_WORDS_MAX 4096

/* The folder, if it is ours alone. Return: 0, MASTER_E_FOLDER, or a negative error */
static int master_make_folder(const char *path) {
        struct stat st;

        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
                log_error("cannot create %s: %m", path);
                return MASTER_E_FOLDER;
        }
        if (lstat(path, &st) < 0)
                return error_origin(-errno);
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
                log_error("%s is not a folder that this account alone can enter: remove it", path);
                return MASTER_E_FOLDER;
        }
        return 0;
}

static bool master_is_folder(const char *path) {
        struct stat st;

        return path && path[0] == '/' && stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

int master_init(const char *host, Master *ret_master) {
        const char *run = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");
        bool has_run = master_is_folder(run);
        char hash[SHA256_TEXT_SIZE];
        Master master = { .host = host };
        int n;

        if (!has_run && !home) {
                log_error("neither XDG_RUNTIME_DIR nor HOME is set: no place for control sockets");
                return MASTER_E_FOLDER;
        }
        n = snprintf(master.folder, sizeof(master.folder), "%s/%s", has_run ? run : home,
                     has_run ? "qair-ssh" : ".qair-ssh");
        /* ssh expands %, and a blank would end the word of an option. Room for a name, a slot and ssh's own suffix. */
        if (n < 0 || (size_t)n + sizeof(master.name) + 24 > SUN_PATH_SIZE || strpbrk(master.folder, "% \t\"'\\")) {
                log_error("%s is no place for control sockets: too long, or with blanks, quotes or %%",
                          ESCAPED(has_run ? run : home, strlen(has_run ? run : home)));
                return MASTER_E_FOLDER;
        }
        sha256_text(host, strlen(host), hash);
        memcpy(master.name, hash, sizeof(master.name) - 1);
        n = master_make_folder(master.folder);
        if (n)
                return n;
        *ret_master = master;
        return 0;
}

static void master_path(const Master *master, unsigned slot, const char *suffix, char ret_path[static SUN_PATH_SIZE]) {
        int n = snprintf(ret_path, SUN_PATH_SIZE, "%s/%s-%u%s", master->folder, master->name, slot, suffix);

        assert(n > 0 && n < (int)SUN_PATH_SIZE); /* master_init() left room */
}

/*
 * In the child: become ssh(1). What must hold comes first on its command line, where no configuration can change it; what an
 * administrator may choose (limits, jump hosts, keys) is in the files.
 */
static void master_exec(const Master *master, const char *path, int words_fd) {
        char control[SUN_PATH_SIZE + 32];
        int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

        (void)snprintf(control, sizeof(control), "ControlPath=%s", path);
        if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ||
            dup2(words_fd, STDERR_FILENO) < 0)
                _exit(255);
        execl(RELAY_SSH, "ssh", "-F", QAIR_CONFDIR "/relay/ssh_config", "-o", "BatchMode=yes", "-o",
              "StrictHostKeyChecking=yes", "-o", "PreferredAuthentications=publickey", "-o", "ForwardAgent=no", "-o",
              "ForwardX11=no", "-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no", "-o",
              "RemoteCommand=none", "-o", "RequestTTY=no", "-o", "LogLevel=ERROR", "-o", "ControlMaster=yes", "-o",
              control, "-N", "-f", "--", master->host, (char *)NULL);
        (void)dprintf(STDERR_FILENO, "cannot execute %s: %s\n", RELAY_SSH, strerror(errno));
        _exit(255);
}

/* All that ssh says until it is in the background or gives up, the last of it kept. */
static size_t master_hear(int fd, char words[static MASTER_WORDS_MAX]) {
        size_t n = 0;

        for (;;) {
                ssize_t more;

                if (n == MASTER_WORDS_MAX - 1) {
                        memmove(words, words + n / 2, n - n / 2);
                        n -= n / 2;
                }
                more = read(fd, words + n, MASTER_WORDS_MAX - 1 - n);
                if (more < 0 && errno == EINTR)
                        continue;
                if (more <= 0)
                        break;
                n += (size_t)more;
        }
        words[n] = '\0';
        return n;
}

static void master_explain(const Master *master, const char *words) {
        log_error("cannot reach %s: %s", ESCAPED(master->host, strlen(master->host)),
                  relay_failure_text(relay_failure_find(words)));
        while (*words != '\0') {
                size_t n = strcspn(words, "\r\n");

                if (n > 0)
                        log_error("ssh: %s", ESCAPED(words, n));
                words += n + strspn(words + n, "\r\n");
        }
}

/* Start a client: it goes to the background once it is authenticated and its control socket listens. */
static int master_start(const Master *master, const char *path) {
        char words[MASTER_WORDS_MAX];
        int fds[2], status;
        pid_t child;

        if (unlink(path) < 0 && errno != ENOENT) {
                log_error("cannot remove the stale %s: %m", path);
                return MASTER_E_FAILED;
        }
        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_origin(-errno);
        child = fork();
        if (child < 0)
                return error_origin(-errno);
        if (child == 0)
                master_exec(master, path, fds[1]);
        fd_close(fds[1]);
        (void)master_hear(fds[0], words);
        fd_close(fds[0]);
        status = process_wait(child);
        if (status <= 0)
                return error_origin(status);
        master_explain(master, words);
        return MASTER_E_FAILED;
}

/* Return: 0, MASTER_E_FAILED: nobody listens there, or a negative error. */
static int master_try(const char *path, int *ret_fd) {
        int r = socket_connect(path, SOCK_STREAM, ret_fd);

        switch (r) {
        case 0:
                return 0;
        case -ENOENT:
        case -ECONNREFUSED:
                return MASTER_E_FAILED;
        default:
                log_error("cannot connect to %s: %s", path, r < 0 ? strerror(-r) : "its path is too long");
                return r < 0 ? r : error_origin(-ENAMETOOLONG);
        }
}

static void master_on_alarm(int number) {
        /* it only has to interrupt flock() */
}

/* One at a time: whoever waits here finds what the one before has made. */
static int master_lock(const Master *master, unsigned slot, int *ret_fd) {
        static const struct sigaction action = { .sa_handler = master_on_alarm };
        char path[SUN_PATH_SIZE];
        _cleanup_fd_ int fd = -1;
        int r;

        master_path(master, slot, ".lock", path);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0) {
                log_error("cannot open %s: %m", path);
                return MASTER_E_FAILED;
        }
        if (sigaction(SIGALRM, &action, NULL) < 0)
                return error_origin(-errno);
        (void)alarm(MASTER_START_SEC);
        r = flock(fd, LOCK_EX);
        (void)alarm(0);
        if (r < 0) {
                log_error("cannot reach %s: another call has been trying for %d s",
                          ESCAPED(master->host, strlen(master->host)), MASTER_START_SEC);
                return MASTER_E_FAILED;
        }
        *ret_fd = fd_steal(&fd);
        return 0;
}

int master_connect(const Master *master, unsigned slot, int *ret_fd) {
        char path[SUN_PATH_SIZE];
        _cleanup_fd_ int lock_fd = -1;
        int r;

        master_path(master, slot, "", path);
        r = master_try(path, ret_fd);
        if (r != MASTER_E_FAILED)
                return r;
        r = master_lock(master, slot, &lock_fd);
        r = r ?: master_try(path, ret_fd);
        if (r != MASTER_E_FAILED || lock_fd < 0)
                return r;
        r = master_start(master, path);
        if (r)
                return r;
        r = master_try(path, ret_fd);
        if (r == MASTER_E_FAILED)
                log_error("the connection to %s ended at once", ESCAPED(master->host, strlen(master->host)));
        return r;
}
