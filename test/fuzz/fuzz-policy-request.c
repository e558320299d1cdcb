/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy-tools/request.h"

static bool same(PolicySlice a, PolicySlice b) {
        return policy_slice_equal(a, b);
}

/* What is accepted means the same when it is written down again, in our order. */
static void check_socket(const uint8_t *data, size_t n) {
        char error[POLICY_REQUEST_ERROR_MAX];
        PolicySocketRequest request, again;
        _cleanup_free_ char *text = NULL;
        size_t n_text = 0;
        FILE *stream;

        (void)policy_socket_request_is_complete((const char *)data, n);
        if (policy_socket_request_parse((const char *)data, n, &request, error)) {
                fuzz_check(strlen(error) < sizeof(error));
                return;
        }
        stream = open_memstream(&text, &n_text);
        fuzz_check(stream != NULL);
        fprintf(stream,
                "just_evaluate=%s\nassume_yes_for_ask=%s\nrequested_source=", request.just_evaluate ? "yes" : "no",
                request.assume_yes_for_ask ? "yes" : "no");
        fwrite(request.request.requested_source.text, 1, request.request.requested_source.n, stream);
        fputs("\nservice_and_arg=", stream);
        fwrite(request.request.service.text, 1, request.request.service.n, stream);
        fputs("\nintended_target=", stream);
        fwrite(request.request.target.text, 1, request.request.target.n, stream);
        fputs("\nsource=", stream);
        fwrite(request.request.source.text, 1, request.request.source.n, stream);
        fputs("\n\n", stream);
        fclose(stream);
        fuzz_check(policy_socket_request_is_complete(text, n_text));
        fuzz_check(policy_socket_request_parse(text, n_text, &again, error) == 0);
        fuzz_check(same(again.request.source, request.request.source));
        fuzz_check(same(again.request.requested_source, request.request.requested_source));
        fuzz_check(same(again.request.target, request.request.target));
        fuzz_check(same(again.request.service, request.request.service));
        fuzz_check(again.just_evaluate == request.just_evaluate);
        fuzz_check(again.assume_yes_for_ask == request.assume_yes_for_ask);
}

static void check_eval(const uint8_t *data, size_t n) {
        char error[POLICY_REQUEST_ERROR_MAX];
        PolicyEvalRequest request;

        if (policy_eval_request_parse("policy.EvalSimple", (const char *)data, n, &request, error))
                return;
        fuzz_check(request.request.source.n >= 1 && request.request.source.n <= POLICY_EVAL_SOURCE_MAX);
        fuzz_check(request.request.target.n >= 1 && request.request.target.n <= POLICY_EVAL_TARGET_MAX);
        fuzz_check(request.request.service.n >= 1 && request.request.service.text[0] != '+');
        fuzz_check(!memchr(request.request.target.text, '\0', request.request.target.n));
        fuzz_check(!memchr(request.caller.text, ' ', request.caller.n));
        /* The caller's part ends the request. */
        fuzz_check(request.request.target.text + request.request.target.n == (const char *)data + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        check_socket(data, n);
        check_eval(data, n);
        return 0;
}
