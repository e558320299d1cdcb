/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that a service starts beside its stream: dialogs, notifications. None of them gets a descriptor of the stream. */
#pragma once

enum {
        _HELPER_E_SUCCESS,
        HELPER_E_NONE,    /* there is no such program */
        HELPER_E_TIMEOUT, /* it took too long, and was killed */
        HELPER_E_CALLER,  /* whoever called the service is gone: so is the reason to go on */
        HELPER_E_KILLED,  /* by a signal */
};

/**
 * helper_run() - run a program to its end
 * @argv:        looked for in PATH, unless there is a slash
 * @input:       its standard input; NULL: /dev/null. Output is dropped
 * @timeout_sec: then it is killed
 *
 * Watches standard output for the caller's hang-up. Return: 0, HELPER_E_…, or a negative error.
 */
int helper_run(const char *const *argv, const char *input, unsigned timeout_sec, int *ret_status);

/**
 * helper_detach() - in a process that nobody waits for, without the stream, killed after @timeout_sec
 *
 * Return: 1 in that process, which ends by _exit(); 0 in the caller; or a negative error.
 */
int helper_detach(unsigned timeout_sec);
