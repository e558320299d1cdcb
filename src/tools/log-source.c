/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/log-source.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "tools/ask.h"
#include "tools/command.h"

#define LOG_SOURCE_ACCOUNT "qrexec"

struct LogSource {
        char *path; /* of a file; NULL: the journal */
        FILE *file;
        char *line;
        size_t n_line;
        int inotify_fd;
        sd_journal *journal;
};

LogSource *log_source_free(LogSource *source) {
        if (!source)
                return NULL;
        if (source->file)
                fclose(source->file);
        if (source->journal)
                sd_journal_close(source->journal);
        fd_close(source->inotify_fd);
        free(source->line);
        free(source->path);
        free(source);
        return NULL;
}

static int log_source_new(LogSource **ret_source) {
        LogSource *source = malloc(sizeof(*source));

        if (!source)
                return error_origin(-ENOMEM);
        *source = (LogSource){ .inotify_fd = -1 };
        *ret_source = source;
        return 0;
}

int log_source_open_file(const char *path, LogSource **ret_source) {
        _cleanup_(log_source_freep) LogSource *source = NULL;
        int r;

        r = log_source_new(&source);
        if (r)
                return r;
        source->path = strdup(path);
        if (!source->path)
                return error_origin(-ENOMEM);
        source->file = fopen(path, "re");
        if (!source->file) {
                command_complain("cannot read %s: %s", path, strerror(errno));
                return LOG_SOURCE_E_FAILED;
        }
        *ret_source = steal_ptr(&source);
        return 0;
}

int log_source_open_journal(LogSource **ret_source) {
        _cleanup_(log_source_freep) LogSource *source = NULL;
        struct passwd *account = getpwnam(LOG_SOURCE_ACCOUNT);
        char match[64];
        int r;

        r = log_source_new(&source);
        if (r)
                return r;
        if (!account) {
                command_complain("there is no account " LOG_SOURCE_ACCOUNT
                                 ", so nothing in the journal is the broker's");
                return LOG_SOURCE_E_FAILED;
        }
        r = sd_journal_open(&source->journal, SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0) {
                snprintf(match, sizeof(match), "_UID=%u", (unsigned)account->pw_uid);
                r = sd_journal_add_match(source->journal, match, 0);
        }
        if (r >= 0)
                r = sd_journal_add_match(source->journal, "SYSLOG_IDENTIFIER=qrexecd", 0);
        if (r >= 0)
                r = sd_journal_seek_head(source->journal);
        if (r < 0) {
                command_complain("cannot read the journal: %s", strerror(-r));
                return LOG_SOURCE_E_FAILED;
        }
        *ret_source = steal_ptr(&source);
        return 0;
}

/* A line that is not whole yet is read again from its beginning. */
static int log_source_next_line(LogSource *source, struct json_object **ret_record) {
        for (;;) {
                off_t begin = ftello(source->file);
                ssize_t n = getline(&source->line, &source->n_line, source->file);

                if (n <= 0 || source->line[n - 1] != '\n') {
                        if (ferror(source->file)) {
                                command_complain("cannot read %s: %s", source->path, strerror(errno));
                                return LOG_SOURCE_E_FAILED;
                        }
                        clearerr(source->file);
                        if (begin < 0 || fseeko(source->file, begin, SEEK_SET) < 0)
                                return error_origin(-errno);
                        return LOG_SOURCE_E_END;
                }
                *ret_record = json_tokener_parse(source->line);
                if (json_object_is_type(*ret_record, json_type_object))
                        return 0;
                /* A torn line: the machine had stopped in the middle of it. */
                json_object_put(*ret_record);
        }
}

static bool log_source_is_number(const char *key) {
        const char *end = strrchr(key, '_');

        return strcmp(key, "call_id") == 0 || strcmp(key, "status") == 0 || strcmp(key, "count") == 0 ||
               strcmp(key, "grant") == 0 || (end && (strcmp(end, "_usec") == 0 || strcmp(end, "_bytes") == 0));
}

