/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/number.h"

/* A member of SshSettings, by offset and size: what overlaying copies. */
typedef struct Place {
        size_t offset, size;
} Place;
#define PLACE(_member) \
        { offsetof(SshSettings, _member), sizeof(((SshSettings *)NULL)->_member) }

typedef struct Setting {
        const char *name;
        const char *expected;
        bool is_list; /* may have more than one word */
        bool for_key;
        Place places[2];
        int (*parse)(void *place, char *const *words, size_t n_words);
        void (*format)(const void *place, const char *separator, FILE *file);
} Setting;

void ssh_strings_deinit(SshStrings *strings) {
        for (size_t i = 0; i < strings->n; ++i)
                free(strings->items[i]);
        free(strings->items);
        *strings = (SshStrings){};
}

int ssh_strings_add(SshStrings *strings, const char *text, size_t n) {
        char **items = reallocarray(strings->items, strings->n + 1, sizeof(*items));

        if (!items)
                return error_origin(-ENOMEM);
        strings->items = items;
        items[strings->n] = strndup(text, n);
        if (!items[strings->n])
                return error_origin(-ENOMEM);
        ++strings->n;
        return 0;
}

void ssh_word_format(const char *word, FILE *file) {
        if (*word != '\0' && !strpbrk(word, " \t\"\\")) {
                fputs(word, file);
                return;
        }
        fputc('"', file);
        for (; *word != '\0'; ++word) {
                if (*word == '"' || *word == '\\')
                        fputc('\\', file);
                fputc(*word, file);
        }
        fputc('"', file);
}

/* One of some words; their index. */
static int parse_choice(const char *const *choices, size_t n_choices, const char *word, unsigned *ret_choice) {
        for (size_t i = 0; i < n_choices; ++i)
                if (strcmp(choices[i], word) == 0) {
                        *ret_choice = (unsigned)i;
                        return 0;
                }
        return SSH_SETTINGS_E_VALUE;
}

static int parse_number(const char *word, size_t n, unsigned min, unsigned max, unsigned *ret_value) {
        uint64_t value;

        if (number_parse(word, n, min, max, &value))
                return SSH_SETTINGS_E_VALUE;
        *ret_value = (unsigned)value;
        return 0;
}

static const char *const access_words[] = { "full", "list", "off" };
static const char *const scope_words[] = { "key", "host", "exact" };
static const char *const boolean_words[] = { "no", "yes" };

#define DEFINE_CHOICE(_name, _type, _words)                                                \
        static int parse_##_name(void *place, char *const *words, size_t n_words) {        \
                unsigned choice;                                                           \
                                                                                           \
                if (parse_choice(_words, ARRAY_SIZE(_words), words[0], &choice))           \
                        return SSH_SETTINGS_E_VALUE;                                       \
                *(_type *)place = (_type)choice;                                           \
                return 0;                                                                  \
        }                                                                                  \
        static void format_##_name(const void *place, const char *separator, FILE *file) { \
                fputs(_words[*(const _type *)place], file);                                \
        }
DEFINE_CHOICE(access, SshAccess, access_words)
DEFINE_CHOICE(scope, SshGrantScope, scope_words)
DEFINE_CHOICE(boolean, bool, boolean_words)

#define DEFINE_NUMBER(_name, _min, _max)                                                \
        static int parse_##_name(void *place, char *const *words, size_t n_words) {     \
                return parse_number(words[0], strlen(words[0]), (_min), (_max), place); \
        }
DEFINE_NUMBER(prompt_timeout, 5, 600)
DEFINE_NUMBER(cooldown, 0, 3600)
DEFINE_NUMBER(connections, 1, 256)
DEFINE_NUMBER(idle, 0, SSH_DAY_SEC)

static void format_number(const void *place, const char *separator, FILE *file) {
        fprintf(file, "%u", *(const unsigned *)place);
}

