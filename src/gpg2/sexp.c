/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/sexp.h"

#include <stdio.h>
#include <string.h>

/* RFC 9804, 4.3: what a word may consist of; it may not begin with a digit, which begins a length. */
static bool is_word_byte(uint8_t byte) {
        return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
               (byte != '\0' && strchr("-./_:*+=", byte));
}

static bool is_digit(uint8_t byte) {
        return byte >= '0' && byte <= '9';
}

static bool is_blank(uint8_t byte) {
        return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static int read_string(const uint8_t *data, size_t n, SexpNode *ret_node, size_t *ret_n_taken) {
        size_t i = 0, n_string = 0;

        if (!is_digit(data[0])) {
                while (i < n && is_word_byte(data[i]))
                        ++i;
                if (i == 0)
                        return SEXP_E_MALFORMED;
                *ret_node = (SexpNode){ .kind = SEXP_KIND_STRING, .data = data, .n = i };
                *ret_n_taken = i;
                return 0;
        }

        for (; i < n && is_digit(data[i]); ++i) {
                n_string = n_string * 10 + (data[i] - '0');
                if (n_string > SEXP_SIZE_MAX)
                        return SEXP_E_LIMIT;
        }
        if (i >= n || data[i] != ':' || (data[0] == '0' && i > 1) || n - i - 1 < n_string)
                return SEXP_E_MALFORMED;
        *ret_node = (SexpNode){ .kind = SEXP_KIND_STRING, .data = data + i + 1, .n = n_string };
        *ret_n_taken = i + 1 + n_string;
        return 0;
}

int sexp_parse(const uint8_t *untrusted_data, size_t n, Sexp *ret_sexp) {
        Sexp sexp = { .n_nodes = 0 };
        size_t depth = 0;
        int r;

        if (n > SEXP_SIZE_MAX)
                return SEXP_E_LIMIT;
        for (size_t i = 0; i < n;) {
                SexpNode node = { .kind = SEXP_KIND_OPEN };
                size_t n_taken = 1;

                if (is_blank(untrusted_data[i])) {
                        ++i;
                        continue;
                }
                if (sexp.n_nodes > 0 && depth == 0)
                        return SEXP_E_MALFORMED; /* something after the list */
                if (sexp.n_nodes == SEXP_NODES_MAX)
                        return SEXP_E_LIMIT;

                if (untrusted_data[i] == '(') {
                        if (++depth > SEXP_DEPTH_MAX)
                                return SEXP_E_LIMIT;
                } else if (depth == 0) {
                        return SEXP_E_MALFORMED;
                } else if (untrusted_data[i] == ')') {
                        node.kind = SEXP_KIND_CLOSE;
                        --depth;
                } else {
                        r = read_string(untrusted_data + i, n - i, &node, &n_taken);
                        if (r)
                                return r;
                }
                sexp.nodes[sexp.n_nodes++] = node;
                i += n_taken;
        }
        if (sexp.n_nodes == 0 || depth > 0)
                return SEXP_E_MALFORMED;
        *ret_sexp = sexp;
        return 0;
}

int sexp_format(const Sexp *sexp, uint8_t *buffer, size_t n_buffer, size_t *ret_n) {
        size_t n = 0;

        for (size_t i = 0; i < sexp->n_nodes; ++i) {
                const SexpNode *node = &sexp->nodes[i];
                char prefix[32] = "";
                size_t n_prefix;

                switch (node->kind) {
                case SEXP_KIND_OPEN:
                        prefix[0] = '(';
                        break;
                case SEXP_KIND_CLOSE:
                        prefix[0] = ')';
                        break;
                case SEXP_KIND_STRING:
                        (void)snprintf(prefix, sizeof(prefix), "%zu:", node->n);
                        break;
                }
                n_prefix = strlen(prefix);
                if (n_prefix + node->n > n_buffer - n)
                        return SEXP_E_LIMIT;
                memcpy(buffer + n, prefix, n_prefix);
                if (node->n > 0)
                        memcpy(buffer + n + n_prefix, node->data, node->n);
                n += n_prefix + node->n;
        }
        *ret_n = n;
        return 0;
}

bool sexp_string_is(const SexpNode *node, const char *text) {
        return node->kind == SEXP_KIND_STRING && node->n == strlen(text) && memcmp(node->data, text, node->n) == 0;
}

bool sexp_match(const Sexp *sexp, const char *shape, const SexpNode **ret_values, size_t n_values) {
        size_t i_node = 0, i_value = 0;

        while (*shape != '\0') {
                const SexpNode *node = &sexp->nodes[i_node];
                size_t n_word;

                if (*shape == ' ') {
                        ++shape;
                        continue;
                }
                if (i_node++ == sexp->n_nodes)
                        return false;
                if (*shape == '(' || *shape == ')') {
                        if (node->kind != (*shape == '(' ? SEXP_KIND_OPEN : SEXP_KIND_CLOSE))
                                return false;
                        ++shape;
                        continue;
                }
                n_word = strcspn(shape, " ()");
                if (node->kind != SEXP_KIND_STRING)
                        return false;
                if (n_word == 1 && *shape == '?') {
                        if (node->n == 0 || i_value == n_values)
                                return false;
                        ret_values[i_value++] = node;
                } else if (node->n != n_word || memcmp(node->data, shape, n_word) != 0) {
                        return false;
                }
                shape += n_word;
        }
        return i_node == sexp->n_nodes && i_value == n_values;
}
