/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "policy-tools/admin.h"
#include "policy/facts.h"
#include "policy/path.h"
#include "policy/quote.h"

#define SETTINGS_HEADER                                         \
        "\n# THIS IS AN AUTOMATICALLY GENERATED POLICY FILE.\n" \
        "# Any changes made manually may be overwritten by Qubes Configuration Tools.\n"

#define USER_HEADER "# Converted by qrexec-legacy-convert from the files in /etc/qubes-rpc/policy.\n"

/* Suffix of legacy files that !compat-4.0 does not read. */
#define ASIDE ".rpmsave"

/*
 * Where rules go
 */

static bool rule_has_parameters(const PolicyRule *rule) {
        return rule->redirect.kind != POLICY_TOKEN_NONE || rule->default_target.kind != POLICY_TOKEN_NONE ||
               (rule->user && rule->user->n > 0);
}

static bool token_is_name(const PolicyToken *token) {
        return token->kind == POLICY_TOKEN_NAME;
}

static bool token_is_dom0(const PolicyToken *token) {
        return token->kind == POLICY_TOKEN_ADMINVM ||
               (token_is_name(token) && policy_name_is_dom0(policy_atom_slice(token->value)));
}

static bool token_is(const PolicyToken *token, PolicyTokenKind kind, const char *value) {
        return token->kind == kind && strcmp(token->value->text, value) == 0;
}

static bool rule_is_clipboard(const PolicyRule *rule) {
        return rule->action != POLICY_ACTION_ALLOW && !rule_has_parameters(rule);
}

static bool rule_is_filecopy(const PolicyRule *rule) {
        return !rule_has_parameters(rule);
}

static bool rule_is_updates(const PolicyRule *rule) {
        return rule->action == POLICY_ACTION_ALLOW &&
               (token_is_name(&rule->source) || token_is(&rule->source, POLICY_TOKEN_TYPE, "TemplateVM") ||
                token_is(&rule->source, POLICY_TOKEN_TAG, "whonix-updatevm")) &&
               (token_is_name(&rule->target) || rule->target.kind == POLICY_TOKEN_ADMINVM ||
                rule->target.kind == POLICY_TOKEN_DEFAULT);
}

static bool rule_is_open(const PolicyRule *rule) {
        return rule->target.kind == POLICY_TOKEN_DISPVM &&
               (rule->action == POLICY_ACTION_DENY || rule_has_parameters(rule));
}

static bool rule_is_input(const PolicyRule *rule) {
        const PolicyToken *token = rule->redirect.kind != POLICY_TOKEN_NONE ? &rule->redirect : &rule->default_target;

        return token_is_dom0(&rule->target) && token_is_name(&rule->source) &&
               (token->kind == POLICY_TOKEN_NONE || token_is_dom0(token));
}

static bool rule_is_u2f(const PolicyRule *rule) {
        return !rule->argument && (token_is_name(&rule->target) || rule->target.kind == POLICY_TOKEN_ADMINVM);
}

static bool rule_is_registration(const PolicyRule *rule) {
        return rule->argument && strcmp(rule->argument->text, "+u2f.Authenticate") == 0;
}

typedef enum FileIndex {
        FILE_CLIPBOARD,
        FILE_FILECOPY,
        FILE_UPDATES,
        FILE_OPENINVM,
        FILE_OPENURL,
        FILE_INPUT,
        FILE_U2F,
        FILE_USER,
} FileIndex;

static const struct {
        const char *name, *header;
} files[POLICY_CONVERSION_FILES] = {
        [FILE_CLIPBOARD] = { "50-config-clipboard.policy", SETTINGS_HEADER },
        [FILE_FILECOPY] = { "50-config-filecopy.policy", SETTINGS_HEADER },
        [FILE_UPDATES] = { "50-config-updates.policy", SETTINGS_HEADER },
        [FILE_OPENINVM] = { "50-config-openinvm.policy", SETTINGS_HEADER },
        [FILE_OPENURL] = { "50-config-openurl.policy", SETTINGS_HEADER },
        [FILE_INPUT] = { "50-config-input.policy", SETTINGS_HEADER },
        [FILE_U2F] = { "50-config-u2f.policy", SETTINGS_HEADER },
        [FILE_USER] = { "30-user.policy", USER_HEADER },
};

