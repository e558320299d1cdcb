/* SPDX-License-Identifier: Apache-2.0 */
/* split-ssh grants, revoke: the answers of a person that hold for a while (split-ssh specification, 3.4, 10.3). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/file.h"
#include "base/log.h"
#include "base/number.h"
#include "base/sha256.h"
#include "split-ssh/command.h"
#include "split-ssh/wording.h"
#include "ssh/places.h"
#include "ssh/state.h"

/** Behind a grant's name: the question that was answered. */
#define GRANT_RECORD ".record"
#define GRANT_NAME_N ((size_t)SHA256_TEXT_SIZE - 1)

/* What is done with each; Return: 0, or COMMAND_STATUS_FAILED */
typedef int (*GrantUse)(const SshState *state, const char *name, const Record *record);

static void grants_record_name(const char *name, char ret_name[static SHA256_TEXT_SIZE + sizeof(GRANT_RECORD)]) {
        (void)snprintf(ret_name, SHA256_TEXT_SIZE + sizeof(GRANT_RECORD), "%.*s" GRANT_RECORD, (int)GRANT_NAME_N, name);
}

/* Seconds, rounded up, that a valid one still holds: its last word is when it ends, in nanoseconds. */
static uint64_t grants_left(const SshState *state, const char *name) {
        _cleanup_free_ char *text = NULL;
        uint64_t until_nsec = 0, now_usec = clock_boottime();
        const char *last;
        size_t n;

        if (file_read_trusted(state->grants_fd, name, SSH_WINDOW_TEXT_MAX, &text, &n))
                return 0;
        last = strrchr(text, ' ');
        if (!last || number_parse(last + 1, strcspn(last + 1, "\n"), 0, UINT64_MAX, &until_nsec) ||
            until_nsec / 1000 <= now_usec)
                return 0;
        return (until_nsec / 1000 - now_usec + USEC_PER_SEC - 1) / USEC_PER_SEC;
}

static int grants_show(const SshState *state, const char *name, const Record *record) {
        char words[WORDING_MAX];

        printf("%-16s %-16s %5llu s  %s, with the key %.*s\n", record->values[RECORD_SOURCE],
               record->values[RECORD_AGENT], (unsigned long long)grants_left(state, name), wording_use(record, words),
               WORDING_VALUE_MAX, record->values[RECORD_COMMENT]);
        return 0;
}

static int grants_revoke(const SshState *state, const char *name, const Record *record) {
        char record_name[SHA256_TEXT_SIZE + sizeof(GRANT_RECORD)];

        grants_record_name(name, record_name);
        /* The grant first: without it the record means nothing. */
        if (unlinkat(state->grants_fd, name, 0) < 0 && errno != ENOENT) {
                log_error("a grant cannot be removed: %s", strerror(errno));
                return COMMAND_STATUS_FAILED;
        }
        (void)unlinkat(state->grants_fd, record_name, 0);
        return 0;
}

/* What the person was asked, as far as it is known. Return: 0 or a negative error */
static int grants_read_record(const SshState *state, const char *name, Record *ret_record) {
        static const char unknown[] = "v=1\nsource=?\nagent=?\n";
        char record_name[SHA256_TEXT_SIZE + sizeof(GRANT_RECORD)];
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        grants_record_name(name, record_name);
        r = file_read_trusted(state->grants_fd, record_name, RECORD_MAX, &text, &n);
        r = r ?: record_parse(text, n, ret_record);
        return r > 0 ? record_parse(unknown, strlen(unknown), ret_record) : error_trace(r);
}

static int grants_is_name(const struct dirent *entry) {
        return strlen(entry->d_name) == GRANT_NAME_N && strspn(entry->d_name, "0123456789abcdef") == GRANT_NAME_N;
}

/* For one grant. @source: only of this one; NULL: of all */
static int grants_use_one(const SshState *state, const char *name, const char *source, GrantUse use) {
        _cleanup_(record_deinit) Record record = {};
        int r;

        if (!ssh_state_is_granted(state, name))
                return 0;
        r = grants_read_record(state, name, &record);
        if (r)
                return r;
        if (source && strcmp(record.values[RECORD_SOURCE], source) != 0)
                return 0;
        return use(state, name, &record);
}

static int grants_use(const char *source, GrantUse use) {
        _cleanup_(ssh_state_close) SshState state = SSH_STATE_INIT;
        char path[PATH_MAX], folder[PATH_MAX + sizeof("/filter")];
        struct dirent **entries;
        int n, r = 0;

        if (places_agents(path)) {
                log_error("%s", places_error_text(PLACES_E_LENGTH));
                return COMMAND_STATUS_FAILED;
        }
        (void)snprintf(folder, sizeof(folder), "%s/filter", path);
        /* No filter has run yet. */
        if (access(folder, F_OK) < 0)
                return 0;
        n = ssh_state_open(folder, &state) ? -1 : scandirat(state.grants_fd, ".", &entries, grants_is_name, alphasort);
        if (n < 0) {
                log_error("%s: cannot be read, or is not ours", ESCAPED(folder, strlen(folder)));
                return COMMAND_STATUS_FAILED;
        }
        for (int i = 0; i < n; ++i) {
                r = r ?: grants_use_one(&state, entries[i]->d_name, source, use);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int command_grants(int argc, char **argv) {
        if (argc > 0) {
                command_usage(stderr);
                return COMMAND_STATUS_FAILED;
        }
        return grants_use(NULL, grants_show);
}

int command_revoke(int argc, char **argv) {
        if (argc > 1) {
                command_usage(stderr);
                return COMMAND_STATUS_FAILED;
        }
        return grants_use(argc == 1 ? argv[0] : NULL, grants_revoke);
}
