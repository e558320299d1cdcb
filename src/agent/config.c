/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/lookup.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/file.h"

typedef enum ConfigKey {
        CONFIG_KEY_WAIT_FOR_SESSION,
        CONFIG_KEY_FORCE_USER,
        CONFIG_KEY_SKIP_SERVICE_DESCRIPTOR,
        CONFIG_KEY_EXIT_ON_SERVICE_EOF,
        CONFIG_KEY_EXIT_ON_CLIENT_EOF,
        CONFIG_KEY_DIRECT,
        _CONFIG_KEY_N,
} ConfigKey;

typedef enum ConfigType {
        CONFIG_TYPE_BOOLEAN,
        CONFIG_TYPE_INTEGER,
        CONFIG_TYPE_STRING,
} ConfigType;

typedef struct ConfigValue {
        ConfigType type;
        bool boolean;
        uint64_t integer;
        const char *string; /* not terminated */
        size_t n_string;
} ConfigValue;

/* A line being read: between `at` and `end`, without its line end and trailing blanks. */
typedef struct ConfigLine {
        const char *path;
        unsigned number;
        const char *start, *at, *end;
        Diagnostics *reterr;
} ConfigLine;

static const char *const config_keys[_CONFIG_KEY_N] = {
        [CONFIG_KEY_WAIT_FOR_SESSION] = "wait-for-session",
        [CONFIG_KEY_FORCE_USER] = "force-user",
        [CONFIG_KEY_SKIP_SERVICE_DESCRIPTOR] = "skip-service-descriptor",
        [CONFIG_KEY_EXIT_ON_SERVICE_EOF] = "exit-on-service-eof",
        [CONFIG_KEY_EXIT_ON_CLIENT_EOF] = "exit-on-client-eof",
        [CONFIG_KEY_DIRECT] = "direct",
};

void config_deinit(Config *config) {
        free(config->force_user);
        *config = CONFIG_INIT;
}

static int config_fail(const ConfigLine *line, const char *text) {
        int r;

        r = diagnostics_add(line->reterr, line->path, line->number, (unsigned)(line->at - line->start) + 1, "%s", text);
        return r < 0 ? r : CONFIG_E_INVALID;
}

