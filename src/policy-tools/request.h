/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What arrives on the sockets that policy is asked at (policy specification, 5.10 and 5.12). Pure functions over whole
 * requests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/resolution.h"

/** Keys of a request on the policy socket, and the longest line, without its LF. */
#define POLICY_SOCKET_KEYS     6
#define POLICY_SOCKET_LINE_MAX 65536
/** A request can be no longer: each key once, and the empty line. */
#define POLICY_SOCKET_REQUEST_MAX (POLICY_SOCKET_KEYS * ((size_t)POLICY_SOCKET_LINE_MAX + 1) + 1)

/** On the sockets for domains: each of the header's two parts, and what the caller sends. */
#define POLICY_EVAL_PART_MAX    65536
#define POLICY_EVAL_SOURCE_MAX  31
#define POLICY_EVAL_TARGET_MAX  63
#define POLICY_EVAL_PAYLOAD_MAX 96
#define POLICY_EVAL_REQUEST_MAX (2 * (size_t)POLICY_EVAL_PART_MAX + POLICY_EVAL_PAYLOAD_MAX + 2)

/** Room for what is wrong with a request. A line that is quoted there is cut. */
#define POLICY_REQUEST_ERROR_MAX 1024

typedef struct PolicySocketRequest {
        PolicyRequest request; /* points into the text */
        bool assume_yes_for_ask;
        bool just_evaluate;
} PolicySocketRequest;

enum {
        _POLICY_REQUEST_E_SUCCESS,
        POLICY_REQUEST_E_MALFORMED, /* the text says what to log; "": nothing */
};

/** policy_socket_request_is_complete() - has the empty line that ends a request arrived? */
bool policy_socket_request_is_complete(const char *untrusted_text, size_t n);

/**
 * policy_socket_request_parse() - KEY=VALUE lines, up to an empty one or the end (5.10)
 * @ret_error: on failure what to log, escaped
 *
 * Return: 0 or POLICY_REQUEST_E_MALFORMED.
 */
int policy_socket_request_parse(const char *untrusted_text, size_t n, PolicySocketRequest *ret_request,
                                char ret_error[static POLICY_REQUEST_ERROR_MAX]);

typedef struct PolicyEvalRequest {
        PolicyRequest request;
        PolicySlice caller;
} PolicyEvalRequest;

/**
 * policy_eval_request_parse() - `NAME+SERVICE CALLER …` NUL SOURCE NUL TARGET (5.12, steps 1 to 6)
 * @name:           the socket's own service
 * @untrusted_text: all that came, at most POLICY_EVAL_REQUEST_MAX bytes
 *
 * Return: as policy_socket_request_parse().
 */
int policy_eval_request_parse(const char *name, const char *untrusted_text, size_t n, PolicyEvalRequest *ret_request,
                              char ret_error[static POLICY_REQUEST_ERROR_MAX]);
