/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A command line as configuration files have it, split into words without a shell, by the rules of ExecStart= in
 * systemd.service(5): blanks separate words; a word that begins with ' or " goes on to the same quote, behind which a
 * blank or the end has to come; \\ \" \' \s (a blank) \t \n \xHH are escapes, inside quotes and outside. Nothing is
 * expanded: no variables, no specifiers, no file names.
 */
#pragma once

enum {
        _WORDS_E_SUCCESS,
        WORDS_E_EMPTY,  /* there is no word */
        WORDS_E_QUOTE,  /* a quote is not closed, or its end is not followed by a blank */
        WORDS_E_ESCAPE, /* no such escape, or one that means NUL */
};

/**
 * words_split() - split @text
 * @ret_words: the words, and NULL behind the last; one block, which the caller frees
 *
 * Return: 0, one of WORDS_E_…, or a negative error.
 */
int words_split(const char *text, char ***ret_words);

/** words_error_text() - what is wrong, as the end of a sentence that begins with the text: "has a quote …" */
const char *words_error_text(int r);
