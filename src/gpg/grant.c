/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/grant.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define SOURCE_MAX 63

bool gpg_grant_is_valid(int64_t given_sec, int64_t now_sec, uint32_t lasts_sec) {
        return given_sec <= now_sec && now_sec - given_sec <= lasts_sec;
}

bool gpg_grant_parse_seconds(const char *text, uint32_t *ret_sec) {
        size_t n = strspn(text, "0123456789");
        uint32_t sec = 0;

        if (n < 1 || n > 9 || text[n] != '\0')
                return false;
        for (size_t i = 0; i < n; ++i)
                sec = sec * 10 + (uint32_t)(text[i] - '0');
        *ret_sec = sec;
        return true;
}

const char *gpg_grant_format_seconds(uint32_t sec, char buffer[static GPG_GRANT_TEXT_MAX]) {
        static const struct {
                uint32_t sec;
                const char *name;
        } units[] = { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } };
        size_t n = 0;

        buffer[0] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(units); ++i) {
                uint32_t count = sec / units[i].sec;

                sec %= units[i].sec;
                if (count > 0)
                        n += (size_t)snprintf(buffer + n, GPG_GRANT_TEXT_MAX - n, "%s%u %s%s", n > 0 ? " " : "", count,
                                              units[i].name, count == 1 ? "" : "s");
        }
        return buffer;
}

bool gpg_source_is_valid(const char *untrusted_source) {
        size_t n = strspn(untrusted_source, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

        return n > 0 && n <= SOURCE_MAX && untrusted_source[n] == '\0' && !strchr("_.-", untrusted_source[0]);
}
