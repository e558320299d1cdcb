/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/call.h"

/**
 * data_child_wait() - wait for a child and reap it; at once if its pidfd is readable
 * @ret_status: exit code, or 128 + signal number (protocol specification, 5.3 rule 1)
 * @ret_how:    CALL_HOW_EXITED or CALL_HOW_SIGNALLED
 *
 * Return: 0 or a negative error.
 */
int data_child_wait(int pidfd, int *ret_status, CallHow *ret_how);