static int parse_kinds(void *place, char *const *words, size_t n_words) {
        uint32_t kinds = 0;

        if (n_words == 1 && strcmp(words[0], "none") == 0) {
                *(uint32_t *)place = 0;
                return 0;
        }
        for (size_t i = 0; i < n_words; ++i) {
                unsigned k;

                for (k = 0; k < _SSH_KIND_N; ++k)
                        if (strcmp(words[i], ssh_kind_name((SshKind)k)) == 0)
                                break;
                if (k == _SSH_KIND_N)
                        return SSH_SETTINGS_E_VALUE;
                kinds |= BIT(k);
        }
        *(uint32_t *)place = kinds;
        return 0;
}

static void format_kinds(const void *place, const char *separator, FILE *file) {
        uint32_t kinds = *(const uint32_t *)place;
        const char *before = "";

        if (kinds == 0)
                fputs("none", file);
        for (unsigned k = 0; k < _SSH_KIND_N; ++k)
                if (kinds & BIT(k)) {
                        fprintf(file, "%s%s", before, ssh_kind_name((SshKind)k));
                        before = separator;
                }
}

/* SshConfirm and the seconds of a grant stand side by side in SshSettings. */
static int parse_confirm(void *place, char *const *words, size_t n_words) {
        SshSettings *settings = container_of((SshConfirm *)place, SshSettings, confirm);
        static const char grant[] = "grant:";

        if (strcmp(words[0], "never") == 0)
                settings->confirm = SSH_CONFIRM_NEVER;
        else if (strcmp(words[0], "ask") == 0)
                settings->confirm = SSH_CONFIRM_ASK;
        else if (strncmp(words[0], grant, strlen(grant)) == 0 &&
                 parse_number(words[0] + strlen(grant), strlen(words[0] + strlen(grant)), 1, SSH_DAY_SEC,
                              &settings->grant_sec) == 0)
                settings->confirm = SSH_CONFIRM_GRANT;
        else
                return SSH_SETTINGS_E_VALUE;
        return 0;
}

static void format_confirm(const void *place, const char *separator, FILE *file) {
        const SshSettings *settings = container_of((const SshConfirm *)place, const SshSettings, confirm);

        if (settings->confirm == SSH_CONFIRM_GRANT)
                fprintf(file, "grant:%u", settings->grant_sec);
        else
                fputs(settings->confirm == SSH_CONFIRM_NEVER ? "never" : "ask", file);
}

static int parse_rate(void *place, char *const *words, size_t n_words) {
        const char *slash = strchr(words[0], '/');
        SshRate rate = {};

        if (!slash || parse_number(words[0], (size_t)(slash - words[0]), 1, SSH_RATE_MAX, &rate.n) ||
            parse_number(slash + 1, strlen(slash + 1), 1, SSH_DAY_SEC, &rate.seconds))
                return SSH_SETTINGS_E_VALUE;
        *(SshRate *)place = rate;
        return 0;
}

static int parse_rate_or_off(void *place, char *const *words, size_t n_words) {
        if (strcmp(words[0], "off") != 0)
                return parse_rate(place, words, n_words);
        *(SshRate *)place = (SshRate){};
        return 0;
}

static void format_rate(const void *place, const char *separator, FILE *file) {
        const SshRate *rate = place;

        if (rate->n == 0)
                fputs("off", file);
        else
                fprintf(file, "%u/%u", rate->n, rate->seconds);
}

static int parse_strings(void *place, char *const *words, size_t n_words) {
        SshStrings strings = {};

        for (size_t i = 0; i < n_words; ++i) {
                int r = ssh_strings_add(&strings, words[i], strlen(words[i]));

                if (r) {
                        ssh_strings_deinit(&strings);
                        return error_trace(r);
                }
        }
        ssh_strings_deinit(place);
        *(SshStrings *)place = strings;
        return 0;
}

