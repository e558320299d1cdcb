/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the policy would load is found out by trying, in a folder made for it that has what will be in @dest. Relative
 * includes start at the top-level directory (3.1), so they mean the same there.
 */
#include "policy-tools/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "policy-tools/admin.h"
#include "policy/directive.h"
#include "policy/lexer.h"
#include "policy/path.h"
#include "policy/policy.h"
#include "policy/quote.h"

#define INCLUDE "include"

/** Folders of a policy directory, as prefixes of its files' names. */
static const char *const prefixes[] = { "", INCLUDE "/" };

typedef enum RestoreMark { RESTORE_NEW, RESTORE_ENTERED, RESTORE_DONE } RestoreMark;

typedef struct RestoreFile {
        char *name; /* NAME or include/NAME */
        char *text;
        size_t n_text;
        RestoreMark mark;
} RestoreFile;

typedef struct Restore {
        char *source, *dest; /* real paths */
        const char *legacy;
        FILE *notes;
        Diagnostics *reterr;
        RestoreFile *files;
        size_t n_files;
        size_t *order; /* indices of files */
        size_t n_order;
        int dest_fds[ARRAY_SIZE(prefixes)]; /* of DEST and DEST/include */
        char trial[PATH_MAX];               /* "": not made */
} Restore;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static void restore_deinit(Restore *restore) {
        if (restore->trial[0] != '\0')
                (void)nftw(restore->trial, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        for (size_t i = 0; i < ARRAY_SIZE(prefixes); ++i)
                fd_close(restore->dest_fds[i]);
        for (size_t i = 0; i < restore->n_files; ++i) {
                free(restore->files[i].name);
                free(restore->files[i].text);
        }
        free(restore->files);
        free(restore->order);
        free(restore->source);
        free(restore->dest);
}

/* Return: POLICY_RESTORE_E_INVALID or a negative error */
static int restore_fail(Restore *restore, const char *path, unsigned line, const char *text, const char *about) {
        int r = diagnostics_add(restore->reterr, path, line, 0, "%s%s", text, about);

        return r < 0 ? error_trace(r) : POLICY_RESTORE_E_INVALID;
}

/*
 * The saved files
 */

static int restore_read(Restore *restore, const char *prefix, const char *name) {
        RestoreFile *larger = reallocarray(restore->files, restore->n_files + 1, sizeof(*larger)), *file;
        char path[PATH_MAX];
        int r;

        if (!larger)
                return error_origin(-ENOMEM);
        restore->files = larger;
        file = &restore->files[restore->n_files];
        *file = (RestoreFile){};
        if (asprintf(&file->name, "%s%s", prefix, name) < 0) {
                file->name = NULL;
                return error_origin(-ENOMEM);
        }
        ++restore->n_files;
        snprintf(path, sizeof(path), "%s/%s", restore->source, file->name);
        r = file_read(AT_FDCWD, path, POLICY_FILE_SIZE_MAX, &file->text, &file->n_text);
        return r > 0 ? restore_fail(restore, path, 0, file_error_text(r), "") : error_trace(r);
}

static int restore_list(Restore *restore) {
        for (size_t i = 0; i < ARRAY_SIZE(prefixes); ++i) {
                _cleanup_(policy_names_deinit) PolicyNames names = {};
                char path[PATH_MAX];
                int r;

                snprintf(path, sizeof(path), "%s/%s", restore->source, prefixes[i]);
                r = policy_names_list(path, &names);
                if (r == -ENOENT && i > 0)
                        continue; /* nothing was saved of it */
                if (r < 0)
                        return restore_fail(restore, path, 0, strerror(-r), "");
                for (size_t k = 0; k < names.n; ++k) {
                        r = restore_read(restore, prefixes[i], names.names[k]);
                        if (r)
                                return r;
                }
        }
        return 0;
}

/*
 * Their order
 */

static bool restore_is_policy(const RestoreFile *file) {
        size_t n = strlen(file->name), n_suffix = strlen(".policy");

        return strncmp(file->name, INCLUDE "/", strlen(INCLUDE "/")) == 0 ||
               (n >= n_suffix && strcmp(file->name + n - n_suffix, ".policy") == 0);
}

static int restore_visit(Restore *restore, size_t index, unsigned depth);

/* Every file directly in the folder @name, or the file itself. *@ret_found: there was one */
static int restore_visit_name(Restore *restore, const char *name, bool is_folder, unsigned depth, bool *ret_found) {
        size_t n = strlen(name);

        *ret_found = is_folder && (n == 0 || strcmp(name, INCLUDE) == 0);
        for (size_t i = 0; i < restore->n_files; ++i) {
                const char *other = restore->files[i].name;
                bool is_it = is_folder ? strncmp(other, name, n) == 0 && (n == 0 || other[n] == '/') &&
                                                 !strchr(other + n + (n > 0), '/')
                                       : strcmp(other, name) == 0;
                int r;

                if (!is_it)
                        continue;
                *ret_found = true;
                r = restore_visit(restore, i, depth);
                if (r)
                        return r;
        }
        return 0;
}

static int restore_visit_directive(Restore *restore, const char *path, unsigned line, PolicySlice text,
                                   unsigned depth) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_atoms_deinit) PolicyAtoms atoms = POLICY_ATOMS_INIT;
        PolicyContext context = { .atoms = &atoms, .reterr = &diagnostics, .line = line };
        size_t n_source = strlen(restore->source);
        _cleanup_free_ char *real = NULL;
        PolicyDirective directive;
        bool found = false;
        int r;

        r = policy_atoms_intern(&atoms, policy_slice(path), &context.path);
        r = r ?: policy_directive_parse(&context, ~0U, text, &directive);
        if (r < 0)
                return error_trace(r);
        if (r > 0 || directive.kind == POLICY_DIRECTIVE_COMPAT)
                return 0; /* a malformed one is found when the policy is tried */
        r = policy_path_resolve(restore->source, directive.path, &real);
        if (r < 0)
                return error_trace(r);
        if (r == 0 && strncmp(real, restore->source, n_source) == 0 &&
            (real[n_source] == '/' || real[n_source] == '\0')) {
                r = restore_visit_name(restore, real + n_source + (real[n_source] == '/'),
                                       directive.kind == POLICY_DIRECTIVE_INCLUDE_DIR, depth, &found);
                if (r || found)
                        return r;
        }
        return restore_fail(restore, path, line, "includes what is not among the saved files: ", real ?: "a bad path");
}

