/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the filters of a vault share: what is malformed never grants, and is never a window that has room. */
#include "fuzz.h"

#include <string.h>

#include "ssh/window.h"

#define BOOT "01234567-89ab-cdef-0123-456789abcdef"
#define NOW  UINT64_C(1000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static char text[SSH_WINDOW_TEXT_MAX];
        static SshWindow window, again;
        size_t n_text;

        if (ssh_grant_is_valid((const char *)data, n, BOOT, NOW)) {
                fuzz_check(memcmp(data, "1 " BOOT " ", sizeof("1 " BOOT " ") - 1) == 0 && data[n - 1] == '\n');
                fuzz_check(!ssh_grant_is_valid((const char *)data, n, "x" BOOT, NOW));
                fuzz_check(!ssh_grant_is_valid((const char *)data, n - 1, BOOT, NOW));
        }
        if (ssh_window_parse((const char *)data, n, BOOT, NOW, &window))
                return 0;
        fuzz_check(window.n <= SSH_RATE_MAX && window.told_usec <= NOW);
        for (size_t i = 0; i < window.n; ++i)
                fuzz_check(window.times[i] <= NOW);
        n_text = ssh_window_format(&window, BOOT, text);
        fuzz_check(ssh_window_parse(text, n_text, BOOT, NOW, &again) == 0);
        fuzz_check(memcmp(&window, &again, sizeof(window)) == 0);
        return 0;
}
