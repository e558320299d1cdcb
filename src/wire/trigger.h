/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TRIGGER_SERVICE, TRIGGER_SERVICE3, TRIGGER_SERVICE4: "call this service for me"
 * (protocol specification, 2.4, 3.2, 3.3).
 *
 *              version 2        version 3        version 4
 *   source     -                -                offset   0, 64 bytes
 *   target     offset 64, 32    offset  0, 64    offset  64, 64
 *   ident      offset 96, 32    offset 64, 32    offset 128, 32
 *   service    offset  0, 64    offset 96, rest  offset 160, rest
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/name.h"
#include "wire/refusal.h"

#define TRIGGER2_SIZE     128
#define TRIGGER3_SIZE_MIN 97
#define TRIGGER3_SIZE_MAX 65096
#define TRIGGER4_SIZE_MIN 161
#define TRIGGER4_SIZE_MAX 65160

enum {
        _TRIGGER_E_SUCCESS,
        TRIGGER_E_MALFORMED, /* no trigger type, or a length outside its limits: the connection cannot go on */
        TRIGGER_E_REFUSED,   /* a bad ident or service: this request is refused, the connection goes on */
};

typedef struct Trigger {
        bool has_source;    /* version 4: the source field exists, even if it is empty */
        RequestName source; /* whom a relay speaks for; empty: for itself */
        RequestName target; /* empty: the policy decides */
        Ident ident;
        size_t n_service_name; /* length of the part before `+` */
        size_t n_service;
        char service[]; /* NAME or NAME+ARGUMENT, NUL-terminated, sanitised */
} Trigger;

/** trigger_free() - accepts NULL. Return: NULL */
Trigger *trigger_free(Trigger *trigger);
DEFINE_CLEANUP(Trigger *, trigger_free)

/** trigger_size_is_valid() - may a payload of this type have this length? Checked before a byte of it is read. */
bool trigger_size_is_valid(uint32_t type, size_t n);

/**
 * trigger_decode() - decode a payload
 * @type:        one of the three trigger types
 * @ret_field:   receives the ident field exactly as it came, for the refusal; set for all but TRIGGER_E_MALFORMED
 * @ret_trigger: the request; the caller frees it
 *
 * Return: 0, TRIGGER_E_…, or a negative error.
 */
int trigger_decode(uint32_t type, const uint8_t *untrusted_data, size_t n, uint8_t ret_field[static IDENT_SIZE],
                   Trigger **ret_trigger);

/**
 * trigger_encode() - a whole message, header included
 * @n_max: size of @ret_data; WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX is always enough
 *
 * Return: 0, TRIGGER_E_REFUSED if this version cannot say it (a source before version 4; a target of more than 31 or
 * a service of more than 63 bytes in version 2: specification, 2.6), or a negative error.
 */
int trigger_encode(uint32_t type, const Trigger *trigger, uint8_t *ret_data, size_t n_max, size_t *ret_n);

/**
 * trigger_new() - make a request to encode
 * @source, @target: at most REQUEST_NAME_MAX bytes are taken, longer ones are cut (specification, 2.5)
 * @service: sent as it is
 *
 * Return: 0, TRIGGER_E_REFUSED (the service is empty or longer than SERVICE_DESCRIPTOR_MAX), or a negative error.
 */
int trigger_new(const char *source, const char *target, const char *ident, const char *service, Trigger **ret_trigger);

/**
 * trigger_forward() - what an agent sends on of a TRIGGER_SERVICE4 that a local client gave it (4.1), header included
 * @version: effective version of the control connection: an older daemon gets the trigger that it knows (2.6)
 * @ident:   goes where the client's was; everything else is the client's own, byte for byte, for the daemon to judge
 * @n_max:   size of @ret_data; WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX is always enough
 *
 * Return: 0, TRIGGER_E_MALFORMED (the length), TRIGGER_E_REFUSED if the version cannot say it (as trigger_encode()), or
 * a negative error.
 */
int trigger_forward(const uint8_t *untrusted_payload, size_t n, uint32_t version, const Ident *ident, uint8_t *ret_data,
                    size_t n_max, size_t *ret_n);

/**
 * trigger_ident() - who a local client says it is in its TRIGGER_SERVICE4: what an agent may have to know that leaves everything
 * else of it to the daemon
 *
 * Return: 0, TRIGGER_E_MALFORMED (the length), or TRIGGER_E_REFUSED: no ident (3.4).
 */
int trigger_ident(const uint8_t *untrusted_payload, size_t n, Ident *ret_ident);
