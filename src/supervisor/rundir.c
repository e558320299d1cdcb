/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/rundir.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/socket.h"

/* Callers that wait while the broker is busy or absent; the kernel cuts it to net.core.somaxconn. */
#define RUNDIR_BACKLOG  4096
#define RUNDIR_PATH_MAX sizeof(((struct sockaddr_un *)0)->sun_path)

int rundir_make_parents(const char *path) {
        char parent[PATH_MAX];

        for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                size_t n = (size_t)(slash - path);

                if (n >= sizeof(parent))
                        return -ENAMETOOLONG;
                memcpy(parent, path, n);
                parent[n] = '\0';
                if (mkdir(parent, 0700) < 0 && errno != EEXIST)
                        return -errno;
        }
        return 0;
}

int rundir_make(const char *path, mode_t mode) {
        struct stat st;

        if (mkdir(path, mode) < 0 && errno != EEXIST) {
                log_error("cannot create %s: %m", path);
                return -errno;
        }
        if (lstat(path, &st) < 0) {
                log_error("cannot examine %s: %m", path);
                return -errno;
        }
        /* Somebody else's folder here could replace our sockets by his own. */
        if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & S_IWOTH)) {
                log_error("%s is not a folder that only we can change: remove it and start again", path);
                return -EPERM;
        }
        if ((st.st_mode & 07777) != mode && chmod(path, mode) < 0) {
                log_error("cannot set the mode of %s: %m", path);
                return -errno;
        }
        return 0;
}

static int rundir_path(char ret_path[static RUNDIR_PATH_MAX], const char *run_dir, const char *name,
                       const char *suffix) {
        int n = snprintf(ret_path, RUNDIR_PATH_MAX, "%s%s%s", run_dir, name, suffix);

        if (n < 0 || (size_t)n >= RUNDIR_PATH_MAX) {
                log_error("%s: the path of the run directory is too long for sockets in it", run_dir);
                return -ENAMETOOLONG;
        }
        return 0;
}

/* @owner: who can connect; (uid_t)-1: everybody */
static int rundir_bind_for(const char *path, int type, uid_t owner, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address;
        socklen_t n_address;

        if (socket_address(path, &address, &n_address)) {
                log_error("%s: too long for a socket", path);
                return -ENAMETOOLONG;
        }
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return error_origin(-errno);
        /* Before the first connection, so that nobody ever sends us a descriptor; older kernels have a watchdog. */
        (void)socket_refuse_rights(fd);
        if (unlink(path) < 0 && errno != ENOENT) {
                log_error("cannot remove the stale %s: %m", path);
                return -errno;
        }
        if (bind(fd, (struct sockaddr *)&address, n_address) < 0 || chown(path, owner, (gid_t)-1) < 0 ||
            chmod(path, owner == (uid_t)-1 ? 0666 : 0600) < 0 || listen(fd, RUNDIR_BACKLOG) < 0) {
                log_error("cannot listen on %s: %m", path);
                return -errno;
        }
        *ret_fd = fd_steal(&fd);
        return 0;
}

static int rundir_bind(const char *path, int type, int *ret_fd) {
        return rundir_bind_for(path, type, (uid_t)-1, ret_fd);
}

int rundir_prepare(const char *run_dir) {
        static const struct {
                const char *name;
                mode_t mode;
        } folders[] = {
                { "", 0755 }, { "/domains", 0755 }, { "/containers", 0700 }, { "/dom0", 0700 }, { "/policy.d", 0755 },
        };
        char path[RUNDIR_PATH_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(folders); ++i) {
                int r = rundir_path(path, run_dir, folders[i].name, "") ?: rundir_make(path, folders[i].mode);

                if (r)
                        return r;
        }
        return 0;
}

int rundir_bind_shared(const char *run_dir, int *ret_fd) {
        char path[RUNDIR_PATH_MAX];

        return rundir_path(path, run_dir, "/qrexec-agent", "") ?: rundir_bind(path, SOCK_STREAM, ret_fd);
}

int rundir_bind_stores(const char *run_dir, int *ret_fd) {
        char path[RUNDIR_PATH_MAX];

        return rundir_path(path, run_dir, "/qubesdb.sock", "") ?: rundir_bind(path, SOCK_STREAM, ret_fd);
}

void rundir_folder(const char *run_dir, const DomainName *domain, bool is_folder, char *ret_path, size_t n_path) {
        (void)snprintf(ret_path, n_path, "%s/%s/%s", run_dir, is_folder ? "containers" : "domains", domain->text);
}

/* Where the sockets of a domain are. */
typedef struct RundirPaths {
        char folder[RUNDIR_PATH_MAX], trigger[RUNDIR_PATH_MAX], link[RUNDIR_PATH_MAX], daemon[RUNDIR_PATH_MAX];
        char store[RUNDIR_PATH_MAX], host_store[RUNDIR_PATH_MAX];
} RundirPaths;

