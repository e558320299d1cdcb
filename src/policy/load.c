/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a policy: which files, in which order, and what their directives bring in (specification, sections 1 and 3).
 *
 * An error in a line is noted and the next line is looked at, so that an administrator sees all of them at once; the
 * first one noted is the one that the specification has reported. Everything after which the next line would make no
 * sense (a limit, a directory that cannot be read) ends the load at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "policy/directive.h"
#include "policy/lexer.h"
#include "policy/path.h"
#include "policy/policy.h"
#include "policy/quote.h"

enum {
        _LOAD_E_SUCCESS,
        LOAD_E_STOP, /* reported; nothing more can be found */
};

typedef struct PolicyLoader {
        Policy *policy;
        const PolicySources *sources; /* NULL: no files at all, directives are errors */
        Diagnostics *reterr;
        size_t n_files;
        int e_first; /* POLICY_E_… of the first error; 0: none so far */
} PolicyLoader;

/** A text being read. */
typedef struct PolicyFile {
        const char *directory; /* where relative paths start (3.1) */
        unsigned depth;        /* of inclusion; 0: top level */
        bool is_old;           /* in the old format, about `subject` (3.5) */
        PolicySubject subject;
        PolicyContext context; /* where we are in it */
} PolicyFile;

static int policy_load_path(PolicyLoader *loader, const PolicyFile *parent, const char *path, const char *directory,
                            const PolicySubject *subject);

static void policy_load_failed(PolicyLoader *loader, int e) {
        if (loader->e_first == 0)
                loader->e_first = e;
}

/* A load error (1.5): the whole message, without a place in front. Return: LOAD_E_STOP or a negative error */
static int policy_load_fail(PolicyLoader *loader, const char *message, const char *path, const char *rest) {
        _cleanup_free_ char *shown = policy_show_new(policy_slice(path));
        int r;

        if (!shown)
                return error_origin(-ENOMEM);
        r = diagnostics_add(loader->reterr, "", 0, 0, "%s%s%s", message, shown, rest);
        if (r < 0)
                return error_trace(r);
        policy_load_failed(loader, POLICY_E_LOAD);
        return LOAD_E_STOP;
}

/* "failed to load PATH file: [Errno N] TEXT: 'PATH'" */
static int policy_load_fail_errno(PolicyLoader *loader, const char *path, int error) {
        _cleanup_free_ char *quoted = policy_quote_new(policy_slice(path)), *rest = NULL;

        if (!quoted || asprintf(&rest, " file: [Errno %d] %s: %s", error, strerror(error), quoted) < 0) {
                rest = NULL;
                return error_origin(-ENOMEM);
        }
        return policy_load_fail(loader, "failed to load ", path, rest);
}

/* An error in a line. @r: what the parser returned. Return: 0, to go on with the next line, or a negative error */
static int policy_load_line_failed(PolicyLoader *loader, int r) {
        if (r < 0)
                return error_trace(r);
        policy_load_failed(loader, POLICY_E_SYNTAX);
        return 0;
}

/* A limit: an error in a line after which nothing more is looked at. */
static int policy_load_limit(PolicyLoader *loader, PolicyContext *context, const char *what, size_t limit) {
        int r = policy_load_line_failed(loader,
                                        policy_context_fail(context, "%s: at most %zu are allowed", what, limit));

        return r < 0 ? r : LOAD_E_STOP;
}

static int policy_load_add_rule(PolicyLoader *loader, PolicyContext *context, const PolicyRule *rule) {
        if (loader->policy->n_rules >= POLICY_RULES_MAX)
                return policy_load_limit(loader, context, "too many rules", POLICY_RULES_MAX);
        return error_trace(policy_add_rule(loader->policy, rule));
}

/*
 * Directives (section 3)
 */

/* The real path of an included file or directory, or a syntax error "MESSAGE: REALPATH". */
static int policy_load_resolve(PolicyFile *file, PolicySlice path, const char *message, bool (*is_right)(const char *),
                               char **ret_path) {
        _cleanup_free_ char *real = NULL;
        PolicySlice shown = path;
        int r;

        r = policy_path_resolve(file->directory, path, &real);
        if (r < 0)
                return error_trace(r);
        if (r == 0) {
                if (is_right(real)) {
                        *ret_path = steal_ptr(&real);
                        return 0;
                }
                shown = policy_slice(real);
        }
        return policy_context_fail_about(&file->context, message, shown, false);
}

