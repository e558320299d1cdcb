/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "prompt/notice.h"

/* Whatever the texts hold, the body has the tags that we put there, and no others. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *summary = NULL, *body = NULL;
        const char *icon;
        size_t n_tags = 0;
        Notice *notice;

        if (notice_decode((const char *)data, n, &notice))
                return 0;
        fuzz_check(notice_format(notice, &summary, &body, &icon) == 0);
        for (const char *text = body; *text; ++text) {
                if (*text != '<')
                        continue;
                ++n_tags;
                fuzz_check(strncmp(text, "<b>", 3) == 0 || strncmp(text, "</b>", 4) == 0);
        }
        fuzz_check(n_tags == 6 && notice->count > 0);
        notice_free(notice);
        return 0;
}
