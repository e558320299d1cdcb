/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/profile.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"

#define PROFILE_MAX 65536
/* Who sets variables takes no time; a file that waits for something does not hold a call up for longer. */
#define PROFILE_SEC 10

static bool mentions(const char *path, const char *name) {
        _cleanup_free_ char *text = NULL;
        size_t n;

        return file_read(AT_FDCWD, path, PROFILE_MAX, &text, &n) == 0 && strstr(text, name) != NULL;
}

/* What the file sets it to. Its own output is not ours. Return: whether it was read. */
static bool source_file(const char *path, const char *name, char *ret_value) {
        _cleanup_fd_ int read_fd = -1, write_fd = -1;
        _cleanup_free_ char *text = NULL;
        char script[256];
        int ends[2], r;
        size_t n;
        pid_t pid;

        /* What the file starts in the background gets nothing of ours: it would keep the pipe, and with it us. */
        (void)snprintf(script, sizeof(script),
                       "exec 3>&1 >/dev/null 2>&1 </dev/null; . \"$1\" 3>&-; printf %%s \"$%s\" >&3", name);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return false;
        read_fd = ends[0];
        write_fd = ends[1];
        pid = fork();
        if (pid < 0)
                return false;
        if (pid == 0) {
                (void)alarm(PROFILE_SEC); /* goes with us through execl() */
                if (dup2(write_fd, STDOUT_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
                        (void)execl("/bin/sh", "sh", "-c", script, "sh", path, NULL);
                _exit(127);
        }
        write_fd = fd_close(write_fd);
        r = fd_read_all(read_fd, GPG_PROFILE_VALUE_MAX, &text, &n);
        read_fd = fd_close(read_fd);
        (void)waitpid(pid, NULL, 0);
        if (r || n == 0)
                return false;
        (void)snprintf(ret_value, GPG_PROFILE_VALUE_MAX + 1, "%s", text);
        return true;
}

const char *gpg_profile_get(const char *name, char ret_value[static GPG_PROFILE_VALUE_MAX + 1]) {
        const char *value = getenv(name), *home = getenv("HOME") ?: "";
        char own[4096];
        const char *const files[] = { own, "/etc/profile.d/qubes-gpg.sh" };

        ret_value[0] = '\0';
        if (value) {
                (void)snprintf(ret_value, GPG_PROFILE_VALUE_MAX + 1, "%s", value);
                return ret_value;
        }
        (void)snprintf(own, sizeof(own), "%s/.profile", home);
        for (size_t i = 0; i < ARRAY_SIZE(files); ++i)
                if (mentions(files[i], name) && source_file(files[i], name, ret_value))
                        break;
        return ret_value;
}