static const PolicyChange *policy_load_change(const PolicyLoader *loader) {
        return loader->sources ? loader->sources->change : NULL;
}

static int policy_load_include(PolicyLoader *loader, PolicyFile *file, PolicySlice path, const PolicySubject *subject) {
        const PolicyChange *change = policy_load_change(loader);
        _cleanup_free_ char *real = NULL;
        int r;

        if (change) {
                r = policy_path_resolve(file->directory, path, &real);
                if (r == 0 && strcmp(real, change->path) == 0) {
                        if (!change->removes)
                                return policy_load_path(loader, file, real, file->directory, subject);
                        return policy_load_line_failed(
                                loader, policy_context_fail_about(
                                                &file->context,
                                                "including a file that will be removed: ", policy_slice(real), false));
                }
                free(real);
                real = NULL;
        }
        r = policy_load_resolve(file, path, "not a file: ", policy_path_is_file, &real);
        if (r)
                return policy_load_line_failed(loader, r);
        return policy_load_path(loader, file, real, file->directory, subject);
}

static bool policy_load_is_candidate(const char *name) {
        PolicySlice text = policy_slice(name), suffix = POLICY_SLICE(".policy");

        return text.n >= suffix.n && policy_slice_equal(policy_slice_skip(text, text.n - suffix.n), suffix);
}

static bool policy_load_name_is_valid(const char *name) {
        return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.-")] == '\0';
}

static int policy_load_join(const char *directory, const char *name, char **ret_path) {
        char *path = NULL;

        if (asprintf(&path, "%s%s%s", directory, strcmp(directory, "/") == 0 ? "" : "/", name) < 0)
                return error_origin(-ENOMEM);
        *ret_path = path;
        return 0;
}

/*
 * A change that is not made yet (8.5)
 */

/* Does @path lead to the file that is to be changed? */
static int policy_load_is_changed(const PolicyLoader *loader, const char *path, bool *ret_changed) {
        const PolicyChange *change = policy_load_change(loader);
        _cleanup_free_ char *real = NULL;
        int r;

        *ret_changed = false;
        if (!change)
                return 0;
        r = policy_path_resolve(NULL, policy_slice(path), &real);
        if (r < 0)
                return error_trace(r);
        *ret_changed = r == 0 && strcmp(real, change->path) == 0;
        return 0;
}

/* Will @directory/@name be no candidate, or one that is read after all others? */
static int policy_load_is_put_off(const PolicyLoader *loader, const char *directory, const char *name, bool *ret_off) {
        const PolicyChange *change = policy_load_change(loader);
        _cleanup_free_ char *path = NULL;
        int r;

        *ret_off = false;
        if (!change)
                return 0;
        r = policy_load_join(directory, name, &path);
        if (r < 0)
                return r;
        r = policy_load_is_changed(loader, path, ret_off);
        /* A link to the file goes on being read in its place, unless it will lead nowhere. */
        if (r == 0 && *ret_off)
                *ret_off = change->removes || strcmp(path, change->path) == 0;
        return r;
}

/* The file that policy_load_list() has put off, if it is directly in @directory. */
static int policy_load_put_off(PolicyLoader *loader, const PolicyFile *parent, const char *directory,
                               const char *include_directory) {
        const PolicyChange *change = policy_load_change(loader);
        const char *slash = change ? strrchr(change->path, '/') : NULL;

        if (!change || change->removes || !slash || !policy_load_is_candidate(slash + 1) ||
            strncmp(change->path, directory, (size_t)(slash - change->path)) != 0 ||
            directory[slash - change->path] != '\0')
                return 0;
        return policy_load_path(loader, parent, change->path, include_directory, NULL);
}