static int restore_visit_lines(Restore *restore, const RestoreFile *file, unsigned depth) {
        PolicyLines lines = POLICY_LINES_INIT(((PolicySlice){ file->text, file->n_text }));
        const PolicySlice old_include = POLICY_SLICE("$include:");
        char path[PATH_MAX];
        PolicySlice line;

        snprintf(path, sizeof(path), "%s/%s", restore->source, file->name);
        if (!restore_is_policy(file) || policy_utf8_check(lines.rest) > 0)
                return 0;
        while (policy_lines_next(&lines, &line)) {
                _cleanup_free_ char *translated = NULL;
                int r;

                if (policy_slice_begins(line, old_include)) {
                        translated = policy_old_translate(line);
                        if (!translated)
                                return error_origin(-ENOMEM);
                        line.text = translated;
                }
                if (line.n == 0 || line.text[0] != '!')
                        continue;
                r = restore_visit_directive(restore, path, lines.line, line, depth);
                if (r)
                        return r;
        }
        return 0;
}

/* What it includes, then the file itself. */
static int restore_visit(Restore *restore, size_t index, unsigned depth) {
        RestoreFile *file = &restore->files[index];
        int r;

        switch (file->mark) {
        case RESTORE_DONE:
                return 0;
        case RESTORE_ENTERED:
                return restore_fail(restore, file->name, 0, "includes itself", "");
        case RESTORE_NEW:
                break;
        }
        if (depth > POLICY_INCLUDE_DEPTH_MAX)
                return restore_fail(restore, file->name, 0, "is included too deeply", "");
        file->mark = RESTORE_ENTERED;
        r = restore_visit_lines(restore, file, depth + 1);
        if (r)
                return r;
        file->mark = RESTORE_DONE;
        restore->order[restore->n_order++] = index;
        return 0;
}

