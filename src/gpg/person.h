/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The person in front of this domain: asks a question, tells what has happened.
 *
 * Asked are, in this order: the account's policy agent, if one runs (qrexec-policy-agent(1): windows, and terminals with
 * `qair prompts`), and a dialog on the display (zenity(1)). Where there is neither, nobody can say yes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/** A question that nobody answers is a no. */
#define PERSON_TIMEOUT_SEC 60

typedef struct PersonQuestion {
        const char *source;  /* who asks: gpg_source_is_valid() */
        const char *service; /* such as "qubes.Gpg" */
        const char *title;   /* of a dialog */
        const char *text;    /* the whole question, in lines */
        uint32_t for_sec;    /* how long a yes is to count */
        bool is_once;        /* … for this use alone, also within the second: nobody remembers it */
} PersonQuestion;

enum {
        _PERSON_E_SUCCESS,
        PERSON_E_NO,     /* said, or not said in time */
        PERSON_E_NOBODY, /* there is no way to ask */
        PERSON_E_CALLER, /* the caller is gone */
};

/**
 * person_ask() - wait for the answer, at most PERSON_TIMEOUT_SEC
 * @ret_remember: the yes is for @question->for_sec, not for once
 *
 * Return: 0: yes; PERSON_E_…; or a negative error.
 */
int person_ask(const PersonQuestion *question, bool *ret_remember);

/**
 * person_tell() - a notification, which nobody waits for
 * @operation: letters alone
 * @n_more:    of which nothing was told before
 *
 * With notify-send(1), else through the policy agent; what cannot be told is not.
 */
void person_tell(const char *source, const char *service, const char *operation, unsigned n_more);
