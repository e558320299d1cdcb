/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "case.h"
#include "parts.h"

/* What a resolution comes to once it is routed: the answer lines, or a message. */
static void case_check_resolution(Case *c, const char *what, PolicyResolution resolution, struct json_object *expect) {
        const char *outcome = text(expect, "outcome");
        char got[POLICY_MESSAGE_MAX * 2];

        policy_route(c->facts, &resolution);
        if (strcmp(outcome, "fault") == 0) {
                if (resolution.outcome != POLICY_OUTCOME_DENY || resolution.reason != POLICY_REASON_FAULT)
                        case_fail(c, "%s: want a fault, got %s", what,
                                  policy_resolution_message(&resolution, got, sizeof(got)));
        } else if (strcmp(outcome, "deny") == 0) {
                _cleanup_free_ char *want = expand(c, text(expect, "message"));

                if (resolution.outcome != POLICY_OUTCOME_DENY) {
                        case_fail(c, "%s: want \"%s\", got outcome %d", what, want, (int)resolution.outcome);
                        return;
                }
                policy_resolution_message(&resolution, got, sizeof(got));
                if (is_ascii(want))
                        case_same(c, what, got, want);
                if (member(expect, "notify") && json_object_get_boolean(member(expect, "notify")) != resolution.notify)
                        case_fail(c, "%s: notify is %d", what, resolution.notify);
        } else if (strcmp(outcome, "allow") == 0) {
                struct json_object *lines = member(expect, "response");
                char want[POLICY_MESSAGE_MAX * 2] = "";

                for (size_t i = 0; i < json_object_array_length(lines); ++i)
                        snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s%s", i > 0 ? "\n" : "",
                                 json_object_get_string(json_object_array_get_idx(lines, i)));
                if (policy_resolution_response(&resolution, got, sizeof(got)) != 0)
                        case_fail(c, "%s: the answer does not fit", what);
                else
                        case_same(c, what, got, want);
        } else {
                case_fail(c, "%s: want %s, got outcome %d", what, outcome, (int)resolution.outcome);
        }
}

static void case_check_question(Case *c, const PolicyQuestion *question, struct json_object *expect) {
        struct json_object *targets = member(expect, "targets"), *answers = member(expect, "answers");
        char got[POLICY_MESSAGE_MAX] = "", want[POLICY_MESSAGE_MAX] = "";

        for (size_t i = 0; i < question->n_choices; ++i)
                snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s ", question->choices[i]);
        for (size_t i = 0; i < json_object_array_length(targets); ++i)
                snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s ",
                         json_object_get_string(json_object_array_get_idx(targets, i)));
        case_same(c, "choices", got, want);
        case_same(c, "default choice", question->default_choice ?: "", text(expect, "default_target"));
        if (json_object_get_boolean(member(expect, "notify")) != question->resolution.notify)
                case_fail(c, "notify is %d", question->resolution.notify);
        if (answers) {
                json_object_object_foreach(answers, choice, answer) {
                        PolicyResolution resolution;

                        policy_question_answer(question, policy_slice(choice), &resolution);
                        case_check_resolution(c, choice, resolution, answer);
                }
        }
}

static void case_check_mode(Case *c, const char *mode, PolicyResolution resolution, bool just_evaluate,
                            struct json_object *modes) {
        const char *want = text(modes, mode);

        if (!want)
                return;
        if (!just_evaluate)
                policy_route(c->facts, &resolution);
        case_same(c, mode, resolution.outcome == POLICY_OUTCOME_ALLOW ? "allow" : "deny",
                  strcmp(want, "fault") == 0 ? "deny" : want);
}

static void case_check_modes(Case *c, const PolicyResolution *resolution, PolicyQuestion *question,
                             struct json_object *modes) {
        PolicyResolution assumed = *resolution;

        case_assume_yes(question, &assumed);
        case_check_mode(c, "just_evaluate", *resolution, true, modes);
        case_check_mode(c, "assume_yes", assumed, false, modes);
        case_check_mode(c, "both", assumed, true, modes);
}

static void case_evaluate(Case *c) {
        struct json_object *expect = member(c->object, "expect");
        const char *outcome = text(expect, "outcome");
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        PolicyResolution resolution;
        int r;

        policy_evaluate(c->policy, c->facts, &c->request, &resolution);
        if (resolution.outcome == POLICY_OUTCOME_ASK) {
                r = policy_question_new(c->policy, c->facts, &resolution, &question);
                if (r < 0)
                        die("policy_question_new");
                if ((r == POLICY_QUESTION_E_DENIED) != (resolution.outcome == POLICY_OUTCOME_DENY))
                        case_fail(c, "a question that is none, or the other way round");
        }
        if (question && strcmp(outcome, "ask") == 0)
                case_check_question(c, question, expect);
        else
                case_check_resolution(c, "outcome", resolution, expect);
        case_check_modes(c, &resolution, question, member(expect, "modes"));
}

static void case_check_error(Case *c, int r, const Diagnostics *diagnostics) {
        struct json_object *expect = member(c->object, "expect");
        const char *reason = text(expect, "reason");
        const Diagnostic *first = &diagnostics->entries[0];
        _cleanup_free_ char *want = NULL, *file = NULL;

        if (strcmp(text(expect, "outcome"), "error") != 0) {
                case_fail(c, "not loaded: %s:%u: %s", first->path, first->line, first->text);
                return;
        }
        want = expand(c, text(expect, "message"));
        if (diagnostics->n_entries == 0)
                case_fail(c, "no diagnostic");
        else if (strcmp(reason, "load") == 0 && r == POLICY_E_LOAD)
                case_same(c, "load error", first->text, want);
        else if (strcmp(reason, "syntax") == 0 && r == POLICY_E_SYNTAX) {
                file = expand(c, text(expect, "file"));
                if (is_ascii(want))
                        case_same(c, "syntax error", first->text, want);
                case_same(c, "file", first->path, file);
                if (json_object_get_int(member(expect, "line")) != (int)first->line)
                        case_fail(c, "line %u", first->line);
        } else if (strcmp(reason, "fatal") != 0 || r != POLICY_E_SYNTAX) {
                case_fail(c, "want a %s error, got: %s", reason, first->text);
        }
}

bool case_run(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        c.request = case_request(object);
        case_make_files(&c);
        if (!case_make_facts(&c, inventories))
                die("the inventory");
        r = case_load(&c, &diagnostics);
        if (r > 0)
                case_check_error(&c, r, &diagnostics);
        else if (diagnostics.n_entries > 0)
                case_fail(&c, "loaded, with a diagnostic: %s", diagnostics.entries[0].text);
        else if (strcmp(text(member(object, "expect"), "outcome"), "error") == 0)
                case_fail(&c, "loaded, want \"%s\"", text(member(object, "expect"), "message"));
        else
                case_evaluate(&c);
        if (member(object, "wire"))
                case_check_wire(&c, inventories);
        policy_unref(c.policy);
        policy_system_free(c.system);
        case_remove_files(&c);
        return c.n_failed == 0;
}
