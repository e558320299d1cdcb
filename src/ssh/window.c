/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/window.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/number.h"

#define NSEC_PER_USEC 1000

/* "1 BOOT-ID NUMBER\n"; what follows is *@text then. A boot id of the right form that is another one is not malformed. */
static int parse_head(const char **text, size_t *n_text, const char *boot_id, uint64_t *ret_value,
                      bool *ret_is_current) {
        static const char version[] = "1 ";
        size_t n_version = strlen(version), n_boot = SSH_BOOT_ID_SIZE - 1, n_head = n_version + n_boot + 1, n_number;
        const char *newline = memchr(*text, '\n', *n_text);

        if (!newline || (size_t)(newline - *text) <= n_head || memcmp(*text, version, n_version) != 0 ||
            (*text)[n_head - 1] != ' ')
                return SSH_WINDOW_E_MALFORMED;
        n_number = (size_t)(newline - *text) - n_head;
        if (number_parse(*text + n_head, n_number, 0, UINT64_MAX, ret_value))
                return SSH_WINDOW_E_MALFORMED;
        *ret_is_current = memcmp(*text + n_version, boot_id, n_boot) == 0;
        *n_text -= (size_t)(newline + 1 - *text);
        *text = newline + 1;
        return 0;
}

int ssh_window_parse(const char *text, size_t n_text, const char *boot_id, uint64_t now_usec, SshWindow *ret_window) {
        SshWindow window = {};
        bool is_current;

        if (n_text == 0) {
                *ret_window = window;
                return 0;
        }
        if (parse_head(&text, &n_text, boot_id, &window.told_usec, &is_current))
                return SSH_WINDOW_E_MALFORMED;
        if (!is_current) {
                *ret_window = (SshWindow){};
                return 0;
        }
        while (n_text > 0) {
                const char *newline = memchr(text, '\n', n_text);
                uint64_t before = window.n > 0 ? window.times[window.n - 1] : 0;

                if (!newline || window.n == SSH_RATE_MAX ||
                    number_parse(text, (size_t)(newline - text), before, now_usec, &window.times[window.n]))
                        return SSH_WINDOW_E_MALFORMED;
                ++window.n;
                n_text -= (size_t)(newline + 1 - text);
                text = newline + 1;
        }
        if (window.told_usec > now_usec)
                return SSH_WINDOW_E_MALFORMED;
        *ret_window = window;
        return 0;
}

size_t ssh_window_format(const SshWindow *window, const char *boot_id, char ret_text[static SSH_WINDOW_TEXT_MAX]) {
        int n = snprintf(ret_text, SSH_WINDOW_TEXT_MAX, "1 %s %llu\n", boot_id, (unsigned long long)window->told_usec);

        for (size_t i = 0; i < window->n; ++i)
                n += snprintf(ret_text + n, SSH_WINDOW_TEXT_MAX - (size_t)n, "%llu\n",
                              (unsigned long long)window->times[i]);
        return (size_t)n;
}

static bool is_within(uint64_t time_usec, unsigned seconds, uint64_t now_usec) {
        return now_usec - time_usec < seconds * USEC_PER_SEC;
}

void ssh_window_fill(SshWindow *window, SshRate rate, uint64_t now_usec) {
        *window = (SshWindow){ .n = rate.n };
        for (size_t i = 0; i < rate.n; ++i)
                window->times[i] = now_usec;
}

bool ssh_window_count(SshWindow *window, SshRate rate, uint64_t now_usec) {
        size_t n = 0;

        if (rate.n == 0)
                return true;
        for (size_t i = 0; i < window->n; ++i)
                if (is_within(window->times[i], rate.seconds, now_usec))
                        window->times[n++] = window->times[i];
        window->n = n;
        if (n >= rate.n)
                return false;
        window->times[window->n++] = now_usec;
        return true;
}

bool ssh_window_tell(SshWindow *window, SshRate rate, uint64_t now_usec) {
        if (window->told_usec > 0 && is_within(window->told_usec, rate.seconds, now_usec))
                return false;
        window->told_usec = now_usec;
        return true;
}

bool ssh_window_is_recent(const SshWindow *window, unsigned seconds, uint64_t now_usec) {
        return window->n > 0 && is_within(window->times[window->n - 1], seconds, now_usec);
}

bool ssh_grant_is_valid(const char *text, size_t n_text, const char *boot_id, uint64_t now_usec) {
        uint64_t expiry_nsec, now_nsec = now_usec * NSEC_PER_USEC;
        bool is_current;

        if (parse_head(&text, &n_text, boot_id, &expiry_nsec, &is_current) || n_text > 0 || !is_current)
                return false;
        /* One that lasts longer than any can was not written by us. */
        return now_nsec < expiry_nsec && expiry_nsec - now_nsec <= SSH_DAY_SEC * USEC_PER_SEC * NSEC_PER_USEC;
}

size_t ssh_grant_format(const char *boot_id, uint64_t now_usec, unsigned seconds,
                        char ret_text[static SSH_WINDOW_TEXT_MAX]) {
        uint64_t expiry_nsec = (now_usec + seconds * USEC_PER_SEC) * NSEC_PER_USEC;
        int n = snprintf(ret_text, SSH_WINDOW_TEXT_MAX, "1 %s %llu\n", boot_id, (unsigned long long)expiry_nsec);

        return (size_t)n;
}
