/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/keyring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/exchange.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "gpg2/assuan.h"

#define AUTO_KEYRING "qubes-auto-keyring"
#define KEYS_FOLDER  "private-keys-v1.d"
/** What the keyring was made from: the times of what it was copied from. */
#define STAMP     "qubes-stamp"
#define STAMP_MAX 256

/** What gpg and gpgconf may say when they fail. */
#define COMPLAINT_MAX (64 * 1024)

/** The configuration of the agent, which goes with the keys: how to ask for a passphrase is said there. */
#define AGENT_CONF "gpg-agent.conf"

void keyring_deinit(Keyring *keyring) {
        keylist_deinit(&keyring->list);
}

static int path_join(char buffer[static PATH_MAX], const char *folder, const char *name) {
        int n = snprintf(buffer, PATH_MAX, "%s/%s", folder, name);

        if (n < 0 || n >= PATH_MAX) {
                log_error("%s: the path is too long", folder);
                return KEYRING_E_FAILED;
        }
        return 0;
}

static int path_copy(char buffer[static PATH_MAX], const char *path) {
        size_t n = strlen(path);

        while (n > 1 && path[n - 1] == '/') /* gpgconf makes another socket of it */
                --n;
        if (n >= PATH_MAX) {
                log_error("GNUPGHOME: the path is too long");
                return KEYRING_E_FAILED;
        }
        memcpy(buffer, path, n);
        buffer[n] = '\0';
        return 0;
}

static int make_folder(const char *path) {
        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
                log_error("cannot make %s: %s", path, strerror(errno));
                return KEYRING_E_FAILED;
        }
        return 0;
}

/* Run one of GnuPG's programs to its end. */
static int run(const char *const *argv, Exchange *ret_exchange) {
        int r = exchange_run(argv, NULL, "", 0, KEYLIST_SIZE_MAX, COMPLAINT_MAX, ret_exchange);

        if (r < 0)
                return error_trace(r);
        if (r > 0 || ret_exchange->status != 0) {
                log_error("%s failed (status %d): %s", argv[0], ret_exchange->status,
                          ESCAPED(ret_exchange->err ?: "", ret_exchange->n_err));
                return KEYRING_E_FAILED;
        }
        return 0;
}

/* The home that the person has: the keys are in it, or come from it. */
static int find_home(const Gpg2Config *config, const char *source, char ret_home[static PATH_MAX]) {
        const char *environment = getenv("GNUPGHOME"), *home = getenv("HOME");

        if (config->isolated_gnupghome_dirs[0] != '\0') {
                int r = path_join(ret_home, config->isolated_gnupghome_dirs, source);

                return r ?: make_folder(ret_home);
        }
        if (config->gnupghome[0] != '\0')
                return path_copy(ret_home, config->gnupghome);
        if (environment && environment[0] == '/')
                return path_copy(ret_home, environment);
        if (!home || home[0] != '/') {
                log_error("HOME is not set: name the keys' folder as gnupghome in qubes-split-gpg2.conf");
                return KEYRING_E_FAILED;
        }
        return path_join(ret_home, home, ".gnupg");
}

static int list_keys(const char *home, bool subkeys_alone, KeyList *ret_list) {
        const char *const argv[] = { GPG_PROGRAM,
                                     "--homedir",
                                     home,
                                     "--batch",
                                     "--no-tty",
                                     "--quiet",
                                     "--with-colons",
                                     "--with-keygrip",
                                     "--fixed-list-mode",
                                     "--list-secret-keys",
                                     NULL };
        _cleanup_(exchange_deinit) Exchange exchange = {};
        int r;

        r = run(argv, &exchange);
        if (r)
                return r;
        r = keylist_parse(exchange.out ?: "", subkeys_alone, ret_list);
        if (r > 0) {
                log_error("cannot read what %s lists of the keys in %s", GPG_PROGRAM, home);
                return KEYRING_E_FAILED;
        }
        return error_trace(r);
}

