/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"

static int request_fail(char *error, const char *format, ...) _printf_(2, 3);
static int request_fail(char *error, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(error, POLICY_REQUEST_ERROR_MAX, format, arguments);
        va_end(arguments);
        return POLICY_REQUEST_E_MALFORMED;
}

/*
 * The policy socket
 */

typedef enum SocketKey {
        SOCKET_KEY_SOURCE,
        SOCKET_KEY_TARGET,
        SOCKET_KEY_SERVICE,
        SOCKET_KEY_REQUESTED_SOURCE,
        SOCKET_KEY_ASSUME_YES,
        SOCKET_KEY_JUST_EVALUATE,
        _SOCKET_KEY_N,
} SocketKey;

_Static_assert(_SOCKET_KEY_N == POLICY_SOCKET_KEYS, "the longest request has each key once");

static const struct {
        const char *name;
        bool is_required, is_bool;
} socket_keys[_SOCKET_KEY_N] = {
        [SOCKET_KEY_SOURCE] = { "source", true, false },
        [SOCKET_KEY_TARGET] = { "intended_target", true, false },
        [SOCKET_KEY_SERVICE] = { "service_and_arg", true, false },
        [SOCKET_KEY_REQUESTED_SOURCE] = { "requested_source", false, false },
        [SOCKET_KEY_ASSUME_YES] = { "assume_yes_for_ask", false, true },
        [SOCKET_KEY_JUST_EVALUATE] = { "just_evaluate", false, true },
};

typedef struct SocketValues {
        PolicySlice values[_SOCKET_KEY_N];
        bool has[_SOCKET_KEY_N];
} SocketValues;

static bool slice_is_ascii(PolicySlice slice) {
        for (size_t i = 0; i < slice.n; ++i)
                if ((unsigned char)slice.text[i] >= 0x80)
                        return false;
        return true;
}

/* The next line, without its LF. Return: false if there is none, or it is empty */
static bool socket_next_line(PolicySlice *rest, PolicySlice *ret_line) {
        const char *newline = rest->n > 0 ? memchr(rest->text, '\n', rest->n) : NULL;
        PolicySlice line = *rest;

        if (newline)
                line.n = (size_t)(newline - rest->text);
        *rest = policy_slice_skip(*rest, line.n + (newline ? 1 : 0));
        *ret_line = line;
        return line.n > 0;
}

static int socket_add_line(SocketValues *values, PolicySlice line, char *error) {
        const char *sign = memchr(line.text, '=', line.n);
        PolicySlice key = line, value;
        unsigned i = 0;

        if (line.n > POLICY_SOCKET_LINE_MAX || !sign || !slice_is_ascii(line))
                return request_fail(error, "%s", "");
        key.n = (size_t)(sign - line.text);
        value = policy_slice_skip(line, key.n + 1);
        while (i < _SOCKET_KEY_N && !policy_slice_equal(key, policy_slice(socket_keys[i].name)))
                ++i;
        if (i < _SOCKET_KEY_N && values->has[i])
                return request_fail(error, "error parsing policy request: duplicate argument %s", socket_keys[i].name);
        if (i == _SOCKET_KEY_N)
                return request_fail(error, "error parsing policy request: unknown argument %s",
                                    ESCAPED(key.text, key.n));
        if (socket_keys[i].is_bool && !policy_slice_equal(value, POLICY_SLICE("yes")) &&
            !policy_slice_equal(value, POLICY_SLICE("no")))
                return request_fail(error, "error parsing policy request: invalid bool value %s for argument %s",
                                    ESCAPED(value.text, value.n), socket_keys[i].name);
        values->has[i] = true;
        values->values[i] = value;
        return 0;
}

bool policy_socket_request_is_complete(const char *untrusted_text, size_t n) {
        return n > 0 && (untrusted_text[0] == '\n' || memmem(untrusted_text, n, "\n\n", 2));
}

