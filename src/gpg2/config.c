/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/number.h"

enum {
        KEY_AUTOACCEPT,
        KEY_PKSIGN_AUTOACCEPT,
        KEY_PKDECRYPT_AUTOACCEPT,
        KEY_VERBOSE_NOTIFICATIONS,
        KEY_ALLOW_KEYGEN,
        KEY_GNUPGHOME,
        KEY_ISOLATED_GNUPGHOME_DIRS,
        KEY_SOURCE_KEYRING_DIR,
        KEY_DEBUG_LOG,
        _KEY_N,
};
_Static_assert(_KEY_N == GPG2_CONFIG_KEYS, "the reader has room for all keys");

static const char *const key_names[_KEY_N] = {
        [KEY_AUTOACCEPT] = "autoaccept",
        [KEY_PKSIGN_AUTOACCEPT] = "pksign_autoaccept",
        [KEY_PKDECRYPT_AUTOACCEPT] = "pkdecrypt_autoaccept",
        [KEY_VERBOSE_NOTIFICATIONS] = "verbose_notifications",
        [KEY_ALLOW_KEYGEN] = "allow_keygen",
        [KEY_GNUPGHOME] = "gnupghome",
        [KEY_ISOLATED_GNUPGHOME_DIRS] = "isolated_gnupghome_dirs",
        [KEY_SOURCE_KEYRING_DIR] = "source_keyring_dir",
        [KEY_DEBUG_LOG] = "debug_log",
};

#define CLIENT_PREFIX "client:"

static bool parse_boolean(const char *value, bool *ret_value) {
        bool yes = strcmp(value, "yes") == 0;

        if (!yes && strcmp(value, "no") != 0)
                return false;
        *ret_value = yes;
        return true;
}

static bool parse_accept(const char *value, uint32_t *ret_sec) {
        uint64_t sec;
        bool yes;

        if (parse_boolean(value, &yes))
                sec = yes ? GPG2_ACCEPT_ALWAYS : 0;
        else if (number_parse(value, strlen(value), 1, GPG2_ACCEPT_SEC_MAX, &sec))
                return false;
        *ret_sec = (uint32_t)sec;
        return true;
}

static bool parse_path(const char *value, char buffer[static PATH_MAX]) {
        if (value[0] != '/' || strlen(value) >= PATH_MAX)
                return false;
        (void)snprintf(buffer, PATH_MAX, "%s", value);
        return true;
}

/* One value into its place. Return: NULL, or what is expected instead */
static const char *apply(unsigned key, const char *value, Gpg2Config *config) {
        static const char accept[] = "no, yes, or a number of seconds", boolean[] = "yes or no",
                          path[] = "a path that begins with a slash",
                          keyring[] = "no, or a path that begins with a slash";

        switch (key) {
        case KEY_AUTOACCEPT:
                if (!parse_accept(value, &config->accept_sec[FILTER_OPERATION_SIGN]))
                        return accept;
                config->accept_sec[FILTER_OPERATION_DECRYPT] = config->accept_sec[FILTER_OPERATION_SIGN];
                return NULL;
        case KEY_PKSIGN_AUTOACCEPT:
                return parse_accept(value, &config->accept_sec[FILTER_OPERATION_SIGN]) ? NULL : accept;
        case KEY_PKDECRYPT_AUTOACCEPT:
                return parse_accept(value, &config->accept_sec[FILTER_OPERATION_DECRYPT]) ? NULL : accept;
        case KEY_VERBOSE_NOTIFICATIONS:
                return parse_boolean(value, &config->verbose_notifications) ? NULL : boolean;
        case KEY_ALLOW_KEYGEN:
                return parse_boolean(value, &config->allow_keygen) ? NULL : boolean;
        case KEY_GNUPGHOME:
                return parse_path(value, config->gnupghome) ? NULL : path;
        case KEY_ISOLATED_GNUPGHOME_DIRS:
                return parse_path(value, config->isolated_gnupghome_dirs) ? NULL : path;
        case KEY_SOURCE_KEYRING_DIR:
                if (strcmp(value, "no") != 0)
                        return parse_path(value, config->source_keyring_dir) ? NULL : keyring;
                (void)snprintf(config->source_keyring_dir, PATH_MAX, "no");
                return NULL;
        case KEY_DEBUG_LOG:
                return parse_path(value, config->debug_log) ? NULL : path;
        }
        return "nothing";
}

typedef struct FileParser {
        Gpg2ConfigReader *reader;
        const char *path;
        int error; /* negative */
        bool is_invalid;
} FileParser;

static bool section_scope(const FileParser *parser, const char *section, unsigned *ret_scope, bool *ret_applies) {
        if (strcmp(section, "DEFAULT") == 0) {
                *ret_scope = 0;
                *ret_applies = true;
                return true;
        }
        if (strncmp(section, CLIENT_PREFIX, strlen(CLIENT_PREFIX)) != 0 || section[strlen(CLIENT_PREFIX)] == '\0')
                return false;
        *ret_scope = 1;
        *ret_applies = strcmp(section + strlen(CLIENT_PREFIX), parser->reader->source) == 0;
        return true;
}

