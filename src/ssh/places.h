/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the parts of split-ssh are. The specification says it for a machine that is one domain; where the domain is an
 * account of a machine, what would be the whole machine's is the account's:
 *
 *                              a machine                     an account
 *   the vault's agents         /run/split-ssh                $XDG_RUNTIME_DIR/qubes/split-ssh
 *   settings of the domain     /rw/config                    $XDG_CONFIG_HOME/qubes     (~/.config/qubes)
 *   the forwarder's socket     $XDG_RUNTIME_DIR/ssh/S.ssh-agent on both
 *   official forwarder         ~/.split-ssh/AGENT.sock on both
 *
 * It is the machine's for root, and where /run/split-ssh is there and ours. $XDG_RUNTIME_DIR is /run/user/UID where it is not set.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/socket.h"
#include "ssh/name.h"

#define PLACES_RUN_DIR "/run/split-ssh"
/** File in the settings: which domain has the keys. */
#define PLACES_VAULT_FILE "split-ssh-vault"
/** Environment, if no file says it. */
#define PLACES_VAULT_VARIABLE "QUBES_SSH_DOMAIN"

enum {
        _PLACES_E_SUCCESS,
        PLACES_E_LENGTH,  /* too long for a path, or for a socket's */
        PLACES_E_HOME,    /* neither HOME nor what would replace it is an absolute path */
        PLACES_E_NONE,    /* places_vault(): nothing says it */
        PLACES_E_INVALID, /* places_vault(): what says it holds no name */
};

/** places_agents() - the folder of the vault's agents. Return: 0 or PLACES_E_LENGTH */
int places_agents(char ret_path[static PATH_MAX]);

/** places_agent_socket() - that of one agent. Return: 0 or PLACES_E_LENGTH */
int places_agent_socket(const AgentName *agent, char ret_path[static SOCKET_PATH_MAX]);

/** places_keys() - ~/.ssh/identities.d/AGENT. @home: absolute. Return: 0 or PLACES_E_LENGTH */
int places_keys(const char *home, const AgentName *agent, char ret_path[static PATH_MAX]);

/** places_forwarded() - $XDG_RUNTIME_DIR/ssh/S.ssh-agent. Return: 0 or PLACES_E_LENGTH */
int places_forwarded(char ret_path[static SOCKET_PATH_MAX]);

/** places_forwarded_agent() - ~/.split-ssh/AGENT.sock. @home: absolute. Return: 0 or PLACES_E_LENGTH */
int places_forwarded_agent(const char *home, const AgentName *agent, char ret_path[static SOCKET_PATH_MAX]);

/**
 * places_vault() - which domain has the keys (split-ssh specification, 2.2)
 * @from_files: only a file may say it (3.5)
 *
 * The first that is not empty: the account's file, the machine's, the environment.
 * Return: 0, PLACES_E_NONE, PLACES_E_INVALID (it has been logged where), PLACES_E_…, or a negative error.
 */
int places_vault(bool from_files, VaultName *ret_name);

/** places_error_text() - words for a PLACES_E_… code */
const char *places_error_text(int r);