/* The candidates of a directory (1.2): all names are checked before anything is opened. */
static int policy_load_list(PolicyLoader *loader, const char *directory, PolicyNames *ret_names) {
        _cleanup_(policy_names_deinit) PolicyNames names = {};
        size_t n = 0;
        int r;

        /* A shortage of the moment, too: what cannot be read is not loaded, and does not end a daemon. */
        r = policy_names_list(directory, &names);
        if (r < 0)
                return policy_load_fail_errno(loader, directory, -r);
        for (size_t i = 0; i < names.n; ++i) {
                _cleanup_free_ char *name = steal_ptr(&names.names[i]);
                bool is_off;

                r = policy_load_is_put_off(loader, directory, name, &is_off);
                if (r < 0)
                        return r;
                if (policy_load_is_candidate(name) && !is_off)
                        names.names[n++] = steal_ptr(&name);
        }
        names.n = n;
        for (size_t i = 0; i < names.n; ++i) {
                _cleanup_free_ char *path = NULL;

                if (policy_load_name_is_valid(names.names[i]))
                        continue;
                r = policy_load_join(directory, names.names[i], &path);
                if (r < 0)
                        return r;
                return policy_load_fail(loader, "invalid filename: ", path, "");
        }
        *ret_names = names;
        names = (PolicyNames){};
        return 0;
}

/* An included folder is watched as its files are: it may have none yet. */
static int policy_load_note_folder(PolicyLoader *loader, const char *real) {
        _cleanup_free_ char *path = NULL;
        const PolicyAtom *atom;
        int r;

        r = policy_load_join(real, "", &path);
        r = r ?: policy_atoms_intern(&loader->policy->atoms, policy_slice(path), &atom);
        return r ? error_trace(r) : error_trace(policy_add_file(loader->policy, atom));
}

static int policy_load_include_directory(PolicyLoader *loader, PolicyFile *file, PolicySlice path) {
        _cleanup_free_ char *real = NULL;
        _cleanup_(policy_names_deinit) PolicyNames names = {};
        int r;

        r = policy_load_resolve(file, path, "not a directory: ", policy_path_is_directory, &real);
        if (r)
                return policy_load_line_failed(loader, r);
        r = policy_load_note_folder(loader, real);
        r = r ?: policy_load_list(loader, real, &names);
        if (r)
                return r;
        for (size_t i = 0; i < names.n; ++i) {
                _cleanup_free_ char *entry = NULL;

                r = policy_load_join(real, names.names[i], &entry);
                if (r < 0)
                        return r;
                r = policy_load_path(loader, file, entry, file->directory, NULL);
                if (r)
                        return r;
        }
        return policy_load_put_off(loader, file, real, file->directory);
}

/*
 * !compat-4.0 (3.6)
 */

/** A file of the legacy directory: SERVICE or SERVICE+ARGUMENT. */
typedef struct PolicyLegacy {
        char *name; /* borrowed */
        PolicySlice service;
        PolicySlice argument; /* with its `+`; empty: any */
} PolicyLegacy;

static bool policy_legacy_is_ignored(const char *name) {
        static const char *const suffixes[] = { ".rpmsave", ".rpmnew", ".swp" };
        const char *dot = strrchr(name, '.');

        for (size_t i = 0; i < ARRAY_SIZE(suffixes); ++i)
                if (dot && strcmp(dot, suffixes[i]) == 0)
                        return true;
        return name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._+")] != '\0';
}

