/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar of split-ssh specification, 6.2, line by line. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/nearest.h"
#include "base/number.h"
#include "base/socket.h"
#include "policy/lexer.h"
#include "ssh/base64.h"
#include "ssh/codec.h"
#include "ssh/pattern.h"
#include "ssh/policytree.h"
#include "ssh/settings.h"

#define BLANKS    " \t"
#define LABEL_MAX SSH_POLICY_LINE_MAX
#define WHITE(_c) ((_c) == ' ' || (_c) == '\t')

typedef enum SectionKind {
        SECTION_NONE,
        SECTION_SOURCE, /* also [defaults] */
        SECTION_AGENT,
        SECTION_HOST,
} SectionKind;

typedef struct Parser {
        SshPolicy *policy;
        const char *path;
        unsigned line;
        Diagnostics *diagnostics;
        SectionKind kind;
        SshSection *section; /* valid until the next one is opened */
        SshAgentSection *agent;
        SshHost *host;
} Parser;

static int complain(Parser *parser, const char *format, ...) _printf_(2, 3);
static int complain(Parser *parser, const char *format, ...) {
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = diagnostics_add_list(parser->diagnostics, parser->path, parser->line, 0, format, arguments);
        va_end(arguments);
        return r ? error_trace(r) : SSH_POLICY_E_INVALID;
}

/* Words of @text, of which *@text is moved behind. A word is a run without blanks, or a quoted one; see 6.2. */
static int split_words(Parser *parser, const char *text, SshStrings *ret_words) {
        int r;

        for (;;) {
                _cleanup_free_ char *word = NULL;
                size_t n = 0;

                text += strspn(text, BLANKS);
                if (*text == '\0')
                        return 0;
                if (*text != '"') {
                        n = strcspn(text, BLANKS "\"\\");
                        if (text[n] == '"' || text[n] == '\\')
                                return complain(parser, "a quotation mark or backslash in a word: put the whole word, "
                                                        "from its start, into quotation marks");
                        r = ssh_strings_add(ret_words, text, n);
                        text += n;
                } else {
                        word = malloc(strlen(text));
                        if (!word)
                                return error_origin(-ENOMEM);
                        for (++text; *text != '"'; ++text) {
                                if (*text == '\\' && (text[1] == '"' || text[1] == '\\'))
                                        ++text;
                                else if (*text == '\\')
                                        return complain(parser, "behind a backslash there can be a backslash or a "
                                                                "quotation mark, nothing else");
                                if (*text == '\0')
                                        return complain(parser, "a quotation mark is not closed");
                                word[n++] = *text;
                        }
                        ++text;
                        if (*text != '\0' && !WHITE(*text))
                                return complain(parser, "behind a closing quotation mark there must be a blank");
                        r = ssh_strings_add(ret_words, word, n);
                }
                if (r)
                        return error_trace(r);
        }
}

static int refer(Parser *parser, const SshStrings *names) {
        for (size_t i = 0; i < names->n; ++i) {
                SshReference *reference =
                        ssh_array_grow(&parser->policy->references, parser->policy->n_references, sizeof(*reference));

                if (!reference)
                        return error_origin(-ENOMEM);
                ++parser->policy->n_references;
                reference->line = parser->line;
                reference->path = strdup(parser->path);
                reference->name = strdup(names->items[i]);
                if (!reference->path || !reference->name)
                        return error_origin(-ENOMEM);
        }
        return 0;
}

/* One setting of a source, or of a key. */
static int parse_setting(Parser *parser, SshSettings *settings, const char *name, size_t n_name, bool is_key,
                         const SshStrings *words) {
        const char *expected = NULL, *near;
        SshSetting setting;
        int r;

        r = ssh_settings_parse(settings, name, n_name, is_key, words->items, words->n, &setting, &expected);
        switch (r) {
        case 0:
                if (setting == SSH_SETTING_HOST)
                        return error_trace(refer(parser, &settings->host));
                if (setting == SSH_SETTING_VIA)
                        return error_trace(refer(parser, &settings->via));
                return 0;
        case SSH_SETTINGS_E_VALUE:
                return complain(parser, "%.*s takes %s", (int)n_name, name, expected);
        case SSH_SETTINGS_E_UNKNOWN:
                near = nearest(name, n_name, ssh_setting_name, NULL);
                if (is_key)
                        return complain(parser, "%.*s is nothing that a key can have: %s", (int)n_name, name,
                                        "deny, cert, alias, confirm, sign, user, host, via, namespace, forwarded, "
                                        "notify, grant-scope, rsa-sha1");
                return near ? complain(parser, "unknown setting %.*s: did you mean %s?", (int)n_name, name, near)
                            : complain(parser, "unknown setting %.*s", (int)n_name, name);
        default:
                return error_fold(r);
        }
}

