/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `qair relay`: what the verbs share. They do what an administrator would do by hand with useradd(8), ssh-keygen(1) and
 * an editor, and say so.
 */
#pragma once

#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/name.h"

/** RemoteVMs that one command makes. */
#define RELAY_SOURCES_MAX 16

/** A domain of the calling host. */
typedef struct RelaySource {
        DomainName there; /* as its own host calls it */
        DomainName here;  /* as the host that is called does: the same, if not told otherwise */
} RelaySource;

/** relay_source_is_renamed() - does it have another name here than there? */
static inline bool relay_source_is_renamed(const RelaySource *source) {
        return strcmp(source->there.text, source->here.text) != 0;
}

typedef struct RelayOptions {
        const char *host;                       /* add: [USER@]HOST or an alias */
        const char *relay;                      /* add: the domain that reaches it */
        const char *name;                       /* add: the RemoteVM */
        const char *remote_name;                /* add: its name over there; NULL: the same */
        const char *domain;                     /* authorize: the domain that the other host calls from here */
        const char *key;                        /* authorize */
        RelaySource sources[RELAY_SOURCES_MAX]; /* both: who calls */
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

/**
 * relay_add_remote() - the RemoteVM, unless it is there
 * @remote_name: NULL: the same
 * @remote_host: NULL: not to be set
 *
 * A domain of that name that is another is complained about. Return: a COMMAND_STATUS_… or a negative error.
 */
int relay_add_remote(const char *name, const char *relay, const char *remote_name, const char *remote_host);

/** relay_reload() - have the service read its configuration, or say how to */
void relay_reload(const char *unit, const char *by_hand);
