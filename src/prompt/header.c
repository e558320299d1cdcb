/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/header.h"

#include <stdbool.h>
#include <string.h>

/* Words are parted by spaces, however many. */
static bool header_take_word(const char **text, const char *end, char word[static HEADER_WORD_MAX + 1]) {
        const char *begin = *text, *next;

        while (begin < end && *begin == ' ')
                ++begin;
        for (next = begin; next < end && *next != ' ';)
                ++next;
        if (next == begin || next - begin > HEADER_WORD_MAX)
                return false;
        memcpy(word, begin, (size_t)(next - begin));
        word[next - begin] = '\0';
        *text = next;
        return true;
}

int header_decode(const char *untrusted_data, size_t n, Header *ret_header) {
        const char *text = untrusted_data;
        const char *end = n > 0 ? memchr(untrusted_data, 0, n < HEADER_MAX ? n : HEADER_MAX) : NULL;
        Header header = {};

        if (!end || !header_take_word(&text, end, header.service) || !header_take_word(&text, end, header.source))
                return HEADER_E_MALFORMED;
        /* `policy.Ask+` is policy.Ask: there is nothing that an argument could mean. */
        header.service[strcspn(header.service, "+")] = '\0';
        header.n = (size_t)(end + 1 - untrusted_data);
        *ret_header = header;
        return 0;
}
