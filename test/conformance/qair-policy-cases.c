/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the policy engine over the cases of policy-cases.json, each of which was checked against the reference: the
 * files of a case are written to a directory of its own, loaded, and one request is evaluated with all that follows
 * from it (the three ways to ask without asking, every answer to a question, the answer on the policy socket).
 *
 * The checker is run on a text; the graph tool, the Admin API and the daemon's sockets as the programs that are
 * installed. Not looked at: of the cases about the whole request handler, `calls` to the agent and the `log`.
 *
 * Usage: qair-policy-cases FILE [ID…]
 */
#include <errno.h>
#include <ftw.h>
#include <json-c/json.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "policy/evaluate.h"
#include "policy/facts.h"
#include "policy/policy.h"
#include "policy/question.h"
#include "policy-tools/check.h"
#include "policy-tools/system.h"

typedef struct Case {
        const char *id;
        struct json_object *object;
        char root[PATH_MAX]; /* with the three directories in it */
        char etc[PATH_MAX + 16], run[PATH_MAX + 16], legacy[PATH_MAX + 16];
        unsigned n_failed;
        PolicySystem *system;
        PolicyFacts *facts; /* of the system */
        Policy *policy;
        PolicyRequest request;
} Case;

/* For what is wrong with the machine or the table, not with the engine. */
static void die(const char *what) {
        perror(what);
        exit(2);
}

static void case_fail(Case *c, const char *format, ...) _printf_(2, 3);
static void case_fail(Case *c, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        printf("%s: ", c->id);
        vprintf(format, arguments);
        printf("\n");
        va_end(arguments);
        ++c->n_failed;
}

static void case_same(Case *c, const char *what, const char *got, const char *want) {
        if (strcmp(got, want) != 0)
                case_fail(c, "%s: got \"%s\", want \"%s\"", what, got, want);
}

/*
 * The table
 */

static struct json_object *member(struct json_object *object, const char *name) {
        struct json_object *value = NULL;

        return object && json_object_object_get_ex(object, name, &value) ? value : NULL;
}

static const char *text(struct json_object *object, const char *name) {
        struct json_object *value = member(object, name);

        return value ? json_object_get_string(value) : NULL;
}

/* A copy of @string with {etc}, {run} and {legacy} filled in. */
static char *expand(const Case *c, const char *string) {
        const struct {
                const char *name, *path;
        } names[] = { { "{etc}", c->etc }, { "{run}", c->run }, { "{legacy}", c->legacy } };
        char *result = NULL;
        size_t n_result = 0;
        FILE *stream = open_memstream(&result, &n_result);

        if (!stream)
                die("open_memstream");
        while (*string != '\0') {
                size_t i = 0;

                while (i < ARRAY_SIZE(names) && strncmp(string, names[i].name, strlen(names[i].name)) != 0)
                        ++i;
                if (i < ARRAY_SIZE(names)) {
                        fputs(names[i].path, stream);
                        string += strlen(names[i].name);
                } else {
                        fputc(*string++, stream);
                }
        }
        if (fclose(stream) != 0)
                die("fclose");
        return result;
}

/* Characters beyond ASCII may be quoted in more than one way (appendix A.2). */
static bool is_ascii(const char *string) {
        while (*string != '\0')
                if ((unsigned char)*string++ >= 0x80)
                        return false;
        return true;
}

/*
 * Files
 */

static void make_directories(const char *path) {
        char copy[PATH_MAX * 2];

        snprintf(copy, sizeof(copy), "%s", path);
        for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(copy, 0755) < 0 && errno != EEXIST)
                        die(copy);
                *slash = '/';
        }
}

static void case_write(const Case *c, const char *name, const char *data, size_t n) {
        char path[PATH_MAX * 2];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%s", c->root, name);
        make_directories(path);
        if (path[strlen(path) - 1] == '/')
                return;
        file = fopen(path, "wb");
        if (!file || fwrite(data, 1, n, file) != n || fclose(file) != 0)
                die(path);
}

static void case_write_hex(const Case *c, const char *name, const char *hex) {
        size_t n = strlen(hex) / 2;
        _cleanup_free_ char *data = malloc(n + 1);

        if (!data)
                die("malloc");
        for (size_t i = 0; i < n; ++i) {
                char digits[3] = { hex[2 * i], hex[2 * i + 1], '\0' };

                data[i] = (char)strtoul(digits, NULL, 16);
        }
        case_write(c, name, data, n);
}

