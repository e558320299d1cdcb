/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What broker and agent tell each other about running calls on `local` links (doc/protocol.md). Integers are
 * little-endian, like everything else.
 *
 *   CALL_ENDED, agent to broker:  u32 call id, u32 how, i32 status, u64 µs from start to end
 *   CALL_KILL,  broker to agent:  u32 call id
 *   CALL_LIST,  agent to broker:  u32 call id, any number of them; the first message after HELLO
 *   CALL_DRAIN, agent to broker:  the same: these run here, and no more are taken
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CALL_ENDED_SIZE 20
#define CALL_KILL_SIZE  4
/** Most calls that one agent runs at a time: all their ids fit one packet of the link. */
#define CALL_LIST_MAX 16000

typedef enum CallHow {
        CALL_HOW_EXITED = 0,      /* the service exited; status is its exit code */
        CALL_HOW_SIGNALLED = 1,   /* a signal ended it; status is 128 + its number */
        CALL_HOW_NOT_FOUND = 2,   /* there is no such service here; status is 127 */
        CALL_HOW_NOT_STARTED = 3, /* it could not be started; status is 125 */
        CALL_HOW_DETACHED = 4,    /* JUST_EXEC: started, nobody waits for its end */
        CALL_HOW_KILLED = 5,      /* ended by CALL_KILL */
        CALL_HOW_ABANDONED = 6,   /* the data connection broke before the service ended; status is the service's */
        _CALL_HOW_N,
} CallHow;

enum {
        _CALL_E_SUCCESS,
        CALL_E_MALFORMED,
};

typedef struct CallEnded {
        uint32_t id;
        CallHow how;
        int32_t status;
        uint64_t run_usec;
} CallEnded;

/** call_ended_decode() - the payload; an unknown way to end, or a status above 255, is refused. Return: 0 or CALL_E_MALFORMED */
int call_ended_decode(const uint8_t *untrusted_data, size_t n, CallEnded *ret_ended);
/** call_ended_encode() - a whole message, header included */
void call_ended_encode(const CallEnded *ended, uint8_t ret_data[static 8 + CALL_ENDED_SIZE]);

/** call_kill_decode() - the payload: an id. Return: 0 or CALL_E_MALFORMED */
int call_kill_decode(const uint8_t *untrusted_data, size_t n, uint32_t *ret_id);
/** call_kill_encode() - a whole message, header included */
void call_kill_encode(uint32_t id, uint8_t ret_data[static 8 + CALL_KILL_SIZE]);

/**
 * call_list_decode() - ids in @ret_ids, which holds CALL_LIST_MAX
 *
 * Return: 0 or CALL_E_MALFORMED (more than CALL_LIST_MAX, or half an id).
 */
int call_list_decode(const uint8_t *untrusted_data, size_t n, uint32_t ret_ids[static CALL_LIST_MAX],
                     size_t *ret_n_ids);
/**
 * call_list_encode() - a whole message, header included
 *
 * Return: 0 or a negative error (does not fit @n_max, or more than CALL_LIST_MAX ids, which no decoder takes).
 */
int call_list_encode(const uint32_t *ids, size_t n_ids, uint8_t *ret_data, size_t n_max, size_t *ret_n);

/** call_drain_encode() - the same for a CALL_DRAIN, which call_list_decode() decodes */
int call_drain_encode(const uint32_t *ids, size_t n_ids, uint8_t *ret_data, size_t n_max, size_t *ret_n);

/** call_how_text() - a word for the log, such as "exited" */
const char *call_how_text(CallHow how);