static int policy_slice_compare(PolicySlice a, PolicySlice b) {
        size_t n = a.n < b.n ? a.n : b.n;
        int order = n > 0 ? memcmp(a.text, b.text, n) : 0;

        return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* By service; for each by argument, with "any" last. */
static int policy_legacy_compare(const void *a, const void *b) {
        const PolicyLegacy *x = a, *y = b;
        int order = policy_slice_compare(x->service, y->service);

        if (order != 0)
                return order;
        if (x->argument.n == 0 || y->argument.n == 0)
                return (x->argument.n == 0) - (y->argument.n == 0);
        return policy_slice_compare(x->argument, y->argument);
}

/* The two rules after a file for one argument: what it does not decide, no later file may. */
static int policy_legacy_close(PolicyLoader *loader, PolicyContext *context, const char *path,
                               const PolicySubject *subject) {
        static const PolicyTokenKind targets[] = { POLICY_TOKEN_ANYVM, POLICY_TOKEN_ADMINVM };
        PolicyRule rule = { .service = subject->service,
                            .argument = subject->argument,
                            .source = { .kind = POLICY_TOKEN_ANYVM },
                            .action = POLICY_ACTION_DENY,
                            .notify = true,
                            .autostart = true };
        int r;

        r = policy_atoms_intern(&loader->policy->atoms, policy_slice(path), &rule.path);
        for (size_t i = 0; i < ARRAY_SIZE(targets) && r == 0; ++i) {
                rule.target.kind = targets[i];
                r = policy_load_add_rule(loader, context, &rule);
        }
        return r < 0 ? error_trace(r) : r;
}

static int policy_legacy_load(PolicyLoader *loader, PolicyFile *file, const char *directory,
                              const PolicyLegacy *legacy) {
        _cleanup_free_ char *path = NULL;
        PolicySubject subject = {};
        int r;

        r = policy_load_join(directory, legacy->name, &path);
        if (r < 0)
                return r;
        r = policy_atoms_intern(&loader->policy->atoms, legacy->service, &subject.service);
        if (r == 0 && legacy->argument.n > 0)
                r = policy_atoms_intern(&loader->policy->atoms, legacy->argument, &subject.argument);
        if (r < 0)
                return error_trace(r);
        r = policy_load_path(loader, file, path, directory, &subject);
        if (r == 0 && subject.argument)
                r = policy_legacy_close(loader, &file->context, path, &subject);
        return r;
}

static int policy_load_legacy(PolicyLoader *loader, PolicyFile *file) {
        const char *directory = loader->sources->legacy ?: POLICY_LEGACY_DIRECTORY;
        _cleanup_(policy_names_deinit) PolicyNames names = {};
        _cleanup_free_ PolicyLegacy *files = NULL;
        size_t n = 0;
        int r;

        if (loader->sources->ignores_legacy)
                return 0;
        /* A shortage of the moment, too: what cannot be read is not loaded, and does not end a daemon. */
        r = policy_names_list(directory, &names);
        if (r < 0)
                return policy_load_fail_errno(loader, directory, -r);

        files = calloc(names.n ?: 1, sizeof(*files));
        if (!files)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < names.n; ++i) {
                PolicySlice name = policy_slice(names.names[i]);
                size_t n_service = strcspn(name.text, "+");

                if (policy_legacy_is_ignored(names.names[i]))
                        continue;
                files[n++] = (PolicyLegacy){ .name = names.names[i],
                                             .service = { name.text, n_service },
                                             .argument = policy_slice_skip(name, n_service) };
        }
        if (n > 1)
                qsort(files, n, sizeof(*files), policy_legacy_compare);
        /* The shipped policy has the directive for those who need it; who has no such files is not told of it. */
        r = n == 0 ? 0
                   : diagnostics_add(&loader->policy->warnings, "", 0, 0,
                                     "warning: !compat-4.0 directive in file %s line %u is transitional and will be "
                                     "deprecated",
                                     file->context.path->text, file->context.line);
        if (r < 0)
                return error_trace(r);
        for (size_t i = 0; i < n; ++i) {
                r = policy_legacy_load(loader, file, directory, &files[i]);
                if (r)
                        return r;
        }
        return 0;
}

/*
 * Lines
 */

static int policy_load_directive(PolicyLoader *loader, PolicyFile *file, PolicySlice line) {
        PolicyDirective directive;
        int r;

        r = policy_directive_parse(&file->context, file->is_old ? BIT(POLICY_DIRECTIVE_INCLUDE) : ~0U, line,
                                   &directive);
        if (r == 0 && !loader->sources)
                r = policy_context_fail(&file->context, "a text that is not a file cannot include files");
        if (r)
                return policy_load_line_failed(loader, r);

        file->context.word = directive.path; /* where it leads nowhere */
        switch (directive.kind) {
        case POLICY_DIRECTIVE_INCLUDE:
                return policy_load_include(loader, file, directive.path, file->is_old ? &file->subject : NULL);
        case POLICY_DIRECTIVE_INCLUDE_DIR:
                return policy_load_include_directory(loader, file, directive.path);
        case POLICY_DIRECTIVE_INCLUDE_SERVICE:
                return policy_load_include(loader, file, directive.path, &directive.subject);
        case POLICY_DIRECTIVE_COMPAT:
                return policy_load_legacy(loader, file);
        case _POLICY_DIRECTIVE_N:
                break;
        }
        return error_origin(-EINVAL);
}