static int restore_plan(Restore *restore) {
        restore->order = calloc(restore->n_files ?: 1, sizeof(*restore->order));
        if (!restore->order)
                return error_origin(-ENOMEM);
        for (size_t i = 0; i < restore->n_files; ++i) {
                int r = restore_visit(restore, i, 0);

                if (r)
                        return r;
        }
        return 0;
}

/*
 * Would it load?
 */

static const char *base_name(const char *name) {
        const char *slash = strrchr(name, '/');

        return slash ? slash + 1 : name;
}

static size_t folder_of(const RestoreFile *file) {
        return strchr(file->name, '/') ? 1 : 0;
}

static bool restore_has(const Restore *restore, const RestoreFile *file) {
        struct stat st;

        return fstatat(restore->dest_fds[folder_of(file)], base_name(file->name), &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int trial_write(Restore *restore, const char *name, const void *text, size_t n) {
        _cleanup_fd_ int fd = -1;
        char path[PATH_MAX * 2];

        snprintf(path, sizeof(path), "%s/%s", restore->trial, name);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || fd_write_full(fd, text, n) < 0)
                return restore_fail(restore, path, 0, strerror(errno), "");
        return 0;
}

/* What is in DEST already. */
static int trial_copy(Restore *restore) {
        for (size_t i = 0; i < ARRAY_SIZE(prefixes); ++i) {
                _cleanup_(policy_names_deinit) PolicyNames names = {};
                char folder[PATH_MAX];
                int r;

                snprintf(folder, sizeof(folder), "%s/%s", restore->dest, prefixes[i]);
                r = policy_names_list(folder, &names);
                if (r < 0)
                        return restore_fail(restore, folder, 0, strerror(-r), "");
                for (size_t k = 0; k < names.n && r == 0; ++k) {
                        _cleanup_free_ char *text = NULL;
                        char name[NAME_MAX + sizeof(INCLUDE "/")];
                        size_t n = 0;

                        snprintf(name, sizeof(name), "%s%s", prefixes[i], names.names[k]);
                        r = file_read(restore->dest_fds[i], names.names[k], POLICY_FILE_SIZE_MAX, &text, &n);
                        if (r > 0)
                                r = restore_fail(restore, name, 0, file_error_text(r), "");
                        r = r ?: trial_write(restore, name, text, n);
                }
                if (r)
                        return r;
        }
        return 0;
}

static int trial_make(Restore *restore) {
        char path[PATH_MAX + sizeof(INCLUDE "/")];
        int r;

        snprintf(restore->trial, sizeof(restore->trial), "/tmp/qrexec-policy-restore.XXXXXX");
        if (!mkdtemp(restore->trial)) {
                restore->trial[0] = '\0';
                return restore_fail(restore, "/tmp", 0, strerror(errno), "");
        }
        snprintf(path, sizeof(path), "%s/" INCLUDE, restore->trial);
        if (mkdir(path, 0700) < 0)
                return restore_fail(restore, path, 0, strerror(errno), "");
        r = trial_copy(restore);
        for (size_t i = 0; i < restore->n_files && r == 0; ++i)
                if (!restore_has(restore, &restore->files[i]))
                        r = trial_write(restore, restore->files[i].name, restore->files[i].text,
                                        restore->files[i].n_text);
        return r;
}

/* @text with the trial folder called what it stands for; the caller frees it. Return: NULL if there is no memory */
static char *trial_rename(const Restore *restore, const char *text) {
        char *result = NULL;
        size_t n = 0, n_trial = strlen(restore->trial);
        FILE *stream = open_memstream(&result, &n);

        if (!stream)
                return NULL;
        while (*text != '\0')
                if (strncmp(text, restore->trial, n_trial) == 0) {
                        fputs(restore->dest, stream);
                        text += n_trial;
                } else {
                        fputc(*text++, stream);
                }
        (void)text_close(stream, &result);
        return result;
}

static int restore_try(Restore *restore) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(policy_unrefp) Policy *policy = NULL;
        const char *directory = restore->trial;
        int r;

        r = trial_make(restore);
        if (r)
                return r;
        r = policy_load(&(PolicySources){ .directories = &directory, .n_directories = 1, .legacy = restore->legacy },
                        &diagnostics, &policy);
        if (r <= 0)
                return error_trace(r);
        for (size_t i = 0; i < diagnostics.n_entries; ++i) {
                const Diagnostic *entry = &diagnostics.entries[i];
                _cleanup_free_ char *path = trial_rename(restore, entry->path),
                                    *text = trial_rename(restore, entry->text);

                if (!path || !text)
                        return error_origin(-ENOMEM);
                r = restore_fail(restore, path, entry->line, text, "");
                if (r < 0)
                        return r;
        }
        return POLICY_RESTORE_E_INVALID;
}

