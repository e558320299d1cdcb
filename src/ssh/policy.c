/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "ssh/codec.h"
#include "ssh/pattern.h"
#include "ssh/policytree.h"
#include "ssh/settings.h"

#define REPLY_TIMEOUT_SEC 120
#define GPG_AGENT         "gpg-agent"

void *ssh_array_grow(void *array, size_t n, size_t size) {
        char **elements = array, *grown = reallocarray(*elements, n + 1, size);

        if (!grown)
                return NULL;
        *elements = grown;
        return memset(grown + n * size, 0, size);
}

void ssh_key_line_deinit(SshKeyLine *line) {
        free(line->text);
        free(line->alias);
        ssh_settings_deinit(&line->settings);
        *line = (SshKeyLine){};
}

void ssh_section_clear_keys(SshSection *section) {
        for (size_t i = 0; i < section->n_keys; ++i)
                ssh_key_line_deinit(section->keys + i);
        free(section->keys);
        section->keys = NULL;
        section->n_keys = 0;
}

int ssh_policy_new(SshPolicy **ret_policy) {
        _cleanup_(ssh_policy_freep) SshPolicy *policy = calloc(1, sizeof(*policy));
        SshSection *defaults;
        int r;

        if (!policy)
                return error_origin(-ENOMEM);
        r = ssh_policy_section(policy, NULL, NULL, &defaults);
        if (r)
                return error_trace(r);
        *ret_policy = steal_ptr(&policy);
        return 0;
}

SshPolicy *ssh_policy_free(SshPolicy *policy) {
        if (!policy)
                return NULL;
        for (size_t i = 0; i < policy->n_sections; ++i) {
                ssh_section_clear_keys(policy->sections + i);
                ssh_settings_deinit(&policy->sections[i].settings);
                free(policy->sections[i].pattern);
                free(policy->sections[i].agent);
        }
        for (size_t i = 0; i < policy->n_agents; ++i) {
                free(policy->agents[i].name);
                free(policy->agents[i].socket);
        }
        for (size_t i = 0; i < policy->n_hosts; ++i) {
                free(policy->hosts[i].name);
                free(policy->hosts[i].label);
                free(policy->hosts[i].keys);
        }
        for (size_t i = 0; i < policy->n_references; ++i) {
                free(policy->references[i].path);
                free(policy->references[i].name);
        }
        free(policy->sections);
        free(policy->agents);
        free(policy->hosts);
        free(policy->references);
        free(policy);
        return NULL;
}

