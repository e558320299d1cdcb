/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/text.h"

#include <stdio.h>
#include <string.h>

/* Write @byte at @place, escaped if it is not plain or one of @also. Return: how many characters, at most 3. */
static size_t put(char *place, uint8_t byte, const char *also) {
        static const char hex[] = "0123456789ABCDEF";

        if (byte >= 0x20 && byte <= 0x7e && byte != '%' && !strchr(also, byte)) {
                place[0] = (char)byte;
                return 1;
        }
        place[0] = '%';
        place[1] = hex[byte >> 4];
        place[2] = hex[byte & 15];
        return 3;
}

/* As much of @text as fits into @n_max characters. Return: how many; *@ret_cut: there was more. */
static size_t put_all(char *place, size_t n_max, WireSlice text, const char *also, bool *ret_cut) {
        size_t n = 0;

        *ret_cut = false;
        for (size_t i = 0; i < text.n; ++i) {
                char escaped[3];
                size_t n_escaped = put(escaped, text.data[i], also);

                if (n_escaped > n_max - n) {
                        *ret_cut = true;
                        break;
                }
                memcpy(place + n, escaped, n_escaped);
                n += n_escaped;
        }
        return n;
}

const char *ssh_text_shown(WireSlice untrusted_text, char buffer[static SSH_SHOWN_SIZE]) {
        bool cut;
        size_t n = put_all(buffer, SSH_SHOWN_MAX, untrusted_text, "", &cut);

        strcpy(buffer + n, cut ? SSH_TEXT_MORE : "");
        return buffer;
}

void ssh_line_init(SshLine *line, SshLineKind kind, char *buffer, size_t n_buffer) {
        *line = (SshLine){ .kind = kind, .text = buffer, .n_max = n_buffer - 1 };
        buffer[0] = '\0';
}

void ssh_line_bytes(SshLine *line, const char *name, WireSlice untrusted_value) {
        bool is_log = line->kind == SSH_LINE_LOG, cut;
        char value[SSH_VALUE_MAX + 1];
        size_t n_name = strlen(name), n_value, n;

        n_value = put_all(value, SSH_VALUE_MAX, untrusted_value, is_log ? " =" : "", &cut);
        if (n_value == 0 && is_log)
                value[n_value++] = '-';
        n = n_name + 1 + n_value + (!is_log || line->n > 0);
        if (n > line->n_max - line->n)
                return;
        if (is_log && line->n > 0)
                line->text[line->n++] = ' ';
        memcpy(line->text + line->n, name, n_name);
        line->n += n_name;
        line->text[line->n++] = '=';
        memcpy(line->text + line->n, value, n_value);
        line->n += n_value;
        if (!is_log)
                line->text[line->n++] = '\n';
        line->text[line->n] = '\0';
}

void ssh_line_text(SshLine *line, const char *name, const char *untrusted_value) {
        ssh_line_bytes(line, name, (WireSlice){ (const uint8_t *)untrusted_value, strlen(untrusted_value) });
}

void ssh_line_number(SshLine *line, const char *name, unsigned long long value) {
        char text[32];

        (void)snprintf(text, sizeof(text), "%llu", value);
        ssh_line_text(line, name, text);
}
