/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between a client's gpg and the gpg-agent that has the keys: an allow-list of commands, each with the exact
 * grammar of its arguments (split-gpg specification, 12.1). Nothing is in it that could change what the agent holds, choose
 * the words of its questions, or name a file. What is not in it ends the connection, so that no client takes a command
 * that was filtered for one that was done. Pure: it is given lines and says what goes where.
 *
 *      GREETING -- agent's OK --> COMMAND <------------- answered here -------------.
 *                                    |                                               |
 *                                    +-- allowed --> ANSWER -- OK, ERR ------------->+
 *                                    |                | ^                            |
 *                                    |        INQUIRE v | END                        |
 *                                    |               INQUIRY                         |
 *                                    +-- signs, decrypts --> CONSENT -- yes --> ANSWER, no --> COMMAND
 *                                    '-- names a key ------> ANSWER -- OK --> DESCRIBE -- OK, ERR --> COMMAND
 *      every state -- what is not foreseen --> CLOSED
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpg2/assuan.h"
#include "gpg2/sexp.h"

/** A keygrip: SHA-1 in upper-case hexadecimal. */
#define GPG2_GRIP_SIZE 40
/** Keygrips in one HAVEKEY (12.1). */
#define GPG2_GRIPS_MAX 200
/** HAVEKEY --list=N, KEYINFO --list=N (12.1). */
#define GPG2_LIST_MAX 1000
/** What describes a key to a person, before it is escaped; escaped it has to fit a line. */
#define GPG2_DESCRIPTION_MAX 320

/** gpg-agent's error numbers: source 4 in the upper byte, then libgpg-error's code. */
#define GPG2_ERROR_FILTERED        67109888 /* USER_1 */
#define GPG2_ERROR_NOT_SUPPORTED   67108924
#define GPG2_ERROR_UNKNOWN_COMMAND 67109139
#define GPG2_ERROR_NO_CARD_DAEMON  67108983
#define GPG2_ERROR_CANCELED        67108963
#define GPG2_ERROR_NO_SECRET_KEY   67108881

typedef enum FilterOperation {
        FILTER_OPERATION_NONE,
        FILTER_OPERATION_SIGN,
        FILTER_OPERATION_DECRYPT,
        _FILTER_OPERATION_N,
} FilterOperation;

typedef enum FilterState {
        FILTER_STATE_GREETING, /* the agent owes its first OK */
        FILTER_STATE_COMMAND,  /* the client owes a command */
        FILTER_STATE_CONSENT,  /* a person owes an answer: filter_on_consent() */
        FILTER_STATE_ANSWER,   /* the agent owes an answer */
        FILTER_STATE_DESCRIBE, /* the agent owes one to the SETKEYDESC that is ours */
        FILTER_STATE_INQUIRY,  /* the client owes data, then END */
        FILTER_STATE_CLOSED,
        _FILTER_STATE_N,
} FilterState;

/** A secret key that the vault lets be used. */
typedef struct FilterKey {
        char grip[GPG2_GRIP_SIZE + 1];
        char fingerprint[64 + 1];
        char description[GPG2_DESCRIPTION_MAX + 1]; /* lines for a person: user ID, fingerprints */
} FilterKey;

typedef struct FilterOptions {
        const FilterKey *keys; /* outlives the filter */
        size_t n_keys;
        bool allow_keygen;
} FilterOptions;

/** What a line leads to; texts are whole lines, and live until the filter is given the next. */
typedef struct FilterAction {
        const char *to_agent;
        size_t n_to_agent;
        bool lists; /* it goes to the agent's unrestricted socket: the restricted one answers no lists */
        const char *to_client;
        size_t n_to_client;
        FilterOperation ask; /* somebody has to say yes first */
        bool closes;         /* when that is sent */
        bool refused;        /* what the client wrote was filtered: note and log it */
        bool ignored;        /* it was answered here and has no effect: log it */
} FilterAction;

typedef struct Filter {
        FilterOptions options;
        FilterState state;
        FilterOperation operation; /* of the command in progress, if it is one */
        bool generates;            /* the command in progress is GENKEY */
        bool names_key;            /* … SIGKEY or SETKEY */
        const FilterKey *key;      /* what they named last; NULL: none, or one that the ring does not have */
        char grip[GPG2_GRIP_SIZE + 1];
        unsigned hash;                     /* SETHASH's algorithm (RFC 9580, 9.5) */
        bool inquires_data;                /* what is inquired wants an expression, not END alone */
        char pending[ASSUAN_LINE_MAX + 2]; /* what is sent once somebody has said yes */
        uint8_t data[SEXP_SIZE_MAX];
        size_t n_data;
        char line[16 * (ASSUAN_LINE_MAX + 1)]; /* what an action points to */
} Filter;

/** filter_init() - a connection begins */
void filter_init(Filter *filter, const FilterOptions *options);

/** filter_wants_client(), filter_wants_agent() - who owes the next line; of nobody else may one be read */
bool filter_wants_client(const Filter *filter);
bool filter_wants_agent(const Filter *filter);

/**
 * filter_on_client_line() - @untrusted_line without its end, at most ASSUAN_LINE_MAX bytes
 * @now_sec: seconds since 1970, which a new key gets as its date
 */
void filter_on_client_line(Filter *filter, const char *untrusted_line, size_t n, uint64_t now_sec,
                           FilterAction *ret_action);

/** filter_on_agent_line() - the same from the other side */
void filter_on_agent_line(Filter *filter, const char *line, size_t n, FilterAction *ret_action);

/** filter_on_consent() - somebody was asked about the operation */
void filter_on_consent(Filter *filter, bool yes, FilterAction *ret_action);

/** filter_on_long_line() - one of more than ASSUAN_LINE_MAX bytes came in: the connection ends */
void filter_on_long_line(Filter *filter, FilterAction *ret_action);