static int rundir_paths(const char *run_dir, const DomainName *domain, bool is_folder, RundirPaths *ret_paths) {
        const char *folder = ret_paths->folder;
        char store[DOMAIN_NAME_MAX + 8];
        int r;

        r = rundir_path(ret_paths->folder, run_dir, is_folder ? "/containers/" : "/domains/", domain->text);
        if (r)
                return r;
        r = domain_name_is_dom0(domain) ? rundir_path(ret_paths->trigger, run_dir, "/dom0", "/qrexec-agent")
                                        : rundir_path(ret_paths->trigger, folder, "/qrexec-agent", "");
        r = r ?: rundir_path(ret_paths->link, folder, "/link", "");
        r = r ?: rundir_path(ret_paths->daemon, run_dir, "/qrexec.", domain->text);
        r = r ?: rundir_path(ret_paths->store, folder, "/qubesdb.sock", "");
        snprintf(store, sizeof(store), "%s.sock", domain->text);
        return r ?: rundir_path(ret_paths->host_store, run_dir, "/qubesdb.", store);
}

int rundir_bind_domain(const char *run_dir, const DomainName *domain, bool is_folder, RundirSockets *ret_sockets) {
        RundirSockets sockets = RUNDIR_SOCKETS_INIT;
        RundirPaths paths;
        int r;

        r = rundir_paths(run_dir, domain, is_folder, &paths);
        r = r ?: rundir_make(paths.folder, 0755);
        r = r ?: rundir_bind(paths.trigger, SOCK_STREAM, &sockets.trigger_fd);
        r = r ?: rundir_bind(paths.link, SOCK_SEQPACKET, &sockets.link_fd);
        r = r ?: rundir_bind(paths.daemon, SOCK_STREAM, &sockets.daemon_fd);
        r = r ?: rundir_bind(paths.store, SOCK_STREAM, &sockets.store_fd);
        r = r ?: rundir_bind(paths.host_store, SOCK_STREAM, &sockets.host_store_fd);
        if (r) {
                rundir_remove_domain(run_dir, domain, is_folder, &sockets);
                return r;
        }
        *ret_sockets = sockets;
        return 0;
}

void rundir_vchan(const char *run_dir, const DomainName *domain, char *ret_path, size_t n_path) {
        (void)snprintf(ret_path, n_path, "%s/domains/%s/vchan", run_dir, domain->text);
}

int rundir_make_vchan(const char *run_dir, const DomainName *domain, uid_t uid) {
        char path[RUNDIR_PATH_MAX];
        struct stat status;

        /* In a folder that only we can change: nobody exchanges it between these steps. */
        rundir_vchan(run_dir, domain, path, sizeof(path));
        if ((mkdir(path, 0700) < 0 && errno != EEXIST) || lstat(path, &status) < 0) {
                log_error("cannot make %s: %m", path);
                return -errno;
        }
        if (!S_ISDIR(status.st_mode)) {
                log_error("%s is no folder: remove it", path);
                return -ENOTDIR;
        }
        if (chown(path, uid, (gid_t)-1) < 0) {
                log_error("cannot give %s to its account: %m", path);
                return -errno;
        }
        return 0;
}

void rundir_vsock(const char *run_dir, const DomainName *domain, char *ret_path, size_t n_path) {
        (void)snprintf(ret_path, n_path, "%s/domains/%s/vsock", run_dir, domain->text);
}

int rundir_bind_vsock(const char *run_dir, const DomainName *domain, uid_t uid, int *ret_fd) {
        char path[RUNDIR_PATH_MAX];

        rundir_vsock(run_dir, domain, path, sizeof(path));
        return rundir_bind_for(path, SOCK_SEQPACKET, uid, ret_fd);
}

void rundir_remove_domain(const char *run_dir, const DomainName *domain, bool is_folder, RundirSockets *sockets) {
        RundirPaths paths;

        fd_close(sockets->trigger_fd);
        fd_close(sockets->link_fd);
        fd_close(sockets->daemon_fd);
        fd_close(sockets->store_fd);
        fd_close(sockets->host_store_fd);
        *sockets = RUNDIR_SOCKETS_INIT;
        if (rundir_paths(run_dir, domain, is_folder, &paths))
                return;
        (void)unlink(paths.trigger);
        (void)unlink(paths.link);
        (void)unlink(paths.daemon);
        (void)unlink(paths.store);
        (void)unlink(paths.host_store);
        if (!is_folder) {
                char vchan[RUNDIR_PATH_MAX], vsock[RUNDIR_PATH_MAX];

                rundir_vsock(run_dir, domain, vsock, sizeof(vsock));
                (void)unlink(vsock);
                /* What a domain left there of its own stays, and its folder with it. */
                rundir_vchan(run_dir, domain, vchan, sizeof(vchan));
                (void)rmdir(vchan);
                (void)rmdir(paths.folder);
        }
}