/*
 * Writing
 */

static int restore_write(Restore *restore) {
        struct stat st;

        if (fstat(restore->dest_fds[0], &st) < 0)
                return error_origin(-errno);
        for (size_t i = 0; i < restore->n_order; ++i) {
                const RestoreFile *file = &restore->files[restore->order[i]];
                int r;

                r = file_replace(restore->dest_fds[folder_of(file)], base_name(file->name), file->text, file->n_text,
                                 st.st_mode & S_IWGRP ? POLICY_ADMIN_MODE_GROUP : POLICY_ADMIN_MODE, true);
                if (r == FILE_E_EXISTS)
                        fprintf(restore->notes, "not overwriting %s/%s\n", restore->dest, file->name);
                else if (r > 0)
                        return restore_fail(restore, file->name, 0, file_error_text(r), "");
                else if (r < 0)
                        return error_trace(r);
        }
        return 0;
}

static int restore_fail_folder(Restore *restore, const char *path) {
        int r = diagnostics_add(restore->reterr, "", 0, 0, "cannot create directory %s [%s]", path, strerror(errno));

        return r < 0 ? error_trace(r) : POLICY_RESTORE_E_INVALID;
}

/* DEST/include with its parents; it must be no link, whose target somebody else may change. */
static int restore_open(Restore *restore, const char *dest) {
        char path[PATH_MAX + sizeof(INCLUDE "/")], *slash = path;

        snprintf(path, sizeof(path), "%s/" INCLUDE, dest);
        while ((slash = strchr(slash + 1, '/'))) {
                *slash = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return restore_fail_folder(restore, path);
                *slash = '/';
        }
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return restore_fail_folder(restore, path);
        restore->dest_fds[1] = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (restore->dest_fds[1] < 0)
                return restore_fail(restore, "", 0, path, " is not a directory, aborting");
        restore->dest_fds[0] = open(dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (restore->dest_fds[0] < 0)
                return restore_fail(restore, dest, 0, strerror(errno), "");
        while (flock(restore->dest_fds[0], LOCK_EX) < 0)
                if (errno != EINTR)
                        return restore_fail(restore, dest, 0, strerror(errno), "");
        return 0;
}

static int restore_resolve(Restore *restore, const char *path, char **ret_path) {
        int r = policy_path_resolve(NULL, policy_slice(path), ret_path);

        if (r > 0)
                return restore_fail(restore, path, 0, "is no path", "");
        return error_trace(r);
}

int policy_restore(const char *source, const char *dest, const char *legacy, FILE *notes, Diagnostics *reterr) {
        _cleanup_(restore_deinit)
                Restore restore = { .legacy = legacy, .notes = notes, .reterr = reterr, .dest_fds = { -1, -1 } };
        int r;

        r = restore_open(&restore, dest);
        r = r ?: restore_resolve(&restore, source, &restore.source);
        r = r ?: restore_resolve(&restore, dest, &restore.dest);
        r = r ?: restore_list(&restore);
        r = r ?: restore_plan(&restore);
        r = r ?: restore_try(&restore);
        return r ?: restore_write(&restore);
}
