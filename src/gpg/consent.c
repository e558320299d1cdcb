/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/consent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/paths.h"
#include "gpg/grant.h"

#define SYSTEM_DIRECTORY "/run/qubes-gpg-split"
#define USER_DIRECTORY   "gpg-split"
/* A question, and what comes before it. */
#define LOCK_SEC (PERSON_TIMEOUT_SEC + 30)
/* "notice." and a name. */
#define FILE_NAME_MAX 128
/* A notification a second, but up to so many at once. */
#define NOTICE_USEC  USEC_PER_SEC
#define NOTICE_BURST 10

/*
 * Files
 */

static int open_file(int dir_fd, const char *prefix, const char *name, int flags, int *ret_fd) {
        char path[FILE_NAME_MAX];
        int fd;

        (void)snprintf(path, sizeof(path), "%s.%s", prefix, name);
        fd = openat(dir_fd, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | flags, 0644);
        if (fd < 0)
                return error_origin(-errno);
        *ret_fd = fd;
        return 0;
}

static int touch(int dir_fd, const char *prefix, const char *name) {
        _cleanup_fd_ int fd = -1;
        int r = open_file(dir_fd, prefix, name, O_CREAT, &fd);

        if (r)
                return r;
        return futimens(fd, NULL) < 0 ? error_origin(-errno) : 0;
}

/* Was it touched in the last @lasts_sec? */
static bool is_fresh(int dir_fd, const char *prefix, const char *name, uint32_t lasts_sec) {
        char path[FILE_NAME_MAX];
        struct timespec now;
        struct stat st;

        (void)snprintf(path, sizeof(path), "%s.%s", prefix, name);
        if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
            clock_gettime(CLOCK_REALTIME, &now) < 0)
                return false;
        return gpg_grant_is_valid(st.st_mtim.tv_sec, now.tv_sec, lasts_sec);
}

static bool is_granted(int dir_fd, const char *name, const PersonQuestion *question) {
        return !question->is_once && is_fresh(dir_fd, "stat", name, question->for_sec);
}

int consent_open(int *ret_dir_fd) {
        char path[PATH_MAX + sizeof(USER_DIRECTORY) + 1];
        Paths paths;
        int fd;

        fd = open(SYSTEM_DIRECTORY, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && faccessat(AT_FDCWD, SYSTEM_DIRECTORY, W_OK | X_OK, AT_EACCESS) == 0) {
                *ret_dir_fd = fd;
                return 0;
        }
        fd_close(fd);
        if (paths_user(&paths))
                return CONSENT_E_DIRECTORY;
        (void)snprintf(path, sizeof(path), "%s/" USER_DIRECTORY, paths.run_dir);
        if ((mkdir(paths.run_dir, 0700) < 0 && errno != EEXIST) || (mkdir(path, 0700) < 0 && errno != EEXIST))
                return CONSENT_E_DIRECTORY;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return CONSENT_E_DIRECTORY;
        *ret_dir_fd = fd;
        return 0;
}

/*
 * Slots
 */

int consent_take_slot(int dir_fd, const char *source, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        int r = open_file(dir_fd, "slots", source, O_CREAT, &fd);

        if (r)
                return r;
        for (int i = 0; i < CONSENT_SLOTS_MAX; ++i) {
                /* Of the open file description, so it goes with the descriptor. */
                struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = i, .l_len = 1 };

                if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
                        continue;
                if (fd_set_cloexec(fd, false) < 0)
                        return error_origin(-errno);
                *ret_fd = fd_steal(&fd);
                return 0;
        }
        return CONSENT_E_BUSY;
}

/*
 * Asking
 */

static void on_alarm(int number) {
}

/* Return: 0 or CONSENT_E_REFUSED: it took too long. */
static int lock_file(int fd) {
        struct sigaction action = { .sa_handler = on_alarm }, before;
        int r;

        (void)sigaction(SIGALRM, &action, &before);
        (void)alarm(LOCK_SEC);
        r = flock(fd, LOCK_EX) < 0 ? CONSENT_E_REFUSED : 0;
        (void)alarm(0);
        (void)sigaction(SIGALRM, &before, NULL);
        return r;
}

static int ask(int dir_fd, const char *name, const PersonQuestion *question) {
        bool remember;
        int r;

        r = person_ask(question, &remember);
        switch (r) {
        case 0:
                return remember && !question->is_once ? error_trace(touch(dir_fd, "stat", name)) : 0;
        case PERSON_E_NO:
                r = touch(dir_fd, "no", name);
                return r ? error_trace(r) : CONSENT_E_REFUSED;
        case PERSON_E_NOBODY:
                return CONSENT_E_NOBODY;
        case PERSON_E_CALLER:
                return CONSENT_E_CALLER;
        default:
                return error_fold(r);
        }
}

int consent_obtain(int dir_fd, const char *name, const PersonQuestion *question) {
        _cleanup_fd_ int lock_fd = -1;
        int r;

        if (is_granted(dir_fd, name, question))
                return 0;
        r = open_file(dir_fd, "lock", name, O_CREAT, &lock_fd);
        r = r ?: lock_file(lock_fd);
        if (r)
                return r;
        /* Somebody may have been asked while we waited. */
        if (is_granted(dir_fd, name, question))
                return 0;
        if (is_fresh(dir_fd, "no", name, CONSENT_REFUSAL_SEC))
                return CONSENT_E_REFUSED;
        return ask(dir_fd, name, question);
}

/*
 * Notifications
 */

/* When the next one would be due if they came evenly, and how many were left out. */
typedef struct Told {
        uint64_t due_usec;
        unsigned n_left_out;
} Told;

bool consent_notice(int dir_fd, const char *source, unsigned *ret_n_more) {
        _cleanup_fd_ int fd = -1;
        uint64_t now = clock_boottime();
        Told told = {};
        bool may;

        *ret_n_more = 0;
        if (open_file(dir_fd, "notice", source, O_CREAT, &fd) || flock(fd, LOCK_EX) < 0)
                return true;
        if (pread(fd, &told, sizeof(told), 0) != sizeof(told) || told.due_usec < now ||
            told.due_usec - now > NOTICE_BURST * NOTICE_USEC)
                told.due_usec = now;
        may = told.due_usec - now <= (NOTICE_BURST - 1) * NOTICE_USEC;
        if (may) {
                *ret_n_more = told.n_left_out;
                told = (Told){ .due_usec = told.due_usec + NOTICE_USEC };
        } else {
                ++told.n_left_out;
        }
        return pwrite(fd, &told, sizeof(told), 0) != sizeof(told) || may;
}

const char *consent_error_text(int r) {
        switch (r) {
        case CONSENT_E_REFUSED:
                return "refused by the person who was asked, or not answered in time";
        case CONSENT_E_NOBODY:
                return "nobody can be asked for consent in this domain: see doc/split-gpg.md";
        case CONSENT_E_BUSY:
                return "too many calls at a time";
        case CONSENT_E_DIRECTORY:
                return "there is no place to remember consent: XDG_RUNTIME_DIR is not set, or not writable";
        default:
                return "could not ask for consent";
        }
}
