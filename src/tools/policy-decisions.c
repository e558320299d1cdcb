/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of `qair policy` that are about decisions: explain, test, diff. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/file.h"
#include "base/name.h"
#include "policy-tools/assertion.h"
#include "policy-tools/compare.h"
#include "policy-tools/explain.h"
#include "policy/lexer.h"
#include "tools/command.h"
#include "tools/policy.h"

/** Size of a file of assertions. */
#define ASSERTIONS_SIZE_MAX ((size_t)4 << 20)

static int load(const PolicyOptions *options, PolicySystem **ret_system, Policy **ret_policy) {
        int status = policy_options_load_system(options, ret_system);

        return status ?: policy_options_load_policy(options, NULL, ret_policy);
}

/* NAME or NAME+ARGUMENT, as it can be called: what the broker would never ask policy about is not explained. */
static int check_service(const char *service) {
        size_t n = strcspn(service, "+");
        int r = service_name_check(service, n);

        if (r == 0)
                return COMMAND_STATUS_DONE;
        command_complain("'%s' is no service's name, it %s", ESCAPED(service, n), name_error_text(r));
        return COMMAND_STATUS_USAGE;
}

int policy_verb_explain(const PolicyOptions *options) {
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        int status, r;

        if (options->n_arguments != (options->all ? 1 : 3)) {
                command_complain("policy explain: write SOURCE TARGET SERVICE, or --all SERVICE");
                return COMMAND_STATUS_USAGE;
        }
        status = check_service(options->arguments[options->n_arguments - 1]);
        status = status ?: load(options, &system, &policy);
        if (status)
                return status;
        if (options->all)
                r = policy_explain_matrix(stdout, policy, system, options->arguments[0]);
        else
                r = policy_explain(stdout, policy, system,
                                   &(PolicyRequest){ .source = policy_slice(options->arguments[0]),
                                                     .requested_source = policy_slice(options->relayed),
                                                     .target = policy_slice(options->arguments[1]),
                                                     .service = policy_slice(options->arguments[2]) });
        return r < 0 ? error_trace(r) : COMMAND_STATUS_DONE;
}

/*
 * Assertions
 */

typedef struct TestRun {
        Policy *policy;
        const PolicySystem *system;
        Diagnostics diagnostics;
        size_t n_held, n_failed, n_broken;
} TestRun;

static int test_show_difference(const char *path, PolicySlice line, const PolicyAssertion *assertion,
                                const PolicyDecision *decision) {
        _cleanup_free_ char *want = policy_assertion_format(assertion), *got = policy_decision_format(decision);
        _cleanup_free_ char *rule = decision->resolution.rule ? policy_rule_show(decision->resolution.rule) : NULL;
        size_t n_call = (size_t)(assertion->request.service.text + assertion->request.service.n - line.text);

        if (!want || !got)
                return error_origin(-ENOMEM);
        printf("%s:%u: %s\n- %s\n+ %s", path, assertion->line, ESCAPED(line.text, n_call), want, got);
        /* Fields that have their usual value are not in the text, but one of them may be what differs. */
        for (size_t i = 0; i < _POLICY_FIELD_N; ++i)
                if (assertion->has_field[i] && decision->fields[i] && decision->is_usual[i])
                        printf(" %s=%s", policy_field_name((PolicyField)i), decision->fields[i]);
        if (decision->message)
                printf("   (%s)", decision->message);
        putchar('\n');
        if (rule)
                printf("  %s\n", rule);
        return 0;
}

static int test_line(TestRun *run, const char *path, unsigned number, PolicySlice line) {
        _cleanup_(policy_decision_deinit) PolicyDecision decision = {};
        PolicyAssertion assertion;
        int r;

        r = policy_assertion_parse(path, number, line, &run->diagnostics, &assertion);
        if (r == POLICY_ASSERTION_E_NOTHING)
                return 0;
        if (r == POLICY_ASSERTION_E_SYNTAX) {
                ++run->n_broken;
                return 0;
        }
        if (r < 0)
                return error_trace(r);
        r = policy_decide(run->policy, run->system, &assertion.request, &decision);
        if (r < 0)
                return error_trace(r);
        if (policy_assertion_holds(&assertion, &decision)) {
                ++run->n_held;
                return 0;
        }
        ++run->n_failed;
        return test_show_difference(path, line, &assertion, &decision);
}

static int test_file(TestRun *run, const char *path) {
        _cleanup_free_ char *data = NULL;
        PolicyLines lines;
        PolicySlice line;
        unsigned bad;
        size_t n;
        int r;

        r = file_read(AT_FDCWD, path, ASSERTIONS_SIZE_MAX, &data, &n);
        if (r < 0)
                return error_trace(r);
        if (r > 0) {
                ++run->n_broken;
                command_complain("%s: %s", path, file_error_text(r));
                return 0;
        }
        bad = policy_utf8_check((PolicySlice){ data, n });
        if (bad > 0) {
                ++run->n_broken;
                return error_trace(diagnostics_add(&run->diagnostics, path, bad, 0, "invalid UTF-8"));
        }
        lines = POLICY_LINES_INIT(((PolicySlice){ data, n }));
        while (policy_lines_next(&lines, &line)) {
                r = test_line(run, path, lines.line, line);
                if (r < 0)
                        return r;
        }
        return 0;
}

int policy_verb_test(const PolicyOptions *options) {
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        TestRun run = {};
        int status, r = 0;

        status = load(options, &system, &policy);
        if (status)
                return status;
        run.policy = policy;
        run.system = system;
        for (size_t i = 0; i < options->n_arguments && r == 0; ++i)
                r = test_file(&run, options->arguments[i]);
        command_print_diagnostics(&run.diagnostics);
        diagnostics_deinit(&run.diagnostics);
        if (r < 0)
                return r;
        printf("%zu of %zu assertions hold\n", run.n_held, run.n_held + run.n_failed);
        if (run.n_broken > 0)
                return COMMAND_STATUS_USAGE;
        if (run.n_held + run.n_failed == 0) {
                command_complain("policy test: there are no assertions");
                return COMMAND_STATUS_FAILED;
        }
        return run.n_failed > 0 ? COMMAND_STATUS_FAILED : COMMAND_STATUS_DONE;
}

int policy_verb_diff(const PolicyOptions *options) {
        _cleanup_(policy_system_freep) PolicySystem *system = NULL;
        _cleanup_(policy_unrefp) Policy *old_policy = NULL;
        _cleanup_(policy_unrefp) Policy *new_policy = NULL;
        size_t n;
        int status, r;

        /* As diff(1): 1 says that there are differences, so what cannot be compared is 2. */
        status = policy_options_load_system(options, &system);
        status = status ?: policy_options_load_policy(options, options->arguments[0], &old_policy);
        status = status ?: policy_options_load_policy(options, options->arguments[1], &new_policy);
        if (status)
                return status == COMMAND_STATUS_FAILED ? COMMAND_STATUS_USAGE : status;
        r = policy_compare(stdout, old_policy, new_policy, system, &n);
        if (r < 0)
                return error_trace(r);
        return n > 0 ? COMMAND_STATUS_FAILED : COMMAND_STATUS_DONE;
}