static bool config_is_letter(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool config_is_digit(char c) {
        return c >= '0' && c <= '9';
}

static bool config_is_key(char c) {
        return config_is_letter(c) || config_is_digit(c) || c == '.' || c == '-' || c == '_';
}

static void config_skip_blanks(ConfigLine *line) {
        while (line->at < line->end && (*line->at == ' ' || *line->at == '\t'))
                ++line->at;
}

static bool config_skip_word(ConfigLine *line, const char *word) {
        size_t n = strlen(word);

        if ((size_t)(line->end - line->at) < n || memcmp(line->at, word, n) != 0)
                return false;
        line->at += n;
        return true;
}

static int config_parse_integer(ConfigLine *line, ConfigValue *value) {
        value->type = CONFIG_TYPE_INTEGER;
        if (*line->at == '0') {
                ++line->at;
                return 0;
        }
        for (; line->at < line->end && config_is_digit(*line->at); ++line->at)
                if (__builtin_mul_overflow(value->integer, 10, &value->integer) ||
                    __builtin_add_overflow(value->integer, (uint64_t)(*line->at - '0'), &value->integer))
                        return config_fail(line, "this number does not fit 64 bits");
        return 0;
}

static int config_parse_string(ConfigLine *line, ConfigValue *value) {
        const char *quote;

        value->type = CONFIG_TYPE_STRING;
        ++line->at;
        quote = memchr(line->at, '\'', (size_t)(line->end - line->at));
        if (!quote)
                return config_fail(line, "this text lacks its closing '");
        value->string = line->at;
        value->n_string = (size_t)(quote - line->at);
        line->at = quote + 1;
        return 0;
}

static int config_parse_value(ConfigLine *line, ConfigValue *ret_value) {
        ConfigValue value = {};
        int r = 0;

        if (line->at == line->end)
                return config_fail(line, "a value is missing: true, false, a number, or 'text'");
        if (config_is_digit(*line->at))
                r = config_parse_integer(line, &value);
        else if (*line->at == '\'')
                r = config_parse_string(line, &value);
        else if (config_skip_word(line, "true"))
                value.boolean = true;
        else if (!config_skip_word(line, "false"))
                return config_fail(line, "no value: write true, false, a number, or 'text' in single quotes");
        if (r)
                return r;

        config_skip_blanks(line);
        if (line->at < line->end && *line->at != '#')
                return config_fail(line, "nothing but a comment may follow the value");
        *ret_value = value;
        return 0;
}

static int config_take_boolean(const ConfigLine *line, const ConfigValue *value, bool integer_too, bool *ret_value) {
        if (value->type == CONFIG_TYPE_BOOLEAN)
                *ret_value = value->boolean;
        else if (integer_too && value->type == CONFIG_TYPE_INTEGER && value->integer <= 1)
                *ret_value = value->integer == 1;
        else
                return config_fail(line,
                                   integer_too ? "this key takes true, false, 1 or 0" : "this key takes true or false");
        return 0;
}

static int config_take(const ConfigLine *line, ConfigKey key, const ConfigValue *value, Config *config) {
        switch (key) {
        case CONFIG_KEY_WAIT_FOR_SESSION:
                return config_take_boolean(line, value, true, &config->wait_for_session);
        case CONFIG_KEY_SKIP_SERVICE_DESCRIPTOR:
                return config_take_boolean(line, value, false, &config->skip_service_descriptor);
        case CONFIG_KEY_EXIT_ON_SERVICE_EOF:
                return config_take_boolean(line, value, false, &config->exit_on_service_eof);
        case CONFIG_KEY_EXIT_ON_CLIENT_EOF:
                return config_take_boolean(line, value, false, &config->exit_on_client_eof);
        case CONFIG_KEY_DIRECT:
                return config_take_boolean(line, value, false, &config->direct);
        case CONFIG_KEY_FORCE_USER:
                if (value->type != CONFIG_TYPE_STRING)
                        return config_fail(line, "this key takes 'text' in single quotes");
                config->force_user = strndup(value->string, value->n_string);
                return config->force_user ? 0 : error_origin(-ENOMEM);
        case _CONFIG_KEY_N:
                break;
        }
        return error_origin(-EINVAL);
}

static ConfigKey config_key_lookup(const char *text, size_t n) {
        ConfigKey key;

        for (key = 0; key < _CONFIG_KEY_N; ++key)
                if (strlen(config_keys[key]) == n && memcmp(config_keys[key], text, n) == 0)
                        break;
        return key;
}

static int config_parse_line(ConfigLine *line, Diagnostics *ret_notices, bool seen[static _CONFIG_KEY_N],
                             Config *config) {
        const char *text = line->at;
        ConfigLine start = *line;
        ConfigValue value = {};
        ConfigKey key;
        size_t n;
        int r;

        if (!config_is_letter(*line->at))
                return config_fail(line, "a line starts with a key, or with # if it is a comment");
        while (line->at < line->end && config_is_key(*line->at))
                ++line->at;
        n = (size_t)(line->at - text);

        config_skip_blanks(line);
        if (line->at == line->end || *line->at != '=')
                return config_fail(line, "= must follow the key");
        ++line->at;
        config_skip_blanks(line);

        r = config_parse_value(line, &value);
        if (r)
                return r;

        key = config_key_lookup(text, n);
        if (key == _CONFIG_KEY_N)
                return !ret_notices ? 0
                                    : diagnostics_add(ret_notices, line->path, line->number, 1,
                                                      "nobody knows the key \"%s\"; it is ignored", ESCAPED(text, n));
        if (seen[key])
                return config_fail(&start, "this key was given before");
        seen[key] = true;
        return config_take(&start, key, &value, config);
}

/* The next line of what is left, without its end: LF, CRLF, or the end of the file. */
static void config_next_line(ConfigLine *line, const char **data, size_t *n) {
        const char *newline = memchr(*data, '\n', *n);
        size_t n_line = newline ? (size_t)(newline - *data) : *n;

        ++line->number;
        line->start = line->at = *data;
        line->end = *data + n_line;
        if (newline && n_line > 0 && line->end[-1] == '\r')
                --line->end;
        *data += n_line + (newline ? 1 : 0);
        *n -= n_line + (newline ? 1 : 0);
}

int config_parse(const char *path, const char *data, size_t n, Diagnostics *reterr, Diagnostics *ret_notices,
                 Config *ret_config) {
        _cleanup_(config_deinit) Config config = CONFIG_INIT;
        bool seen[_CONFIG_KEY_N] = {};
        ConfigLine line = { .path = path, .reterr = reterr };
        int r;

        while (n > 0) {
                config_next_line(&line, &data, &n);
                if (line.at == line.end)
                        continue;
                if (memchr(line.start, '\0', (size_t)(line.end - line.start)))
                        return config_fail(&line, "a NUL byte: this is no text file");
                while (line.end > line.start && (line.end[-1] == ' ' || line.end[-1] == '\t'))
                        --line.end;
                if (line.end == line.start)
                        return config_fail(&line, "a line of nothing but blanks: leave it empty or remove it");
                if (*line.at == '#')
                        continue;
                r = config_parse_line(&line, ret_notices, seen, &config);
                if (r)
                        return r;
        }

        if (config.force_user &&
            (config.skip_service_descriptor || config.exit_on_service_eof || config.exit_on_client_eof)) {
                r = diagnostics_add(reterr, path, 0, 0,
                                    "force-user is for programs; skip-service-descriptor, exit-on-service-eof and "
                                    "exit-on-client-eof are for sockets: remove one or the other");
                return r < 0 ? r : CONFIG_E_INVALID;
        }
        *ret_config = config;
        config = CONFIG_INIT;
        return 0;
}

int config_load(const char *directories, const Command *command, Diagnostics *reterr, Diagnostics *ret_notices,
                Config *ret_config) {
        _cleanup_free_ char *data = NULL;
        char path[LOOKUP_PATH_MAX + 1];
        size_t n;
        int r;

        r = lookup_config(directories, command, reterr, path);
        switch (r) {
        case 0:
                break;
        case LOOKUP_E_NOT_FOUND:
                *ret_config = CONFIG_INIT;
                return 0;
        case LOOKUP_E_FAILED:
                return CONFIG_E_INVALID;
        default:
                return error_fold(r);
        }

        r = file_read(AT_FDCWD, path, CONFIG_SIZE_MAX, &data, &n);
        if (r < 0)
                return r;
        if (r > 0) {
                r = diagnostics_add(reterr, ESCAPED(path, strlen(path)), 0, 0, "%s", file_error_text(r));
                return r < 0 ? r : CONFIG_E_INVALID;
        }
        return config_parse(ESCAPED(path, strlen(path)), data, n, reterr, ret_notices, ret_config);
}
