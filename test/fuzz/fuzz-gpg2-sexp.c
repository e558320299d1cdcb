/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of an S-expression is what is written, and written once more it is the same. */
#include "fuzz.h"

#include <string.h>

#include "gpg2/sexp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t written[2 * SEXP_SIZE_MAX], again[2 * SEXP_SIZE_MAX];
        size_t n_written, n_again, depth = 0, depth_max = 0;
        Sexp sexp, other;

        if (sexp_parse(data, n, &sexp))
                return 0;
        for (size_t i = 0; i < sexp.n_nodes; ++i) {
                if (sexp.nodes[i].kind == SEXP_KIND_OPEN)
                        ++depth;
                else if (sexp.nodes[i].kind == SEXP_KIND_CLOSE)
                        --depth;
                depth_max = depth > depth_max ? depth : depth_max;
                fuzz_check((depth == 0) == (i + 1 == sexp.n_nodes));
        }
        fuzz_check(depth_max <= SEXP_DEPTH_MAX && sexp.n_nodes <= SEXP_NODES_MAX);
        fuzz_check(sexp_format(&sexp, written, sizeof(written), &n_written) == 0);
        if (n_written > SEXP_SIZE_MAX)
                return 0;
        fuzz_check(sexp_parse(written, n_written, &other) == 0 && other.n_nodes == sexp.n_nodes);
        fuzz_check(sexp_format(&other, again, sizeof(again), &n_again) == 0);
        fuzz_check(n_again == n_written && memcmp(again, written, n_written) == 0);
        return 0;
}
