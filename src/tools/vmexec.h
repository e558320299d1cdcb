/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command line as the argument of qubes.VMExec (protocol specification, 8.2), which has to do with the characters that
 * a service's argument may have.
 *
 *   words are joined by `+`; in a word `A-Z a-z 0-9 . _` stand for themselves, `--` is `-`, and `-HH`, two upper-case
 *   hexadecimal digits, is any other byte
 *
 *   ls+--la     ls -la
 *   -2Fbin-2Fls     /bin/ls
 *   echo+     echo ""
 */
#pragma once

enum {
        _VMEXEC_E_SUCCESS,
        VMEXEC_E_NONE,   /* no argument, so no command */
        VMEXEC_E_ESCAPE, /* a `-` that is not followed by `-` or by two upper-case hexadecimal digits */
        VMEXEC_E_BYTE,   /* a byte that would have to be written as an escape */
        VMEXEC_E_NUL,    /* a NUL, which no word of a command line can have */
};

/** vmexec_error_text() - words for a VMEXEC_E_… code, such as "is empty" */
const char *vmexec_error_text(int r);

/**
 * vmexec_decode() - the command line; pure
 * @untrusted_argument: NUL-terminated
 * @ret_words: the words, and NULL behind the last; one block, which the caller frees
 *
 * Return: 0, VMEXEC_E_…, or a negative error.
 */
int vmexec_decode(const char *untrusted_argument, char ***ret_words);

/**
 * vmexec_encode() - the argument; pure
 * @words: NULL-terminated, not empty
 *
 * Return: 0, VMEXEC_E_NONE, or a negative error; *@ret_argument is the caller's to free.
 */
int vmexec_encode(char *const *words, char **ret_argument);