/* When the keys, or what is known of them, changed last. */
static void source_stamp(const char *home, char buffer[static STAMP_MAX]) {
        static const char *const names[] = { KEYS_FOLDER, "pubring.kbx", "pubring.gpg", AGENT_CONF };
        size_t n = 0;

        for (size_t i = 0; i < ARRAY_SIZE(names); ++i) {
                char path[PATH_MAX];
                struct stat st = {};
                int n_path = snprintf(path, sizeof(path), "%s/%s", home, names[i]);

                if (n_path >= (int)sizeof(path) || stat(path, &st) < 0)
                        st = (struct stat){};
                n += (size_t)snprintf(buffer + n, STAMP_MAX - n, "%jd.%09ld ", (intmax_t)st.st_mtim.tv_sec,
                                      st.st_mtim.tv_nsec);
        }
}

static int copy_file(int from_fd, int to_fd, const char *name, bool may_be_absent) {
        _cleanup_free_ char *data = NULL;
        size_t n;
        int r;

        r = file_read_trusted(from_fd, name, KEYRING_FILE_MAX, &data, &n);
        if (r == FILE_E_NOT_FOUND && may_be_absent)
                return 0;
        if (r > 0) {
                log_error("cannot copy %s into %s: %s", name, AUTO_KEYRING, file_error_text(r));
                return KEYRING_E_FAILED;
        }
        if (r == 0)
                r = file_replace(to_fd, name, data, n, 0600, false);
        if (data)
                explicit_bzero(data, n);
        if (r > 0) {
                log_error("cannot write %s/%s: %s", AUTO_KEYRING, name, file_error_text(r));
                return KEYRING_E_FAILED;
        }
        return error_trace(r);
}

static bool is_listed(const KeyList *list, const char *name) {
        for (size_t i = 0; i < list->n_keys; ++i)
                if (strncmp(name, list->keys[i].grip, GPG2_GRIP_SIZE) == 0 &&
                    strcmp(name + GPG2_GRIP_SIZE, ".key") == 0)
                        return true;
        return false;
}

/* What is no longer a subkey of anything goes. */
static int remove_others(int keys_fd, const KeyList *list) {
        int copy = fcntl(keys_fd, F_DUPFD_CLOEXEC, 0);
        DIR *folder = copy >= 0 ? fdopendir(copy) : NULL;
        struct dirent *entry;

        if (!folder) {
                fd_close(copy);
                return error_origin(-errno);
        }
        while ((entry = readdir(folder)))
                if (entry->d_name[0] != '.' && !is_listed(list, entry->d_name))
                        (void)unlinkat(keys_fd, entry->d_name, 0);
        closedir(folder);
        return 0;
}

static int open_folder(const char *path, int *ret_fd) {
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0) {
                log_error("cannot open %s: %s", path, strerror(errno));
                return KEYRING_E_FAILED;
        }
        *ret_fd = fd;
        return 0;
}

static int copy_keys(const char *from, const char *to, const KeyList *list) {
        _cleanup_fd_ int from_home_fd = -1, to_home_fd = -1, from_fd = -1, to_fd = -1;
        char from_keys[PATH_MAX], to_keys[PATH_MAX];
        int r;

        r = path_join(from_keys, from, KEYS_FOLDER);
        r = r ?: path_join(to_keys, to, KEYS_FOLDER);
        r = r ?: make_folder(to_keys);
        r = r ?: open_folder(from, &from_home_fd);
        r = r ?: open_folder(to, &to_home_fd);
        r = r ?: open_folder(from_keys, &from_fd);
        r = r ?: open_folder(to_keys, &to_fd);
        if (r)
                return r;

        for (size_t i = 0; i < list->n_keys && r == 0; ++i) {
                char name[GPG2_GRIP_SIZE + sizeof(".key")];

                (void)snprintf(name, sizeof(name), "%s.key", list->keys[i].grip);
                r = copy_file(from_fd, to_fd, name, false);
        }
        r = r ?: remove_others(to_fd, list);
        return r ?: copy_file(from_home_fd, to_home_fd, AGENT_CONF, true);
}