static int policy_load_line(PolicyLoader *loader, PolicyFile *file, PolicySlice line) {
        _cleanup_free_ char *translated = NULL;
        PolicyRule rule;
        int r;

        if (policy_line_says_nothing(line))
                return 0;
        if (file->is_old) {
                translated = policy_old_translate(line);
                if (!translated)
                        return error_origin(-ENOMEM);
                line.text = translated; /* as long as it was, so words stand where they stood */
        }
        file->context.whole = line;
        if (line.text[0] == '!') {
                r = policy_load_directive(loader, file, line);
                file->context.whole = file->context.word = (PolicySlice){};
                return r;
        }
        if (file->is_old)
                r = policy_rule_parse_old(&file->context, &file->subject, line, &rule);
        else
                r = policy_rule_parse(&file->context, line, &rule);
        file->context.whole = (PolicySlice){};
        if (r)
                return policy_load_line_failed(loader, r);
        return policy_load_add_rule(loader, &file->context, &rule);
}

static int policy_load_text(PolicyLoader *loader, PolicyFile *file, PolicySlice text) {
        PolicyLines lines = POLICY_LINES_INIT(text);
        PolicySlice line;
        int r;

        file->context.line = policy_utf8_check(text);
        if (file->context.line > 0)
                return policy_load_line_failed(loader, policy_context_fail(&file->context, "invalid UTF-8"));
        while (policy_lines_next(&lines, &line)) {
                file->context.line = lines.line;
                if (line.n > POLICY_LINE_MAX)
                        return policy_load_limit(loader, &file->context, "too many bytes in a line", POLICY_LINE_MAX);
                r = policy_load_line(loader, file, line);
                if (r)
                        return r;
        }
        return 0;
}

static int policy_file_error(int r) {
        switch (r) {
        case FILE_E_NOT_FOUND:
                return ENOENT;
        case FILE_E_ACCESS:
                return EACCES;
        case FILE_E_UNREADABLE:
                return EIO;
        default:
                return EISDIR;
        }
}

/* The content of a file, or what it will be. Return: 0, FILE_E_…, or a negative error */
static int policy_load_read(const PolicyLoader *loader, const char *path, char **ret_data, size_t *ret_n) {
        const PolicyChange *change = policy_load_change(loader);
        bool is_changed;
        int r;

        r = policy_load_is_changed(loader, path, &is_changed);
        if (r < 0)
                return r;
        if (!is_changed)
                return file_read(AT_FDCWD, path, POLICY_FILE_SIZE_MAX, ret_data, ret_n);
        if (change->text.n > POLICY_FILE_SIZE_MAX)
                return FILE_E_TOO_LARGE;
        *ret_data = malloc(change->text.n + 1);
        if (!*ret_data)
                return error_origin(-ENOMEM);
        if (change->text.n > 0)
                memcpy(*ret_data, change->text.text, change->text.n);
        *ret_n = change->text.n;
        return 0;
}

/*
 * Reads one file. @parent: what includes it, whose line an exceeded limit is reported at; NULL: nothing, it is at the
 * top level. @subject: it is in the old format, about this.
 */
static int policy_load_path(PolicyLoader *loader, const PolicyFile *parent, const char *path, const char *directory,
                            const PolicySubject *subject) {
        PolicyFile file = { .directory = directory, .depth = parent ? parent->depth + 1 : 0 };
        _cleanup_free_ char *data = NULL;
        size_t n_data = 0;
        int r;

        file.context = (PolicyContext){ .atoms = &loader->policy->atoms, .reterr = loader->reterr };
        r = policy_atoms_intern(file.context.atoms, policy_slice(path), &file.context.path);
        if (r < 0)
                return error_trace(r);
        if (file.depth > POLICY_INCLUDE_DEPTH_MAX) {
                PolicyContext context = parent->context;

                return policy_load_limit(loader, &context, "files include each other too deeply, or in a loop",
                                         POLICY_INCLUDE_DEPTH_MAX);
        }
        if (++loader->n_files > POLICY_FILES_MAX)
                return policy_load_limit(loader, &file.context, "too many files", POLICY_FILES_MAX);

        r = policy_load_read(loader, path, &data, &n_data);
        if (r == -ENOMEM)
                return error_trace(r);
        if (r == FILE_E_TOO_LARGE)
                return policy_load_limit(loader, &file.context, "too many bytes", POLICY_FILE_SIZE_MAX);
        if (r != 0)
                return policy_load_fail_errno(loader, path, r < 0 ? -r : policy_file_error(r));
        r = policy_add_file(loader->policy, file.context.path);
        if (r < 0)
                return error_trace(r);

        file.is_old = subject != NULL;
        if (subject)
                file.subject = *subject;
        return policy_load_text(loader, &file, (PolicySlice){ data, n_data });
}