static void case_link(const Case *c, const char *name, const char *target) {
        _cleanup_free_ char *expanded = expand(c, target);
        char path[PATH_MAX * 2];

        snprintf(path, sizeof(path), "%s/%s", c->root, name);
        make_directories(path);
        if (symlink(expanded, path) < 0)
                die(path);
}

static bool case_lacks(const Case *c, const char *directory) {
        struct json_object *absent = member(c->object, "absent");

        for (size_t i = 0; absent && i < json_object_array_length(absent); ++i)
                if (strcmp(json_object_get_string(json_object_array_get_idx(absent, i)), directory) == 0)
                        return true;
        return false;
}

static void case_make_files(Case *c) {
        static const char *const directories[] = { "etc", "run", "legacy" };
        struct json_object *files = member(c->object, "files"), *hex = member(c->object, "files_hex");
        struct json_object *links = member(c->object, "links");
        char template[] = "/tmp/qair-policy-cases.XXXXXX";

        if (!mkdtemp(template) || !realpath(template, c->root))
                die(template);
        snprintf(c->etc, sizeof(c->etc), "%s/etc", c->root);
        snprintf(c->run, sizeof(c->run), "%s/run", c->root);
        snprintf(c->legacy, sizeof(c->legacy), "%s/legacy", c->root);
        for (size_t i = 0; i < ARRAY_SIZE(directories); ++i) {
                char name[16];

                snprintf(name, sizeof(name), "%s/", directories[i]);
                if (!case_lacks(c, directories[i]))
                        case_write(c, name, "", 0);
        }
        if (files) {
                json_object_object_foreach(files, name, value) {
                        const char *raw = json_object_get_string(value);
                        _cleanup_free_ char *expanded = NULL;

                        /* A content with NUL in it has no placeholders, and would be cut at it. */
                        if (strlen(raw) < (size_t)json_object_get_string_len(value)) {
                                case_write(c, name, raw, (size_t)json_object_get_string_len(value));
                                continue;
                        }
                        expanded = expand(c, raw);
                        case_write(c, name, expanded, strlen(expanded));
                }
        }
        if (hex) {
                json_object_object_foreach(hex, name, value) case_write_hex(c, name, json_object_get_string(value));
        }
        if (links) {
                json_object_object_foreach(links, name, value) case_link(c, name, json_object_get_string(value));
        }
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static void case_remove_files(const Case *c) {
        if (nftw(c->root, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
                die(c->root);
}

/*
 * Facts
 */

/* A copy of @entry with the members of @patch in their place; one whose value is "@absent" is left out. */
static struct json_object *fact_entry(struct json_object *entry, struct json_object *patch) {
        struct json_object *copy = json_object_new_object();

        if (!copy)
                die("json_object_new_object");
        if (entry) {
                json_object_object_foreach(entry, name, value)
                        json_object_object_add(copy, name, json_object_get(value));
        }
        if (patch) {
                json_object_object_foreach(patch, patched, change) {
                        if (json_object_is_type(change, json_type_string) &&
                            strcmp(json_object_get_string(change), "@absent") == 0)
                                json_object_object_del(copy, patched);
                        else
                                json_object_object_add(copy, patched, json_object_get(change));
                }
        }
        return copy;
}

/* The inventory of a case, patched, as system information; the caller puts it. */
static struct json_object *fact_information(struct json_object *inventory, struct json_object *patches) {
        struct json_object *domains = member(inventory, "domains"), *patched = json_object_new_object();
        struct json_object *information = json_object_new_object();

        if (!domains || !patched || !information)
                die("inventory");
        json_object_object_foreach(domains, name, entry)
                json_object_object_add(patched, name, fact_entry(entry, member(patches, name)));
        if (patches) {
                json_object_object_foreach(patches, added, patch) if (!member(domains, added))
                        json_object_object_add(patched, added, fact_entry(NULL, patch));
        }
        json_object_object_add(information, "domains", patched);
        return information;
}

/* `inventory` is the name of one of @inventories, or one itself. */
static void case_make_facts(Case *c, struct json_object *inventories) {
        struct json_object *inventory = member(c->object, "inventory");
        struct json_object *information;
        _cleanup_(diagnostics_deinit)
        Diagnostics diagnostics = DIAGNOSTICS_INIT;

        if (!json_object_is_type(inventory, json_type_object))
                inventory = member(inventories, inventory ? json_object_get_string(inventory) : "house");
        information = fact_information(inventory, member(c->object, "patch"));
        if (policy_system_from_json(c->id, information, &diagnostics, &c->system) != 0)
                die("policy_system_from_json");
        json_object_put(information);
        c->facts = c->system->facts;
}

/*
 * Evaluation
 */

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

/* Asks the question with the requested target as the answer (5.11), unless there is no question. */
static void case_assume_yes(PolicyQuestion *question, PolicyResolution *resolution) {
        static char target[POLICY_MESSAGE_MAX];

        if (!question)
                return;
        if (policy_target_format(&resolution->requested, target, sizeof(target)) != 0)
                die("policy_target_format");
        policy_question_answer(question, policy_slice(target), resolution);
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

/* What the policy socket would answer (5.8 to 5.11), with an agent that says what the case says. */
static void case_check_reply(Case *c, PolicyResolution resolution, PolicyQuestion *question) {
        struct json_object *wire = member(c->object, "wire");
        const char *want = text(member(c->object, "expect_wire"), "reply") ?: "result=deny";
        const char *agent = text(wire, "agent") ?: "deny";
        bool just_evaluate = json_object_get_boolean(member(wire, "just_evaluate"));
        char got[POLICY_RESPONSE_MAX] = "result=deny";

        if (json_object_get_boolean(member(wire, "assume_yes_for_ask")))
                case_assume_yes(question, &resolution);
        else if (question && !just_evaluate && (!resolution.source.domain || !resolution.source.domain->guivm))
                policy_question_refuse(question, POLICY_REASON_USER, &resolution);
        else if (question && !just_evaluate && json_object_get_boolean(member(wire, "agent_fails")))
                policy_resolution_fault(&resolution, "the agent does not answer");
        else if (question && !just_evaluate && strncmp(agent, "allow:", 6) == 0)
                policy_question_answer(question, policy_slice(agent + 6), &resolution);
        else if (question && !just_evaluate)
                policy_question_refuse(question,
                                       strcmp(agent, "deny") == 0 ? POLICY_REASON_USER : POLICY_REASON_BAD_ANSWER,
                                       &resolution);

        if (just_evaluate) {
                snprintf(got, sizeof(got), "result=%s", resolution.outcome == POLICY_OUTCOME_ALLOW ? "allow" : "deny");
        } else {
                policy_route(c->facts, &resolution);
                if (policy_resolution_response(&resolution, got, sizeof(got)) != 0)
                        die("policy_resolution_response");
        }
        case_same(c, "reply", got, want);
}

static void case_evaluate(Case *c) {
        struct json_object *expect = member(c->object, "expect");
        const char *outcome = text(expect, "outcome");
        _cleanup_(policy_question_freep)
        PolicyQuestion *question = NULL;
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
        if (member(c->object, "wire"))
                case_check_reply(c, resolution, question);
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

static bool case_run(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        struct json_object *request = member(object, "request");
        _cleanup_(diagnostics_deinit)
        Diagnostics diagnostics = DIAGNOSTICS_INIT;
        int r;

        c.request = (PolicyRequest){ .source = policy_slice(text(request, "source")),
                                     .requested_source = policy_slice(text(request, "requested_source")),
                                     .target = policy_slice(text(request, "target")),
                                     .service = policy_slice(text(request, "service")) };
        case_make_files(&c);
        case_make_facts(&c, inventories);
        r = policy_load(&(PolicySources){ .directories = (const char *[]){ c.run, c.etc },
                                          .n_directories = 2,
                                          .legacy = c.legacy },
                        &diagnostics, &c.policy);
        if (r < 0)
                die("policy_load");
        if (r > 0)
                case_check_error(&c, r, &diagnostics);
        else if (diagnostics.n_entries > 0)
                case_fail(&c, "loaded, with a diagnostic: %s", diagnostics.entries[0].text);
        else if (strcmp(text(member(object, "expect"), "outcome"), "error") == 0)
                case_fail(&c, "loaded, want \"%s\"", text(member(object, "expect"), "message"));
        else
                case_evaluate(&c);
        policy_unref(c.policy);
        policy_system_free(c.system);
        case_remove_files(&c);
        return c.n_failed == 0;
}

/* A.5: the checker on one file, which it is given the name of. */
static bool case_run_lint(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        struct json_object *arguments = member(object, "args"), *content = member(object, "text");
        PolicyCheckOptions options = { .directories = (const char *const[]){ "/nonexistent", NULL } };
        _cleanup_free_ char *got = NULL, *warnings = NULL;
        size_t n_got = 0, n_warnings = 0, n_errors = 0;
        FILE *stream = open_memstream(&got, &n_got), *warning_stream = open_memstream(&warnings, &n_warnings);

        for (size_t i = 0; i < json_object_array_length(arguments); ++i) {
                const char *argument = json_object_get_string(json_object_array_get_idx(arguments, i));

                if (strcmp(argument, "-s") == 0)
                        options.shows_line = true;
                else if (strcmp(argument, "-i") == 0)
                        options.is_old = true;
                else
                        case_fail(&c, "unknown argument %s", argument);
        }
        if (!stream || !warning_stream ||
            policy_check(stream, warning_stream, &options, "{file}",
                         (PolicySlice){ json_object_get_string(content), (size_t)json_object_get_string_len(content) },
                         &n_errors) != 0)
                die("policy_check");
        fclose(stream);
        fclose(warning_stream);
        case_same(&c, "output", got, text(object, "stdout"));
        if (json_object_get_int(member(object, "status")) != (n_errors > 0))
                case_fail(&c, "%zu errors", n_errors);
        return c.n_failed == 0;
}

/*
 * Programs
 */

/** What a program said. */
typedef struct Output {
        int status;
        char *out, *err;
        size_t n_out;
} Output;

static void output_deinit(Output *output) {
        free(output->out);
        free(output->err);
}

static char *read_stream(FILE *file, size_t *ret_n) {
        char *data = NULL;
        size_t n = 0;
        FILE *stream = open_memstream(&data, &n);
        int c;

        rewind(file);
        while ((c = fgetc(file)) != EOF)
                fputc(c, stream);
        fclose(stream);
        fclose(file);
        *ret_n = n;
        return data;
}

/* Runs a program with a standard input; @environment may be NULL. */
static Output run_program(const char *const *arguments, const char *input, size_t n_input, char *const *environment) {
        FILE *in = tmpfile(), *out = tmpfile(), *err = tmpfile();
        Output output = {};
        size_t n_err;
        pid_t pid;

        if (!in || !out || !err || fwrite(input, 1, n_input, in) != n_input || fflush(in) != 0)
                die("tmpfile");
        rewind(in);
        pid = fork();
        if (pid < 0)
                die("fork");
        if (pid == 0) {
                lseek(fileno(in), 0, SEEK_SET);
                if (dup2(fileno(in), 0) >= 0 && dup2(fileno(out), 1) >= 0 && dup2(fileno(err), 2) >= 0)
                        execve(arguments[0], (char **)arguments, environment ? (char **)environment : environ);
                _exit(127);
        }
        if (waitpid(pid, &output.status, 0) != pid)
                die("waitpid");
        output.status = WIFEXITED(output.status) ? WEXITSTATUS(output.status) : -1;
        fclose(in);
        output.out = read_stream(out, &output.n_out);
        output.err = read_stream(err, &n_err);
        return output;
}

static void case_write_information(Case *c, struct json_object *inventories, char path[static PATH_MAX + 16]) {
        struct json_object *information = fact_information(member(inventories, text(c->object, "inventory") ?: "house"),
                                                           member(c->object, "patch"));

        snprintf(path, PATH_MAX + 16, "%s/system.json", c->root);
        if (json_object_to_file(path, information) < 0)
                die(path);
        json_object_put(information);
}

/* A.5: the graph tool. */
static bool case_run_graph(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        struct json_object *extra = member(object, "args"), *lines = member(object, "stdout");
        const char *arguments[64] = { QAIR_TOOLS "/qrexec-policy-graph", "--policy-dir", c.etc, "--system-info" };
        char information[PATH_MAX + 16], want[8192] = "";
        _cleanup_(output_deinit)
        Output output = {};
        size_t n = 5;

        case_make_files(&c);
        case_write_information(&c, inventories, information);
        arguments[4] = information;
        for (size_t i = 0; i < json_object_array_length(extra); ++i)
                arguments[n++] = json_object_get_string(json_object_array_get_idx(extra, i));
        output = run_program(arguments, "", 0, NULL);
        for (size_t i = 0; lines && i < json_object_array_length(lines); ++i)
                snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s\n",
                         json_object_get_string(json_object_array_get_idx(lines, i)));
        case_same(&c, "output", output.out, want);
        if (output.status != json_object_get_int(member(object, "status")))
                case_fail(&c, "status %d: %s", output.status, output.err);
        case_remove_files(&c);
        return c.n_failed == 0;
}

/* A payload: a text, or an object with `hex`. The caller frees it. */
static char *admin_payload(struct json_object *payload, size_t *ret_n) {
        const char *hex = text(payload, "hex");
        char *data;

        if (!hex) {
                *ret_n = (size_t)json_object_get_string_len(payload);
                data = malloc(*ret_n + 1);
                if (!data)
                        die("malloc");
                return memcpy(data, json_object_get_string(payload), *ret_n);
        }
        *ret_n = strlen(hex) / 2;
        data = malloc(*ret_n + 1);
        if (!data)
                die("malloc");
        for (size_t i = 0; i < *ret_n; ++i)
                data[i] = (char)strtoul((char[]){ hex[2 * i], hex[2 * i + 1], '\0' }, NULL, 16);
        return data;
}

static void admin_call(Case *c, const char *log, struct json_object *call) {
        const char *const arguments[] = { QAIR_TOOLS "/qubes-policy-admin", NULL };
        const struct {
                const char *name, *value;
        } variables[] = {
                { "QREXEC_SERVICE_FULL_NAME", text(call, "service") },
                { "QREXEC_REMOTE_DOMAIN", "mgmt" },
                { "QREXEC_POLICY_DIR", c->etc },
                { "QREXEC_POLICY_LEGACY_DIR", c->legacy },
                { "QREXEC_POLICY_ADMIN_LOG", log },
        };
        char *environment[ARRAY_SIZE(variables) + 1] = {};
        size_t n_payload = 0;
        _cleanup_free_ char *payload = admin_payload(member(call, "payload"), &n_payload);
        _cleanup_free_ char *want_out = expand(c, text(call, "stdout")), *want_err = expand(c, text(call, "stderr"));
        const char *in_log = strstr(want_err, "{log}");
        _cleanup_free_ char *want_log = NULL;
        _cleanup_(output_deinit)
        Output output = {};

        for (size_t i = 0; i < ARRAY_SIZE(variables); ++i)
                if (asprintf(&environment[i], "%s=%s", variables[i].name, variables[i].value) < 0)
                        die("asprintf");
        output = run_program(arguments, payload, n_payload, environment);
        for (size_t i = 0; i < ARRAY_SIZE(variables); ++i)
                free(environment[i]);
        if (asprintf(&want_log, "%.*s%s%s", in_log ? (int)(in_log - want_err) : (int)strlen(want_err), want_err,
                     in_log ? log : "", in_log ? in_log + 5 : "") < 0)
                die("asprintf");
        case_same(c, text(call, "service"), output.out, want_out);
        case_same(c, text(call, "service"), output.err, want_log);
        if (output.status != json_object_get_int(member(call, "status")))
                case_fail(c, "%s: status %d", text(call, "service"), output.status);
}

/* `after`: path to content, or null if it must not exist. */
static void admin_check_file(Case *c, const char *name, struct json_object *want) {
        char path[PATH_MAX * 2];
        FILE *file;
        size_t n;

        snprintf(path, sizeof(path), "%s/%s", c->root, name);
        file = fopen(path, "re");
        if (!want && file) {
                case_fail(c, "%s exists", name);
                fclose(file);
        } else if (want && !file) {
                case_fail(c, "%s does not exist", name);
        } else if (want) {
                _cleanup_free_ char *data = read_stream(file, &n);

                case_same(c, name, data, json_object_get_string(want));
        }
}

/* A.3: the Admin API. The one case that records a defect of the reference has its remedy tested instead. */
static bool case_run_admin(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        struct json_object *calls = member(object, "calls"), *after = member(object, "after");
        char log[PATH_MAX + 16];

        case_make_files(&c);
        snprintf(log, sizeof(log), "%s/log", c.root);
        if (member(object, "optional")) {
                const char *const arguments[] = { QAIR_TOOLS "/qubes-policy-admin", NULL };
                char *environment[] = { (char *)"QREXEC_SERVICE_FULL_NAME=policy.Replace+Foo", NULL, NULL };
                _cleanup_(output_deinit)
                Output output = {};

                if (asprintf(&environment[1], "QREXEC_POLICY_DIR=%s", c.etc) < 0)
                        die("asprintf");
                output = run_program(arguments, "any\n", 4, environment);
                free(environment[1]);
                if (output.status != 1 || strncmp(output.err, "PolicyAdminInvalidFileNameException ", 36) != 0)
                        case_fail(&c, "status %d: %s", output.status, output.err);
                admin_check_file(&c, "etc/Foo.policy", NULL);
        } else {
                for (size_t i = 0; i < json_object_array_length(calls); ++i)
                        admin_call(&c, log, json_object_array_get_idx(calls, i));
        }
        if (after) {
                json_object_object_foreach(after, name, want) admin_check_file(&c, name, want);
        }
        case_remove_files(&c);
        return c.n_failed == 0;
}

/*
 * The daemon
 */

/** A daemon with sockets of its own in the case's directory. */
typedef struct PolicyDaemon {
        pid_t pid;
        FILE *log;
        char paths[3][PATH_MAX + 16]; /* policy, simple, gui */
} PolicyDaemon;

static int daemon_connect(const char *path, int type, bool listens) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (fd < 0 || (listens ? bind(fd, (struct sockaddr *)&address, sizeof(address))
                               : connect(fd, (struct sockaddr *)&address, sizeof(address))) < 0)
                die(path);
        return fd;
}

/* Starts it, and waits until it says that it listens. */
static void daemon_start(PolicyDaemon *daemon, const Case *c, const char *information) {
        char notify[PATH_MAX + 16], variable[PATH_MAX + 64], word[16];
        char *environment[] = { variable, NULL };
        const char *const arguments[] = { QAIR_TOOLS "/qrexec-policy-daemon",
                                          "--policy-path",
                                          c->run,
                                          "--policy-path",
                                          c->etc,
                                          "--system-info",
                                          information,
                                          "--socket-path",
                                          daemon->paths[0],
                                          "--eval-socket-path",
                                          daemon->paths[1],
                                          "--gui-socket-path",
                                          daemon->paths[2],
                                          NULL };
        int fd;

        for (size_t i = 0; i < ARRAY_SIZE(daemon->paths); ++i)
                snprintf(daemon->paths[i], sizeof(daemon->paths[i]), "%s/socket%zu", c->root, i);
        snprintf(notify, sizeof(notify), "%s/notify", c->root);
        snprintf(variable, sizeof(variable), "NOTIFY_SOCKET=%s", notify);
        fd = daemon_connect(notify, SOCK_DGRAM, true);
        daemon->log = tmpfile();
        daemon->pid = daemon->log ? fork() : -1;
        if (daemon->pid < 0)
                die("fork");
        if (daemon->pid == 0) {
                if (dup2(fileno(daemon->log), 2) >= 0)
                        execve(arguments[0], (char **)arguments, environment);
                _exit(127);
        }
        if (recv(fd, word, sizeof(word), 0) < 7 || memcmp(word, "READY=1", 7) != 0)
                die("READY");
        close(fd);
}

/* Sends @input, and returns all that comes back; the caller frees it. */
static char *daemon_ask(const PolicyDaemon *daemon, const char *socket_name, struct json_object *input) {
        static const char *const names[] = { "policy", "simple", "gui" };
        size_t which = 0, n = (size_t)json_object_get_string_len(input), n_reply = 0;
        char *reply = NULL, buffer[512];
        FILE *stream = open_memstream(&reply, &n_reply);
        ssize_t l;
        int fd;

        while (which < ARRAY_SIZE(names) - 1 && strcmp(names[which], socket_name) != 0)
                ++which;
        fd = daemon_connect(daemon->paths[which], SOCK_STREAM, false);
        if (send(fd, json_object_get_string(input), n, MSG_NOSIGNAL) != (ssize_t)n || shutdown(fd, SHUT_WR) < 0)
                die("send");
        /* Who does not read all that came resets the connection when it closes: that is an end, too. */
        while ((l = read(fd, buffer, sizeof(buffer))) > 0)
                fwrite(buffer, 1, (size_t)l, stream);
        close(fd);
        fclose(stream);
        return reply;
}

/* Ends it; returns its log, which the caller frees. */
static char *daemon_stop(PolicyDaemon *daemon) {
        size_t n;
        int status;

        if (kill(daemon->pid, SIGTERM) < 0 || waitpid(daemon->pid, &status, 0) != daemon->pid)
                die("waitpid");
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                die("the daemon did not end well");
        return read_stream(daemon->log, &n);
}

/* A.4: conversations on the daemon's sockets. */
static bool case_run_socket(struct json_object *object, struct json_object *inventories) {
        Case c = { .id = text(object, "id"), .object = object };
        const char *want = text(object, "reply"), *socket_name = text(object, "socket");
        struct json_object *lines = member(object, "log");
        char information[PATH_MAX + 16];
        _cleanup_free_ char *reply = NULL, *log = NULL;
        PolicyDaemon daemon = {};

        case_make_files(&c);
        case_write_information(&c, inventories, information);
        daemon_start(&daemon, &c, information);
        reply = daemon_ask(&daemon, socket_name, member(object, "input"));
        log = daemon_stop(&daemon);
        /* For the faults of 5.10 an orderly refusal is right as well. */
        if (want[0] != '\0' || lines || strcmp(socket_name, "policy") != 0 || strcmp(reply, "result=deny") != 0)
                case_same(&c, "reply", reply, want);
        for (size_t i = 0; lines && i < json_object_array_length(lines); ++i) {
                const char *line = json_object_get_string(json_object_array_get_idx(lines, i));
                const char *found = strstr(log, line);

                if (!found || (found != log && found[-1] != '\n') || found[strlen(line)] != '\n')
                        case_fail(&c, "the log lacks \"%s\": %s", line, log);
        }
        case_remove_files(&c);
        return c.n_failed == 0;
}

static bool case_is_wanted(struct json_object *object, char **ids) {
        if (!*ids)
                return true;
        for (; *ids; ++ids)
                if (strcmp(text(object, "id"), *ids) == 0)
                        return true;
        return false;
}

typedef struct Part {
        const char *member;
        const char *name;
        bool (*run)(struct json_object *object, struct json_object *inventories);
} Part;

static const Part parts[] = {
        { "cases", "evaluation", case_run },       { "lint", "lint", case_run_lint },
        { "graph", "graph", case_run_graph },      { "admin", "admin", case_run_admin },
        { "sockets", "sockets", case_run_socket },
};

/* Return: have all that were wanted passed? */
static bool part_run(const Part *part, struct json_object *table, char **ids, size_t *n_run) {
        struct json_object *cases = member(table, part->member);
        size_t n = 0, n_passed = 0;

        for (size_t i = 0; cases && i < json_object_array_length(cases); ++i) {
                struct json_object *object = json_object_array_get_idx(cases, i);

                if (!case_is_wanted(object, ids))
                        continue;
                ++n;
                if (part->run(object, member(table, "inventories")))
                        ++n_passed;
        }
        printf("%s: %zu of %zu passed\n", part->name, n_passed, n);
        *n_run += n;
        return n_passed == n;
}

int main(int argc, char **argv) {
        struct json_object *table = argc > 1 ? json_object_from_file(argv[1]) : NULL;
        bool passed = true;
        size_t n = 0;

        if (!member(table, "cases")) {
                fprintf(stderr, "usage: qair-policy-cases FILE [ID…]: %s\n", json_util_get_last_err() ?: "no cases");
                return 2;
        }
        for (size_t i = 0; i < ARRAY_SIZE(parts); ++i)
                passed = part_run(&parts[i], table, argv + 2, &n) && passed;
        json_object_put(table);
        return passed && n > 0 ? 0 : 1;
}
