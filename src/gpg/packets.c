/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/packets.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

/* RFC 4880, 4.3. */
enum {
        TAG_SIGNATURE = 2,
        TAG_SECRET_KEY = 5,
        TAG_PUBLIC_KEY = 6,
        TAG_SECRET_SUBKEY = 7,
        TAG_MARKER = 10,
        TAG_TRUST = 12,
        TAG_USER_ID = 13,
        TAG_PUBLIC_SUBKEY = 14,
        TAG_USER_ATTRIBUTE = 17,
};

#define BEGIN         "-----BEGIN PGP "
#define BEGIN_PUBLIC  "-----BEGIN PGP PUBLIC KEY BLOCK-----"
#define BEGIN_PRIVATE "-----BEGIN PGP PRIVATE KEY BLOCK-----"
#define END           "-----END PGP "

typedef struct Filter {
        const uint8_t *in, *end;
        uint8_t *out;
        size_t n_out;
        bool allow_secret;
} Filter;

typedef struct Line {
        const char *text; /* without its end, and blanks before that */
        size_t n;
} Line;

/*
 * Packets
 */

static size_t read_number(const uint8_t *data, size_t n) {
        size_t value = 0;

        for (size_t i = 0; i < n; ++i)
                value = value << 8 | data[i];
        return value;
}

/*
 * Header and body of the packet at @data. Lengths that are not known in advance are refused: no key has them.
 * Return: the size of both; 0: not understood.
 */
static size_t measure(const uint8_t *data, size_t n, int *ret_tag) {
        size_t n_length, n_header, n_body;

        if (n < 2 || !(data[0] & 0x80))
                return 0;
        if (data[0] & 0x40) {
                *ret_tag = data[0] & 0x3f;
                n_length = data[1] < 192 ? 1 : data[1] < 224 ? 2 : data[1] == 255 ? 5 : 0;
        } else {
                *ret_tag = data[0] >> 2 & 0x0f;
                n_length = (data[0] & 3) == 3 ? 0 : 1u << (data[0] & 3);
        }
        n_header = 1 + n_length;
        if (n_length == 0 || n < n_header)
                return 0;
        if (!(data[0] & 0x40))
                n_body = read_number(data + 1, n_length);
        else if (n_length == 2)
                n_body = (size_t)(data[1] - 192) * 256 + data[2] + 192;
        else
                n_body = read_number(data + (n_length == 5 ? 2 : 1), n_length == 5 ? 4 : 1);
        return n_body <= n - n_header ? n_header + n_body : 0;
}

static int check_tag(const Filter *filter, int tag) {
        switch (tag) {
        case TAG_SIGNATURE:
        case TAG_PUBLIC_KEY:
                return 0;
        case TAG_TRUST:
        case TAG_USER_ID:
        case TAG_PUBLIC_SUBKEY:
        case TAG_USER_ATTRIBUTE:
        case TAG_MARKER:
                /* Not the first: GnuPG would not take that for a packet, and look for text in it. */
                return filter->n_out > 0 || tag == TAG_MARKER ? 0 : GPG_PACKETS_E_MALFORMED;
        case TAG_SECRET_KEY:
        case TAG_SECRET_SUBKEY:
                return filter->allow_secret ? 0 : GPG_PACKETS_E_SECRET;
        default:
                return GPG_PACKETS_E_KIND;
        }
}

/* One packet, whose @n_left bytes may overlap with where it goes. Return: 0, with its size, or GPG_PACKETS_E_… */
static int take_packet(Filter *filter, const uint8_t *data, size_t n_left, size_t *ret_n) {
        size_t n;
        int tag, r;

        n = measure(data, n_left, &tag);
        if (n == 0)
                return GPG_PACKETS_E_MALFORMED;
        r = check_tag(filter, tag);
        if (r)
                return r;
        if (tag != TAG_MARKER) { /* to be ignored (RFC 4880, 5.8) */
                memmove(filter->out + filter->n_out, data, n);
                filter->n_out += n;
        }
        *ret_n = n;
        return 0;
}

static int take_binary(Filter *filter) {
        while (filter->in < filter->end && *filter->in & 0x80) {
                size_t n;
                int r = take_packet(filter, filter->in, (size_t)(filter->end - filter->in), &n);

                if (r)
                        return r;
                filter->in += n;
        }
        return 0;
}

/*
 * Armour
 */

static bool next_line(Filter *filter, Line *ret_line) {
        const uint8_t *end;

        if (filter->in == filter->end)
                return false;
        end = memchr(filter->in, '\n', (size_t)(filter->end - filter->in));
        *ret_line = (Line){ (const char *)filter->in, (size_t)((end ?: filter->end) - filter->in) };
        filter->in = end ? end + 1 : filter->end;
        while (ret_line->n > 0 && strchr(" \t\r", ret_line->text[ret_line->n - 1]) && ret_line->text[ret_line->n - 1])
                --ret_line->n;
        return true;
}

