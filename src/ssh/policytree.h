/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy is made of, for those who build it; others see ssh/policy.h. */
#pragma once

#include "ssh/policy.h"

/** A [source …] section, or [defaults]. */
typedef struct SshSection {
        char *pattern; /* NULL: [defaults] */
        char *agent;   /* NULL: any */
        SshSettings settings;
        SshKeyLine *keys;
        size_t n_keys;
        bool has_keys; /* there was a `key` line, even if it was `none` */
} SshSection;

/** A name of a [host] section that somebody used, to be found at the end. */
typedef struct SshReference {
        char *path, *name;
        unsigned line;
} SshReference;

struct SshPolicy {
        SshSection *sections; /* [0]: [defaults] */
        size_t n_sections;
        SshAgentSection *agents;
        size_t n_agents;
        SshHost *hosts;
        size_t n_hosts;
        SshReference *references;
        size_t n_references;
};

/** Those of that name, made if there is none yet; @n bytes of text. Return: 0 or a negative error */
int ssh_policy_section(SshPolicy *policy, const char *pattern, const char *agent, SshSection **ret_section);
int ssh_policy_agent(SshPolicy *policy, const char *name, SshAgentSection **ret_agent);
int ssh_policy_host(SshPolicy *policy, const char *name, SshHost **ret_host);

/** ssh_key_line_deinit() - free what it has */
void ssh_key_line_deinit(SshKeyLine *line);
void ssh_section_clear_keys(SshSection *section);

/** ssh_array_grow() - room for one more of @size bytes, zeroed, at the end of *@array. Return: it; NULL: no memory */
void *ssh_array_grow(void *array, size_t n, size_t size);
