/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "monitor/environment.h"

#define SANDBOX_PATH "/usr/local/bin:/usr/bin:/bin"

/* Arguments of bwrap as they come together. */
typedef struct Arguments {
        char **argv;
        size_t n;
        bool failed; /* out of memory */
} Arguments;

static void arguments_add(Arguments *arguments, const char *text) {
        char **larger = reallocarray(arguments->argv, arguments->n + 2, sizeof(*larger));
        char *copy = strdup(text);

        if (larger)
                arguments->argv = larger;
        if (!larger || !copy) {
                arguments->failed = true;
                free(copy);
                return;
        }
        larger[arguments->n++] = copy;
        larger[arguments->n] = NULL;
}

/* Several; a NULL ends them. */
static void arguments_add_all(Arguments *arguments, ...) {
        va_list list;

        va_start(list, arguments);
        for (const char *text; (text = va_arg(list, const char *));)
                arguments_add(arguments, text);
        va_end(list);
}

/* Programs and libraries, where this machine has them: in /usr, or beside it. */
static void sandbox_add_programs(Arguments *arguments) {
        static const char *const folders[] = { "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32" };

        arguments_add_all(arguments, "--ro-bind", "/usr", "/usr", NULL);
        for (size_t i = 0; i < ARRAY_SIZE(folders); ++i) {
                char target[PATH_MAX];
                ssize_t n = readlink(folders[i], target, sizeof(target) - 1);

                if (n > 0) {
                        target[n] = '\0';
                        arguments_add_all(arguments, "--symlink", target, folders[i], NULL);
                } else {
                        arguments_add_all(arguments, "--ro-bind-try", folders[i], folders[i], NULL);
                }
        }
}

/* What programs want to know of a system, and what is no secret on any. */
static void sandbox_add_settings(Arguments *arguments) {
        static const char *const settings[] = {
                "/etc/alternatives",  "/etc/bash.bashrc", "/etc/ca-certificates", "/etc/debian_version",
                "/etc/fonts",         "/etc/inputrc",     "/etc/ld.so.cache",     "/etc/ld.so.conf",
                "/etc/ld.so.conf.d",  "/etc/localtime",   "/etc/mime.types",      "/etc/os-release",
                "/etc/pki/tls/certs", "/etc/profile",     "/etc/profile.d",       "/etc/protocols",
                "/etc/services",      "/etc/ssl/certs",   "/etc/terminfo",
        };

        for (size_t i = 0; i < ARRAY_SIZE(settings); ++i)
                arguments_add_all(arguments, "--ro-bind-try", settings[i], settings[i], NULL);
}

