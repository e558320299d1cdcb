/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to reach the person who has the keys, in the order in which they are tried:
 *
 *   the policy agent of this account, if it runs: its window, or the terminals of `qair prompts`
 *   the program ~/.config/qubes/split-ssh/askpass, or $SSH_ASKPASS: as OpenSSH calls it
 *   zenity, if there is a display
 *   /usr/bin/ssh-askpass, if there is a display
 */
#pragma once

#include "split-ssh/record.h"

/** What the filter goes by (split-ssh specification, 10.2). */
#define PROMPT_YES    0
#define PROMPT_NO     1
#define PROMPT_FAILED 2

/**
 * prompt_confirm() - ask
 *
 * May become another program, whose status is then ours. Return: PROMPT_YES, PROMPT_NO or PROMPT_FAILED: nobody can be
 * asked.
 */
int prompt_confirm(const Record *record);

/** prompt_notify() - tell, by notify-send or the policy agent; likewise. Return: PROMPT_YES or PROMPT_FAILED */
int prompt_notify(const Record *record);
