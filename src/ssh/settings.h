/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of a source or of a key (split-ssh specification, 6.4): words to values, and back. Pure. */
#pragma once

#include <stdio.h>

#include "ssh/policy.h"

enum {
        _SSH_SETTINGS_E_SUCCESS,
        SSH_SETTINGS_E_UNKNOWN, /* no such setting, or not one that a key can have */
        SSH_SETTINGS_E_VALUE,   /* @reterr_expected says what it takes */
};

/**
 * ssh_settings_parse() - set one
 * @name, @n_name:  which
 * @is_key:         as an attribute of a key: fewer exist
 * @words, @n_words: at least one; copied
 * @ret_setting:    which one it was
 *
 * Return: 0, SSH_SETTINGS_E_…, or a negative error.
 */
int ssh_settings_parse(SshSettings *settings, const char *name, size_t n_name, bool is_key, char *const *words,
                       size_t n_words, SshSetting *ret_setting, const char **reterr_expected);

/** ssh_settings_overlay() - what @above sets replaces what @settings has; lists stay @above's */
void ssh_settings_overlay(SshSettings *settings, const SshSettings *above);

/** ssh_settings_builtin() - all set to what the specification has as built-in; static memory */
const SshSettings *ssh_settings_builtin(void);

/** ssh_settings_format() - those that are set: `NAME = WORD …` lines, or ` NAME=WORD,…` attributes of a key */
void ssh_settings_format(const SshSettings *settings, bool is_key, FILE *file);

/** ssh_settings_deinit() - free the lists */
void ssh_settings_deinit(SshSettings *settings);

/** ssh_setting_name() - its name in the configuration; NULL past the last: for "did you mean" */
const char *ssh_setting_name(const void *unused, size_t i);

/** ssh_word_format() - one word, quoted where it must be (6.2) */
void ssh_word_format(const char *word, FILE *file);

/** ssh_strings_add() - append a copy of @n bytes. Return: 0 or a negative error */
int ssh_strings_add(SshStrings *strings, const char *text, size_t n);
void ssh_strings_deinit(SshStrings *strings);