/*
 * The directories (1.2, 1.3)
 */

typedef struct PolicyTopLevel {
        const char *directory;
        char *name;
} PolicyTopLevel;

typedef struct PolicyTopLevels {
        PolicyTopLevel *entries; /* sorted by name, no name twice */
        size_t n;
} PolicyTopLevels;

static void policy_top_levels_deinit(PolicyTopLevels *files) {
        for (size_t i = 0; i < files->n; ++i)
                free(files->entries[i].name);
        free(files->entries);
}

static bool policy_top_levels_have(const PolicyTopLevels *files, const char *name) {
        for (size_t i = 0; i < files->n; ++i)
                if (strcmp(files->entries[i].name, name) == 0)
                        return true;
        return false;
}

/* Adds what no earlier directory hides; takes the names out of @names. */
static int policy_top_levels_add(PolicyTopLevels *files, const char *directory, PolicyNames *names) {
        PolicyTopLevel *larger = reallocarray(files->entries, files->n + names->n + 1, sizeof(*larger));
        size_t n = files->n;

        if (!larger)
                return error_origin(-ENOMEM);
        files->entries = larger;
        for (size_t i = 0; i < names->n; ++i)
                if (!policy_top_levels_have(files, names->names[i]))
                        files->entries[n++] = (PolicyTopLevel){ directory, steal_ptr(&names->names[i]) };
        files->n = n;
        return 0;
}

static int policy_top_level_compare(const void *a, const void *b) {
        return strcmp(((const PolicyTopLevel *)a)->name, ((const PolicyTopLevel *)b)->name);
}

static int policy_load_directories(PolicyLoader *loader, const PolicySources *sources) {
        _cleanup_(policy_top_levels_deinit) PolicyTopLevels files = {};
        int r;

        for (size_t i = 0; i < sources->n_directories; ++i) {
                _cleanup_(policy_names_deinit) PolicyNames names = {};

                r = policy_load_list(loader, sources->directories[i], &names);
                if (r)
                        return r;
                r = policy_top_levels_add(&files, sources->directories[i], &names);
                if (r < 0)
                        return r;
        }
        if (files.n > 1)
                qsort(files.entries, files.n, sizeof(*files.entries), policy_top_level_compare);
        for (size_t i = 0; i < files.n; ++i) {
                _cleanup_free_ char *path = NULL;

                r = policy_load_join(files.entries[i].directory, files.entries[i].name, &path);
                if (r < 0)
                        return r;
                r = policy_load_path(loader, NULL, path, files.entries[i].directory, NULL);
                if (r)
                        return r;
        }
        for (size_t i = 0; i < sources->n_directories; ++i) {
                r = policy_load_put_off(loader, NULL, sources->directories[i], sources->directories[i]);
                if (r)
                        return r;
        }
        return 0;
}

/* Nothing of a policy with an error is ever handed out (1.5). */
static int policy_load_finish(PolicyLoader *loader, int r, Policy **policy, Policy **ret_policy) {
        if (r < 0)
                return error_trace(r);
        if (loader->e_first != 0)
                return loader->e_first;
        r = policy_compile(*policy);
        if (r < 0)
                return r;
        *ret_policy = steal_ptr(policy);
        return 0;
}

int policy_load(const PolicySources *sources, Diagnostics *reterr, Policy **ret_policy) {
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        PolicyLoader loader = { .sources = sources, .reterr = reterr };
        int r;

        r = policy_new(&policy);
        if (r < 0)
                return error_trace(r);
        loader.policy = policy;
        r = policy_load_directories(&loader, sources);
        return policy_load_finish(&loader, r, &policy, ret_policy);
}

int policy_parse(const char *path, PolicySlice text, Diagnostics *reterr, Policy **ret_policy) {
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        PolicyLoader loader = { .reterr = reterr };
        PolicyFile file = { .context = { .reterr = reterr } };
        int r;

        r = policy_new(&policy);
        if (r < 0)
                return error_trace(r);
        loader.policy = policy;
        file.context.atoms = &policy->atoms;
        r = policy_atoms_intern(&policy->atoms, policy_slice(path), &file.context.path);
        if (r < 0)
                return error_trace(r);
        r = policy_load_text(&loader, &file, text);
        return policy_load_finish(&loader, r, &policy, ret_policy);
}