/* TYPE BASE64: a public key as in an id_….pub file. */
static int parse_public_key(Parser *parser, const char *type, const char *text, SshFingerprint *ret_fingerprint) {
        uint8_t blob[SSH_POLICY_LINE_MAX];
        SshKey key;
        size_t n;

        if (base64_decode(text, strlen(text), blob, sizeof(blob), &n))
                return complain(parser, "what follows %s is no base64 of a public key", type);
        key = ssh_key_parse((WireSlice){ blob, n });
        if (!slice_is(key.type, type))
                return complain(parser,
                                "this public key is not of type %s, as it says: copy the line from its .pub file",
                                type);
        *ret_fingerprint = ssh_key_fingerprint(&key);
        return 0;
}

static int parse_fingerprint(Parser *parser, const char *word, SshFingerprint *ret_fingerprint) {
        if (ssh_fingerprint_parse(word, ret_fingerprint))
                return complain(parser, "%s is no fingerprint: SHA256: and 43 characters, as 'ssh-keygen -l' shows",
                                word);
        return 0;
}

static bool starts_with(const char *text, const char *prefix) {
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Return: as the parser; *@ret_n_words: how many words the selector took. */
static int parse_selector(Parser *parser, const SshStrings *words, SshKeyLine *line, size_t *ret_n_words) {
        const char *word = words->items[0], *text = NULL;

        *ret_n_words = 1;
        if (strcmp(word, "*") == 0) {
                line->selector = SSH_SELECTOR_ALL;
                return 0;
        }
        if (starts_with(word, "SHA256:")) {
                line->selector = SSH_SELECTOR_FINGERPRINT;
                return parse_fingerprint(parser, word, &line->fingerprint);
        }
        if (starts_with(word, "comment:")) {
                line->selector = SSH_SELECTOR_COMMENT;
                text = word + strlen("comment:");
        } else if (starts_with(word, "type:")) {
                line->selector = SSH_SELECTOR_TYPE;
                text = word + strlen("type:");
                if (*text == '\0')
                        return complain(parser, "type: names a type of keys, such as ssh-ed25519");
        }
        if (text) {
                line->text = strdup(text);
                return line->text ? 0 : error_origin(-ENOMEM);
        }
        if (words->n < 2)
                return complain(parser,
                                "%s is none of *, SHA256:…, comment:PATTERN, type:NAME, or a public key: TYPE "
                                "BASE64",
                                word);
        *ret_n_words = 2;
        line->selector = SSH_SELECTOR_FINGERPRINT;
        return parse_public_key(parser, word, words->items[1], &line->fingerprint);
}

static int parse_attribute(Parser *parser, const char *word, SshKeyLine *line) {
        static const char *const certificates[] = { "any", "no", "only" };
        const char *equals = strchr(word, '='), *value;
        size_t n_name;
        int r = 0;

        if (strcmp(word, "deny") == 0) {
                line->deny = true;
                return 0;
        }
        if (!equals)
                return complain(parser, "%s: behind a key stand deny, and NAME=VALUE", word);
        value = equals + 1;
        n_name = (size_t)(equals - word);
        if (starts_with(word, "cert=")) {
                for (size_t i = 0; i < ARRAY_SIZE(certificates); ++i)
                        if (strcmp(value, certificates[i]) == 0) {
                                line->certificates = (SshCertificates)i;
                                return 0;
                        }
                return complain(parser, "cert takes any, no or only");
        }
        if (starts_with(word, "alias=")) {
                free(line->alias);
                line->alias = strdup(value);
                return line->alias ? 0 : error_origin(-ENOMEM);
        }

        SshStrings parts = {};
        for (const char *part = value; !r && *part != '\0';) {
                size_t n = strcspn(part, ",");

                r = ssh_strings_add(&parts, part, n);
                part += n + (part[n] == ',');
        }
        r = r ?: parse_setting(parser, &line->settings, word, n_name, true, &parts);
        ssh_strings_deinit(&parts);
        return error_trace(r);
}

/* `key =` of a source. */
static int parse_key_line(Parser *parser, const SshStrings *words) {
        SshSection *section = parser->section;
        SshKeyLine *line;
        size_t n;
        int r;

        section->has_keys = true;
        if (words->n == 1 && strcmp(words->items[0], "none") == 0) {
                ssh_section_clear_keys(section);
                return 0;
        }
        line = ssh_array_grow(&section->keys, section->n_keys, sizeof(*line));
        if (!line)
                return error_origin(-ENOMEM);
        ++section->n_keys;
        r = parse_selector(parser, words, line, &n);
        for (; !r && n < words->n; ++n)
                r = parse_attribute(parser, words->items[n], line);
        return error_trace(r);
}

/* `key =` of a host. */
static int parse_host_key(Parser *parser, const SshStrings *words) {
        SshFingerprint fingerprint, *key;
        int r;

        if (words->n > 2 || words->n == 0)
                return complain(parser, "a host's key is SHA256:…, or TYPE BASE64");
        r = words->n == 1 ? parse_fingerprint(parser, words->items[0], &fingerprint)
                          : parse_public_key(parser, words->items[0], words->items[1], &fingerprint);
        if (r)
                return error_trace(r);
        key = ssh_array_grow(&parser->host->keys, parser->host->n_keys, sizeof(*key));
        if (!key)
                return error_origin(-ENOMEM);
        *key = fingerprint;
        ++parser->host->n_keys;
        return 0;
}

static int set_text(char **text, const char *value) {
        free(*text);
        *text = strdup(value);
        return *text ? 0 : error_origin(-ENOMEM);
}

static int parse_agent_setting(Parser *parser, const char *name, const SshStrings *words) {
        const char *word = words->items[0];
        uint64_t value;

        if (words->n != 1)
                return complain(parser, "%s takes one word", name);
        if (strcmp(name, "socket") == 0) {
                if (strcmp(word, "gpg-agent") != 0 && (word[0] != '/' || strlen(word) >= SOCKET_PATH_MAX))
                        return complain(parser, "socket takes an absolute path of at most %zu bytes, or gpg-agent",
                                        SOCKET_PATH_MAX - 1);
                return set_text(&parser->agent->socket, word);
        }
        if (strcmp(name, "bind-verify") == 0) {
                bool is_agent = strcmp(word, "agent") == 0;

                if (!is_agent && strcmp(word, "none") != 0)
                        return complain(parser, "bind-verify takes agent or none");
                parser->agent->bind_verify = is_agent ? SSH_BIND_VERIFY_AGENT : SSH_BIND_VERIFY_NONE;
                return 0;
        }
        if (strcmp(name, "reply-timeout") == 0) {
                if (number_parse(word, strlen(word), 5, 600, &value))
                        return complain(parser, "reply-timeout takes 5 to 600 seconds");
                parser->agent->reply_timeout_sec = (unsigned)value;
                return 0;
        }
        return complain(parser, "unknown setting %s: an agent has socket, bind-verify and reply-timeout", name);
}

static int parse_host_setting(Parser *parser, const char *name, const SshStrings *words) {
        if (strcmp(name, "key") == 0)
                return parse_host_key(parser, words);
        if (strcmp(name, "label") == 0) {
                if (words->n != 1)
                        return complain(parser, "label takes one text: put quotation marks around it");
                return set_text(&parser->host->label, words->items[0]);
        }
        return complain(parser, "unknown setting %s: a host has key and label", name);
}

static int parse_assignment(Parser *parser, char *text) {
        char *equals = strchr(text, '=');
        SshStrings words = {};
        size_t n_name;
        int r;

        if (!equals)
                return complain(parser, "neither [SECTION] nor NAME = VALUE");
        n_name = (size_t)(equals - text);
        while (n_name > 0 && WHITE(text[n_name - 1]))
                --n_name;
        r = split_words(parser, equals + 1, &words);
        text[n_name] = '\0';
        if (!r && words.n == 0)
                r = complain(parser, "%s has no value", text);
        if (!r)
                switch (parser->kind) {
                case SECTION_NONE:
                        r = complain(parser, "%s stands in no section: write [defaults] above it", text);
                        break;
                case SECTION_SOURCE:
                        r = strcmp(text, "key") == 0
                                    ? parse_key_line(parser, &words)
                                    : parse_setting(parser, &parser->section->settings, text, n_name, false, &words);
                        break;
                case SECTION_AGENT:
                        r = parse_agent_setting(parser, text, &words);
                        break;
                case SECTION_HOST:
                        r = parse_host_setting(parser, text, &words);
                        break;
                }
        ssh_strings_deinit(&words);
        return error_trace(r);
}

/* NAME, PREFIX*, or *. */
static bool pattern_is_valid(const char *pattern) {
        char prefix[SSH_SOURCE_MAX + 2];
        size_t n = strlen(pattern);

        if (strcmp(pattern, "*") == 0)
                return true;
        if (n == 0 || n > SSH_SOURCE_MAX)
                return false;
        memcpy(prefix, pattern, n + 1);
        if (prefix[n - 1] == '*')
                prefix[n - 1] = '\0';
        return ssh_source_name_is_valid(prefix);
}

static int open_section(Parser *parser, const SshStrings *words) {
        const char *kind = words->n > 0 ? words->items[0] : "", *name = words->n > 1 ? words->items[1] : "";
        const char *agent = words->n == 4 ? words->items[3] : NULL;

        parser->kind = SECTION_NONE;
        if (strcmp(kind, "defaults") == 0 && words->n == 1) {
                parser->kind = SECTION_SOURCE;
                return error_trace(ssh_policy_section(parser->policy, NULL, NULL, &parser->section));
        }
        if (strcmp(kind, "source") == 0 &&
            (words->n == 2 || (words->n == 4 && strcmp(words->items[2], "agent") == 0))) {
                if (!pattern_is_valid(name))
                        return complain(parser, "a source is a domain's name, the beginning of one and *, or *");
                if (agent && !ssh_agent_name_is_valid(agent))
                        return complain(parser, "%s cannot be the name of an agent", agent);
                parser->kind = SECTION_SOURCE;
                return error_trace(ssh_policy_section(parser->policy, name, agent, &parser->section));
        }
        if (strcmp(kind, "agent") == 0 && words->n == 2) {
                if (!ssh_agent_name_is_valid(name))
                        return complain(parser, "%s cannot be the name of an agent", name);
                parser->kind = SECTION_AGENT;
                return error_trace(ssh_policy_agent(parser->policy, name, &parser->agent));
        }
        if (strcmp(kind, "host") == 0 && words->n == 2) {
                if (!ssh_source_name_is_valid(name) || strcmp(name, "any") == 0)
                        return complain(parser, "%s cannot be the name of a host", name);
                parser->kind = SECTION_HOST;
                return error_trace(ssh_policy_host(parser->policy, name, &parser->host));
        }
        return complain(parser, "a section is [defaults], [source NAME], [source NAME agent AGENT], [agent NAME] or "
                                "[host NAME]");
}

static int parse_line(Parser *parser, char *text) {
        size_t n;
        int r;

        text += strspn(text, BLANKS);
        n = strlen(text);
        while (n > 0 && WHITE(text[n - 1]))
                text[--n] = '\0';
        if (n == 0 || text[0] == '#')
                return 0;
        if (text[0] == '[') {
                SshStrings words = {};

                if (text[n - 1] != ']')
                        return complain(parser, "a section ends with ]");
                text[n - 1] = '\0';
                r = split_words(parser, text + 1, &words);
                r = r ?: open_section(parser, &words);
                ssh_strings_deinit(&words);
                return error_trace(r);
        }
        return error_trace(parse_assignment(parser, text));
}

/* Control characters and bytes that are no UTF-8 have no place in a line (6.1). */
static int check_line(Parser *parser, const char *line, size_t n) {
        if (n > SSH_POLICY_LINE_MAX)
                return complain(parser, "a line longer than %d bytes", SSH_POLICY_LINE_MAX);
        for (size_t i = 0; i < n; ++i)
                if (((uint8_t)line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
                        return complain(parser, "a control character (byte %zu)", i + 1);
        if (policy_utf8_check((PolicySlice){ line, n }))
                return complain(parser, "this is not UTF-8");
        return 0;
}

int ssh_policy_parse(SshPolicy *policy, const char *path, const char *text, size_t n_text, Diagnostics *diagnostics) {
        Parser parser = { .policy = policy, .path = path, .diagnostics = diagnostics };
        const char *end = text + n_text;
        int result = 0;

        while (text < end) {
                _cleanup_free_ char *line = NULL;
                const char *newline = memchr(text, '\n', (size_t)(end - text)) ?: end;
                size_t n = (size_t)(newline - text);
                int r;

                ++parser.line;
                r = check_line(&parser, text, n);
                if (!r) {
                        line = strndup(text, n);
                        r = line ? parse_line(&parser, line) : error_origin(-ENOMEM);
                }
                if (r < 0)
                        return error_trace(r);
                result = r ?: result;
                text = newline + (newline < end);
        }
        return result;
}