static bool text_equal(const char *a, const char *b) {
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static int text_copy(const char *text, char **ret_copy) {
        *ret_copy = text ? strdup(text) : NULL;
        return text && !*ret_copy ? error_origin(-ENOMEM) : 0;
}

int ssh_policy_section(SshPolicy *policy, const char *pattern, const char *agent, SshSection **ret_section) {
        SshSection *section;

        for (size_t i = 0; i < policy->n_sections; ++i)
                if (text_equal(policy->sections[i].pattern, pattern) && text_equal(policy->sections[i].agent, agent)) {
                        *ret_section = policy->sections + i;
                        return 0;
                }
        section = ssh_array_grow(&policy->sections, policy->n_sections, sizeof(*section));
        if (!section)
                return error_origin(-ENOMEM);
        ++policy->n_sections;
        *ret_section = section;
        return text_copy(pattern, &section->pattern) ?: text_copy(agent, &section->agent);
}

int ssh_policy_agent(SshPolicy *policy, const char *name, SshAgentSection **ret_agent) {
        SshAgentSection *agent;

        for (size_t i = 0; i < policy->n_agents; ++i)
                if (strcmp(policy->agents[i].name, name) == 0) {
                        *ret_agent = policy->agents + i;
                        return 0;
                }
        agent = ssh_array_grow(&policy->agents, policy->n_agents, sizeof(*agent));
        if (!agent)
                return error_origin(-ENOMEM);
        ++policy->n_agents;
        *ret_agent = agent;
        return text_copy(name, &agent->name);
}

int ssh_policy_host(SshPolicy *policy, const char *name, SshHost **ret_host) {
        SshHost *host;

        for (size_t i = 0; i < policy->n_hosts; ++i)
                if (strcmp(policy->hosts[i].name, name) == 0) {
                        *ret_host = policy->hosts + i;
                        return 0;
                }
        host = ssh_array_grow(&policy->hosts, policy->n_hosts, sizeof(*host));
        if (!host)
                return error_origin(-ENOMEM);
        ++policy->n_hosts;
        *ret_host = host;
        return text_copy(name, &host->name);
}

int ssh_policy_finish(const SshPolicy *policy, Diagnostics *diagnostics) {
        int result = 0;

        for (size_t i = 0; i < policy->n_references; ++i) {
                const SshReference *reference = policy->references + i;
                size_t k;
                int r;

                for (k = 0; k < policy->n_hosts; ++k)
                        if (strcmp(policy->hosts[k].name, reference->name) == 0)
                                break;
                if (k < policy->n_hosts)
                        continue;
                r = diagnostics_add(diagnostics, reference->path, reference->line, 0,
                                    "there is no section [host %s]: write one, with the server's key", reference->name);
                if (r)
                        return error_trace(r);
                result = SSH_POLICY_E_INVALID;
        }
        return result;
}

/* Which of the sections that apply comes first (6.3): the larger. 0: it does not apply. */
static size_t section_rank(const SshSection *section, const char *source, const char *agent) {
        const char *pattern = section->pattern;
        size_t n, rank;

        if (!pattern)
                return 1;
        if (section->agent && strcmp(section->agent, agent) != 0)
                return 0;
        n = strlen(pattern);
        if (pattern[n - 1] == '*') {
                if (strncmp(pattern, source, n - 1) != 0)
                        return 0;
                rank = n; /* `*` is 1 */
        } else {
                if (strcmp(pattern, source) != 0)
                        return 0;
                rank = SSH_SOURCE_MAX + 2;
        }
        return 2 * rank + (section->agent != NULL);
}

SshRules ssh_policy_rules(const SshPolicy *policy, const char *source, const char *agent) {
        static const SshKeyLine all = { .selector = SSH_SELECTOR_ALL };
        SshRules rules = {
                .settings = *ssh_settings_builtin(),
                .keys = &all,
                .n_keys = 1,
                .hosts = policy->hosts,
                .n_hosts = policy->n_hosts,
                .is_gpg = strcmp(agent, "gpg") == 0,
                .reply_timeout_sec = REPLY_TIMEOUT_SEC,
        };
        SshBindVerify bind_verify = SSH_BIND_VERIFY_DEFAULT;

        strncpy(rules.source, source, sizeof(rules.source) - 1);
        strncpy(rules.agent, agent, sizeof(rules.agent) - 1);

        /* From the last that counts to the first, each over what was there. No two have the same rank. */
        for (size_t done = 0;;) {
                const SshSection *section = NULL;
                size_t best = SIZE_MAX;

                for (size_t i = 0; i < policy->n_sections; ++i) {
                        size_t rank = section_rank(policy->sections + i, source, agent);

                        if (rank > done && rank < best) {
                                best = rank;
                                section = policy->sections + i;
                        }
                }
                if (!section)
                        break;
                done = best;
                ssh_settings_overlay(&rules.settings, &section->settings);
                if (section->has_keys) {
                        rules.keys = section->keys;
                        rules.n_keys = section->n_keys;
                }
        }

        for (size_t i = 0; i < policy->n_agents; ++i) {
                const SshAgentSection *section = policy->agents + i;

                if (strcmp(section->name, agent) != 0)
                        continue;
                if (section->socket) {
                        rules.is_gpg = strcmp(section->socket, GPG_AGENT) == 0;
                        rules.socket = rules.is_gpg ? NULL : section->socket;
                }
                bind_verify = section->bind_verify;
                if (section->reply_timeout_sec > 0)
                        rules.reply_timeout_sec = section->reply_timeout_sec;
        }
        rules.bind_verify =
                bind_verify == SSH_BIND_VERIFY_DEFAULT ? !rules.is_gpg : bind_verify == SSH_BIND_VERIFY_AGENT;
        return rules;
}

static bool key_line_matches(const SshKeyLine *line, const SshKey *key, const SshFingerprint *fingerprint,
                             WireSlice comment) {
        if ((line->certificates == SSH_CERTIFICATES_NO && key->is_certificate) ||
            (line->certificates == SSH_CERTIFICATES_ONLY && !key->is_certificate))
                return false;
        switch (line->selector) {
        case SSH_SELECTOR_ALL:
                return true;
        case SSH_SELECTOR_FINGERPRINT:
                return ssh_fingerprint_equal(&line->fingerprint, fingerprint);
        case SSH_SELECTOR_COMMENT:
                return ssh_pattern_match(line->text, comment);
        case SSH_SELECTOR_TYPE:
                return slice_is(key->plain_type, line->text);
        }
        return false;
}

const SshKeyLine *ssh_rules_key(const SshRules *rules, const SshKey *key, const SshFingerprint *fingerprint,
                                WireSlice comment) {
        for (size_t i = 0; i < rules->n_keys; ++i)
                if (key_line_matches(rules->keys + i, key, fingerprint, comment))
                        return rules->keys[i].deny ? NULL : rules->keys + i;
        return NULL;
}

SshSettings ssh_rules_settings(const SshRules *rules, const SshKeyLine *line) {
        SshSettings settings = rules->settings;

        if (line)
                ssh_settings_overlay(&settings, &line->settings);
        return settings;
}

static bool host_has(const SshHost *host, const SshFingerprint *fingerprint) {
        for (size_t i = 0; i < host->n_keys; ++i)
                if (ssh_fingerprint_equal(host->keys + i, fingerprint))
                        return true;
        return false;
}

const SshHost *ssh_rules_host(const SshRules *rules, const SshFingerprint *fingerprint) {
        for (size_t i = 0; i < rules->n_hosts; ++i)
                if (host_has(rules->hosts + i, fingerprint))
                        return rules->hosts + i;
        return NULL;
}

bool ssh_rules_host_listed(const SshRules *rules, const SshStrings *names, const SshFingerprint *fingerprint) {
        for (size_t i = 0; i < rules->n_hosts; ++i)
                for (size_t k = 0; k < names->n; ++k)
                        if (strcmp(rules->hosts[i].name, names->items[k]) == 0 &&
                            host_has(rules->hosts + i, fingerprint))
                                return true;
        return names->n == 0;
}

static void format_key_line(const SshKeyLine *line, FILE *file) {
        static const char *const certificates[] = { NULL, "cert=no", "cert=only" };
        _cleanup_free_ char *word = NULL;
        int n = 0;

        fputs("key = ", file);
        switch (line->selector) {
        case SSH_SELECTOR_ALL:
                fputc('*', file);
                break;
        case SSH_SELECTOR_FINGERPRINT:
                fputs(line->fingerprint.text, file);
                break;
        case SSH_SELECTOR_COMMENT:
        case SSH_SELECTOR_TYPE:
                n = asprintf(&word, "%s:%s", line->selector == SSH_SELECTOR_COMMENT ? "comment" : "type", line->text);
                if (n >= 0)
                        ssh_word_format(word, file);
                break;
        }
        if (line->deny)
                fputs(" deny", file);
        if (line->certificates != SSH_CERTIFICATES_ANY)
                fprintf(file, " %s", certificates[line->certificates]);
        if (line->alias) {
                _cleanup_free_ char *alias = NULL;

                if (asprintf(&alias, "alias=%s", line->alias) >= 0) {
                        fputc(' ', file);
                        ssh_word_format(alias, file);
                }
        }
        ssh_settings_format(&line->settings, true, file);
        fputc('\n', file);
}

char *ssh_rules_format(const SshRules *rules) {
        char *text = NULL;
        size_t n;
        FILE *file = open_memstream(&text, &n);

        if (!file)
                return NULL;
        for (size_t i = 0; i < rules->n_hosts; ++i) {
                const SshHost *host = rules->hosts + i;

                fprintf(file, "[host %s]\n", host->name);
                if (host->label) {
                        fputs("label = ", file);
                        ssh_word_format(host->label, file);
                        fputc('\n', file);
                }
                for (size_t k = 0; k < host->n_keys; ++k)
                        fprintf(file, "key = %s\n", host->keys[k].text);
                fputc('\n', file);
        }
        fprintf(file, "[agent %s]\n", rules->agent);
        if (rules->socket || rules->is_gpg) {
                fputs("socket = ", file);
                ssh_word_format(rules->is_gpg ? GPG_AGENT : rules->socket, file);
                fputc('\n', file);
        }
        fprintf(file, "bind-verify = %s\nreply-timeout = %u\n\n[source %s agent %s]\n",
                rules->bind_verify ? "agent" : "none", rules->reply_timeout_sec, rules->source, rules->agent);
        ssh_settings_format(&rules->settings, false, file);
        if (rules->n_keys == 0)
                fputs("key = none\n", file);
        for (size_t i = 0; i < rules->n_keys; ++i)
                format_key_line(rules->keys + i, file);
        (void)text_close(file, &text);
        return text;
}
