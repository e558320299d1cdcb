/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel has and how it is set. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/number.h"
#include "base/socket.h"
#include "tools/doctor.h"

/* What dist/sysctl.d/60-qair.conf sets, and where an administrator who wants another number says so. */
#define PIPE_PAGES_FILE     "/proc/sys/fs/pipe-user-pages-soft"
#define PIPE_PAGES_WANTED   262144
#define PIPE_PAGES_OVERRIDE "/etc/sysctl.d/60-qair.conf"

/* Four for each of a thousand domains, and as many again for each of the callers that wait; the supervisor asks for more
 * where root may have it. */
#define BROKER_FILES_MIN    16384
#define BROKER_FILES_WANTED 262144

/* An answer of /proc is short. */
#define PROC_FILE_MAX 65536

/* It is there when the kernel has what connects virtual machines over vsock: the program that runs one opens it. */
#define VHOST_VSOCK "/dev/vhost-vsock"

static int check_vsock(Doctor *doctor) {
        for (size_t i = 0; doctor->inventory && i < doctor->inventory->n_domains; ++i) {
                const InventoryDomain *domain = &doctor->inventory->domains[i];

                if (domain->link == DOMAIN_LINK_VSOCK && domain_is_local(domain) && access(VHOST_VSOCK, F_OK) < 0)
                        return report_add(doctor->report, FINDING_WARNING, "kernel",
                                          report_command("modprobe vhost_vsock"),
                                          "domain %s is a virtual machine (vsock), and " VHOST_VSOCK " is not there",
                                          domain->name.text);
        }
        return 0;
}

int doctor_check_kernel(Doctor *doctor) {
        const unsigned action = SECCOMP_RET_KILL_PROCESS;
        _cleanup_fd_ int fd = -1;
        long abi;
        int r = 0;

        if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
                r = report_add(doctor->report, FINDING_ERROR, "kernel", NULL,
                               "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER): the broker does not start");
        abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (!r && abi < 1)
                r = report_add(doctor->report, FINDING_NOTE, "kernel", NULL,
                               "this kernel has no Landlock, or boots without it (lsm=landlock,...): a broken broker "
                               "could read what its account can");
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (!r && fd >= 0 && !socket_refuse_rights(fd))
                r = report_add(doctor->report, FINDING_NOTE, "kernel", NULL,
                               "this kernel cannot refuse descriptors (SO_PASSRIGHTS, Linux 6.16): the broker does so "
                               "itself, and who sends them can cost it some time");
        return r ?: check_vsock(doctor);
}

/* A text file of /proc, whole. Return: true if it could be read; the caller frees it. */
static bool read_proc(const char *path, char **ret_text) {
        size_t n;

        return file_read(AT_FDCWD, path, PROC_FILE_MAX, ret_text, &n) == 0;
}

static bool parse_leading(const char *text, uint64_t *ret_value) {
        return number_parse(text, strspn(text, "0123456789"), 0, UINT64_MAX, ret_value) == 0;
}

static int check_pipes(Doctor *doctor) {
        _cleanup_free_ char *text = NULL;
        uint64_t pages;

        if (access(PIPE_PAGES_OVERRIDE, F_OK) == 0 || !read_proc(PIPE_PAGES_FILE, &text) ||
            !parse_leading(text, &pages))
                return 0;
        if (pages == 0 || pages >= PIPE_PAGES_WANTED) /* 0: without a limit */
                return 0;
        return report_add(doctor->report, FINDING_WARNING, "sysctl", report_command("echo 262144 >" PIPE_PAGES_FILE),
                          "fs.pipe-user-pages-soft is %llu: with %llu calls at once pipes become slow",
                          (unsigned long long)pages, (unsigned long long)pages / 32);
}

static int check_broker_files(Doctor *doctor) {
        static const char key[] = "Max open files";
        _cleanup_free_ char *text = NULL;
        char path[64], number[16], limits[64];
        const char *line;
        uint64_t files, most;
        pid_t pid = doctor_find_process(doctor, "qrexecd", NULL);

        if (pid == 0)
                return 0;
        snprintf(path, sizeof(path), "/proc/%d/limits", pid);
        if (!read_proc(path, &text) || !(line = strstr(text, key)))
                return 0;
        line += strlen(key) + strspn(line + strlen(key), " ");
        if (!parse_leading(line, &files) || files >= BROKER_FILES_MIN)
                return 0; /* "unlimited" is enough */
        line += strspn(line, "0123456789");
        line += strspn(line, " ");
        /* As much as it may have anyway; if that is too little, more, which takes a root with all capabilities. */
        if (!parse_leading(line, &most) || most < BROKER_FILES_MIN)
                most = BROKER_FILES_WANTED;
        snprintf(number, sizeof(number), "%d", pid);
        snprintf(limits, sizeof(limits), "--nofile=%llu:%llu", (unsigned long long)most, (unsigned long long)most);
        return report_add(
                doctor->report, FINDING_WARNING, "limits", report_command("prlimit --pid=% %", number, limits),
                "the broker may open %llu files only: beyond that calls are refused", (unsigned long long)files);
}

int doctor_check_limits(Doctor *doctor) {
        return check_pipes(doctor) ?: check_broker_files(doctor);
}
