/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HELLO: the first message in both directions of links, data connections and daemon sockets
 * (protocol specification, 2.4 and 2.6).
 *
 *   offset 0  u32  version
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HELLO_SIZE 4

enum {
        _HELLO_E_SUCCESS,
        HELLO_E_MALFORMED, /* not exactly HELLO_SIZE bytes */
        HELLO_E_VERSION,   /* the peer is too old to talk to */
};

typedef struct Hello {
        uint32_t version; /* as the peer announced it: higher numbers are never an error */
} Hello;

/** hello_decode() - decode the payload; versions below @version_min are refused. Return: 0 or HELLO_E_… */
int hello_decode(const uint8_t *untrusted_data, size_t n, uint32_t version_min, Hello *ret_hello);

/** hello_encode() - the payload, without its header */
void hello_encode(const Hello *hello, uint8_t ret_data[static HELLO_SIZE]);

/** hello_effective_version() - min(own, announced) */
static inline uint32_t hello_effective_version(const Hello *hello, uint32_t own) {
        return hello->version < own ? hello->version : own;
}
