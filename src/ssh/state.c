/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/sha256.h"

#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"
#define NAME_SIZE    (SSH_SOURCE_MAX + AGENT_NAME_MAX + 32)

/* A folder that is ours alone, made if missing. Return: 0 or SSH_STATE_E_…, errno set for the latter. */
static int open_folder(int dir_fd, const char *path, int *ret_fd) {
        struct stat st;
        int fd;

        if (mkdirat(dir_fd, path, 0700) < 0 && errno != EEXIST)
                return SSH_STATE_E_FAILED;
        fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ELOOP || errno == ENOTDIR ? SSH_STATE_E_UNSAFE : SSH_STATE_E_FAILED;
        if (fstat(fd, &st) < 0 || st.st_uid != geteuid() || (st.st_mode & 077) != 0) {
                (void)fd_close(fd);
                return SSH_STATE_E_UNSAFE;
        }
        *ret_fd = fd;
        return 0;
}

int ssh_state_open(const char *path, SshState *ret_state) {
        SshState state = SSH_STATE_INIT;
        _cleanup_fd_ int boot_fd = -1;
        int r;

        boot_fd = open(BOOT_ID_PATH, O_RDONLY | O_CLOEXEC);
        if (boot_fd < 0 || read(boot_fd, state.boot_id, SSH_BOOT_ID_SIZE - 1) != SSH_BOOT_ID_SIZE - 1)
                return SSH_STATE_E_FAILED;
        r = open_folder(AT_FDCWD, path, &state.dir_fd);
        r = r ?: open_folder(state.dir_fd, "grants", &state.grants_fd);
        if (r) {
                ssh_state_close(&state);
                return r;
        }
        *ret_state = state;
        return 0;
}

void ssh_state_close(SshState *state) {
        state->dir_fd = fd_close(state->dir_fd);
        state->grants_fd = fd_close(state->grants_fd);
}

static int open_file(const SshState *state, const char *name) {
        return openat(state->dir_fd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static int lock(int fd, int command) {
        struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        int r;

        do
                r = fcntl(fd, command, &whole);
        while (r < 0 && errno == EINTR);
        return r;
}

int ssh_state_slot(const SshState *state, const char *source, unsigned n_max, int *ret_fd) {
        for (unsigned i = 0; i < n_max; ++i) {
                _cleanup_fd_ int fd = -1;
                char name[NAME_SIZE];

                (void)snprintf(name, sizeof(name), "%s.slot.%u", source, i);
                fd = open_file(state, name);
                if (fd < 0)
                        return SSH_STATE_E_FAILED;
                if (lock(fd, F_OFD_SETLK) == 0) {
                        *ret_fd = fd_steal(&fd);
                        return 0;
                }
        }
        return SSH_STATE_E_FULL;
}

int ssh_state_ask_lock(const SshState *state, const char *source, int *ret_fd) {
        char name[NAME_SIZE];
        int fd;

        (void)snprintf(name, sizeof(name), "%s.ask", source);
        fd = open_file(state, name);
        if (fd < 0)
                return SSH_STATE_E_FAILED;
        *ret_fd = fd;
        return 0;
}

/* A window's file, open and locked until it is closed; what it says. A malformed one is as full as @rate lets it be. */
static int load_window(const SshState *state, const char *source, const char *agent, const char *name, SshRate rate,
                       uint64_t now_usec, SshWindow *ret_window) {
        char text[SSH_WINDOW_TEXT_MAX + 1];
        _cleanup_fd_ int fd = -1;
        char path[NAME_SIZE];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "%s%s%s.%s", source, agent ? "@" : "", agent ?: "", name);
        fd = open_file(state, path);
        if (fd < 0 || lock(fd, F_OFD_SETLKW) < 0)
                return -1;
        n = pread(fd, text, sizeof(text), 0);
        if (n < 0)
                return -1;
        if (ssh_window_parse(text, (size_t)n, state->boot_id, now_usec, ret_window))
                ssh_window_fill(ret_window, rate, now_usec);
        return fd_steal(&fd);
}

/* Cut short by a crash it is malformed, and so full: no use is forgotten. */
static int store_window(const SshState *state, int fd, const SshWindow *window) {
        char text[SSH_WINDOW_TEXT_MAX];
        size_t n = ssh_window_format(window, state->boot_id, text);

        if (pwrite(fd, text, n, 0) != (ssize_t)n || ftruncate(fd, (off_t)n) < 0)
                return SSH_STATE_E_FAILED;
        return 0;
}

int ssh_state_count(const SshState *state, const char *source, const char *agent, const char *name, SshRate rate,
                    bool *ret_tell) {
        SshWindow window;
        uint64_t now_usec = clock_boottime();
        _cleanup_fd_ int fd = -1;
        bool counted, tell = false;

        if (rate.n == 0)
                return 0;
        fd = load_window(state, source, agent, name, rate, now_usec, &window);
        if (fd < 0)
                return SSH_STATE_E_FAILED;
        counted = ssh_window_count(&window, rate, now_usec);
        if (!counted)
                tell = ssh_window_tell(&window, rate, now_usec);
        if (store_window(state, fd, &window))
                return SSH_STATE_E_FAILED;
        if (ret_tell)
                *ret_tell = tell;
        return counted ? 0 : SSH_STATE_E_FULL;
}

void ssh_state_deny(const SshState *state, const char *source, const char *agent) {
        static const SshRate one = { 1, 1 };
        SshWindow window;
        uint64_t now_usec = clock_boottime();
        _cleanup_fd_ int fd = -1;

        fd = load_window(state, source, agent, "denied", one, now_usec, &window);
        ssh_window_fill(&window, one, now_usec);
        if (fd >= 0)
                (void)store_window(state, fd, &window);
}

bool ssh_state_is_denied(const SshState *state, const char *source, const char *agent, unsigned seconds) {
        const SshRate one = { 1, seconds };
        SshWindow window;
        uint64_t now_usec = clock_boottime();
        _cleanup_fd_ int fd = -1;

        if (seconds == 0)
                return false;
        fd = load_window(state, source, agent, "denied", one, now_usec, &window);
        if (fd < 0 || !ssh_window_is_recent(&window, seconds, now_usec))
                return fd < 0;
        /* Also what was malformed: so that it is for this long only. */
        (void)store_window(state, fd, &window);
        return true;
}

bool ssh_state_is_granted(const SshState *state, const char *name) {
        _cleanup_free_ char *text = NULL;
        size_t n;

        return file_read_trusted(state->grants_fd, name, SSH_WINDOW_TEXT_MAX, &text, &n) == 0 &&
               ssh_grant_is_valid(text, n, state->boot_id, clock_boottime());
}

bool ssh_state_grant(const SshState *state, const char *name, unsigned seconds, const char *record) {
        char text[SSH_WINDOW_TEXT_MAX];
        size_t n = ssh_grant_format(state->boot_id, clock_boottime(), seconds, text);
        char record_name[SHA256_TEXT_SIZE + sizeof(".record")];

        (void)snprintf(record_name, sizeof(record_name), "%s.record", name);
        return file_replace(state->grants_fd, record_name, record, strlen(record), 0600, false) == 0 &&
               file_replace(state->grants_fd, name, text, n, 0600, false) == 0;
}
