/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often something happened of late: times within a sliding window, and the text of the file in which the processes of
 * one source share them (split-ssh specification, 11.1). Times are microseconds of CLOCK_BOOTTIME. Pure.
 *
 *   1 BOOT-ID TOLD          TOLD: when somebody was last told that it is too often; 0: never
 *   TIME                    one line each, oldest first
 */
#pragma once

#include <stdbool.h>

#include "ssh/policy.h"

/** /proc/sys/kernel/random/boot_id, without its newline, and a NUL. */
#define SSH_BOOT_ID_SIZE 37
/** "1 ", the boot id, a blank, a number, a newline; then a number and a newline for each time. */
#define SSH_WINDOW_TEXT_MAX (2 + SSH_BOOT_ID_SIZE + 21 + SSH_RATE_MAX * 21 + 1)

enum {
        _SSH_WINDOW_E_SUCCESS,
        SSH_WINDOW_E_MALFORMED,
};

typedef struct SshWindow {
        uint64_t told_usec;
        uint64_t times[SSH_RATE_MAX];
        size_t n;
} SshWindow;

/**
 * ssh_window_parse() - what the file says; an empty one, or one of another boot, is an empty window
 * @now_usec: what lies behind it is malformed
 *
 * Return: 0 or SSH_WINDOW_E_MALFORMED.
 */
int ssh_window_parse(const char *text, size_t n_text, const char *boot_id, uint64_t now_usec, SshWindow *ret_window);
/** ssh_window_format() - the text. Return: its length */
size_t ssh_window_format(const SshWindow *window, const char *boot_id, char ret_text[static SSH_WINDOW_TEXT_MAX]);

/** ssh_window_fill() - as if it had happened as often as may be, just now: in place of a malformed file */
void ssh_window_fill(SshWindow *window, SshRate rate, uint64_t now_usec);
/** ssh_window_count() - once more. Return: false: that would be too often; it is not counted */
bool ssh_window_count(SshWindow *window, SshRate rate, uint64_t now_usec);
/** ssh_window_tell() - is somebody to be told? Once per window */
bool ssh_window_tell(SshWindow *window, SshRate rate, uint64_t now_usec);
/** ssh_window_is_recent() - did it happen within the last @seconds? */
bool ssh_window_is_recent(const SshWindow *window, unsigned seconds, uint64_t now_usec);

/** ssh_grant_is_valid() - the text of a grant's file: `1 BOOT-ID EXPIRY`, nanoseconds (10.3) */
bool ssh_grant_is_valid(const char *text, size_t n_text, const char *boot_id, uint64_t now_usec);
/** ssh_grant_format() - one from now on. Return: the length of the text */
size_t ssh_grant_format(const char *boot_id, uint64_t now_usec, unsigned seconds,
                        char ret_text[static SSH_WINDOW_TEXT_MAX]);
