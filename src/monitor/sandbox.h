/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A domain in a bubblewrap sandbox (bwrap(1)): the command that puts an agent into one. What is in it:
 *
 *   namespaces of its own for processes, network (none but loopback), IPC, host name, users, control groups, mounts
 *   /usr, and /bin, /lib, … as the host has them; a few harmless files of /etc     read-only
 *   /etc/passwd, /etc/group with its own account alone
 *   the folders in which its agent looks for services, and their configuration    read-only
 *   /run/qubes: its own run directory, and so its own sockets alone                read-only
 *   its home; /tmp, /var/tmp and its XDG_RUNTIME_DIR are empty and new             writable
 *
 * No other path of the host, no terminal, no capability. It is gone, with all that runs in it, when its monitor is.
 */
#pragma once

#include <sys/types.h>

#define SANDBOX_PROGRAM "/usr/bin/bwrap"

typedef struct Sandbox {
        const char *domain;       /* also its host name */
        const char *folder;       /* the domain's run directory */
        const char *service_path; /* folders of services, with colons between them */
        const char *config_path;  /* and of their configuration */
        const char *account;      /* who it is inside; its user and group ids are what they are outside */
        uid_t uid;
        gid_t gid;
        const char *home;        /* on the host */
        const char *home_inside; /* where that is in the sandbox */
} Sandbox;

/**
 * sandbox_wrap() - the command that runs @command in a sandbox
 * @command:      its program is a path as it is inside
 * @ret_command:  to be executed by this very process: it names descriptors that are open here, without close-on-exec;
 *                lives as long as the process, as do they
 *
 * Return: 0 or a negative error, which has been explained in the log (no bubblewrap).
 */
int sandbox_wrap(const Sandbox *sandbox, char *const *command, char ***ret_command);

/**
 * sandbox_find_agent() - the agent in a sandbox, as the kernel tells it: bwrap's child's child
 * @bwrap: our child that became bwrap, not waited for
 *
 * A number, which may be another process's by the time that it is used: signal it with no more rights than the domain
 * has. Return: 0 if it is not there (any more).
 */
pid_t sandbox_find_agent(pid_t bwrap);

/** sandbox_environment() - what is in the environment inside; all else would be of the host. Return: 0 or a negative error */
int sandbox_environment(const Sandbox *sandbox, char *const *outside, char ***ret_environment);