/* Bring the subkeys' home up to date; calls at the same time do it once. */
static int update_auto_keyring(const char *from, const char *stamp, const char *to, const KeyList *list) {
        char stamp_path[PATH_MAX], old[STAMP_MAX] = "";
        _cleanup_fd_ int fd = -1;
        ssize_t n;
        int r;

        r = make_folder(to);
        r = r ?: path_join(stamp_path, to, STAMP);
        if (r)
                return r;
        fd = open(stamp_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || flock(fd, LOCK_EX) < 0) {
                log_error("%s: %s", stamp_path, strerror(errno));
                return KEYRING_E_FAILED;
        }
        n = pread(fd, old, sizeof(old) - 1, 0);
        if (n > 0 && strcmp(stamp, old) == 0)
                return 0;
        r = copy_keys(from, to, list);
        if (r)
                return r;
        if (ftruncate(fd, 0) < 0 || pwrite(fd, stamp, strlen(stamp), 0) < 0)
                return error_origin(-errno);
        log_info("the subkeys in %s are those of %s", to, from);
        return 0;
}

/* gpgconf writes `:`, `%` and the like as `%` and two digits. */
static int find_socket(const char *home, const char *which, char ret_path[static PATH_MAX]) {
        const char *const argv[] = { GPGCONF_PROGRAM, "--homedir", home, "--list-dirs", which, NULL };
        _cleanup_(exchange_deinit) Exchange exchange = {};
        size_t n = 0;
        int r;

        r = run(argv, &exchange);
        if (r)
                return r;
        if (assuan_data_decode(exchange.out ?: "", strcspn(exchange.out ?: "", "\n"), (uint8_t *)ret_path, PATH_MAX - 1,
                               &n) ||
            n == 0 || ret_path[0] != '/') {
                log_error("%s names no %s for %s", GPGCONF_PROGRAM, which, home);
                return KEYRING_E_FAILED;
        }
        ret_path[n] = '\0';
        return 0;
}

static int start_agent(const char *home) {
        const char *const argv[] = { GPGCONF_PROGRAM, "--homedir", home, "--launch", "gpg-agent", NULL };
        _cleanup_(exchange_deinit) Exchange exchange = {};

        return run(argv, &exchange);
}

int keyring_open(const Gpg2Config *config, const char *source, Keyring *ret_keyring) {
        _cleanup_(keyring_deinit) Keyring keyring = {};
        bool subkeys_alone = strcmp(config->source_keyring_dir, "no") != 0 && !config->allow_keygen;
        char home[PATH_MAX], keys_home[PATH_MAX], stamp[STAMP_MAX];
        int r;

        r = find_home(config, source, home);
        if (r)
                return r;
        r = path_copy(keys_home,
                      subkeys_alone && config->source_keyring_dir[0] != '\0' ? config->source_keyring_dir : home);
        if (r)
                return r;
        source_stamp(keys_home, stamp); /* before: what changes meanwhile is another stamp's */
        r = list_keys(keys_home, subkeys_alone, &keyring.list);
        if (r)
                return r;
        if (subkeys_alone) {
                r = path_join(keyring.home, home, AUTO_KEYRING);
                r = r ?: update_auto_keyring(keys_home, stamp, keyring.home, &keyring.list);
        } else {
                (void)snprintf(keyring.home, sizeof(keyring.home), "%s", home);
        }
        r = r ?: find_socket(keyring.home, "agent-socket", keyring.socket);
        r = r ?: find_socket(keyring.home, "agent-extra-socket", keyring.extra_socket);
        r = r ?: start_agent(keyring.home);
        if (r)
                return r;
        *ret_keyring = keyring;
        keyring.list = (KeyList){};
        return 0;
}