/* The settings tools' file for a service, and which rules they understand. */
static const struct {
        const char *service;
        FileIndex file;
        bool (*understands)(const PolicyRule *rule);
} kinds[] = {
        { "qubes.ClipboardPaste", FILE_CLIPBOARD, rule_is_clipboard },
        { "qubes.Filecopy", FILE_FILECOPY, rule_is_filecopy },
        { "qubes.UpdatesProxy", FILE_UPDATES, rule_is_updates },
        { "qubes.OpenInVM", FILE_OPENINVM, rule_is_open },
        { "qubes.OpenURL", FILE_OPENURL, rule_is_open },
        { "qubes.InputKeyboard", FILE_INPUT, rule_is_input },
        { "qubes.InputMouse", FILE_INPUT, rule_is_input },
        { "qubes.InputTablet", FILE_INPUT, rule_is_input },
        { "u2f.Authenticate", FILE_U2F, rule_is_u2f },
        { "u2f.Register", FILE_U2F, rule_is_u2f },
        { "policy.RegisterArgument", FILE_U2F, rule_is_registration },
};

static FileIndex file_of(const PolicyRule *rule) {
        for (size_t i = 0; i < ARRAY_SIZE(kinds); ++i)
                if (rule->service && strcmp(rule->service->text, kinds[i].service) == 0)
                        return kinds[i].understands(rule) ? kinds[i].file : FILE_USER;
        return FILE_USER;
}

/*
 * The plan
 */

typedef struct Planning {
        const Policy *all, *others;
        FILE *stream;
        FILE *texts[POLICY_CONVERSION_FILES];
        size_t n_texts[POLICY_CONVERSION_FILES];
        bool *is_done; /* rules of `all`: settled, in one way or another */
        bool *is_kept; /* rules of `all` that went to a file */
        PolicyConversion *conversion;
} Planning;

static bool rule_is_of(const PolicyRule *rule, const Policy *policy) {
        for (size_t i = 0; i < policy->n_rules; ++i)
                if (policy->rules[i].line == rule->line && policy_atom_equal(policy->rules[i].path, rule->path))
                        return true;
        return false;
}

static bool same_service(const PolicyRule *a, const PolicyRule *b) {
        return a->service == b->service || (a->service && b->service && policy_atom_equal(a->service, b->service));
}

/* Do the other files say it already? */
static bool rule_is_said(const PolicyRule *rule, const Policy *policy) {
        for (size_t i = 0; i < policy->n_rules; ++i)
                if (policy_rule_equal(&policy->rules[i], rule))
                        return true;
        return false;
}

/* After this one no other legacy rule of the service decides anything. */
static bool rule_is_last(const PolicyRule *rule) {
        return !rule->argument && rule->source.kind == POLICY_TOKEN_ANYVM && rule->target.kind == POLICY_TOKEN_ANYVM &&
               rule->action == POLICY_ACTION_DENY;
}

static int plan_note(const Planning *planning, const char *what, const PolicyRule *rule) {
        _cleanup_free_ char *text = policy_rule_format(rule, &(size_t){ 0 }), *shown = NULL;

        shown = text ? policy_show_new(policy_slice(text)) : NULL;
        if (!shown)
                return error_origin(-ENOMEM);
        fprintf(planning->stream, "%s: %s\n", what, shown);
        return 0;
}

/* The settings tool takes one rule for each service and source. */
static bool input_is_taken(const Planning *planning, size_t index) {
        const PolicyRule *rules = planning->all->rules, *rule = &rules[index];

        for (size_t i = 0; i < index; ++i)
                if (planning->is_kept[i] && file_of(&rules[i]) == FILE_INPUT && same_service(&rules[i], rule) &&
                    policy_atom_equal(rules[i].source.value, rule->source.value))
                        return true;
        return false;
}

static int plan_rule(Planning *planning, size_t index) {
        const PolicyRule *rule = &planning->all->rules[index];
        _cleanup_free_ char *text = NULL;
        FileIndex file = file_of(rule);
        size_t n = 0;

        if (rule_is_said(rule, planning->others))
                return 0;
        if (file == FILE_INPUT && input_is_taken(planning, index))
                return plan_note(planning, "Leaving out, since an earlier rule for this device decides", rule);
        text = policy_rule_format(rule, &n);
        if (!text)
                return error_origin(-ENOMEM);
        if (!planning->texts[file])
                planning->texts[file] = open_memstream(&planning->conversion->rules[file], &planning->n_texts[file]);
        if (!planning->texts[file])
                return error_origin(-ENOMEM);
        fwrite(text, 1, n, planning->texts[file]);
        fputc('\n', planning->texts[file]);
        planning->is_kept[index] = true;
        ++planning->conversion->n_rules;
        return 0;
}

