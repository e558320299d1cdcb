/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that talks to a person for us: asks, or tells (split-ssh specification, 10.2). It gets a record on standard
 * input, a reduced environment, nothing else, and answers with its exit status.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ssh/text.h"
#include "ssh/use.h"

/** Descriptors that ssh_helper_poll() may need. */
#define SSH_HELPER_POLL_N 2

typedef struct SshHelper {
        pid_t pid; /* leads a session of its own; -1: none runs */
        int pidfd;
        int record_fd; /* its standard input; -1 when all of the record is written */
        char record[SSH_RECORD_SIZE];
        size_t n_written;
} SshHelper;

#define SSH_HELPER_INIT ((SshHelper){ .pid = -1, .pidfd = -1, .record_fd = -1 })

enum {
        _SSH_HELPER_E_SUCCESS,
        SSH_HELPER_E_FAILED, /* it could not be started */
        SSH_HELPER_E_RUNS,   /* it has not ended yet */
};

/**
 * ssh_helper_start() - start @program; helper->record must be filled
 * @mode: its argument, `confirm` or `notify`
 *
 * A program that cannot be executed ends with 127. Return: 0 or SSH_HELPER_E_FAILED.
 */
int ssh_helper_start(SshHelper *helper, const char *program, const char *mode);
/** ssh_helper_poll() - what to wait for; unused places get fd -1 */
void ssh_helper_poll(const SshHelper *helper, struct pollfd ret_fds[static SSH_HELPER_POLL_N]);
/** ssh_helper_dispatch() - go on. Return: SSH_HELPER_E_RUNS, or 0 and its status, as process_wait() has it */
int ssh_helper_dispatch(SshHelper *helper, int *ret_status);
/** ssh_helper_kill() - end it and all that it started in its session; harmless if none runs */
void ssh_helper_kill(SshHelper *helper);

/** ssh_helper_notify() - start it with `notify` and forget it: a process of its own kills it after five seconds */
void ssh_helper_notify(const char *program, const char *record);