static bool line_is(const Line *line, const char *text) {
        return line->n == strlen(text) && memcmp(line->text, text, line->n) == 0;
}

static bool line_begins(const Line *line, const char *text) {
        return line->n >= strlen(text) && memcmp(line->text, text, strlen(text)) == 0;
}

/* Return: 0 to 63; -1: none. */
static int sextet(char letter) {
        static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *place = letter ? strchr(letters, letter) : NULL;

        return place ? (int)(place - letters) : -1;
}

/* RFC 4880, 6.1. */
static uint32_t crc24(const uint8_t *data, size_t n) {
        uint32_t crc = 0xb704ce;

        for (size_t i = 0; i < n; ++i) {
                crc ^= (uint32_t)data[i] << 16;
                for (int k = 0; k < 8; ++k) {
                        crc <<= 1;
                        if (crc & 0x1000000)
                                crc ^= 0x1864cfb;
                }
        }
        return crc;
}

typedef struct Decoder {
        uint32_t bits;
        int n_letters; /* of a group of four */
        int n_pads;
} Decoder;

/* Return: whether it is base64 so far. */
static bool decode_line(Decoder *decoder, const Line *line, uint8_t *out, size_t *n_out) {
        for (size_t i = 0; i < line->n; ++i) {
                int value = sextet(line->text[i]);

                if (line->text[i] == '=') {
                        ++decoder->n_pads;
                        value = 0;
                } else if (decoder->n_pads > 0) {
                        return false;
                }
                if (value < 0)
                        return false;
                decoder->bits = decoder->bits << 6 | (uint32_t)value;
                if (++decoder->n_letters < 4)
                        continue;
                if (decoder->n_pads > 2)
                        return false;
                for (int k = 0; k < 3 - decoder->n_pads; ++k)
                        out[(*n_out)++] = (uint8_t)(decoder->bits >> (16 - 8 * k));
                decoder->n_letters = 0;
        }
        return true;
}

/* "=" and four letters: the checksum of what was decoded. */
static bool check_sum(const Line *line, const uint8_t *data, size_t n) {
        uint8_t sum[3];
        size_t n_sum = 0;
        Decoder decoder = {};

        return line->n == 5 && decode_line(&decoder, &(Line){ line->text + 1, 4 }, sum, &n_sum) && n_sum == 3 &&
               read_number(sum, 3) == crc24(data, n);
}

/* Behind the BEGIN line. The decoded bytes lie behind what is put out, and are moved forward packet by packet. */
static int take_armour(Filter *filter) {
        uint8_t *data = filter->out + filter->n_out;
        bool in_headers = true, summed = false;
        Decoder decoder = {};
        size_t n_data = 0, at = 0;
        Line line = { "", 0 };

        while (next_line(filter, &line)) {
                if (line_begins(&line, END)) {
                        if (in_headers || decoder.n_letters != 0)
                                return GPG_PACKETS_E_MALFORMED;
                        break;
                }
                if (in_headers) {
                        in_headers = line.n > 0;
                } else if (line.n == 5 && line.text[0] == '=' && decoder.n_letters == 0) {
                        if (summed || !check_sum(&line, data, n_data))
                                return GPG_PACKETS_E_MALFORMED;
                        summed = true;
                } else if (line.n > 0 && (summed || !decode_line(&decoder, &line, data, &n_data))) {
                        return GPG_PACKETS_E_MALFORMED;
                }
        }
        if (!line_begins(&line, END))
                return GPG_PACKETS_E_MALFORMED;
        while (at < n_data) {
                size_t n;
                int r = take_packet(filter, data + at, n_data - at, &n);

                if (r)
                        return r;
                at += n;
        }
        return 0;
}

/* Text up to the next armour, and that. */
static int take_text(Filter *filter) {
        Line line;

        while (next_line(filter, &line)) {
                if (line_is(&line, BEGIN_PUBLIC))
                        return take_armour(filter);
                if (line_is(&line, BEGIN_PRIVATE))
                        return filter->allow_secret ? take_armour(filter) : GPG_PACKETS_E_SECRET;
                if (line_begins(&line, BEGIN))
                        return GPG_PACKETS_E_KIND;
        }
        return 0;
}

int gpg_packets_filter(const uint8_t *untrusted_data, size_t n, bool allow_secret, uint8_t **ret_data, size_t *ret_n) {
        _cleanup_free_ uint8_t *out = malloc(n + 1);
        Filter filter = { .in = untrusted_data, .end = untrusted_data + n, .out = out, .allow_secret = allow_secret };
        int r = 0;

        if (!out)
                return error_origin(-ENOMEM);
        while (!r && filter.in < filter.end)
                r = *filter.in & 0x80 ? take_binary(&filter) : take_text(&filter);
        if (r)
                return r;
        if (filter.n_out == 0)
                return GPG_PACKETS_E_MALFORMED;
        *ret_data = steal_ptr(&out);
        *ret_n = filter.n_out;
        return 0;
}
