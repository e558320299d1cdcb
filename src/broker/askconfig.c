/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/askconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/file.h"
#include "base/name.h"
#include "base/number.h"

#define ASK_SECTION "ask"
#define ASK_ANY     "*"
/* libinih cuts a section's name at 49 bytes: a longer one could be taken for another. */
#define ASK_SECTION_MAX 48

void ask_config_deinit(AskConfig *config) {
        for (size_t i = 0; i < config->n_services; ++i)
                free(config->services[i].name);
        free(config->services);
        *config = ASK_CONFIG_INIT;
}

typedef struct AskParser {
        AskConfig config;
        bool has_timeout, has_quiet_for, has_relay_guivm;
        char problem[512];
        int error; /* negative */
} AskParser;

static void ask_parser_deinit(AskParser *parser) {
        ask_config_deinit(&parser->config);
}

static bool ask_fail(AskParser *parser, const char *problem, const char *untrusted_text) {
        snprintf(parser->problem, sizeof(parser->problem), "%s: %s", ESCAPED(untrusted_text, strlen(untrusted_text)),
                 problem);
        return false;
}

/* Seconds, ascending, with blanks between them; none is fine. */
static bool ask_parse_durations(AskParser *parser, const char *text, AskDurations *durations) {
        for (const char *word = text + strspn(text, " \t"); *word; word += strspn(word, " \t")) {
                size_t n = strcspn(word, " \t");
                uint64_t sec;

                if (number_parse(word, n, 1, ANSWER_SEC_MAX, &sec))
                        return ask_fail(parser, "each is a number of seconds, 1 to 2592000", text);
                if (durations->n > 0 && sec <= durations->sec[durations->n - 1])
                        return ask_fail(parser, "write the shorter ones first", text);
                if (durations->n == ASK_DURATIONS_MAX)
                        return ask_fail(parser, "at most 8 durations", text);
                durations->sec[durations->n++] = (uint32_t)sec;
                word += n;
        }
        return true;
}
_Static_assert(ASK_DURATIONS_MAX == 8 && ANSWER_SEC_MAX == 2592000, "spelled out in messages");

static bool ask_parse_general(AskParser *parser, const char *name, const char *value) {
        uint64_t sec;

        if (strcmp(name, "timeout") == 0) {
                if (parser->has_timeout)
                        return ask_fail(parser, "given twice", name);
                parser->has_timeout = true;
                if (number_parse(value, strlen(value), 1, ASK_TIMEOUT_SEC_MAX, &sec))
                        return ask_fail(parser, "timeout is a number of seconds, 1 to 3600", value);
                parser->config.timeout_sec = (uint32_t)sec;
                return true;
        }
        if (strcmp(name, "quiet_for") == 0) {
                if (parser->has_quiet_for)
                        return ask_fail(parser, "given twice", name);
                parser->has_quiet_for = true;
                return ask_parse_durations(parser, value, &parser->config.quiet_for);
        }
        if (strcmp(name, "relay_guivm") == 0) {
                if (parser->has_relay_guivm)
                        return ask_fail(parser, "given twice", name);
                parser->has_relay_guivm = true;
                parser->config.no_relay_guivm = strcmp(value, "no") == 0;
                return parser->config.no_relay_guivm || strcmp(value, "yes") == 0 ||
                       ask_fail(parser, "relay_guivm is yes or no", value);
        }
        return ask_fail(parser, "[ask] has timeout, quiet_for and relay_guivm, nothing else", name);
}

static const AskService *ask_find(const AskConfig *config, const char *name, size_t n) {
        for (size_t i = 0; i < config->n_services; ++i)
                if (strlen(config->services[i].name) == n && memcmp(config->services[i].name, name, n) == 0)
                        return &config->services[i];
        return NULL;
}

