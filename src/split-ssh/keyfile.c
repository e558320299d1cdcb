/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/keyfile.h"

#include <string.h>

#define KEYFILE_MARK "PRIVATE KEY-----"

static bool keyfile_has_suffix(const char *name, const char *suffix) {
        size_t n = strlen(name), n_suffix = strlen(suffix);

        return n >= n_suffix && strcmp(name + n - n_suffix, suffix) == 0;
}

bool keyfile_is_candidate(const char *name) {
        return name[0] != '\0' && name[0] != '.' && !keyfile_has_suffix(name, ".pub") &&
               !keyfile_has_suffix(name, KEYFILE_OPTIONS_SUFFIX);
}

bool keyfile_is_private_key(const char *data, size_t n) {
        return memmem(data, n, KEYFILE_MARK, strlen(KEYFILE_MARK)) != NULL;
}

static bool keyfile_is_flag(const char *word) {
        return word[0] == '-' && word[1] != '\0' && strchr("cqvkCN", word[1]) && word[2] == '\0';
}

static bool keyfile_takes_value(const char *word) {
        return word[0] == '-' && word[1] != '\0' && strchr("thH", word[1]) && word[2] == '\0';
}

/* In two words, as getopt() would take it, but never one that would be an option itself. */
static int keyfile_check(const char *const *words, size_t n, size_t *ret_bad) {
        for (size_t i = 0; i < n; ++i) {
                *ret_bad = i;
                if (keyfile_is_flag(words[i]))
                        continue;
                if (!keyfile_takes_value(words[i]))
                        return KEYFILE_E_OPTION;
                if (++i == n || words[i][0] == '-')
                        return KEYFILE_E_VALUE;
        }
        return 0;
}

int keyfile_parse_options(char *text, size_t n, const char *ret_words[static KEYFILE_WORDS_MAX + 1], size_t *ret_n) {
        static const char blanks[] = " \t\r\n\v\f";
        char *save = NULL;
        size_t n_words = 0, bad = 0;
        int r;

        if (memchr(text, '\0', n))
                return KEYFILE_E_NUL;
        for (char *word = strtok_r(text, blanks, &save); word; word = strtok_r(NULL, blanks, &save)) {
                if (n_words == KEYFILE_WORDS_MAX)
                        return KEYFILE_E_TOO_MANY;
                ret_words[n_words++] = word;
        }
        r = keyfile_check(ret_words, n_words, &bad);
        *ret_n = r ? bad : n_words;
        return r;
}

const char *keyfile_error_text(int r) {
        switch (r) {
        case KEYFILE_E_OPTION:
                return "is no option that may stand there: -c -q -v -k -C -N -t TIME -h HOST -H FILE";
        case KEYFILE_E_VALUE:
                return "lacks its value, in the word behind it";
        case KEYFILE_E_TOO_MANY:
                return "has too many words";
        case KEYFILE_E_NUL:
                return "holds a NUL";
        default:
                return "is not understood";
        }
}