/* Names, or the one word `any`, which is no names. */
static int parse_hosts(void *place, char *const *words, size_t n_words) {
        if (n_words == 1 && strcmp(words[0], "any") == 0) {
                ssh_strings_deinit(place);
                return 0;
        }
        return parse_strings(place, words, n_words);
}

static void format_strings(const void *place, const char *separator, FILE *file) {
        const SshStrings *strings = place;

        if (strings->n == 0)
                fputs("any", file);
        for (size_t i = 0; i < strings->n; ++i) {
                if (i > 0)
                        fputs(separator, file);
                /* An attribute is quoted as a whole, by who writes it. */
                if (*separator == ',')
                        fputs(strings->items[i], file);
                else
                        ssh_word_format(strings->items[i], file);
        }
}

// clang-format off
static const Setting settings_table[_SSH_SETTING_N] = {
        [SSH_SETTING_ACCESS] = { "access", "full, list or off", false, false, { PLACE(access) },
                                 parse_access, format_access },
        [SSH_SETTING_SIGN] = { "sign", "none, or some of auth, sshsig, cert, hostproof, pam, probe, raw", true, true,
                               { PLACE(sign) }, parse_kinds, format_kinds },
        [SSH_SETTING_CONFIRM] = { "confirm", "never, ask, or grant:SECONDS, at most 86400", false, true,
                                  { PLACE(confirm), PLACE(grant_sec) }, parse_confirm, format_confirm },
        [SSH_SETTING_GRANT_SCOPE] = { "grant-scope", "key, host or exact", false, true, { PLACE(grant_scope) },
                                      parse_scope, format_scope },
        [SSH_SETTING_PROMPT_TIMEOUT] = { "prompt-timeout", "5 to 600 seconds", false, false,
                                         { PLACE(prompt_timeout_sec) }, parse_prompt_timeout, format_number },
        [SSH_SETTING_DENY_COOLDOWN] = { "deny-cooldown", "0 to 3600 seconds", false, false,
                                        { PLACE(deny_cooldown_sec) }, parse_cooldown, format_number },
        [SSH_SETTING_NOTIFY] = { "notify", "yes or no", false, true, { PLACE(notify) },
                                 parse_boolean, format_boolean },
        [SSH_SETTING_USER] = { "user", "patterns", true, true, { PLACE(user) }, parse_strings, format_strings },
        [SSH_SETTING_HOST] = { "host", "any, or names of [host] sections", true, true, { PLACE(host) },
                               parse_hosts, format_strings },
        [SSH_SETTING_VIA] = { "via", "any, or names of [host] sections", true, true, { PLACE(via) },
                              parse_hosts, format_strings },
        [SSH_SETTING_FORWARDED] = { "forwarded", "yes or no", false, true, { PLACE(forwarded) },
                                    parse_boolean, format_boolean },
        [SSH_SETTING_NAMESPACE] = { "namespace", "patterns", true, true, { PLACE(name_space) },
                                    parse_strings, format_strings },
        [SSH_SETTING_RSA_SHA1] = { "rsa-sha1", "yes or no", false, true, { PLACE(rsa_sha1) },
                                   parse_boolean, format_boolean },
        [SSH_SETTING_RATE] = { "rate", "off, or N/SECONDS: 1 to 1000 in 1 to 86400", false, false, { PLACE(rate) },
                               parse_rate_or_off, format_rate },
        [SSH_SETTING_PROMPT_RATE] = { "prompt-rate", "N/SECONDS: 1 to 1000 in 1 to 86400", false, false,
                                      { PLACE(prompt_rate) }, parse_rate, format_rate },
        [SSH_SETTING_MAX_CONNECTIONS] = { "max-connections", "1 to 256", false, false, { PLACE(max_connections) },
                                          parse_connections, format_number },
        [SSH_SETTING_IDLE_TIMEOUT] = { "idle-timeout", "0 to 86400 seconds", false, false,
                                       { PLACE(idle_timeout_sec) }, parse_idle, format_number },
};
// clang-format on

