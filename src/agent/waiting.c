/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/waiting.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

Waiting *waiting_new(const Order *order, int *fds, size_t n_fds) {
        size_t n = strlen(order->text) + 1;
        Waiting *waiting;

        waiting = malloc(sizeof(*waiting) + n);
        if (!waiting)
                return NULL;
        *waiting = (Waiting){ .order = *order, .n_fds = n_fds };
        memcpy(waiting->text, order->text, n);
        waiting->order.text = waiting->text;
        for (size_t i = 0; i < n_fds; ++i)
                waiting->fds[i] = fd_steal(&fds[i]);
        return waiting;
}

Waiting *waiting_free(Waiting *waiting) {
        if (waiting)
                fd_close_all(waiting->fds, waiting->n_fds);
        free(waiting);
        return NULL;
}
