/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs: the supervisor, its broker, their sockets; and, if all of that is well, the agents.
 */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"
#include "tools/doctor.h"

/* How long the broker may take to notice that somebody hung up. It blocks on nothing. */
#define ANSWER_TIMEOUT_MSEC 5000

#define PATH_SIZE 512

static bool same_namespace(const char *pid) {
        char path[64];
        struct stat theirs, ours;

        snprintf(path, sizeof(path), "/proc/%.16s/ns/pid", pid);
        return stat(path, &theirs) == 0 && stat("/proc/self/ns/pid", &ours) == 0 && theirs.st_ino == ours.st_ino;
}

pid_t doctor_find_process(const Doctor *doctor, const char *name, bool *ret_replaced) {
        static const char suffix[] = " (deleted)";
        char wanted[PATH_SIZE], path[64], program[PATH_SIZE];
        struct dirent *entry;
        pid_t found = 0;
        DIR *proc;

        snprintf(wanted, sizeof(wanted), "%s/%s", doctor->libexec_dir, name);
        proc = opendir("/proc");
        if (!proc)
                return 0;
        while (!found && (entry = readdir(proc))) {
                ssize_t n;
                bool replaced;

                if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
                        continue;
                snprintf(path, sizeof(path), "/proc/%.16s/exe", entry->d_name);
                n = readlink(path, program, sizeof(program) - 1);
                if (n < 0)
                        continue;
                program[n] = '\0';
                replaced = (size_t)n > strlen(suffix) && strcmp(program + n - strlen(suffix), suffix) == 0;
                if (replaced)
                        program[(size_t)n - strlen(suffix)] = '\0';
                if (strcmp(program, wanted) != 0 || !same_namespace(entry->d_name))
                        continue;
                found = (pid_t)strtol(entry->d_name, NULL, 10);
                if (ret_replaced)
                        *ret_replaced = replaced;
        }
        closedir(proc);
        return found;
}

static char *start_command(const Doctor *doctor) {
        char supervisor[PATH_SIZE];

        if (doctor->has_systemd)
                return report_command("systemctl enable --now qair");
        snprintf(supervisor, sizeof(supervisor), "%s/qair-supervisor", doctor->libexec_dir);
        return report_command("setsid --fork % </dev/null >>/var/log/qair.log 2>&1", supervisor);
}

static char *restart_command(const Doctor *doctor, pid_t supervisor_pid) {
        char supervisor[PATH_SIZE], pid[16];

        if (doctor->has_systemd)
                return report_command("systemctl restart qair");
        snprintf(supervisor, sizeof(supervisor), "%s/qair-supervisor", doctor->libexec_dir);
        snprintf(pid, sizeof(pid), "%d", supervisor_pid);
        return report_command("kill % && tail --pid=% --follow /dev/null && "
                              "setsid --fork % </dev/null >>/var/log/qair.log 2>&1",
                              pid, pid, supervisor);
}

static char *reload_command(const Doctor *doctor, pid_t supervisor_pid) {
        char pid[16];

        if (doctor->has_systemd)
                return report_command("systemctl reload qair");
        snprintf(pid, sizeof(pid), "%d", supervisor_pid);
        return report_command("kill -HUP %", pid);
}

static bool is_our_socket(const char *path) {
        struct stat st;

        return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_uid == 0;
}

static int check_shared(Doctor *doctor, pid_t supervisor) {
        static const char *const names[] = { "/qrexec-agent", "/dom0/qrexec-agent" };

        for (size_t i = 0; i < ARRAY_SIZE(names); ++i) {
                char path[PATH_SIZE];
                int r;

                snprintf(path, sizeof(path), "%s%s", doctor->run_dir, names[i]);
                if (is_our_socket(path))
                        continue;
                r = report_add(doctor->report, FINDING_ERROR, "running", restart_command(doctor, supervisor),
                               "%s: the supervisor's socket is not there any more", path);
                if (r)
                        return r;
        }
        return 0;
}

/* Hang up on the broker: it has to notice, and hang up too. dom0's own socket, where root may call and nobody else. */
static bool broker_answers(const Doctor *doctor) {
        char path[PATH_SIZE], byte;
        _cleanup_fd_ int fd = -1;
        struct pollfd poll_fd;

        snprintf(path, sizeof(path), "%s/dom0/qrexec-agent", doctor->run_dir);
        if (socket_connect(path, SOCK_STREAM | SOCK_NONBLOCK, &fd))
                return false;
        if (shutdown(fd, SHUT_WR) < 0)
                return false;
        poll_fd = (struct pollfd){ .fd = fd, .events = POLLIN };
        return poll(&poll_fd, 1, ANSWER_TIMEOUT_MSEC) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

static int check_broker(Doctor *doctor, pid_t supervisor) {
        bool replaced = false;
        pid_t broker = doctor_find_process(doctor, "qrexecd", &replaced);
        char path[PATH_SIZE], pid[16];

        if (broker == 0)
                return report_add(doctor->report, FINDING_ERROR, "running", restart_command(doctor, supervisor),
                                  "the broker does not run; the log says why it ended");
        if (replaced)
                return report_add(doctor->report, FINDING_WARNING, "running", restart_command(doctor, supervisor),
                                  "the broker's program has been replaced since it was started");
        snprintf(path, sizeof(path), "%s/dom0/qrexec-agent", doctor->run_dir);
        snprintf(pid, sizeof(pid), "%d", broker);
        if (is_our_socket(path) && !broker_answers(doctor)) /* the supervisor starts another at once */
                return report_add(doctor->report, FINDING_ERROR, "running", report_command("kill -KILL %", pid),
                                  "the broker does not answer");
        return 0;
}

/* Each domain that the inventory has by now has its sockets, if the supervisor knows of it. */
static int check_domains(Doctor *doctor, pid_t supervisor) {
        static const char *const names[] = { "link", "qrexec-agent" };

        for (size_t i = 0; doctor->inventory && i < doctor->inventory->n_domains; ++i) {
                const InventoryDomain *domain = &doctor->inventory->domains[i];

                if (!domain_is_local(domain) || domain->uid == (uid_t)-1)
                        continue;
                for (size_t k = 0; k < ARRAY_SIZE(names); ++k) {
                        char path[PATH_SIZE];
                        int r;

                        snprintf(path, sizeof(path), "%s/domains/%s/%s", doctor->run_dir, domain->name.text, names[k]);
                        if (is_our_socket(path))
                                continue;
                        r = report_add(doctor->report, FINDING_WARNING, "running", reload_command(doctor, supervisor),
                                       "domain %s is not in force yet: %s is missing", domain->name.text, path);
                        if (r)
                                return r;
                        break;
                }
        }
        return 0;
}

int doctor_check_running(Doctor *doctor) {
        size_t n_errors = doctor->report->n_of_level[FINDING_ERROR];
        bool replaced = false;
        pid_t supervisor = doctor_find_process(doctor, "qair-supervisor", &replaced);
        int r;

        if (supervisor == 0)
                return report_add(doctor->report, FINDING_ERROR, "running", start_command(doctor),
                                  "the supervisor does not run: nobody can call anything");
        if (replaced)
                return report_add(doctor->report, FINDING_WARNING, "running", restart_command(doctor, supervisor),
                                  "the supervisor's program has been replaced since it was started");
        r = check_shared(doctor, supervisor);
        r = r ?: check_broker(doctor, supervisor);
        r = r ?: check_domains(doctor, supervisor);
        if (!r && doctor->report->n_of_level[FINDING_ERROR] == n_errors)
                r = doctor_check_agents(doctor);
        return error_trace(r);
}
