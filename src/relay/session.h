/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One session on a shared connection: a command over there with our stdin, stdout and stderr. The client that shares
 * its connection gets the descriptors and carries the bytes, with the far end's back-pressure and end-of-files; we wait
 * for the exit status.
 */
#pragma once

#include "relay/master.h"

enum {
        _RELAY_SESSION_E_SUCCESS,
        RELAY_SESSION_E_FAILED, /* no session, or the connection was lost: has been explained */
};

/**
 * relay_session_run() - run @command on the host
 * @command:    one line, for the shell over there
 * @ret_status: its exit status, 0 to 255
 *
 * Our own descriptors 0 and 1 are given up once the command runs. Return: 0, RELAY_SESSION_E_FAILED, or a negative error.
 */
int relay_session_run(const Master *master, const char *command, int *ret_status);
