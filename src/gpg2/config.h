/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vault's person has set for split-gpg2 (split-gpg specification, 12; qubes-split-gpg2.conf(5)): INI files, section
 * [DEFAULT] for every client, [client:NAME] for one. Of several files the later wins; a client's section wins over
 * [DEFAULT], wherever it stands.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diagnostic.h"
#include "gpg2/filter.h"

/** A configuration file. */
#define GPG2_CONFIG_SIZE_MAX (64 * 1024)
/** Files in conf.d. */
#define GPG2_CONFIG_FILES_MAX 256
/** Ten years: autoaccept=yes says "for ever" better. */
#define GPG2_ACCEPT_SEC_MAX UINT32_C(315360000)
/** autoaccept=yes */
#define GPG2_ACCEPT_ALWAYS UINT32_MAX

typedef struct Gpg2Config {
        uint32_t accept_sec[_FILTER_OPERATION_N]; /* how long a yes is remembered; 0: every use is asked about */
        bool verbose_notifications;
        bool allow_keygen;
        char gnupghome[PATH_MAX];               /* "": as the environment says */
        char isolated_gnupghome_dirs[PATH_MAX]; /* "": one home for all */
        char source_keyring_dir[PATH_MAX];      /* "": the home; "no": no keyring of subkeys is made */
        char debug_log[PATH_MAX];               /* "": none */
} Gpg2Config;

/** Keys that there are. */
#define GPG2_CONFIG_KEYS 9

/** What has been read so far. */
typedef struct Gpg2ConfigReader {
        const char *source;    /* the client's name; borrowed */
        Diagnostics *warnings; /* keys that nobody knows; borrowed */
        Diagnostics *errors;   /* borrowed */
        struct {
                bool is_set[2]; /* by [DEFAULT], by the client's section */
                char value[2][PATH_MAX];
        } keys[GPG2_CONFIG_KEYS];
} Gpg2ConfigReader;

enum {
        _GPG2_CONFIG_E_SUCCESS,
        GPG2_CONFIG_E_INVALID, /* the diagnostics say what and where */
};

/**
 * gpg2_config_parse() - one file's text
 * @path: for messages
 *
 * Return: 0, GPG2_CONFIG_E_INVALID, or a negative error.
 */
int gpg2_config_parse(Gpg2ConfigReader *reader, const char *path, const char *text, size_t n);

/** gpg2_config_finish() - all files have been read. Return: 0, GPG2_CONFIG_E_INVALID, or a negative error */
int gpg2_config_finish(const Gpg2ConfigReader *reader, Gpg2Config *ret_config);

/**
 * gpg2_config_load() - /etc/qubes-split-gpg2.conf, then below @user conf.d/ *.conf by name and qubes-split-gpg2.conf
 * @etc:  the first file
 * @user: the folder of the others, such as ~/.config/qubes-split-gpg2
 * What is not there is left out; what others may write is refused. Return: as gpg2_config_finish().
 */
int gpg2_config_load(const char *source, const char *etc, const char *user, Diagnostics *warnings, Diagnostics *errors,
                     Gpg2Config *ret_config);
