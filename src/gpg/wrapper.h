/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What applications say to gpg, made into what qubes-gpg-client takes (split-gpg specification, 9.1): options about this
 * domain are seen to here or dropped, a few commands are not for the keys' domain at all. What is left unknown is passed
 * on, for the client to decide.
 *
 * Pure: descriptors and files are named in the plan, and opened by whoever carries it out.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

/** Longest message of gpg_wrapper_plan(), with its NUL. */
#define GPG_WRAPPER_COMPLAINT_MAX 256

typedef enum GpgWrapperAction {
        GPG_WRAPPER_ACTION_CLIENT, /* qubes-gpg-client with the words */
        GPG_WRAPPER_ACTION_LOCAL,  /* this domain's gpg with the original arguments */
        GPG_WRAPPER_ACTION_IMPORT, /* qubes-gpg-import-key with the words: files */
} GpgWrapperAction;

typedef enum GpgWrapperWordKind {
        GPG_WRAPPER_WORD_TEXT,
        GPG_WRAPPER_WORD_STDOUT, /* the number of a duplicate of the standard output that the caller gave us (9.4) */
        GPG_WRAPPER_WORD_FILE,   /* the number of a descriptor for writing to a file, which is emptied */
} GpgWrapperWordKind;

typedef struct GpgWrapperWord {
        GpgWrapperWordKind kind;
        char *text; /* TEXT: the word; FILE: the path; else NULL */
} GpgWrapperWord;

typedef struct GpgWrapperPlan {
        GpgWrapperAction action;
        GpgWrapperWord *words;
        size_t n_words;
        const char *output; /* where standard output goes, borrowed from the arguments; NULL: it was not said */
} GpgWrapperPlan;

enum {
        _GPG_WRAPPER_E_SUCCESS,
        GPG_WRAPPER_E_REFUSED, /* it says why */
};

/**
 * gpg_wrapper_plan() - find out what is to be done
 * @arguments: @n of them, without the program's name
 *
 * Return: 0, GPG_WRAPPER_E_REFUSED, or a negative error.
 */
int gpg_wrapper_plan(const char *const *arguments, size_t n, GpgWrapperPlan *ret_plan,
                     char reterr_text[static GPG_WRAPPER_COMPLAINT_MAX]);

/** gpg_wrapper_plan_deinit() - free the words; harmless on an empty plan */
void gpg_wrapper_plan_deinit(GpgWrapperPlan *plan);
