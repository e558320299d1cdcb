/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start a program (protocol specification, 6.9). The new process has
 *   - descriptors 0, 1 and 2 as given, and no other;
 *   - an empty signal mask, and the default action for every signal, SIGPIPE and SIGCHLD included;
 *   - a session and process group of its own, so that one signal reaches all it starts;
 *   - the working directory and the soft limit of open files that it was promised.
 *
 * It is started with vfork semantics: nothing of ours is copied, and the result of exec is known on return.
 */
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

enum {
        _SPAWN_E_SUCCESS,
        SPAWN_E_NOT_FOUND, /* exec said that the program, or its interpreter, does not exist: 127 */
        SPAWN_E_FAILED,    /* exec, or what is done before it in the new process, failed: 125 */
        SPAWN_E_LIMIT,     /* there is no new process: too many, or no memory: 125 */
};

/**
 * What a process with many open descriptors, which starts many programs, keeps for it. The program's ends are put where it
 * wants them, as our own 0, 1 and 2, for the moment of the start, and the new process takes over no more of the table than
 * these three; so what it costs does not grow with what else is open. Otherwise the kernel copies the whole table for each
 * start.
 */
typedef struct SpawnSlots {
        int own_fds[3]; /* what our 0, 1 and 2 are between two starts; -1: not initialised */
        int null_fd;    /* /dev/null, for whoever has use for it */
        void *stack;    /* of the new process, until exec; NULL: none */
} SpawnSlots;

#define SPAWN_SLOTS_INIT ((SpawnSlots){ .own_fds = { -1, -1, -1 }, .null_fd = -1 })

typedef struct Spawn {
        const char *program; /* a path; PATH is not searched */
        char *const *argv;
        char *const *environment;
        const char *directory;              /* NULL, or one that cannot be entered: stay where we are */
        int stdin_fd, stdout_fd, stderr_fd; /* 3 or above; not owned */
        const SpawnSlots *slots;            /* NULL: few descriptors are open */
        const struct rlimit *files;         /* RLIMIT_NOFILE of the program; NULL: ours */
        const sigset_t *signals;            /* may not be at their default here; NULL: any of them */
} Spawn;

/**
 * spawn_find_signals() - those that are not at their default now: what Spawn.signals is as long as no other is changed
 *
 * To reset them all costs a system call for each, sixty for every start.
 */
void spawn_find_signals(sigset_t *ret_signals);

/** spawn_slots_init() - descriptors 0, 1 and 2 must be open. Return: 0 or a negative error */
int spawn_slots_init(SpawnSlots *slots);

/** spawn_slots_deinit() - harmless when repeated */
void spawn_slots_deinit(SpawnSlots *slots);

/**
 * spawn_process() - start it
 * @reterr_errno: receives why, on SPAWN_E_…
 * @ret_pid:      also its session and process group
 * @ret_pidfd:    close-on-exec; the caller's
 *
 * On failure no child is left. The calling process must have one thread, and no handler for a signal that somebody else
 * may send: it could run in the new process, which has our memory for a moment.
 * Return: 0, SPAWN_E_…, or a negative error.
 */
int spawn_process(const Spawn *spawn, int *reterr_errno, pid_t *ret_pid, int *ret_pidfd);

/**
 * spawn_signal_group() - send @signal to the process group of a program that spawn_process() started
 *
 * Safe as long as the program was not waited for; afterwards too where the kernel can name a group by pidfd
 * (Linux 6.9). A group that is gone is no error.
 */
void spawn_signal_group(pid_t pid, int pidfd, int signal);
