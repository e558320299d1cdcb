/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine says to cases that somebody else makes up, in the words of appendix A.2. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "parts.h"

static void add(struct json_object *object, const char *name, struct json_object *value) {
        if (json_object_object_add(object, name, value) < 0)
                die("json_object_object_add");
}

static void add_text(struct json_object *object, const char *name, const char *value) {
        add(object, name, json_object_new_string(value));
}

/* @string with the case's directories replaced by {etc}, {run} and {legacy}, as the table has them. */
static struct json_object *contract(const Case *c, const char *string) {
        const struct {
                const char *name, *path;
        } names[] = { { "{etc}", c->etc }, { "{run}", c->run }, { "{legacy}", c->legacy } };
        _cleanup_free_ char *result = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&result, &n);

        if (!stream)
                die("open_memstream");
        while (*string != '\0') {
                size_t i = 0;

                while (i < ARRAY_SIZE(names) && strncmp(string, names[i].path, strlen(names[i].path)) != 0)
                        ++i;
                if (i < ARRAY_SIZE(names)) {
                        fputs(names[i].name, stream);
                        string += strlen(names[i].path);
                } else {
                        fputc(*string++, stream);
                }
        }
        fclose(stream);
        return json_object_new_string_len(result, (int)n);
}

static void add_response(struct json_object *result, const char *response) {
        struct json_object *lines = json_object_new_array();

        while (*response != '\0') {
                size_t n = strcspn(response, "\n");

                json_object_array_add(lines, json_object_new_string_len(response, (int)n));
                response += n + (response[n] == '\n');
        }
        add(result, "response", lines);
}

/* An allowed call, routed, or a refusal. */
static struct json_object *result_of(const Case *c, PolicyResolution resolution) {
        struct json_object *result = json_object_new_object();
        char text_buffer[POLICY_MESSAGE_MAX * 2];

        policy_route(c->facts, &resolution);
        if (resolution.outcome == POLICY_OUTCOME_ALLOW) {
                add_text(result, "outcome", "allow");
                if (policy_resolution_response(&resolution, text_buffer, sizeof(text_buffer)) != 0)
                        die("policy_resolution_response");
                add_response(result, text_buffer);
                return result;
        }
        add_text(result, "outcome", resolution.reason == POLICY_REASON_FAULT ? "fault" : "deny");
        add(result, "message", contract(c, policy_resolution_message(&resolution, text_buffer, sizeof(text_buffer))));
        add(result, "notify", json_object_new_boolean(resolution.notify));
        return result;
}

static struct json_object *result_of_question(const Case *c, const PolicyQuestion *question) {
        struct json_object *result = json_object_new_object(), *targets = json_object_new_array();
        struct json_object *answers = json_object_new_object();

        for (size_t i = 0; i < question->n_choices; ++i) {
                PolicyResolution resolution;

                policy_question_answer(question, policy_slice(question->choices[i]), &resolution);
                json_object_array_add(targets, json_object_new_string(question->choices[i]));
                add(answers, question->choices[i], result_of(c, resolution));
        }
        add_text(result, "outcome", "ask");
        add(result, "targets", targets);
        add_text(result, "default_target", question->default_choice ?: "");
        add(result, "notify", json_object_new_boolean(question->resolution.notify));
        add(result, "answers", answers);
        return result;
}

static const char *mode_of(const Case *c, PolicyResolution resolution, bool just_evaluate) {
        if (!just_evaluate)
                policy_route(c->facts, &resolution);
        if (resolution.outcome == POLICY_OUTCOME_ALLOW)
                return "allow";
        return resolution.outcome == POLICY_OUTCOME_DENY && resolution.reason == POLICY_REASON_FAULT ? "fault" : "deny";
}

static struct json_object *modes_of(const Case *c, const PolicyResolution *resolution, PolicyQuestion *question) {
        struct json_object *modes = json_object_new_object();
        PolicyResolution assumed = *resolution;

        case_assume_yes(question, &assumed);
        add_text(modes, "just_evaluate", mode_of(c, *resolution, true));
        add_text(modes, "assume_yes", mode_of(c, assumed, false));
        add_text(modes, "both", mode_of(c, assumed, true));
        return modes;
}

/* What the table calls fatal: errors that the reference does not report as such (A.2). */
static bool is_fatal(const char *message) {
        static const char *const fatal[] = { "invalid UTF-8", "files include each other" };

        for (size_t i = 0; i < ARRAY_SIZE(fatal); ++i)
                if (strncmp(message, fatal[i], strlen(fatal[i])) == 0)
                        return true;
        return false;
}

static struct json_object *result_of_error(const Case *c, int r, const Diagnostics *diagnostics) {
        const Diagnostic *first = &diagnostics->entries[0];
        struct json_object *result = json_object_new_object();

        add_text(result, "outcome", "error");
        add_text(result, "reason", r == POLICY_E_LOAD ? "load" : is_fatal(first->text) ? "fatal" : "syntax");
        if (r != POLICY_E_LOAD) {
                add(result, "file", contract(c, first->path));
                add(result, "line", json_object_new_int64(first->line));
        }
        add(result, "message", contract(c, first->text));
        return result;
}

static struct json_object *evaluate(Case *c) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_question_freep) PolicyQuestion *question = NULL;
        PolicyResolution resolution;
        struct json_object *result;
        int r;

        r = case_load(c, &diagnostics);
        if (r > 0)
                return result_of_error(c, r, &diagnostics);
        policy_evaluate(c->policy, c->facts, &c->request, &resolution);
        if (resolution.outcome == POLICY_OUTCOME_ASK &&
            policy_question_new(c->policy, c->facts, &resolution, &question) < 0)
                die("policy_question_new");
        result = question ? result_of_question(c, question) : result_of(c, resolution);
        add(result, "modes", modes_of(c, &resolution, question));
        return result;
}

/* Domains that cannot be, such as two of one UUID: every call is refused (6.3). */
static struct json_object *result_of_bad_inventory(void) {
        struct json_object *result = json_object_new_object(), *modes = json_object_new_object();

        add_text(result, "outcome", "fault");
        add_text(result, "message", "error getting system info");
        add(result, "notify", json_object_new_boolean(false));
        add_text(modes, "just_evaluate", "fault");
        add_text(modes, "assume_yes", "fault");
        add_text(modes, "both", "fault");
        add(result, "modes", modes);
        return result;
}

static void run_line(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id") ?: "", .object = object };
        struct json_object *result;

        case_make_files(&c);
        c.request = case_request(object);
        result = case_make_facts(&c, inventories) ? evaluate(&c) : result_of_bad_inventory();
        add_text(result, "id", c.id);
        printf("%s\n", json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        fflush(stdout);
        json_object_put(result);
        policy_unref(c.policy);
        policy_system_free(c.system);
        case_remove_files(&c);
}

int lines_run(struct json_object *inventories) {
        _cleanup_free_ char *line = NULL;
        size_t n_allocated = 0;

        while (getline(&line, &n_allocated, stdin) >= 0) {
                struct json_object *object = json_tokener_parse(line);

                if (!member(object, "request") || !case_inventory(object, inventories)) {
                        fprintf(stderr, "no case, or of an unknown inventory: %s\n", line);
                        json_object_put(object);
                        return 2;
                }
                run_line(object, inventories);
                json_object_put(object);
        }
        return ferror(stdin) || ferror(stdout) ? 2 : 0;
}
