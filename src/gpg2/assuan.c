/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/assuan.h"

#include <string.h>

size_t assuan_split(const char *line, size_t n, size_t *ret_i_rest) {
        size_t n_word = 0, i;

        while (n_word < n && line[n_word] != ' ')
                ++n_word;
        for (i = n_word; i < n && line[i] == ' '; ++i)
                ;
        *ret_i_rest = i;
        return n_word;
}

AssuanWord assuan_word(const char *line, size_t n) {
        static const struct {
                const char *text;
                AssuanWord word;
        } words[] = {
                { "OK", ASSUAN_WORD_OK }, { "ERR", ASSUAN_WORD_ERR },         { "S", ASSUAN_WORD_S },
                { "D", ASSUAN_WORD_D },   { "INQUIRE", ASSUAN_WORD_INQUIRE }, { "END", ASSUAN_WORD_END },
        };
        size_t i_rest, n_word = assuan_split(line, n, &i_rest);

        if (n > 0 && line[0] == '#')
                return ASSUAN_WORD_COMMENT;
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); ++i)
                if (n_word == strlen(words[i].text) && memcmp(line, words[i].text, n_word) == 0)
                        return words[i].word;
        return ASSUAN_WORD_OTHER;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

int assuan_data_decode(const char *text, size_t n, uint8_t *buffer, size_t n_buffer, size_t *n_used) {
        size_t n_out = *n_used;

        for (size_t i = 0; i < n; ++i) {
                uint8_t byte = (uint8_t)text[i];

                if (text[i] == '%') {
                        int high, low;

                        if (n - i < 3)
                                return ASSUAN_E_MALFORMED;
                        high = hex_digit(text[i + 1]);
                        low = hex_digit(text[i + 2]);
                        if (high < 0 || low < 0)
                                return ASSUAN_E_MALFORMED;
                        byte = (uint8_t)(high << 4 | low);
                        i += 2;
                }
                if (n_out >= n_buffer)
                        return ASSUAN_E_LIMIT;
                buffer[n_out++] = byte;
        }
        *n_used = n_out;
        return 0;
}

static bool is_plain(uint8_t byte) {
        return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

static size_t escape_byte(uint8_t byte, char *buffer) {
        static const char digits[] = "0123456789ABCDEF";

        if (is_plain(byte)) {
                buffer[0] = (char)byte;
                return 1;
        }
        buffer[0] = '%';
        buffer[1] = digits[byte >> 4];
        buffer[2] = digits[byte & 15];
        return 3;
}

size_t assuan_data_encode(const uint8_t *data, size_t n, char *buffer) {
        size_t n_out = 2;

        memcpy(buffer, "D ", 2);
        for (size_t i = 0; i < n; ++i)
                n_out += escape_byte(data[i], buffer + n_out);
        buffer[n_out++] = '\n';
        return n_out;
}

int assuan_text_encode(const char *text, char *buffer, size_t n_buffer) {
        size_t n_out = 0;

        for (; *text != '\0'; ++text) {
                if (n_buffer - n_out < 4) /* an escaped byte and the NUL */
                        return ASSUAN_E_LIMIT;
                if (*text == ' ')
                        buffer[n_out++] = '+';
                else
                        n_out += escape_byte((uint8_t)*text, buffer + n_out);
        }
        if (n_out == n_buffer)
                return ASSUAN_E_LIMIT;
        buffer[n_out] = '\0';
        return 0;
}