static void *place_of(const SshSettings *settings, const Place *place) {
        return (char *)settings + place->offset;
}

int ssh_settings_parse(SshSettings *settings, const char *name, size_t n_name, bool is_key, char *const *words,
                       size_t n_words, SshSetting *ret_setting, const char **reterr_expected) {
        const Setting *setting = NULL;
        int r;

        for (size_t i = 0; i < _SSH_SETTING_N; ++i)
                if (strlen(settings_table[i].name) == n_name && memcmp(settings_table[i].name, name, n_name) == 0)
                        setting = settings_table + i;
        if (!setting || (is_key && !setting->for_key))
                return SSH_SETTINGS_E_UNKNOWN;

        r = n_words == 0 || (n_words > 1 && !setting->is_list)
                    ? SSH_SETTINGS_E_VALUE
                    : setting->parse(place_of(settings, setting->places), words, n_words);
        if (r) {
                if (r == SSH_SETTINGS_E_VALUE)
                        *reterr_expected = setting->expected;
                return error_trace(r);
        }
        *ret_setting = (SshSetting)(setting - settings_table);
        settings->set |= BIT(*ret_setting);
        return 0;
}

void ssh_settings_overlay(SshSettings *settings, const SshSettings *above) {
        for (size_t i = 0; i < _SSH_SETTING_N; ++i) {
                if (!(above->set & BIT(i)))
                        continue;
                for (size_t k = 0; k < ARRAY_SIZE(settings_table[i].places); ++k) {
                        const Place *place = settings_table[i].places + k;

                        memcpy(place_of(settings, place), place_of(above, place), place->size);
                }
                settings->set |= BIT(i);
        }
}

const SshSettings *ssh_settings_builtin(void) {
        static char *all[] = { (char *)"*" };
        static const SshSettings builtin = {
                .set = BIT(_SSH_SETTING_N) - 1,
                .access = SSH_ACCESS_FULL,
                .sign = BIT(SSH_KIND_AUTH) | BIT(SSH_KIND_SSHSIG),
                .confirm = SSH_CONFIRM_ASK,
                .grant_scope = SSH_GRANT_SCOPE_HOST,
                .prompt_timeout_sec = 60,
                .deny_cooldown_sec = 15,
                .notify = true,
                .user = { all, 1 },
                .name_space = { all, 1 },
                .rate = { 30, 60 },
                .prompt_rate = { 10, 60 },
                .max_connections = 16,
                .idle_timeout_sec = 900,
        };

        return &builtin;
}

void ssh_settings_format(const SshSettings *settings, bool is_key, FILE *file) {
        for (size_t i = 0; i < _SSH_SETTING_N; ++i) {
                const Setting *setting = settings_table + i;
                _cleanup_free_ char *attribute = NULL;
                FILE *memory;
                size_t n;

                if (!(settings->set & BIT(i)))
                        continue;
                if (!is_key) {
                        fprintf(file, "%s = ", setting->name);
                        setting->format(place_of(settings, setting->places), " ", file);
                        fputc('\n', file);
                        continue;
                }
                memory = open_memstream(&attribute, &n);
                if (!memory)
                        continue;
                fprintf(memory, "%s=", setting->name);
                setting->format(place_of(settings, setting->places), ",", memory);
                if (fclose(memory) == 0) {
                        fputc(' ', file);
                        ssh_word_format(attribute, file);
                }
        }
}

void ssh_settings_deinit(SshSettings *settings) {
        ssh_strings_deinit(&settings->user);
        ssh_strings_deinit(&settings->name_space);
        ssh_strings_deinit(&settings->host);
        ssh_strings_deinit(&settings->via);
}

const char *ssh_setting_name(const void *unused, size_t i) {
        return i < _SSH_SETTING_N ? settings_table[i].name : NULL;
}
