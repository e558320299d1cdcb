/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of the filter (split-ssh specification, 6): which keys exist for whom, what may be signed with them,
 * and who is asked. An SshPolicy is all that the files say; SshRules is what holds for one source and one agent.
 *
 * Text to rules is pure; the files themselves are read by ssh_policy_load() (ssh/policyfile.h).
 */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "ssh/key.h"
#include "ssh/name.h"
#include "ssh/signdata.h"

/** All files together, and a line of one, in bytes: specification, 6.1. */
#define SSH_POLICY_MAX      (256 * 1024)
#define SSH_POLICY_LINE_MAX 4096
/** Most uses within a window, so that the file of their times stays small. */
#define SSH_RATE_MAX 1000
#define SSH_DAY_SEC  86400

enum {
        _SSH_POLICY_E_SUCCESS,
        SSH_POLICY_E_INVALID, /* the diagnostics say what is wrong, and where */
};

typedef enum SshAccess {
        SSH_ACCESS_FULL,
        SSH_ACCESS_LIST,
        SSH_ACCESS_OFF,
} SshAccess;

typedef enum SshConfirm {
        SSH_CONFIRM_NEVER,
        SSH_CONFIRM_ASK,
        SSH_CONFIRM_GRANT,
} SshConfirm;

typedef enum SshGrantScope {
        SSH_GRANT_SCOPE_KEY,
        SSH_GRANT_SCOPE_HOST,
        SSH_GRANT_SCOPE_EXACT,
} SshGrantScope;

typedef enum SshSetting {
        SSH_SETTING_ACCESS,
        SSH_SETTING_SIGN,
        SSH_SETTING_CONFIRM,
        SSH_SETTING_GRANT_SCOPE,
        SSH_SETTING_PROMPT_TIMEOUT,
        SSH_SETTING_DENY_COOLDOWN,
        SSH_SETTING_NOTIFY,
        SSH_SETTING_USER,
        SSH_SETTING_HOST,
        SSH_SETTING_VIA,
        SSH_SETTING_FORWARDED,
        SSH_SETTING_NAMESPACE,
        SSH_SETTING_RSA_SHA1,
        SSH_SETTING_RATE,
        SSH_SETTING_PROMPT_RATE,
        SSH_SETTING_MAX_CONNECTIONS,
        SSH_SETTING_IDLE_TIMEOUT,
        _SSH_SETTING_N,
} SshSetting;

typedef struct SshStrings {
        char **items;
        size_t n;
} SshStrings;

typedef struct SshRate {
        unsigned n; /* 0: off */
        unsigned seconds;
} SshRate;

/** Those that are in @set have a value. The lists belong to the policy. */
typedef struct SshSettings {
        uint32_t set; /* BIT(SSH_SETTING_…) */
        SshAccess access;
        uint32_t sign; /* BIT(SSH_KIND_…) */
        SshConfirm confirm;
        unsigned grant_sec; /* SSH_CONFIRM_GRANT */
        SshGrantScope grant_scope;
        unsigned prompt_timeout_sec, deny_cooldown_sec;
        bool notify, forwarded, rsa_sha1;
        SshStrings user, name_space; /* patterns */
        SshStrings host, via;        /* names of [host] sections; none: any */
        SshRate rate, prompt_rate;
        unsigned max_connections, idle_timeout_sec;
} SshSettings;

typedef enum SshSelector {
        SSH_SELECTOR_ALL,
        SSH_SELECTOR_FINGERPRINT,
        SSH_SELECTOR_COMMENT,
        SSH_SELECTOR_TYPE,
} SshSelector;

typedef enum SshCertificates {
        SSH_CERTIFICATES_ANY,
        SSH_CERTIFICATES_NO,
        SSH_CERTIFICATES_ONLY,
} SshCertificates;

/** A `key` line of a source. */
typedef struct SshKeyLine {
        SshSelector selector;
        SshFingerprint fingerprint;
        char *text; /* pattern of the comment, or the type */
        bool deny;
        SshCertificates certificates;
        char *alias; /* NULL: none */
        SshSettings settings;
} SshKeyLine;

typedef struct SshHost {
        char *name, *label; /* label: NULL: none */
        SshFingerprint *keys;
        size_t n_keys;
} SshHost;

typedef enum SshBindVerify {
        SSH_BIND_VERIFY_DEFAULT,
        SSH_BIND_VERIFY_AGENT, /* its "yes" to a binding means that it verified it */
        SSH_BIND_VERIFY_NONE,
} SshBindVerify;

/** An [agent] section. */
typedef struct SshAgentSection {
        char *name;
        char *socket; /* NULL: not said; "gpg-agent": ask gpgconf */
        SshBindVerify bind_verify;
        unsigned reply_timeout_sec; /* 0: not said */
} SshAgentSection;

typedef struct SshPolicy SshPolicy;

/** ssh_policy_new() - one with nothing in it: built-in defaults. Return: 0 or a negative error */
int ssh_policy_new(SshPolicy **ret_policy);
SshPolicy *ssh_policy_free(SshPolicy *policy);
DEFINE_CLEANUP(SshPolicy *, ssh_policy_free)

/**
 * ssh_policy_parse() - add what a file says
 * @path: for the diagnostics
 *
 * Return: 0, SSH_POLICY_E_INVALID (the policy is then not to be used), or a negative error.
 */
int ssh_policy_parse(SshPolicy *policy, const char *path, const char *text, size_t n_text, Diagnostics *diagnostics);

/** ssh_policy_finish() - after the last file: do all names of hosts exist? Return: as ssh_policy_parse() */
int ssh_policy_finish(const SshPolicy *policy, Diagnostics *diagnostics);

/** What holds for one source and one agent. Points into the policy. */
typedef struct SshRules {
        char source[SSH_SOURCE_MAX + 1];
        char agent[AGENT_NAME_MAX + 1];
        SshSettings settings; /* all set */
        const SshKeyLine *keys;
        size_t n_keys;
        const SshHost *hosts; /* all of the policy, in their order */
        size_t n_hosts;
        const char *socket; /* a path; NULL: gpg-agent, or what the default is */
        bool is_gpg;        /* ask gpgconf */
        bool bind_verify;
        unsigned reply_timeout_sec;
} SshRules;

/** ssh_policy_rules() - the rules for these two, whose names must be valid; cannot fail */
SshRules ssh_policy_rules(const SshPolicy *policy, const char *source, const char *agent);

/** ssh_rules_format() - as a configuration that means the same for these two; the caller frees it. NULL: no memory */
char *ssh_rules_format(const SshRules *rules);

/** ssh_rules_key() - the line that decides about this identity; NULL: it does not exist for the source */
const SshKeyLine *ssh_rules_key(const SshRules *rules, const SshKey *key, const SshFingerprint *fingerprint,
                                WireSlice comment);

/** ssh_rules_settings() - what holds for an identity that @line lets in; NULL: for the source */
SshSettings ssh_rules_settings(const SshRules *rules, const SshKeyLine *line);

/** ssh_rules_host() - the first [host] section that has this key; NULL: none */
const SshHost *ssh_rules_host(const SshRules *rules, const SshFingerprint *fingerprint);

/** ssh_rules_host_listed() - is the key one of a host that @names lists? No names: any is */
bool ssh_rules_host_listed(const SshRules *rules, const SshStrings *names, const SshFingerprint *fingerprint);
