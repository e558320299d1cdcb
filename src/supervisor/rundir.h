/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The run directory and the listening sockets in it (doc/architecture.md, "Sockets and identity"):
 *
 *   /run/qubes/qrexec-agent                 shared trigger socket
 *   /run/qubes/qrexec.NAME                  daemon socket of each domain
 *   /run/qubes/dom0/qrexec-agent            dom0's trigger socket; the folder is root's alone
 *   /run/qubes/domains/NAME/qrexec-agent    trigger socket of each domain
 *   /run/qubes/domains/NAME/link            where its agent connects
 *   /run/qubes/qubesdb.sock                 shared QubesDB socket
 *   /run/qubes/qubesdb.NAME.sock            QubesDB of each domain, for the host
 *   /run/qubes/domains/NAME/qubesdb.sock    QubesDB of each domain, for itself
 *   /run/qubes/containers/NAME/…            the same three of a domain without account, in a folder that is root's alone
 *   /run/qubes/domains/NAME/vchan/          all vchan sockets of a domain behind vchan, or those of a virtual machine's
 *                                           qrexec-daemon: its account's alone
 *   /run/qubes/domains/NAME/vsock           where that one is given its connections (supervisor/guests.h)
 *   /run/qubes/policy.d                     policy until the next boot: has to exist (policy specification, 1.2)
 *
 * The supervisor binds them and keeps them: a broker that is started anew finds its callers waiting in the backlog.
 * Anybody may connect; the broker asks the kernel who it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/name.h"

typedef struct RundirSockets {
        int trigger_fd, link_fd, daemon_fd;
        int store_fd, host_store_fd; /* QubesDB */
} RundirSockets;

#define RUNDIR_SOCKETS_INIT ((RundirSockets){ -1, -1, -1, -1, -1 })

/** rundir_make_parents() - the folders above @path, those that are missing, for us alone. Return: 0 or -errno (not logged) */
int rundir_make_parents(const char *path);

/** rundir_make() - one folder that only we can change. Return: 0 or a negative error, explained in the log */
int rundir_make(const char *path, mode_t mode);

/** rundir_prepare() - make the folders. Return: 0 or a negative error, which has been explained in the log */
int rundir_prepare(const char *run_dir);

/** rundir_bind_shared() - Return: 0 or a negative error, which has been explained in the log */
int rundir_bind_shared(const char *run_dir, int *ret_fd);
/** rundir_bind_stores() - the shared QubesDB socket. Return: 0 or a negative error, explained in the log */
int rundir_bind_stores(const char *run_dir, int *ret_fd);

/** rundir_folder() - the folder of a domain; bind-mounted at /run/qubes where the domain lives. */
void rundir_folder(const char *run_dir, const DomainName *domain, bool is_folder, char *ret_path, size_t n_path);

/**
 * rundir_bind_domain() - the sockets of one domain
 * @is_folder: it has no account: whoever reaches its folder is this domain, so no account of the host may reach it
 *
 * Return: 0 or a negative error, explained in the log.
 */
int rundir_bind_domain(const char *run_dir, const DomainName *domain, bool is_folder, RundirSockets *ret_sockets);

/**
 * rundir_make_vchan() - the folder of the vchan sockets of a domain with an account, and of those of its qrexec-daemon
 * @uid: that account
 *
 * Return: 0 or a negative error, explained in the log.
 */
int rundir_make_vchan(const char *run_dir, const DomainName *domain, uid_t uid);

/** rundir_vchan() - its path */
void rundir_vchan(const char *run_dir, const DomainName *domain, char *ret_path, size_t n_path);

/**
 * rundir_bind_vsock() - where the link of a domain over vsock is given its connections
 * @uid: its account, which alone can connect
 *
 * Return: 0 or a negative error, explained in the log.
 */
int rundir_bind_vsock(const char *run_dir, const DomainName *domain, uid_t uid, int *ret_fd);

/** rundir_vsock() - its path */
void rundir_vsock(const char *run_dir, const DomainName *domain, char *ret_path, size_t n_path);

/**
 * rundir_remove_domain() - close the sockets and remove their names; errors are of no consequence
 *
 * A container may have the folder mounted, and outlive us: it is kept, so that the next supervisor's sockets are in it.
 */
void rundir_remove_domain(const char *run_dir, const DomainName *domain, bool is_folder, RundirSockets *sockets);
