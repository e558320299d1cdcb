/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy-tools/request.h"

#define CALL "source=a\nintended_target=b\nservice_and_arg=s\n"

/* The edges that the conformance table leaves out; its conversations are run with the daemon. */
static void test_socket_request(void **state) {
        static const struct {
                const char *name, *text;
                int expect;
                const char *error;
        } cases[] = {
                { "complete", CALL "\n", 0, NULL },
                { "an equals sign in a value", CALL "requested_source=x=y\n\n", 0, NULL },
                { "unknown before a bad bool", "x=maybe\n" CALL, POLICY_REQUEST_E_MALFORMED,
                  "error parsing policy request: unknown argument x" },
                { "twice before a bad bool", "just_evaluate=yes\njust_evaluate=maybe\n" CALL,
                  POLICY_REQUEST_E_MALFORMED, "error parsing policy request: duplicate argument just_evaluate" },
                { "an escape in a key", "\x1b[2J=x\n" CALL, POLICY_REQUEST_E_MALFORMED,
                  "error parsing policy request: unknown argument \\x1b[2J" },
                { "no key", "=x\n" CALL, POLICY_REQUEST_E_MALFORMED,
                  "error parsing policy request: unknown argument " },
                { "no equals sign", "source\n" CALL, POLICY_REQUEST_E_MALFORMED, "" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char error[POLICY_REQUEST_ERROR_MAX] = "?";
                PolicySocketRequest request;
                int r = policy_socket_request_parse(cases[i].text, strlen(cases[i].text), &request, error);

                if (r != cases[i].expect || (cases[i].error && strcmp(error, cases[i].error) != 0))
                        fail_msg("%s: got %d, \"%s\"", cases[i].name, r, error);
        }
}

static void test_line_length(void **state) {
        static const char head[] = "intended_target=b\nservice_and_arg=s\nsource=";
        const size_t n_source = POLICY_SOCKET_LINE_MAX - strlen("source=");
        size_t n = strlen(head) + n_source;
        _cleanup_free_ char *text = malloc(n + 1);
        char error[POLICY_REQUEST_ERROR_MAX];
        PolicySocketRequest request;

        strcpy(text, head);
        memset(text + strlen(head), 'x', n_source + 1);
        assert_int_equal(policy_socket_request_parse(text, n, &request, error), 0);
        assert_int_equal(request.request.source.n, n_source);
        assert_int_equal(policy_socket_request_parse(text, n + 1, &request, error), POLICY_REQUEST_E_MALFORMED);
}

static void test_complete(void **state) {
        static const struct {
                const char *text;
                bool complete;
        } cases[] = {
                { "", false },      { "\n", true },      { "a=b", false },
                { "a=b\n", false }, { "a=b\n\n", true }, { "a=b\n\r\n", false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i)
                if (policy_socket_request_is_complete(cases[i].text, strlen(cases[i].text)) != cases[i].complete)
                        fail_msg("case %zu", i);
}

static void test_eval(void **state) {
#define CASE(_name, _text, _error) \
        { _name, _text, sizeof(_text) - 1, _error }
        static const struct {
                const char *name, *text;
                size_t n;
                const char *error; /* NULL: accepted */
        } cases[] = {
                CASE("asked", "N+s mgmt\0a\0b", NULL),
                CASE("the longest source",
                     "N+s mgmt\0"
                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0b",
                     NULL),
                CASE("a longer source",
                     "N+s mgmt\0"
                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0b",
                     "N: mgmt sent a source of length 32, but the limit is 31"),
                CASE("no target", "N+s mgmt\0a\0", "N: mgmt sent a target of length 0, but the limit is 63"),
                CASE("a bad byte", "N+s mgmt x\0a\0b/", "N: invalid data from qube mgmt"),
                CASE("another name", "M+s mgmt\0a\0b", "N invoked with incorrect name M by mgmt"),
                CASE("nothing asked", "N mgmt\0a\0b",
                     "N requires an argument, the service to ask about; mgmt gave none"),
                CASE("NUL in the name", "N+s\0 mgmt\0a\0b", ""),
                CASE("nothing", "", ""),
        };
#undef CASE

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char error[POLICY_REQUEST_ERROR_MAX] = "?";
                PolicyEvalRequest request = {};
                int r = policy_eval_request_parse("N", cases[i].text, cases[i].n, &request, error);

                if (r != (cases[i].error ? POLICY_REQUEST_E_MALFORMED : 0) ||
                    (cases[i].error && strcmp(error, cases[i].error) != 0))
                        fail_msg("%s: got %d, \"%s\"", cases[i].name, r, error);
                if (r == 0)
                        assert_true(policy_slice_equal(request.caller, POLICY_SLICE("mgmt")));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_socket_request),
                cmocka_unit_test(test_line_length),
                cmocka_unit_test(test_complete),
                cmocka_unit_test(test_eval),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