/* A file that exists in the sandbox alone. */
static int sandbox_add_file(Arguments *arguments, const char *path, const char *format, ...) _printf_(3, 4);
static int sandbox_add_file(Arguments *arguments, const char *path, const char *format, ...) {
        _cleanup_fd_ int fd = memfd_create("qair-sandbox", 0);
        va_list list;
        char number[16];
        int n;

        if (fd < 0)
                return error_origin(-errno);
        va_start(list, format);
        n = vdprintf(fd, format, list);
        va_end(list);
        if (n < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return error_origin(-errno);
        /* Stays open until bwrap has it. */
        snprintf(number, sizeof(number), "%d", fd_steal(&fd));
        arguments_add_all(arguments, "--ro-bind-data", number, path, NULL);
        return 0;
}

static int sandbox_add_accounts(Arguments *arguments, const Sandbox *sandbox) {
        unsigned uid = sandbox->uid, gid = sandbox->gid;
        int r;

        r = sandbox_add_file(arguments, "/etc/passwd",
                             "%s:x:%u:%u::%s:/bin/sh\n"
                             "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                             sandbox->account, uid, gid, sandbox->home_inside);
        r = r
                    ?: sandbox_add_file(arguments, "/etc/group",
                                        "%s:x:%u:\n"
                                        "nogroup:x:65534:\n",
                                        sandbox->account, gid);
        return r ?: sandbox_add_file(arguments, "/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
}

/* The folders of @list, but for those that are in /usr. */
static int sandbox_add_folders(Arguments *arguments, const char *list) {
        _cleanup_free_ char *path = strdup(list);
        char *rest = path;

        if (!path)
                return error_origin(-ENOMEM);
        for (char *folder; (folder = strsep(&rest, ":"));)
                if (folder[0] == '/' && strncmp(folder, "/usr/", strlen("/usr/")) != 0)
                        arguments_add_all(arguments, "--ro-bind-try", folder, folder, NULL);
        return 0;
}

static void sandbox_format_runtime(const Sandbox *sandbox, char ret_path[static 64]) {
        snprintf(ret_path, 64, "/run/user/%u", (unsigned)sandbox->uid);
}

int sandbox_wrap(const Sandbox *sandbox, char *const *command, char ***ret_command) {
        Arguments arguments = {};
        char runtime[64];
        int r;

        if (access(SANDBOX_PROGRAM, X_OK) < 0) {
                log_error("domain %s: %s: %m: install the package bubblewrap; it is not started without a sandbox",
                          sandbox->domain, SANDBOX_PROGRAM);
                return -errno;
        }
        sandbox_format_runtime(sandbox, runtime);
        /* A session of its own, so that no terminal can be reached; and no namespace of the host's. */
        arguments_add_all(&arguments, SANDBOX_PROGRAM, "--unshare-all", "--new-session", "--die-with-parent",
                          "--hostname", sandbox->domain, NULL);
        sandbox_add_programs(&arguments);
        sandbox_add_settings(&arguments);
        r = sandbox_add_accounts(&arguments, sandbox);
        if (r)
                return r;
        arguments_add_all(&arguments, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/var/tmp",
                          "--perms", "0700", "--tmpfs", runtime, "--ro-bind", sandbox->folder, "/run/qubes", NULL);
        r = sandbox_add_folders(&arguments, sandbox->service_path)
                    ?: sandbox_add_folders(&arguments, sandbox->config_path);
        if (r)
                return r;
        arguments_add_all(&arguments, "--bind", sandbox->home, sandbox->home_inside, "--remount-ro", "/", "--chdir",
                          sandbox->home_inside, "--", NULL);
        for (; *command; ++command)
                arguments_add(&arguments, *command);
        if (arguments.failed)
                return error_origin(-ENOMEM);
        *ret_command = arguments.argv;
        return 0;
}

/* The first of the children of @pid, which the kernel lists in the order in which they were made; 0: none. */
static pid_t sandbox_first_child(pid_t pid) {
        char path[64], children[32] = "";
        _cleanup_fd_ int fd = -1;

        snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || read(fd, children, sizeof(children) - 1) <= 0)
                return 0;
        return (pid_t)strtol(children, NULL, 10); /* the kernel's own: a number and a blank */
}

pid_t sandbox_find_agent(pid_t bwrap) {
        pid_t init = sandbox_first_child(bwrap);

        return init > 0 ? sandbox_first_child(init) : 0;
}

int sandbox_environment(const Sandbox *sandbox, char *const *outside, char ***ret_environment) {
        static const char *const kept[] = { "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ" };
        char **environment = NULL, runtime[64];
        int r;

        sandbox_format_runtime(sandbox, runtime);
        r = environment_set(&environment, "HOME", sandbox->home_inside);
        r = r ?: environment_set(&environment, "USER", sandbox->account);
        r = r ?: environment_set(&environment, "LOGNAME", sandbox->account);
        r = r ?: environment_set(&environment, "SHELL", "/bin/sh");
        r = r ?: environment_set(&environment, "PATH", SANDBOX_PATH);
        r = r ?: environment_set(&environment, "XDG_RUNTIME_DIR", runtime);
        r = r ?: environment_set(&environment, "QREXEC_SERVICE_PATH", sandbox->service_path);
        r = r ?: environment_set(&environment, "QUBES_RPC_CONFIG_PATH", sandbox->config_path);
        for (size_t i = 0; !r && i < ARRAY_SIZE(kept); ++i) {
                const char *value = environment_get(outside, kept[i]);

                if (value)
                        r = environment_set(&environment, kept[i], value);
        }
        if (r) {
                environment_free(environment);
                return r;
        }
        *ret_environment = environment;
        return 0;
}
