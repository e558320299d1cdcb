/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `qair relay`: what the verbs share. They do what an administrator would do by hand with useradd(8), ssh-keygen(1) and
 * an editor, and say so.
 */
#pragma once

#include <pwd.h>
#include <stddef.h>

/** RemoteVMs that one command makes. */
#define RELAY_SOURCES_MAX 16

typedef struct RelayOptions {
        const char *host;                       /* add: [USER@]HOST or an alias */
        const char *relay;                      /* add: the domain that reaches it */
        const char *name;                       /* add: the RemoteVM */
        const char *remote_name;                /* add: its name over there; NULL: the same */
        const char *domain;                     /* authorize: the domain that the other host calls from here */
        const char *key;                        /* authorize */
        const char *sources[RELAY_SOURCES_MAX]; /* both: domains over there that call, or here */
        size_t n_sources;
} RelayOptions;

/* The verbs. Return: a COMMAND_STATUS_… or a negative error. */
int relay_add(const RelayOptions *options);
int relay_authorize(const RelayOptions *options);

/**
 * relay_run() - run a program and wait for it, with our own three descriptors
 * @account: as whom, with its home and groups; NULL: as we are
 * @argv:    argv[0] is its path
 *
 * Return: its exit status, 255 if it was killed or could not be started, or a negative error.
 */
int relay_run(const struct passwd *account, const char *const *argv);

/**
 * relay_ensure_domain() - the domain and its account are there, or are made
 * @shell: the account's login shell; NULL: any will do
 *
 * Return: a COMMAND_STATUS_… or a negative error; *@ret_account is valid until the next look-up.
 */
int relay_ensure_domain(const char *name, const char *shell, const struct passwd **ret_account);

/** relay_add_remote() - the RemoteVM, unless there is a domain of that name. Return: a COMMAND_STATUS_… or negative */
int relay_add_remote(const char *name, const char *relay, const char *remote_name, const char *remote_host);

/** relay_reload() - have the service read its configuration, or say how to */
void relay_reload(const char *unit, const char *by_hand);
