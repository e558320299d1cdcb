/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/lexer.h"

#include "base/cleanup.h"

size_t policy_utf8_decode(PolicySlice text, uint32_t *ret_code_point) {
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        const uint8_t *bytes = (const uint8_t *)text.text;
        uint32_t code_point;
        size_t n;

        if (text.n == 0)
                return 0;
        if (bytes[0] < 0x80) {
                *ret_code_point = bytes[0];
                return 1;
        }
        if ((bytes[0] & 0xe0) == 0xc0)
                n = 2;
        else if ((bytes[0] & 0xf0) == 0xe0)
                n = 3;
        else if ((bytes[0] & 0xf8) == 0xf0)
                n = 4;
        else
                return 0;
        if (text.n < n)
                return 0;

        code_point = bytes[0] & (0x7fU >> n);
        for (size_t i = 1; i < n; ++i) {
                if ((bytes[i] & 0xc0) != 0x80)
                        return 0;
                code_point = code_point << 6 | (bytes[i] & 0x3fU);
        }
        if (code_point < smallest[n] || code_point > 0x10ffff || (code_point >= 0xd800 && code_point <= 0xdfff))
                return 0;
        *ret_code_point = code_point;
        return n;
}

/* Takes one line end off the front of *@rest, of which the first byte begins one. */
static void policy_line_end_skip(PolicySlice *rest) {
        *rest = policy_slice_skip(*rest, policy_slice_begins(*rest, POLICY_SLICE("\r\n")) ? 2 : 1);
}

static bool policy_line_end(char c) {
        return c == '\n' || c == '\r';
}

unsigned policy_utf8_check(PolicySlice text) {
        unsigned line = 1;

        while (text.n > 0) {
                uint32_t code_point;
                size_t n;

                if (policy_line_end(text.text[0])) {
                        policy_line_end_skip(&text);
                        ++line;
                        continue;
                }
                n = policy_utf8_decode(text, &code_point);
                if (n == 0)
                        return line;
                text = policy_slice_skip(text, n);
        }
        return 0;
}

bool policy_blank(uint32_t code_point) {
        switch (code_point) {
        case 0x09 ... 0x0d:
        case 0x1c ... 0x20:
        case 0x85:
        case 0xa0:
        case 0x1680:
        case 0x2000 ... 0x200a:
        case 0x2028:
        case 0x2029:
        case 0x202f:
        case 0x205f:
        case 0x3000:
                return true;
        default:
                return false;
        }
}

/* The first code point; a byte that is not UTF-8 (our callers have checked) stands for itself, and is no blank. */
static size_t policy_step(PolicySlice text, bool *ret_blank) {
        uint32_t code_point = 0;
        size_t n = policy_utf8_decode(text, &code_point);

        *ret_blank = n > 0 && policy_blank(code_point);
        return n ?: 1;
}

static PolicySlice policy_trim(PolicySlice line) {
        size_t begin = line.n, end = line.n, offset = 0;

        while (offset < line.n) {
                bool blank;
                size_t n = policy_step(policy_slice_skip(line, offset), &blank);

                if (!blank) {
                        if (begin == line.n)
                                begin = offset;
                        end = offset + n;
                }
                offset += n;
        }
        return (PolicySlice){ line.text + begin, end - begin };
}

bool policy_lines_next(PolicyLines *lines, PolicySlice *ret_line) {
        PolicySlice line = { lines->rest.text, 0 };

        if (lines->rest.n == 0)
                return false;
        while (line.n < lines->rest.n && !policy_line_end(line.text[line.n]))
                ++line.n;
        lines->rest = policy_slice_skip(lines->rest, line.n);
        if (lines->rest.n > 0)
                policy_line_end_skip(&lines->rest);
        ++lines->line;
        *ret_line = policy_trim(line);
        return true;
}

bool policy_words_next(PolicySlice *rest, PolicySlice *ret_word) {
        PolicySlice text = *rest, word;
        bool blank = false;
        size_t n = 0;

        while (text.n > 0 && (n = policy_step(text, &blank), blank))
                text = policy_slice_skip(text, n);
        word = (PolicySlice){ text.text, 0 };
        while (text.n > 0 && (n = policy_step(text, &blank), !blank)) {
                text = policy_slice_skip(text, n);
                word.n += n;
        }
        *rest = text;
        if (word.n == 0)
                return false;
        *ret_word = word;
        return true;
}

size_t policy_words_count(PolicySlice text) {
        PolicySlice word;
        size_t n = 0;

        while (policy_words_next(&text, &word))
                ++n;
        return n;
}
