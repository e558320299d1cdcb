/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/**
 * data_prepare() - make this process fit to run a data connection; call it before the program at our end is started
 *
 * Ignores SIGPIPE: a peer that is gone is an error code. Blocks SIGUSR1, by which the program may ask for single-socket
 * mode (protocol specification, 5.7) as soon as it runs, before anybody waits for it. The program itself must be
 * started with both restored: data_restore() between fork and exec, or the like.
 *
 * Return: 0 or a negative error.
 */
int data_prepare(void);

/** data_restore() - undo data_prepare(), in a child before exec; async-signal-safe. Return: 0 or -errno (not logged) */
int data_restore(void);
