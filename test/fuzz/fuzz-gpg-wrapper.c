/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "gpg/wrapper.h"

#define ARGUMENTS_MAX 64

/* Options that never reach the client as such (split-gpg specification, 9.1). */
static bool is_dropped(const char *word) {
        static const char *const names[] = {
                "--keyserver-options",
                "--disable-dirmngr",
                "--expert",
                "--yes",
                "--no-use-agent",
                "--use-agent",
                "--no-tty",
                "--disable-mdc",
                "--force-mdc",
                "--force-v3-sigs",
                "--force-v4-certs",
                "--no-sk-comments",
                "--photo-viewer",
                "--command-fd",
                "--pinentry-mode",
                "--passphrase-fd",
                "--ttyname",
                "--ttytype",
                "--display",
                "--lc-messages",
                "--lc-ctype",
                "--xauthority",
                "--auto-key-locate",
                "--charset",
                "--display-charset",
                "--log-file",
                "--output",
                "--enable-special-filenames",
                "--quiet",
                "--sign-with",
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); ++i)
                if (strcmp(names[i], word) == 0)
                        return true;
        return false;
}

/* Is this a value of the word before it? Then it may look like anything. */
static bool takes_next(const GpgWrapperPlan *plan, size_t i) {
        const char *word = plan->words[i].text;

        return word[0] == '-' && word[1] != '\0';
}

/* The words, with NULs between them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_(gpg_wrapper_plan_deinit) GpgWrapperPlan plan = {};
        char text[1024], complaint[GPG_WRAPPER_COMPLAINT_MAX];
        const char *arguments[ARGUMENTS_MAX];
        size_t n_arguments = 0;

        if (n == 0 || n >= sizeof(text))
                return 0;
        memcpy(text, data, n);
        text[n] = '\0';
        for (size_t at = 0; at < n && n_arguments < ARGUMENTS_MAX; at += strlen(text + at) + 1)
                arguments[n_arguments++] = text + at;
        if (gpg_wrapper_plan(arguments, n_arguments, &plan, complaint) || plan.action != GPG_WRAPPER_ACTION_CLIENT)
                return 0;
        fuzz_check(plan.n_words <= 2 * n_arguments);
        for (size_t i = 0; i < plan.n_words; ++i) {
                fuzz_check((plan.words[i].kind == GPG_WRAPPER_WORD_STDOUT) == !plan.words[i].text);
                if (plan.words[i].kind != GPG_WRAPPER_WORD_TEXT) {
                        fuzz_check(i > 0 && strstr(plan.words[i - 1].text, "-fd"));
                        continue;
                }
                if (strcmp(plan.words[i].text, "--") == 0)
                        break;
                if (is_dropped(plan.words[i].text))
                        fuzz_check(i > 0 && plan.words[i - 1].text && takes_next(&plan, i - 1));
        }
        return 0;
}
