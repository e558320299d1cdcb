/* SPDX-License-Identifier: Apache-2.0 */
#include "prompt/lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/socket.h"

#define LINES_CHUNK 4096

void lines_deinit(Lines *lines) {
        lines->fd = fd_close(lines->fd);
        free(lines->in);
        free(lines->out);
        *lines = LINES_INIT(-1);
}

/* Room for another chunk. */
static int lines_grow(Lines *lines) {
        size_t n = lines->n_in_size == 0 ? LINES_CHUNK : 2 * lines->n_in_size;
        char *in;

        if (lines->n_in_size - lines->n_in >= LINES_CHUNK)
                return 0;
        in = realloc(lines->in, n);
        if (!in)
                return error_origin(-ENOMEM);
        lines->in = in;
        lines->n_in_size = n;
        return 0;
}

static int lines_receive(Lines *lines) {
        size_t n;
        int r;

        r = lines_grow(lines);
        if (r)
                return r;
        r = socket_receive(lines->fd, lines->in + lines->n_in, lines->n_in_size - lines->n_in, &n, NULL, 0, NULL);
        switch (r) {
        case 0:
                lines->n_in += n;
                return 0;
        case SOCKET_E_AGAIN:
                return LINES_E_AGAIN;
        case SOCKET_E_EOF:
        case SOCKET_E_GONE:
        case SOCKET_E_TRUNCATED:
                return LINES_E_EOF;
        default:
                return error_fold(r);
        }
}

int lines_next(Lines *lines, char **ret_line) {
        size_t n_searched = 0;

        if (lines->n_used > 0) {
                lines->n_in -= lines->n_used;
                memmove(lines->in, lines->in + lines->n_used, lines->n_in);
                lines->n_used = 0;
        }
        for (;;) {
                char *end = lines->n_in > n_searched ? memchr(lines->in + n_searched, '\n', lines->n_in - n_searched)
                                                     : NULL;
                int r;

                if ((end ? (size_t)(end + 1 - lines->in) : lines->n_in) > LINES_MAX)
                        return LINES_E_EOF;
                if (end) {
                        *end = '\0';
                        lines->n_used = (size_t)(end + 1 - lines->in);
                        *ret_line = lines->in;
                        return 0;
                }
                n_searched = lines->n_in;
                r = lines_receive(lines);
                if (r)
                        return r;
        }
}

int lines_flush(Lines *lines) {
        size_t n_done = 0, n;
        int r = 0;

        while (n_done < lines->n_out && !r) {
                r = socket_send(lines->fd, lines->out + n_done, lines->n_out - n_done, NULL, 0, &n);
                if (!r)
                        n_done += n;
        }
        lines->n_out -= n_done;
        if (lines->n_out > 0)
                memmove(lines->out, lines->out + n_done, lines->n_out);
        if (r == SOCKET_E_GONE)
                return LINES_E_EOF;
        return r == SOCKET_E_AGAIN || r == SOCKET_E_LIMIT ? 0 : error_fold(r);
}

int lines_put(Lines *lines, const char *line) {
        size_t n = strlen(line);
        char *out;

        if (n + 1 > LINES_MAX || lines->n_out > LINES_OUT_MAX - LINES_MAX)
                return LINES_E_EOF;
        out = realloc(lines->out, lines->n_out + n + 1);
        if (!out)
                return error_origin(-ENOMEM);
        lines->out = out;
        memcpy(out + lines->n_out, line, n);
        out[lines->n_out + n] = '\n';
        lines->n_out += n + 1;
        return lines_flush(lines);
}

bool lines_wants_room(const Lines *lines) {
        return lines->n_out > 0;
}
