/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/question.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "prompt/json.h"

#define QUESTION_DISPOSABLE "@dispvm:"

Question *question_free(Question *question) {
        if (!question)
                return NULL;
        for (size_t i = 0; i < question->n_entries; ++i) {
                free(question->entries[i].target);
                free(question->entries[i].display);
                free(question->entries[i].icon);
        }
        free(question->entries);
        free(question->source);
        free(question->source_icon);
        free(question->service);
        free(question->argument);
        free(question->problem);
        free(question->text);
        free(question->name);
        free(question);
        return NULL;
}

/*
 * Reading JSON
 */

static int question_take_text(struct json_object *object, const char *key, char **ret_text) {
        int r = json_take_text(object, key, ret_text);

        return r == JSON_E_MALFORMED ? QUESTION_E_MALFORMED : error_fold(r);
}

static bool question_is_name(const char *text, const char *more) {
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789@_-.";

        for (; *text; ++text)
                if (!strchr(allowed, *text) && !strchr(more, *text))
                        return false;
        return true;
}

static const char *question_base(const char *target) {
        return strncmp(target, QUESTION_DISPOSABLE, strlen(QUESTION_DISPOSABLE)) == 0
                       ? target + strlen(QUESTION_DISPOSABLE)
                       : NULL;
}

/* A number of seconds that an answer could have. */
static bool question_is_seconds(struct json_object *value, uint32_t *ret_sec) {
        int64_t sec = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;

        if (sec < 1 || sec > ANSWER_SEC_MAX)
                return false;
        *ret_sec = (uint32_t)sec;
        return true;
}

/* Missing is none. */
static int question_take_durations(struct json_object *object, const char *key, QuestionDurations *durations) {
        struct json_object *value;

        if (!json_object_object_get_ex(object, key, &value))
                return 0;
        if (!json_object_is_type(value, json_type_array) || json_object_array_length(value) > QUESTION_DURATIONS_MAX)
                return QUESTION_E_MALFORMED;
        for (size_t i = 0; i < json_object_array_length(value); ++i) {
                uint32_t sec;

                if (!question_is_seconds(json_object_array_get_idx(value, i), &sec) ||
                    (durations->n > 0 && sec <= durations->sec[durations->n - 1]))
                        return QUESTION_E_MALFORMED;
                durations->sec[durations->n++] = sec;
        }
        return 0;
}

/*
 * The entries (7.3)
 */

static int question_compare_texts(const void *a, const void *b) {
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int question_compare_entries(const void *a, const void *b) {
        return strcmp(((const QuestionEntry *)a)->display, ((const QuestionEntry *)b)->display);
}

/* The targets, sorted, to look them up; the texts are borrowed. */
static int question_take_targets(struct json_object *object, const char ***ret_targets, size_t *ret_n) {
        _cleanup_free_ const char **targets = NULL;
        struct json_object *value;
        size_t n;

        if (!json_object_object_get_ex(object, "targets", &value) || !json_object_is_type(value, json_type_array))
                return QUESTION_E_MALFORMED;
        n = json_object_array_length(value);
        targets = calloc(n + 1, sizeof(*targets));
        if (!targets)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < n; ++i) {
                targets[i] = json_text(json_object_array_get_idx(value, i));
                if (!targets[i])
                        return QUESTION_E_MALFORMED;
        }
        qsort(targets, n, sizeof(*targets), question_compare_texts);
        *ret_targets = steal_ptr(&targets);
        *ret_n = n;
        return 0;
}

/* There is room. */
static int question_add_entry(Question *question, const char *target, const char *icon) {
        const char *base = question_base(target);
        QuestionEntry *entry = &question->entries[question->n_entries++];

        *entry = (QuestionEntry){ .target = strdup(target), .icon = strdup(icon) };
        if (!base)
                entry->display = strdup(target);
        else if (asprintf(&entry->display, "Disposable VM (%s)", base) < 0)
                entry->display = NULL;
        return entry->target && entry->icon && entry->display ? 0 : error_origin(-ENOMEM);
}

static int question_take_entries(Question *question, struct json_object *object) {
        _cleanup_free_ const char **targets = NULL;
        struct json_object *icons;
        size_t n_targets = 0;
        int r;

        r = question_take_targets(object, &targets, &n_targets);
        if (r)
                return r;
        if (!json_object_object_get_ex(object, "icons", &icons) || !json_object_is_type(icons, json_type_object))
                return QUESTION_E_MALFORMED;
        question->entries = calloc((size_t)json_object_object_length(icons) + 1, sizeof(*question->entries));
        if (!question->entries)
                return error_origin(-ENOMEM);
        json_object_object_foreach(icons, key, value) {
                const char *icon = json_text(value);

                if (!icon || !question_is_name(question_base(key) ?: key, ""))
                        return QUESTION_E_MALFORMED;
                if (strcmp(key, question->source) == 0) {
                        question->source_icon = strdup(icon);
                        if (!question->source_icon)
                                return error_origin(-ENOMEM);
                }
                if (!bsearch(&key, targets, n_targets, sizeof(*targets), question_compare_texts))
                        continue;
                r = question_add_entry(question, key, icon);
                if (r)
                        return r;
        }
        qsort(question->entries, question->n_entries, sizeof(*question->entries), question_compare_entries);
        return question->source_icon ? 0 : QUESTION_E_MALFORMED;
}

