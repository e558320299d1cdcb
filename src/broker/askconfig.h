/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/qubes/ask.conf: how long a question waits, and what a person who is asked may grant (ask.conf(5)).
 *
 *   [ask]
 *   timeout = 120             ; seconds
 *   quiet_for = 300 3600      ; offered with "no"; nothing if empty
 *   relay_guivm = yes         ; for a RemoteVM without guivm, ask at its relay's
 *
 *   [my.Sign]                 ; a service, or * for those that have no section
 *   allow_for = 300 3600      ; offered with "yes"
 *
 * Without the file nothing but "once" can be granted. Parsing is pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/diagnostic.h"
#include "wire/answer.h"

/** Durations that are offered at most. */
#define ASK_DURATIONS_MAX 8
/** Sections at most. */
#define ASK_SERVICES_MAX 1024
/** Size of the file at most. */
#define ASK_CONFIG_MAX (256 * 1024)
/** How long a question waits if the file says nothing, in seconds, and the longest that it may say. */
#define ASK_TIMEOUT_SEC     120
#define ASK_TIMEOUT_SEC_MAX 3600

typedef struct AskDurations {
        uint32_t sec[ASK_DURATIONS_MAX];
        size_t n;
} AskDurations;

typedef struct AskService {
        char *name; /* "*": every other */
        AskDurations allow_for;
} AskService;

typedef struct AskConfig {
        uint32_t timeout_sec;
        bool no_relay_guivm;
        AskDurations quiet_for;
        AskService *services;
        size_t n_services;
} AskConfig;

#define ASK_CONFIG_INIT ((AskConfig){ .timeout_sec = ASK_TIMEOUT_SEC })

enum {
        _ASK_CONFIG_E_SUCCESS,
        ASK_CONFIG_E_INVALID, /* reported to the diagnostics; nothing of it counts */
};

/**
 * ask_config_parse() - understand the file
 * @untrusted_text: @n bytes
 * @ret_config:     the caller's to ask_config_deinit()
 *
 * Return: 0, ASK_CONFIG_E_INVALID, or a negative error.
 */
int ask_config_parse(const char *path, const char *untrusted_text, size_t n, Diagnostics *reterr,
                     AskConfig *ret_config);

/** ask_config_load() - read it; one that does not exist is like an empty one. Return: as ask_config_parse() */
int ask_config_load(const char *path, Diagnostics *reterr, AskConfig *ret_config);

/** ask_config_deinit() - harmless when repeated */
void ask_config_deinit(AskConfig *config);

/** ask_config_allow_for() - what may be granted for a service: NAME or NAME+ARGUMENT */
AskDurations ask_config_allow_for(const AskConfig *config, const char *service);

/** ask_durations_have() - was this one offered? */
bool ask_durations_have(const AskDurations *durations, uint32_t sec);
