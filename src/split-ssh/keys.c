/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "base/process.h"
#include "split-ssh/program.h"

void keys_deinit(Keys *keys) {
        for (size_t i = 0; i < keys->n; ++i)
                free(keys->keys[i].options);
        free(keys->keys);
        *keys = (Keys){};
}

/*
 * Reading the folder
 */

static int keys_refuse(Key *key, const char *path, const char *word, const char *why) {
        log_warning("%s: %s%s%s: this key is left out", ESCAPED(path, strlen(path)), ESCAPED(word, strlen(word)),
                    word[0] ? " " : "", why);
        key->refused = true;
        return 0;
}

/* What stands beside a key. Return: 0 or a negative error */
static int keys_read_options(Key *key) {
        char path[PATH_MAX + sizeof(KEYFILE_OPTIONS_SUFFIX)];
        const char *bad;
        size_t n;
        int r;

        (void)snprintf(path, sizeof(path), "%s" KEYFILE_OPTIONS_SUFFIX, key->path);
        r = file_read_trusted(AT_FDCWD, path, KEYFILE_OPTIONS_MAX, &key->options, &n);
        if (r == FILE_E_NOT_FOUND)
                return 0;
        if (r)
                return r < 0 ? error_trace(r) : keys_refuse(key, path, "", file_error_text(r));
        r = keyfile_parse_options(key->options, n, key->words, &key->n_words);
        if (r == 0)
                return 0;
        bad = r == KEYFILE_E_OPTION || r == KEYFILE_E_VALUE ? key->words[key->n_words] : "";
        return keys_refuse(key, path, bad, keyfile_error_text(r));
}

/* Return: 0; *@ret_is_key tells whether it is one, which may be refused */
static int keys_read_one(int dir_fd, const char *folder, const char *name, Key *key, bool *ret_is_key) {
        _cleanup_free_ char *data = NULL;
        size_t n;
        int r, length;

        *ret_is_key = false;
        *key = (Key){};
        length = snprintf(key->path, sizeof(key->path), "%s/%s", folder, name);
        if (length < 0 || (size_t)length >= sizeof(key->path))
                return 0;
        /* Whatever it is, the private key in it is wiped from here. */
        r = file_read(dir_fd, name, KEYFILE_KEY_MAX, &data, &n);
        if (r < 0)
                return error_trace(r);
        if (r && r != FILE_E_NOT_REGULAR && r != FILE_E_TOO_LARGE)
                log_warning("%s: %s", ESCAPED(key->path, strlen(key->path)), file_error_text(r));
        if (r)
                return 0;
        *ret_is_key = keyfile_is_private_key(data, n);
        explicit_bzero(data, n);
        if (!*ret_is_key)
                return 0;
        free(steal_ptr(&data));
        r = file_read_trusted(dir_fd, name, KEYFILE_KEY_MAX, &data, &n);
        if (r < 0)
                return error_trace(r);
        if (r)
                return keys_refuse(key, key->path, "", file_error_text(r));
        explicit_bzero(data, n);
        return error_trace(keys_read_options(key));
}

static int keys_select(const struct dirent *entry) {
        return keyfile_is_candidate(entry->d_name);
}

static int keys_compare(const struct dirent **a, const struct dirent **b) {
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int keys_read_entries(int dir_fd, const char *folder, struct dirent **entries, int n, Keys *keys) {
        keys->keys = calloc((size_t)n + 1, sizeof(*keys->keys));
        if (!keys->keys)
                return error_origin(-ENOMEM);
        for (int i = 0; i < n; ++i) {
                bool is_key;
                int r = keys_read_one(dir_fd, folder, entries[i]->d_name, &keys->keys[keys->n], &is_key);

                /* It may have begun options before it failed. */
                if (is_key || r)
                        ++keys->n;
                if (r)
                        return error_trace(r);
        }
        return keys->n == 0 ? KEYS_E_NONE : 0;
}

int keys_read(const char *folder, Keys *ret_keys) {
        _cleanup_(keys_deinit) Keys keys = {};
        _cleanup_fd_ int dir_fd = -1;
        struct dirent **entries;
        int n, r;

        dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0 && errno == ENOENT)
                return KEYS_E_NONE;
        n = dir_fd < 0 ? -1 : scandirat(dir_fd, ".", &entries, keys_select, keys_compare);
        if (n < 0) {
                log_error("%s: %s", ESCAPED(folder, strlen(folder)), strerror(errno));
                return KEYS_E_FAILED;
        }
        r = KEYS_E_FAILED;
        if (n > KEYS_MAX)
                log_error("%s: more than %d files", ESCAPED(folder, strlen(folder)), KEYS_MAX);
        else
                r = keys_read_entries(dir_fd, folder, entries, n, &keys);
        for (int i = 0; i < n; ++i)
                free(entries[i]);
        free(entries);
        if (r)
                return r;
        *ret_keys = keys;
        keys = (Keys){};
        return 0;
}

/*
 * ssh-add
 */

int keys_run_ssh_add(const char *socket, const char *const *arguments, bool quiet, int *ret_status) {
        _cleanup_free_ const char **argv = NULL;
        size_t n = 0;
        pid_t pid;
        int r;

        while (arguments[n])
                ++n;
        argv = calloc(n + 2, sizeof(*argv));
        if (!argv)
                return error_origin(-ENOMEM);
        argv[0] = SPLIT_SSH_ADD;
        memcpy(argv + 1, arguments, n * sizeof(*argv));
        if (setenv("SSH_AUTH_SOCK", socket, 1) < 0 || (quiet && setenv("SSH_ASKPASS_REQUIRE", "never", 1) < 0))
                return error_origin(-ENOMEM);
        r = program_spawn(argv, quiet ? PROGRAM_NO_TERMINAL : 0, &pid);
        if (r) {
                log_error("cannot run " SPLIT_SSH_ADD ": %s: install the OpenSSH client", strerror(-r));
                return r;
        }
        *ret_status = process_wait(pid);
        return *ret_status < 0 ? error_origin(*ret_status) : 0;
}

int keys_load(const Keys *keys, const char *socket, bool at_start, int *ret_status) {
        *ret_status = 0;
        for (size_t i = 0; i < keys->n; ++i) {
                const Key *key = &keys->keys[i];
                const char *arguments[KEYFILE_WORDS_MAX + 2] = {};
                int r;

                *ret_status = key->refused;
                if (!key->refused) {
                        memcpy(arguments, key->words, key->n_words * sizeof(*arguments));
                        arguments[key->n_words] = key->path;
                        r = keys_run_ssh_add(socket, arguments, at_start, ret_status);
                        if (r)
                                return error_trace(r);
                }
                if (*ret_status != 0 && !at_start)
                        return KEYS_E_SSH_ADD;
        }
        return 0;
}