static int question_take_default(Question *question, struct json_object *object) {
        _cleanup_free_ char *target = NULL;
        int r;

        question->default_entry = -1;
        r = question_take_text(object, "default_target", &target);
        if (r || target[0] == '\0')
                return r;
        if (strcmp(target, question->source) == 0) {
                question->problem = strdup("Source and target domains must not be the same.");
                return question->problem ? 0 : error_origin(-ENOMEM);
        }
        for (size_t i = 0; i < question->n_entries; ++i)
                if (strcmp(question->entries[i].target, target) == 0)
                        question->default_entry = (int)i;
        if (question->default_entry < 0 && asprintf(&question->problem, "Domain '%s' doesn't exist.", target) < 0)
                return error_origin(-ENOMEM);
        return 0;
}

/* Lines that whoever shows them escapes. */
static int question_take_lines(Question *question, struct json_object *object) {
        size_t n_lines = 1;
        int r;

        if (!json_object_object_get_ex(object, "text", NULL)) {
                question->text = strdup("");
                return question->text ? 0 : error_origin(-ENOMEM);
        }
        r = question_take_text(object, "text", &question->text);
        if (r)
                return r;
        for (const char *byte = question->text; *byte; ++byte)
                n_lines += *byte == '\n';
        return strlen(question->text) > QUESTION_WORDS_MAX || n_lines > QUESTION_LINES_MAX ? QUESTION_E_MALFORMED : 0;
}

/* Ours; upstream's requests have none of these. */
static int question_take_more(Question *question, struct json_object *object) {
        struct json_object *value;
        int r;

        r = question_take_durations(object, "allow_for", &question->allow_for);
        r = r ?: question_take_durations(object, "quiet_for", &question->quiet_for);
        r = r ?: question_take_lines(question, object);
        if (r)
                return r;
        if (json_object_object_get_ex(object, "timeout", &value) && !question_is_seconds(value, &question->timeout_sec))
                return QUESTION_E_MALFORMED;
        if (!json_object_object_get_ex(object, "prompt", NULL)) {
                question->name = strdup("");
                return question->name ? 0 : error_origin(-ENOMEM);
        }
        r = question_take_text(object, "prompt", &question->name);
        if (!r && (strlen(question->name) > QUESTION_NAME_MAX || !question_is_name(question->name, "")))
                r = QUESTION_E_MALFORMED;
        return r;
}

int question_decode(const char *untrusted_text, size_t n, Question **ret_question) {
        _cleanup_json_ object = NULL;
        _cleanup_(question_freep) Question *question = NULL;
        int r;

        r = json_parse(untrusted_text, n, QUESTION_TEXT_MAX, &object);
        if (r)
                return r == JSON_E_MALFORMED ? QUESTION_E_MALFORMED : error_fold(r);
        question = calloc(1, sizeof(*question));
        if (!question)
                return error_origin(-ENOMEM);
        r = question_take_text(object, "source", &question->source);
        r = r ?: question_take_text(object, "service", &question->service);
        r = r ?: question_take_text(object, "argument", &question->argument);
        if (!r && (!question_is_name(question->source, "") || !question_is_name(question->service, "+")))
                r = QUESTION_E_MALFORMED;
        r = r ?: question_take_entries(question, object);
        r = r ?: question_take_default(question, object);
        r = r ?: question_take_more(question, object);
        if (r)
                return r;
        *ret_question = steal_ptr(&question);
        return 0;
}

int question_count_decode(const char *untrusted_text, size_t n, char ret_name[static QUESTION_NAME_MAX + 1],
                          uint32_t *ret_count) {
        _cleanup_json_ object = NULL;
        struct json_object *name, *requests;
        const char *text;
        int64_t count;

        if (json_parse(untrusted_text, n, QUESTION_TEXT_MAX, &object) ||
            !json_object_object_get_ex(object, "prompt", &name) ||
            !json_object_object_get_ex(object, "requests", &requests) || !json_object_is_type(requests, json_type_int))
                return QUESTION_E_MALFORMED;
        text = json_text(name);
        count = json_object_get_int64(requests);
        if (!text || text[0] == '\0' || strlen(text) > QUESTION_NAME_MAX || !question_is_name(text, "") || count < 1 ||
            count > UINT32_MAX)
                return QUESTION_E_MALFORMED;
        strcpy(ret_name, text); /* its length was looked at */
        *ret_count = (uint32_t)count;
        return 0;
}

/*
 * Writing it again, for a front end in another process
 */

/* Takes @value, also on failure. */
static int question_put(struct json_object *object, const char *key, struct json_object *value) {
        if (value && json_object_object_add(object, key, value) == 0)
                return 0;
        json_object_put(value);
        return error_origin(-ENOMEM);
}

