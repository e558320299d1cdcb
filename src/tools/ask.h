/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asking the broker: management is calls, so qair makes one, like anybody else, with qrexec-client-vm. As root it is
 * dom0's own, which is always served; as the account of a domain it is that domain's, and the policy decides.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "base/cleanup.h"

static inline struct json_object *ask_unref(struct json_object *object) {
        json_object_put(object);
        return NULL;
}
DEFINE_CLEANUP(struct json_object *, ask_unref)
/** An object that is put when its variable goes out of scope. */
#define _cleanup_json_ _cleanup_(ask_unrefp) struct json_object *

enum {
        _ASK_E_SUCCESS,
        ASK_E_REFUSED, /* no answer; why not was said on standard error */
};

/**
 * ask() - call a service of the broker
 * @service:    qair.NAME or qair.NAME+ARGUMENT
 * @ret_answer: an object; the caller's
 * @ret_status: exit code of the service
 *
 * Return: 0, ASK_E_REFUSED, or a negative error.
 */
int ask(const char *service, struct json_object **ret_answer, int *ret_status);

/**
 * ask_all() - all pages of an answer in one
 * @list: the member that goes on
 * @last: the member of its last entry that the question for the next page names
 *
 * Return: as ask().
 */
int ask_all(const char *service, const char *list, const char *last, struct json_object **ret_answer);

/**
 * ask_agent() - is the agent of a domain that runs well enough to say that it has no such service?
 *
 * An ordinary call, which is recorded as one. Return: 0, ASK_E_REFUSED, or a negative error.
 */
int ask_agent(const char *domain, bool *ret_answers);

/**
 * ask_each() - ask() about each of several things
 * @service:   is asked with one of @arguments at a time
 * @json:      print the answers, for programs
 * @tell:      else: says what was answered about @argument, and returns an exit status
 *
 * Return: the first exit status that is not COMMAND_STATUS_DONE, or a negative error.
 */
int ask_each(const char *service, char **arguments, int n_arguments, bool json,
             int (*tell)(const char *argument, struct json_object *answer, int status));

/** How long to wait for what is known at once. */
#define ASK_QUIETLY_MSEC 2000

/**
 * ask_quietly() - ask(), for what is nice to know: says nothing, and gives up after @limit_msec
 *
 * Return: 0, ASK_E_REFUSED, or a negative error.
 */
int ask_quietly(const char *service, int limit_msec, struct json_object **ret_answer);

/** ask_text(), ask_number(), ask_flag() - a member; "", 0 or false if there is none. Text is borrowed */
const char *ask_text(struct json_object *object, const char *key);
uint64_t ask_number(struct json_object *object, const char *key);
bool ask_flag(struct json_object *object, const char *key);

/** ask_print_json() - the object, for programs: one line on standard output. Return: 0 or a negative error */
int ask_print_json(struct json_object *object);

/** ask_duration() - microseconds for people: "17 us", "2.3 ms", "5 min". Return: @buffer */
const char *ask_duration(uint64_t usec, char buffer[static 32]);
