/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that the broker itself makes, as dom0: a question to the person at a GUI domain (broker/prompt.h), a
 * notification (broker/notify.h). It is a call like any other, with its records in the audit, over a framed stream
 * whose other end we keep: so it reaches a domain on another host too, through its relay.
 *
 *   WAITING -- it is connected --> HELLO -- the service's HELLO --> RUNNING -- exit code --> ended
 *
 *   every state -- refused, stream closed, nonsense, an answer that is too long --> ended
 *
 * How long it may take is for whoever makes it to say: own_call_free() gives it up, and ends the service.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/name.h"

typedef struct Broker Broker;
typedef struct OwnCall OwnCall;

/** Longest standard output; a longer one is a failure. */
#define OWN_CALL_ANSWER_MAX 8192

typedef struct OwnCallEnd {
        const char *problem; /* NULL: the service exited with 0; else a few words */
        const char *untrusted_answer;
        size_t n_answer;
} OwnCallEnd;

enum {
        _OWN_CALL_E_SUCCESS,
        OWN_CALL_E_NOWHERE, /* there is no such domain with an account here, or relay that has one */
};

/**
 * own_call_new() - call @service in @target, and close its standard input behind @input
 * @input:  borrowed until this returns
 * @on_end: is told once how it ended, never before this returns; it owns the object from then on, and frees it
 *
 * Return: 0, OWN_CALL_E_NOWHERE, or a negative error.
 */
int own_call_new(Broker *broker, const DomainName *target, const char *service, const char *input, size_t n_input,
                 int (*on_end)(void *userdata, const OwnCallEnd *end), void *userdata, OwnCall **ret_own_call);

/** own_call_free() - give it up: its service is ended; accepts NULL. Return: NULL */
OwnCall *own_call_free(OwnCall *own_call);