int policy_socket_request_parse(const char *untrusted_text, size_t n, PolicySocketRequest *ret_request,
                                char ret_error[static POLICY_REQUEST_ERROR_MAX]) {
        PolicySlice rest = { untrusted_text, n }, line;
        SocketValues values = {};

        while (socket_next_line(&rest, &line)) {
                int r = socket_add_line(&values, line, ret_error);

                if (r)
                        return r;
        }
        for (size_t i = 0; i < _SOCKET_KEY_N; ++i)
                if (socket_keys[i].is_required && !values.has[i])
                        return request_fail(ret_error, "error parsing policy request: required argument missing");
        *ret_request = (PolicySocketRequest){
                .request = { .source = values.values[SOCKET_KEY_SOURCE],
                             .requested_source = values.values[SOCKET_KEY_REQUESTED_SOURCE],
                             .target = values.values[SOCKET_KEY_TARGET],
                             .service = values.values[SOCKET_KEY_SERVICE] },
                .assume_yes_for_ask = policy_slice_equal(values.values[SOCKET_KEY_ASSUME_YES], POLICY_SLICE("yes")),
                .just_evaluate = policy_slice_equal(values.values[SOCKET_KEY_JUST_EVALUATE], POLICY_SLICE("yes")),
        };
        return 0;
}

/*
 * The sockets for domains
 */

/* Takes what is in front of the first @end off @rest. Return: false if there is no @end, or only after @n_max bytes */
static bool eval_take(PolicySlice *rest, char end, size_t n_max, PolicySlice *ret_part) {
        const char *found = rest->n > 0 ? memchr(rest->text, end, rest->n) : NULL;

        if (!found || (size_t)(found - rest->text) > n_max)
                return false;
        *ret_part = (PolicySlice){ rest->text, (size_t)(found - rest->text) };
        *rest = policy_slice_skip(*rest, ret_part->n + 1);
        return true;
}

static bool eval_is_name(PolicySlice slice) {
        static const char characters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@_-.";

        for (size_t i = 0; i < slice.n; ++i)
                if (slice.text[i] == '\0' || !strchr(characters, slice.text[i]))
                        return false;
        return true;
}

/* SOURCE NUL TARGET; from the caller (steps 4 to 6). */
static int eval_parse_payload(const char *name, PolicySlice payload, PolicyEvalRequest *request, char *error) {
        PolicySlice caller = request->caller, source, target = payload;

        if (!eval_take(&target, '\0', payload.n, &source))
                return request_fail(error, "%s", "");
        if (target.n < 1 || target.n > POLICY_EVAL_TARGET_MAX)
                return request_fail(error, "%s: %s sent a target of length %zu, but the limit is %d", name,
                                    ESCAPED(caller.text, caller.n), target.n, POLICY_EVAL_TARGET_MAX);
        if (source.n < 1 || source.n > POLICY_EVAL_SOURCE_MAX)
                return request_fail(error, "%s: %s sent a source of length %zu, but the limit is %d", name,
                                    ESCAPED(caller.text, caller.n), source.n, POLICY_EVAL_SOURCE_MAX);
        if (!eval_is_name(source) || !eval_is_name(target))
                return request_fail(error, "%s: invalid data from qube %s", name, ESCAPED(caller.text, caller.n));
        request->request.source = source;
        request->request.target = target;
        return 0;
}

int policy_eval_request_parse(const char *name, const char *untrusted_text, size_t n, PolicyEvalRequest *ret_request,
                              char ret_error[static POLICY_REQUEST_ERROR_MAX]) {
        PolicySlice rest = { untrusted_text, n }, called, words, service;
        PolicyEvalRequest request = {};
        const char *plus, *space;
        size_t n_name;
        int r;

        if (!eval_take(&rest, ' ', POLICY_EVAL_PART_MAX, &called) ||
            !eval_take(&rest, '\0', POLICY_EVAL_PART_MAX, &words) || memchr(called.text, '\0', called.n))
                return request_fail(ret_error, "%s", "");
        space = words.n > 0 ? memchr(words.text, ' ', words.n) : NULL;
        request.caller = (PolicySlice){ words.text, space ? (size_t)(space - words.text) : words.n };

        plus = called.n > 0 ? memchr(called.text, '+', called.n) : NULL;
        n_name = plus ? (size_t)(plus - called.text) : called.n;
        if (!policy_slice_equal((PolicySlice){ called.text, n_name }, policy_slice(name)))
                return request_fail(ret_error, "%s invoked with incorrect name %s by %s", name,
                                    ESCAPED(called.text, n_name), ESCAPED(request.caller.text, request.caller.n));
        service = policy_slice_skip(called, n_name + (plus ? 1 : 0));
        if (service.n == 0 || service.text[0] == '+')
                return request_fail(ret_error, "%s requires an argument, the service to ask about; %s gave none", name,
                                    ESCAPED(request.caller.text, request.caller.n));
        request.request.service = service;
        r = eval_parse_payload(name, rest, &request, ret_error);
        if (r == 0)
                *ret_request = request;
        return r;
}
