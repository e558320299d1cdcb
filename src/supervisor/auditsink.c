/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/auditsink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"
#include "supervisor/rundir.h"

/* Records are who called whom: for root, and for whom root lets into the group of the folder. */
#define AUDITSINK_DIR_MODE  0750
#define AUDITSINK_FILE_MODE 0600
/* Room for bursts while the journal writes; beyond it the broker queues. */
#define AUDITSINK_BUFFER (1024 * 1024)

/* A line that was torn (the machine stopped, the disk was full) must not swallow the next one. */
static void auditsink_end_line(int dir_fd, const char *file, int fd, off_t size) {
        _cleanup_fd_ int read_fd = -1;
        char last;

        if (size == 0)
                return;
        read_fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (read_fd >= 0 && pread(read_fd, &last, 1, size - 1) == 1 && last != '\n' && write(fd, "\n", 1) < 0)
                log_warning("cannot end the torn line of %s: %m", file);
}

static int auditsink_open_file(const AuditPaths *paths, int *ret_fd) {
        _cleanup_fd_ int dir_fd = -1, fd = -1;
        struct stat st;

        if (rundir_make_parents(paths->dir) < 0 || (mkdir(paths->dir, AUDITSINK_DIR_MODE) < 0 && errno != EEXIST)) {
                log_error("cannot make %s for the audit records: %m", paths->dir);
                return -errno;
        }
        dir_fd = open(paths->dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (dir_fd < 0 || fstat(dir_fd, &st) < 0) {
                log_error("cannot open %s for the audit records: %m", paths->dir);
                return -errno;
        }
        if (st.st_uid != geteuid() || (st.st_mode & S_IWOTH)) {
                log_error("%s is not a folder that only we can change: no audit record is written there", paths->dir);
                return -EPERM;
        }
        fd = openat(dir_fd, paths->file, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                    AUDITSINK_FILE_MODE);
        if (fd < 0 || fstat(fd, &st) < 0) {
                log_error("cannot open %s/%s for the audit records: %m", paths->dir, paths->file);
                return -errno;
        }
        if (!S_ISREG(st.st_mode)) {
                log_error("%s/%s is no regular file: no audit record is written there", paths->dir, paths->file);
                return -EINVAL;
        }
        auditsink_end_line(dir_fd, paths->file, fd, st.st_size);
        *ret_fd = fd_steal(&fd);
        return 0;
}

int auditsink_open(const AuditPaths *paths, SuperviseAudit *ret_kind, int *ret_fd) {
        int fd, size = AUDITSINK_BUFFER, r;

        r = paths->journal ? socket_connect(paths->journal, SOCK_DGRAM | SOCK_NONBLOCK, &fd) : -ENOENT;
        if (r == 0) {
                (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
                *ret_kind = SUPERVISE_AUDIT_JOURNAL;
                *ret_fd = fd;
                return 0;
        }
        if (r != -ENOENT)
                log_warning("cannot connect to %s (%s): audit records go to %s/%s", paths->journal,
                            r < 0 ? strerror(-r) : "too long", paths->dir, paths->file);
        r = auditsink_open_file(paths, ret_fd);
        if (r)
                return r;
        *ret_kind = SUPERVISE_AUDIT_FILE;
        return 0;
}
