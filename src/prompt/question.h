/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question as the policy agent gets it: the JSON of policy.Ask (policy specification, 7.2), checked and made ready to
 * be shown (7.3). Upstream's requests are understood as they are; of ours, there is more to offer.
 *
 * All texts are data: no markup, no format. Names consist of harmless characters once this has let them through; the
 * argument may hold anything, and whoever shows it escapes it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "wire/answer.h"

/** Longest request: icons of some ten thousand domains. */
#define QUESTION_TEXT_MAX (1024 * 1024)
/** Durations of a kind that are offered at most; more are an error. */
#define QUESTION_DURATIONS_MAX 16
/** Longest text of who asks, in bytes, and most lines of it. */
#define QUESTION_WORDS_MAX 4096
#define QUESTION_LINES_MAX 8
/** Longest name of a prompt. */
#define QUESTION_NAME_MAX 64

/** A target that can be chosen. */
typedef struct QuestionEntry {
        char *target;  /* as it was sent, and as it is answered */
        char *display; /* what a person sees */
        char *icon;    /* such as "appvm-red" */
} QuestionEntry;

typedef struct QuestionDurations {
        uint32_t sec[QUESTION_DURATIONS_MAX]; /* ascending */
        size_t n;
} QuestionDurations;

typedef struct Question {
        char *source, *source_icon;
        char *service;
        char *argument;         /* with its `+` */
        QuestionEntry *entries; /* sorted by display name, by bytes */
        size_t n_entries;
        int default_entry; /* preselected; -1: none */
        char *problem;     /* why there is none although one was named, for the person; or NULL */
        QuestionDurations allow_for, quiet_for;
        uint32_t timeout_sec; /* how long somebody waits for the answer; 0: not known */
        char *text;           /* what it is about, in lines of who asks; "": nothing more than the call */
        char *name;           /* by which policy.AskCount speaks of it; "": it does not */
} Question;

enum {
        _QUESTION_E_SUCCESS,
        QUESTION_E_MALFORMED, /* no JSON, a member missing or of another type, a character that no name has */
};

/**
 * question_decode() - understand a request
 * @untrusted_text: @n bytes
 * @ret_question:   the caller's
 *
 * Return: 0, QUESTION_E_MALFORMED, or a negative error.
 */
int question_decode(const char *untrusted_text, size_t n, Question **ret_question);

/** question_encode() - as one line of JSON that decodes to the same; the caller frees it. Return: 0 or -errno */
int question_encode(const Question *question, char **ret_line);

/** question_free() - accepts NULL. Return: NULL */
Question *question_free(Question *question);
DEFINE_CLEANUP(Question *, question_free)

/**
 * question_count_decode() - the JSON of policy.AskCount, {"prompt": NAME, "requests": N}
 *
 * Return: 0 or QUESTION_E_MALFORMED, also if there is no memory.
 */
int question_count_decode(const char *untrusted_text, size_t n, char ret_name[static QUESTION_NAME_MAX + 1],
                          uint32_t *ret_count);

/** question_find() - the entry whose display name this is, exactly; -1: none */
int question_find(const Question *question, const char *display);

/** question_offers() - may this be the answer? Also for a duration that was offered */
bool question_offers(const Question *question, const Answer *answer);

/** question_bold() - where in the service's name the part begins that is shown bold (7.3) */
size_t question_bold(const char *service);

/** question_argument() - the argument as it is shown: "" for `+` alone */
const char *question_argument(const Question *question);

/** question_icon_label() - "red" of "appvm-red"; "" if it has none */
const char *question_icon_label(const char *icon);

/** question_duration() - "5 minutes", "1 hour" … Return: @buffer */
const char *question_duration(uint32_t sec, char buffer[static 32]);