/* Every value is looked at, also those for other clients: what is wrong is found when it is written. */
static int parser_add_value(FileParser *parser, const char *section, const char *name, const char *value) {
        Gpg2ConfigReader *reader = parser->reader;
        Gpg2Config scratch = {};
        const char *expected;
        unsigned scope, key;
        bool applies;

        if (!section_scope(parser, section, &scope, &applies)) {
                parser->is_invalid = true;
                return diagnostics_add(reader->errors, parser->path, 0, 0,
                                       "%s stands in section [%s]: only [DEFAULT] and [client:NAME] are there", name,
                                       section);
        }
        for (key = 0; key < _KEY_N && strcmp(name, key_names[key]) != 0; ++key)
                ;
        if (key == _KEY_N)
                return diagnostics_add(reader->warnings, parser->path, 0, 0, "no such key, nothing is done: %s", name);
        expected = apply(key, value, &scratch);
        if (expected) {
                parser->is_invalid = true;
                return diagnostics_add(reader->errors, parser->path, 0, 0, "%s = %s: expected %s", name, value,
                                       expected);
        }
        if (applies) {
                reader->keys[key].is_set[scope] = true;
                (void)snprintf(reader->keys[key].value[scope], PATH_MAX, "%s", value);
        }
        return 0;
}

/* Return: as libinih wants it, 0 for an error. */
static int parser_on_value(void *userdata, const char *section, const char *name, const char *value) {
        FileParser *parser = userdata;

        if (parser->error == 0)
                parser->error = parser_add_value(parser, section, name, value);
        return parser->error == 0;
}

int gpg2_config_parse(Gpg2ConfigReader *reader, const char *path, const char *text, size_t n) {
        FileParser parser = { .reader = reader, .path = path };
        _cleanup_free_ char *copy = strndup(text, n);
        int line, r;

        if (!copy)
                return error_origin(-ENOMEM);
        if (strlen(copy) != n) {
                r = diagnostics_add(reader->errors, path, 0, 0, "has a NUL");
                return r ?: GPG2_CONFIG_E_INVALID;
        }
        line = ini_parse_string(copy, parser_on_value, &parser);
        if (parser.error)
                return error_trace(parser.error);
        if (line != 0) {
                r = diagnostics_add(reader->errors, path, line > 0 ? (unsigned)line : 0, 0,
                                    "neither [SECTION] nor KEY = VALUE nor a comment");
                return r ?: GPG2_CONFIG_E_INVALID;
        }
        return parser.is_invalid ? GPG2_CONFIG_E_INVALID : 0;
}

int gpg2_config_finish(const Gpg2ConfigReader *reader, Gpg2Config *ret_config) {
        Gpg2Config config = {};

        /* In the order of the keys: autoaccept is what the two narrower ones are, if nobody sets them. */
        for (unsigned key = 0; key < _KEY_N; ++key) {
                bool is_own = reader->keys[key].is_set[1];

                if (is_own || reader->keys[key].is_set[0])
                        (void)apply(key, reader->keys[key].value[is_own], &config);
        }
        if (config.gnupghome[0] != '\0' && config.isolated_gnupghome_dirs[0] != '\0') {
                int r = diagnostics_add(reader->errors, "qubes-split-gpg2.conf", 0, 0,
                                        "gnupghome and isolated_gnupghome_dirs: one of them, not both");

                return r ?: GPG2_CONFIG_E_INVALID;
        }
        *ret_config = config;
        return 0;
}

static int load_file(Gpg2ConfigReader *reader, const char *path) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = file_read_trusted(AT_FDCWD, path, GPG2_CONFIG_SIZE_MAX, &text, &n);
        if (r == FILE_E_NOT_FOUND)
                return 0;
        if (r > 0)
                return diagnostics_add(reader->errors, path, 0, 0, "%s", file_error_text(r)) ?: GPG2_CONFIG_E_INVALID;
        if (r < 0)
                return error_trace(r);
        return error_trace(gpg2_config_parse(reader, path, text, n));
}

static int select_conf(const struct dirent *entry) {
        size_t n = strlen(entry->d_name);

        return entry->d_name[0] != '.' && n > strlen(".conf") &&
               strcmp(entry->d_name + n - strlen(".conf"), ".conf") == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name); /* not by the locale's alphabet */
}

static int load_folder(Gpg2ConfigReader *reader, const char *folder) {
        struct dirent **entries = NULL;
        int n = scandir(folder, &entries, select_conf, compare_names), r = 0;
        bool is_invalid = false;

        if (n < 0 && (errno == ENOENT || errno == ENOTDIR))
                return 0;
        if (n < 0)
                return diagnostics_add(reader->errors, folder, 0, 0, "%s", strerror(errno)) ?: GPG2_CONFIG_E_INVALID;
        if (n > GPG2_CONFIG_FILES_MAX) {
                r = diagnostics_add(reader->errors, folder, 0, 0, "has more than %d files", GPG2_CONFIG_FILES_MAX);
                is_invalid = true;
        }
        for (int i = 0; i < n; ++i) {
                char path[PATH_MAX];

                if (r >= 0 && !is_invalid) {
                        int n_path = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);

                        r = n_path < (int)sizeof(path) ? load_file(reader, path) : GPG2_CONFIG_E_INVALID;
                        is_invalid |= r > 0;
                }
                free(entries[i]);
        }
        free(entries);
        return r < 0 ? r : is_invalid ? GPG2_CONFIG_E_INVALID : 0;
}

int gpg2_config_load(const char *source, const char *etc, const char *user, Diagnostics *warnings, Diagnostics *errors,
                     Gpg2Config *ret_config) {
        _cleanup_free_ Gpg2ConfigReader *reader = calloc(1, sizeof(*reader));
        char path[PATH_MAX];
        int r;

        if (!reader)
                return error_origin(-ENOMEM);
        *reader = (Gpg2ConfigReader){ .source = source, .warnings = warnings, .errors = errors };
        r = load_file(reader, etc);
        if (r)
                return r;
        (void)snprintf(path, sizeof(path), "%s/conf.d", user);
        r = load_folder(reader, path);
        if (r)
                return r;
        (void)snprintf(path, sizeof(path), "%s/qubes-split-gpg2.conf", user);
        r = load_file(reader, path);
        return r ?: gpg2_config_finish(reader, ret_config);
}
