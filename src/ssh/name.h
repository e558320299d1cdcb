/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validated names of split-ssh: of the source that calls, of an agent, as it is a service's argument and a part of paths,
 * and of the domain that has the keys. Rejected, not repaired.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/** Longest name of a source (split-ssh specification, 5.1). */
#define SSH_SOURCE_MAX 63
/** Longest name of an agent (split-ssh specification, 3.1). */
#define AGENT_NAME_MAX 64
/** Longest name of the vault (2.2). */
#define VAULT_NAME_MAX 63

enum {
        _AGENT_NAME_E_SUCCESS,
        AGENT_NAME_E_INVALID,
};

typedef struct AgentName {
        char text[AGENT_NAME_MAX + 1];
} AgentName;

typedef struct VaultName {
        char text[VAULT_NAME_MAX + 1];
} VaultName;

/** ssh_source_name_is_valid() - as an agent's, but at most 63 (5.1) */
bool ssh_source_name_is_valid(const char *untrusted_name);

/**
 * ssh_agent_name_is_valid() - a letter or digit, then letters, digits, `_`, `.`, `-`; at most 64 (3.1)
 *
 * So it is no option, no path, and no hidden file.
 */
bool ssh_agent_name_is_valid(const char *untrusted_name);

/** agent_name_parse() - ssh_agent_name_is_valid(), kept. Return: 0 or AGENT_NAME_E_INVALID */
int agent_name_parse(const char *untrusted_text, AgentName *ret_name);

/**
 * vault_name_parse() - `@` or nothing, a letter, then letters, digits, `:`, `_`, `.`, `-`; at most 63 (2.2)
 *
 * A keyword such as @default may stand for a name. Return: 0 or AGENT_NAME_E_INVALID.
 */
int vault_name_parse(const char *untrusted_text, size_t n, VaultName *ret_name);