static bool ask_parse_service(AskParser *parser, const char *section, const char *name, const char *value) {
        AskService service = {}, *services;

        if (section[0] == '\0')
                return ask_fail(parser, "stands outside of a section", name);
        if (strlen(section) > ASK_SECTION_MAX)
                return ask_fail(parser, "a section's name has at most 48 bytes", section);
        if (strcmp(section, ASK_ANY) != 0 && service_name_check(section, strlen(section)))
                return ask_fail(parser, "is neither [ask], nor [*], nor the name of a service", section);
        if (strcmp(name, "allow_for") != 0)
                return ask_fail(parser, "a service has allow_for, nothing else", name);
        if (ask_find(&parser->config, section, strlen(section)))
                return ask_fail(parser, "allow_for is given twice", section);
        if (parser->config.n_services == ASK_SERVICES_MAX)
                return ask_fail(parser, "at most 1024 services", section);
        if (!ask_parse_durations(parser, value, &service.allow_for))
                return false;
        services = realloc(parser->config.services, (parser->config.n_services + 1) * sizeof(*services));
        service.name = strdup(section);
        if (services)
                parser->config.services = services;
        if (!services || !service.name) {
                free(service.name);
                parser->error = error_origin(-ENOMEM);
                return false;
        }
        services[parser->config.n_services++] = service;
        return true;
}
_Static_assert(ASK_SECTION_MAX == 48 && ASK_SERVICES_MAX == 1024 && ASK_TIMEOUT_SEC_MAX == 3600,
               "spelled out in messages");

/* Return: as libinih wants it, 0 for an error. */
static int ask_on_value(void *userdata, const char *section, const char *name, const char *value) {
        AskParser *parser = userdata;

        if (parser->problem[0] != '\0' || parser->error)
                return 0;
        return strcmp(section, ASK_SECTION) == 0 ? ask_parse_general(parser, name, value)
                                                 : ask_parse_service(parser, section, name, value);
}

int ask_config_parse(const char *path, const char *untrusted_text, size_t n, Diagnostics *reterr,
                     AskConfig *ret_config) {
        _cleanup_(ask_parser_deinit) AskParser parser = { .config = ASK_CONFIG_INIT };
        _cleanup_free_ char *text = NULL;
        int line, r;

        if (n > ASK_CONFIG_MAX || memchr(untrusted_text, '\0', n)) {
                r = diagnostics_add(reterr, path, 0, 0, "is longer than %d bytes, or has a NUL", ASK_CONFIG_MAX);
                return r ?: ASK_CONFIG_E_INVALID;
        }
        text = strndup(untrusted_text, n);
        if (!text)
                return error_origin(-ENOMEM);
        line = ini_parse_string(text, ask_on_value, &parser);
        if (parser.error)
                return parser.error;
        if (line != 0) {
                r = diagnostics_add(reterr, path, line > 0 ? (unsigned)line : 0, 0, "%s",
                                    parser.problem[0] != '\0' ? parser.problem
                                                              : "neither [SECTION] nor KEY = VALUE nor a comment");
                return r ?: ASK_CONFIG_E_INVALID;
        }
        *ret_config = parser.config;
        parser.config = ASK_CONFIG_INIT;
        return 0;
}

int ask_config_load(const char *path, Diagnostics *reterr, AskConfig *ret_config) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = file_read_trusted(AT_FDCWD, path, ASK_CONFIG_MAX, &text, &n);
        if (r < 0)
                return error_trace(r);
        if (r == FILE_E_NOT_FOUND) {
                *ret_config = ASK_CONFIG_INIT;
                return 0;
        }
        if (r > 0)
                return diagnostics_add(reterr, path, 0, 0, "%s", file_error_text(r)) ?: ASK_CONFIG_E_INVALID;
        return error_trace(ask_config_parse(path, text, n, reterr, ret_config));
}

AskDurations ask_config_allow_for(const AskConfig *config, const char *service) {
        const AskService *found = ask_find(config, service, strcspn(service, "+"));

        if (!found)
                found = ask_find(config, ASK_ANY, strlen(ASK_ANY));
        return found ? found->allow_for : (AskDurations){};
}

bool ask_durations_have(const AskDurations *durations, uint32_t sec) {
        for (size_t i = 0; i < durations->n; ++i)
                if (durations->sec[i] == sec)
                        return true;
        return false;
}