/* The legacy rules of the service of rule @first, in order. */
static int plan_service(Planning *planning, size_t first) {
        const PolicyRule *rules = planning->all->rules;
        bool is_cut = false;

        for (size_t i = first; i < planning->all->n_rules; ++i) {
                int r;

                if (planning->is_done[i] || !same_service(&rules[i], &rules[first]))
                        continue;
                planning->is_done[i] = true;
                is_cut = is_cut || rule_is_last(&rules[i]);
                r = is_cut ? 0 : plan_rule(planning, i);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int plan(Planning *planning) {
        const Policy *all = planning->all;

        planning->is_done = calloc(all->n_rules ?: 1, sizeof(*planning->is_done));
        planning->is_kept = calloc(all->n_rules ?: 1, sizeof(*planning->is_kept));
        if (!planning->is_done || !planning->is_kept)
                return error_origin(-ENOMEM);
        /* A rule that !compat-4.0 adds has no line, and is of no file but a legacy one. */
        for (size_t i = 0; i < all->n_rules; ++i)
                planning->is_done[i] = all->rules[i].line > 0 && rule_is_of(&all->rules[i], planning->others);
        for (size_t i = 0; i < all->n_rules; ++i) {
                int r = planning->is_done[i] ? 0 : plan_service(planning, i);

                if (r < 0)
                        return r;
        }
        return 0;
}

int policy_conversion_plan(const char *directory, const char *legacy, const Policy *all, const Policy *others,
                           FILE *stream, PolicyConversion *ret_conversion) {
        PolicyConversion conversion = { .directory = directory, .legacy = legacy };
        Planning planning = { .all = all, .others = others, .stream = stream, .conversion = &conversion };
        int r = plan(&planning);

        for (size_t i = 0; i < POLICY_CONVERSION_FILES; ++i)
                if (planning.texts[i])
                        r = text_close(planning.texts[i], &conversion.rules[i]) ?: r;
        free(planning.is_done);
        free(planning.is_kept);
        if (r < 0)
                policy_conversion_deinit(&conversion);
        else
                *ret_conversion = conversion;
        return r;
}

void policy_conversion_deinit(PolicyConversion *conversion) {
        for (size_t i = 0; i < POLICY_CONVERSION_FILES; ++i)
                free(conversion->rules[i]);
        for (size_t i = 0; i < conversion->n_steps; ++i) {
                free(conversion->steps[i].path);
                free(conversion->steps[i].from);
        }
        free(conversion->steps);
        *conversion = (PolicyConversion){};
}

/*
 * Carrying it out
 */

static int conversion_fail(FILE *stream, const char *path, const char *text) {
        fprintf(stream, "%s: %s\n", path, text);
        return POLICY_CONVERSION_E_FAILED;
}

/* There is room for a step before it is done, so that none is done that could not be undone. */
static PolicyConversionStep *conversion_prepare(PolicyConversion *conversion, const char *directory, const char *name) {
        PolicyConversionStep *larger =
                reallocarray(conversion->steps, conversion->n_steps + 1, sizeof(*conversion->steps));
        PolicyConversionStep *step;

        if (!larger)
                return NULL;
        conversion->steps = larger;
        step = &larger[conversion->n_steps];
        *step = (PolicyConversionStep){};
        if (asprintf(&step->path, "%s/%s", directory, name) < 0) {
                step->path = NULL;
                return NULL;
        }
        ++conversion->n_steps;
        return step;
}

/* @path with @suffix, more than once if there is such a file already; the caller frees it. NULL: no memory */
static char *free_path(const char *path, const char *suffix) {
        _cleanup_free_ char *result = strdup(path);
        struct stat st;

        while (result) {
                char *longer = NULL;

                if (asprintf(&longer, "%s%s", result, suffix) < 0)
                        return NULL;
                free(result);
                result = longer;
                if (lstat(result, &st) < 0)
                        return steal_ptr(&result);
        }
        return NULL;
}

/* A backup of @path, of which @text is the content: a second name does, since files are replaced and not written to. */
static int conversion_back_up(PolicyConversionStep *step, FILE *stream) {
        step->from = free_path(step->path, ".bak");
        if (!step->from)
                return error_origin(-ENOMEM);
        if (link(step->path, step->from) == 0) {
                step->kind = POLICY_CONVERSION_REPLACED;
                return 0;
        }
        free(step->from);
        step->from = NULL;
        return conversion_fail(stream, step->path, strerror(errno));
}

static char *conversion_text(const char *header, const char *rules, PolicySlice old, size_t *ret_n) {
        PolicySlice prefix = policy_slice(header);
        char *text = NULL;
        FILE *stream = open_memstream(&text, ret_n);

        if (!stream)
                return NULL;
        if (policy_slice_begins(old, prefix))
                old = policy_slice_skip(old, prefix.n);
        fputs(header, stream);
        fputs(rules, stream);
        fwrite(old.text, 1, old.n, stream);
        (void)text_close(stream, &text);
        return text;
}

static int conversion_write(PolicyConversion *conversion, int dir_fd, FileIndex file, mode_t mode, FILE *stream) {
        PolicyConversionStep *step = conversion_prepare(conversion, conversion->directory, files[file].name);
        _cleanup_free_ char *old = NULL, *text = NULL;
        size_t n_old = 0, n = 0;
        int r;

        if (!step)
                return error_origin(-ENOMEM);
        r = file_read(dir_fd, files[file].name, POLICY_FILE_SIZE_MAX, &old, &n_old);
        if (r < 0)
                return error_trace(r);
        if (r == 0)
                r = conversion_back_up(step, stream);
        else
                r = r == FILE_E_NOT_FOUND ? 0 : conversion_fail(stream, step->path, file_error_text(r));
        if (r) {
                /* Not done: what is there is not ours to remove. */
                free(step->path);
                --conversion->n_steps;
                return r;
        }
        fprintf(stream, "Writing %s...\n", step->path);
        text = conversion_text(files[file].header, conversion->rules[file],
                               (PolicySlice){ old ?: "", file == FILE_INPUT ? 0 : n_old }, &n);
        if (!text)
                return error_origin(-ENOMEM);
        r = file_replace(dir_fd, files[file].name, text, n, mode, false);
        return r > 0 ? conversion_fail(stream, step->path, file_error_text(r)) : error_trace(r);
}

static bool is_aside(const char *name) {
        size_t n = strlen(name), n_suffix = strlen(ASIDE);

        return n >= n_suffix && strcmp(name + n - n_suffix, ASIDE) == 0;
}

static int conversion_put_aside(PolicyConversion *conversion, const char *name, FILE *stream) {
        _cleanup_free_ char *from = NULL, *path = NULL;
        PolicyConversionStep *step;

        if (asprintf(&from, "%s/%s", conversion->legacy, name) < 0) {
                from = NULL;
                return error_origin(-ENOMEM);
        }
        path = free_path(from, ASIDE);
        step = path ? conversion_prepare(conversion, conversion->legacy, strrchr(path, '/') + 1) : NULL;
        if (!step)
                return error_origin(-ENOMEM);
        if (rename(from, path) < 0) {
                free(step->path);
                --conversion->n_steps;
                return conversion_fail(stream, from, strerror(errno));
        }
        step->kind = POLICY_CONVERSION_RENAMED;
        step->from = steal_ptr(&from);
        return 0;
}

int policy_conversion_apply(PolicyConversion *conversion, FILE *stream) {
        _cleanup_fd_ int dir_fd = open(conversion->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(policy_names_deinit) PolicyNames names = {};
        struct stat st;
        int r = 0;

        if (dir_fd < 0 || fstat(dir_fd, &st) < 0)
                return conversion_fail(stream, conversion->directory, strerror(errno));
        for (size_t i = 0; i < POLICY_CONVERSION_FILES && r == 0; ++i)
                if (conversion->rules[i])
                        r = conversion_write(conversion, dir_fd, (FileIndex)i,
                                             st.st_mode & S_IWGRP ? POLICY_ADMIN_MODE_GROUP : POLICY_ADMIN_MODE,
                                             stream);
        if (r)
                return r;
        r = policy_names_list_all(conversion->legacy, &names);
        if (r < 0)
                return conversion_fail(stream, conversion->legacy, strerror(-r));
        for (size_t i = 0; i < names.n && r == 0; ++i)
                if (!is_aside(names.names[i]))
                        r = conversion_put_aside(conversion, names.names[i], stream);
        return r;
}

static int conversion_undo_step(const PolicyConversionStep *step) {
        switch (step->kind) {
        case POLICY_CONVERSION_CREATED:
                return unlink(step->path);
        case POLICY_CONVERSION_REPLACED:
                if (rename(step->from, step->path) < 0)
                        return -1;
                (void)unlink(step->from); /* it is still there if nothing had been replaced: see rename(2) */
                return 0;
        case POLICY_CONVERSION_RENAMED:
                return rename(step->path, step->from);
        }
        return 0;
}

int policy_conversion_undo(PolicyConversion *conversion, FILE *stream) {
        int result = 0;

        while (conversion->n_steps > 0) {
                PolicyConversionStep *step = &conversion->steps[--conversion->n_steps];

                if (conversion_undo_step(step) < 0 && errno != ENOENT)
                        result = conversion_fail(stream, step->path, strerror(errno));
                free(step->path);
                free(step->from);
        }
        return result;
}
