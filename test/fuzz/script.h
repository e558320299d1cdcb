/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An input as a script: what the peers of a state machine do, one step after the other.
 */
#pragma once

#include <stdbool.h>

#include "fuzz.h"

typedef struct Script {
        const uint8_t *data;
        size_t n, at;
} Script;

static inline bool script_is_over(const Script *script) {
        return script->at == script->n;
}

/** script_byte() - the next byte; 0 at the end */
static inline uint8_t script_byte(Script *script) {
        return script_is_over(script) ? 0 : script->data[script->at++];
}

/** script_bytes() - up to @n bytes. Return: how many there are */
static inline size_t script_bytes(Script *script, size_t n, const uint8_t **ret_data) {
        size_t n_left = script->n - script->at;

        if (n > n_left)
                n = n_left;
        *ret_data = script->data + script->at;
        script->at += n;
        return n;
}
