/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "wire/forkserver.h"

/* What an agent sends a fork server: a request with its text, or a header alone. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t again[FORKSERVER_REQUEST_MAX];
        ForkserverRequest request;
        ForkserverHeader header;
        ForkserverAnswer answer;
        size_t n_again;

        if (forkserver_header_decode(data, n < FORKSERVER_HEADER_SIZE ? n : FORKSERVER_HEADER_SIZE, &header) == 0)
                fuzz_check(header.n_text <= FORKSERVER_TEXT_MAX);
        if (forkserver_request_decode(data, n, &request) == 0) {
                fuzz_check(forkserver_request_encode(&request, again, sizeof(again), &n_again) == 0);
                fuzz_check(n_again == n);
                fuzz_check(memcmp(again, data, n) == 0);
        }
        if (forkserver_answer_decode(data, n, &answer) == 0) {
                forkserver_answer_encode(&answer, again);
                fuzz_check(memcmp(again, data, n) == 0);
        }
        return 0;
}