/* QAIR_NAME=value becomes "name": value. */
static int log_source_add_field(struct json_object *record, const char *data, size_t n) {
        static const char prefix[] = "QAIR_";
        const char *equals = memchr(data, '=', n);
        struct json_object *value;
        char key[64];
        size_t n_key;

        if (!equals || (size_t)(equals - data) < strlen(prefix) || memcmp(data, prefix, strlen(prefix)) != 0)
                return 0;
        n_key = (size_t)(equals - data) - strlen(prefix);
        if (n_key >= sizeof(key))
                return 0;
        for (size_t i = 0; i < n_key; ++i)
                key[i] = (char)tolower((unsigned char)data[strlen(prefix) + i]);
        key[n_key] = '\0';
        value = json_object_new_string_len(equals + 1, (int)(n - (size_t)(equals + 1 - data)));
        if (value && log_source_is_number(key)) {
                struct json_object *number = json_object_new_int64(json_object_get_int64(value));

                json_object_put(value);
                value = number;
        }
        if (!value || json_object_object_add(record, key, value) < 0)
                return error_origin(-ENOMEM);
        return 0;
}

static int log_source_take_entry(LogSource *source, struct json_object **ret_record) {
        _cleanup_json_ record = json_object_new_object();
        char time[CLOCK_TEXT_MAX];
        const void *data;
        uint64_t usec;
        size_t n;
        int r;

        if (!record)
                return error_origin(-ENOMEM);
        r = sd_journal_get_realtime_usec(source->journal, &usec);
        if (r < 0)
                return error_origin(r);
        if (json_object_object_add(record, "time", json_object_new_string(clock_format(usec, time))) < 0)
                return error_origin(-ENOMEM);
        SD_JOURNAL_FOREACH_DATA(source->journal, data, n) {
                r = log_source_add_field(record, data, n);
                if (r)
                        return r;
        }
        *ret_record = steal_ptr(&record);
        return 0;
}

static int log_source_next_entry(LogSource *source, struct json_object **ret_record) {
        for (;;) {
                int r = sd_journal_next(source->journal);

                if (r == 0)
                        return LOG_SOURCE_E_END;
                if (r < 0) {
                        command_complain("cannot read the journal: %s", strerror(-r));
                        return LOG_SOURCE_E_FAILED;
                }
                r = log_source_take_entry(source, ret_record);
                if (r)
                        return error_trace(r);
                if (json_object_object_get_ex(*ret_record, "event", NULL))
                        return 0;
                json_object_put(*ret_record); /* what the broker has to say besides */
        }
}

int log_source_next(LogSource *source, struct json_object **ret_record) {
        return source->path ? log_source_next_line(source, ret_record) : log_source_next_entry(source, ret_record);
}

static int log_source_watch(LogSource *source) {
        char *slash, *folder;
        int r = 0;

        if (source->inotify_fd >= 0)
                return 0;
        folder = strdup(source->path);
        if (!folder)
                return error_origin(-ENOMEM);
        slash = strrchr(folder, '/');
        if (slash)
                *slash = '\0';
        source->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (source->inotify_fd < 0 || inotify_add_watch(source->inotify_fd,
                                                        !slash            ? "."
                                                        : slash == folder ? "/"
                                                                          : folder,
                                                        IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
                r = -errno;
        free(folder);
        return r < 0 ? error_origin(r) : 0;
}

/* Is the file that is open still the one that has the name? If not, and it is read to its end: go to the new one. */
static int log_source_follow_name(LogSource *source) {
        struct stat named, opened;
        FILE *file;

        if (stat(source->path, &named) < 0 || fstat(fileno(source->file), &opened) < 0)
                return 0;
        if (named.st_ino == opened.st_ino && named.st_dev == opened.st_dev)
                return 0;
        file = fopen(source->path, "re");
        if (!file)
                return 0;
        fclose(source->file);
        source->file = file;
        return 1;
}

static int log_source_wait_file(LogSource *source) {
        _Alignas(struct inotify_event) char events[4096];
        struct pollfd poll_fd = { .events = POLLIN };
        bool is_new = source->inotify_fd < 0;
        int r;

        r = log_source_watch(source);
        if (r)
                return r;
        /* What was written before the watch was there is read first. */
        if (is_new || log_source_follow_name(source))
                return 0;
        poll_fd.fd = source->inotify_fd;
        if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR)
                return error_origin(-errno);
        while (read(source->inotify_fd, events, sizeof(events)) > 0)
                ;
        return 0;
}

int log_source_wait(LogSource *source) {
        int r;

        if (source->path)
                return error_trace(log_source_wait_file(source));
        r = sd_journal_wait(source->journal, (uint64_t)-1);
        return r < 0 ? error_origin(r) : 0;
}
