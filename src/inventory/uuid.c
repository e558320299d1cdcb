/* SPDX-License-Identifier: Apache-2.0 */
#include "inventory/uuid.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <systemd/sd-id128.h>

int uuid_check(const char *untrusted_text) {
        static const char shape[] = UUID_DOM0;

        if (strlen(untrusted_text) != strlen(shape))
                return UUID_E_MALFORMED;
        for (size_t i = 0; i < strlen(shape); ++i) {
                char c = untrusted_text[i];

                if (shape[i] == '-' ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
                        return UUID_E_MALFORMED;
        }
        return 0;
}

static void format(const uint8_t b[static 16], Uuid *ret_uuid) {
        snprintf(ret_uuid->text, sizeof(ret_uuid->text),
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2], b[3], b[4],
                 b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

/* FNV-1a: its parameters for 128 bits are in its specification. */
static unsigned __int128 fnv1a(unsigned __int128 hash, const char *text) {
        const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;

        for (; *text != '\0'; ++text)
                hash = (hash ^ (uint8_t)*text) * prime;
        return hash;
}

static void hash_name(const char *name, uint8_t ret_bytes[static 16]) {
        /* Ours, drawn once at random: no other program that hashes names gets the same numbers. */
        static const char space[] = "527c46168ccc48c99d711053c2b2d377";
        unsigned __int128 hash = ((unsigned __int128)0x6c62272e07bb0142 << 64) + 0x62b821756295c58d;

        hash = fnv1a(fnv1a(hash, space), name);
        for (size_t i = 0; i < 16; ++i)
                ret_bytes[i] = (uint8_t)(hash >> (8 * (15 - i)));
}

void uuid_of_name(const char *name, Uuid *ret_uuid) {
        uint8_t bytes[16];

        hash_name(name, bytes);
        bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x80); /* version 8 */
        bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80); /* variant 10 */
        format(bytes, ret_uuid);
}

void uuid_derive(const char *name, Uuid *ret_uuid) {
        sd_id128_t hash, id;

        hash_name(name, hash.bytes);
        if (sd_id128_get_machine_app_specific(hash, &id) < 0)
                uuid_of_name(name, ret_uuid);
        else
                format(id.bytes, ret_uuid);
}