static int question_put_durations(struct json_object *object, const char *key, const QuestionDurations *durations) {
        struct json_object *array = json_object_new_array();

        if (!array)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < durations->n; ++i) {
                struct json_object *value = json_object_new_int64(durations->sec[i]);

                if (!value || json_object_array_add(array, value) < 0) {
                        json_object_put(value);
                        json_object_put(array);
                        return error_origin(-ENOMEM);
                }
        }
        return question_put(object, key, array);
}

/* Only the entries that are shown: a front end needs no others. */
static int question_put_entries(const Question *question, struct json_object *object) {
        struct json_object *icons = json_object_new_object(), *targets = json_object_new_array();
        int r;

        r = question_put(object, "icons", icons) ?: question_put(object, "targets", targets);
        r = r ?: question_put(icons, question->source, json_object_new_string(question->source_icon));
        for (size_t i = 0; !r && i < question->n_entries; ++i) {
                struct json_object *target = json_object_new_string(question->entries[i].target);

                if (!target || json_object_array_add(targets, target) < 0) {
                        json_object_put(target);
                        return error_origin(-ENOMEM);
                }
                r = question_put(icons, question->entries[i].target, json_object_new_string(question->entries[i].icon));
        }
        return r;
}

/* What the default was: the entry, or what made it none. */
static const char *question_default(const Question *question, char **ret_text) {
        static const char prefix[] = "Domain '", suffix[] = "' doesn't exist.";
        size_t n;

        *ret_text = NULL;
        if (question->default_entry >= 0)
                return question->entries[question->default_entry].target;
        if (!question->problem)
                return "";
        if (strncmp(question->problem, prefix, strlen(prefix)) != 0)
                return question->source;
        n = strlen(question->problem) - strlen(prefix) - strlen(suffix);
        *ret_text = strndup(question->problem + strlen(prefix), n);
        return *ret_text;
}

int question_encode(const Question *question, char **ret_line) {
        _cleanup_json_ object = json_object_new_object();
        _cleanup_free_ char *text = NULL;
        const char *target = question_default(question, &text), *line;
        int r;

        if (!object || !target)
                return error_origin(-ENOMEM);
        r = question_put(object, "source", json_object_new_string(question->source));
        r = r ?: question_put(object, "service", json_object_new_string(question->service));
        r = r ?: question_put(object, "argument", json_object_new_string(question->argument));
        r = r ?: question_put(object, "default_target", json_object_new_string(target));
        r = r ?: question_put_entries(question, object);
        r = r ?: question_put_durations(object, "allow_for", &question->allow_for);
        r = r ?: question_put_durations(object, "quiet_for", &question->quiet_for);
        r = r ?: question_put(object, "prompt", json_object_new_string(question->name));
        if (!r && question->text[0] != '\0')
                r = question_put(object, "text", json_object_new_string(question->text));
        if (!r && question->timeout_sec > 0)
                r = question_put(object, "timeout", json_object_new_int64(question->timeout_sec));
        if (r)
                return r;
        line = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        *ret_line = line ? strdup(line) : NULL;
        return *ret_line ? 0 : error_origin(-ENOMEM);
}

/*
 * Questions about it
 */

int question_find(const Question *question, const char *display) {
        for (size_t i = 0; i < question->n_entries; ++i)
                if (strcmp(question->entries[i].display, display) == 0)
                        return (int)i;
        return -1;
}

bool question_offers(const Question *question, const Answer *answer) {
        const QuestionDurations *durations = answer->allow ? &question->allow_for : &question->quiet_for;
        bool found = answer->sec == 0;

        for (size_t i = 0; i < durations->n; ++i)
                found = found || durations->sec[i] == answer->sec;
        if (!found || !answer->allow)
                return found;
        for (size_t i = 0; i < question->n_entries; ++i)
                if (strlen(question->entries[i].target) == answer->n_target &&
                    memcmp(question->entries[i].target, answer->target, answer->n_target) == 0)
                        return true;
        return false;
}

size_t question_bold(const char *service) {
        const char *dot = strchr(service, '.');

        return dot && dot[1] != '\0' ? (size_t)(dot + 1 - service) : 0;
}

const char *question_argument(const Question *question) {
        return strcmp(question->argument, "+") == 0 ? "" : question->argument;
}

const char *question_icon_label(const char *icon) {
        const char *dash = strrchr(icon, '-');

        return dash ? dash + 1 : "";
}

const char *question_duration(uint32_t sec, char buffer[static 32]) {
        static const struct {
                uint32_t sec;
                const char *one, *many;
        } units[] = {
                { 24 * 3600, "day", "days" },
                { 3600, "hour", "hours" },
                { 60, "minute", "minutes" },
                { 1, "second", "seconds" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(units); ++i) {
                if (sec % units[i].sec != 0)
                        continue;
                snprintf(buffer, 32, "%u %s", sec / units[i].sec, sec == units[i].sec ? units[i].one : units[i].many);
                break;
        }
        return buffer;
}
