/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/wrapper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/words.h"

/* As the client would be run: the output first, {stdout} and {file} for descriptors. */
static void describe(const GpgWrapperPlan *plan, char *ret_text) {
        char *at = ret_text;

        at += sprintf(at, "%s",
                      plan->action == GPG_WRAPPER_ACTION_LOCAL    ? "local|"
                      : plan->action == GPG_WRAPPER_ACTION_IMPORT ? "import|"
                                                                  : "");
        if (plan->output)
                at += sprintf(at, ">%s|", plan->output);
        for (size_t i = 0; i < plan->n_words && plan->action != GPG_WRAPPER_ACTION_LOCAL; ++i)
                if (plan->words[i].kind == GPG_WRAPPER_WORD_TEXT)
                        at += sprintf(at, "%s|", plan->words[i].text);
                else if (plan->words[i].kind == GPG_WRAPPER_WORD_FILE)
                        at += sprintf(at, "{%s}|", plan->words[i].text);
                else
                        at += sprintf(at, "{stdout}|");
}

static void test_plan(void **state) {
        static const struct {
                const char *arguments, *expect; /* NULL: refused */
        } cases[] = {
                { "", "" },
                { "-k", "-k|" },
                { "-abo out f", ">out|-ab|f|" },
                { "-aboout f", ">out|-ab|f|" },
                { "-o out", ">out|" },
                { "-oout", ">out|" },
                { "-o - -s", ">-|-s|" },
                { "-o -s -e", ">-s|-e|" },
                { "--output=a b", ">a|b|" },
                { "--output= -s", ">|-s|" },
                { "f -o out", ">out|f|" },
                { "--output a --output b", NULL },
                { "-o a -bob", NULL },
                { "--output", NULL },
                { "-o", NULL },
                { "-abo", NULL },
                { "-a --sign --status-fd 1 --output F", ">F|-a|--sign|--status-fd|{stdout}|" },
                { "--status-fd=1 -s", "--status-fd|{stdout}|-s|" },
                { "--status-fd 01 --logger-fd 0x1", "--status-fd|{stdout}|--logger-fd|{stdout}|" },
                { "--attribute-fd 0x001", "--attribute-fd|{stdout}|" },
                { "--status-fd=2", "--status-fd|2|" },
                { "--status-fd 11 --logger-fd 1x", "--status-fd|11|--logger-fd|1x|" },
                { "--status-fd ''", "--status-fd||" },
                { "--status-fd", NULL },
                { "-a --sign --log-file L --verbose", "-a|--sign|--logger-fd|{L}|--verbose|" },
                { "--log-file=L", "--logger-fd|{L}|" },
                { "--log-file", NULL },
                { "--import k1 k2", "import|k1|k2|" },
                { "-o x -a --import k1", "import|k1|" },
                { "--import --yes k1 - -v -- -k2 --", "import|k1|-|-k2|--|" },
                { "--import", "import|" },
                { "--gen-rand 1 16", "local|" },
                { "-a --dearmor f", "local|" },
                { "--help", "local|" },
                { "-h", "local|" },
                { "--no-default-keyring -k", "local|" },
                { "--print-md SHA256 f", "local|" },
                { "--keyserver-options x -k", "-k|" },
                { "--keyserver-options=x -k", "-k|" },
                { "--photo-viewer rm -k", "-k|" },
                { "--photo-viewer=rm -k", "-k|" },
                { "--command-fd 3 -k", "-k|" },
                { "--ttyname /dev/x -k", "-k|" },
                { "--pinentry-mode loopback --passphrase-fd 0 -k", "-k|" },
                { "--yes --expert --no-tty --use-agent --no-use-agent --disable-dirmngr -k", "-k|" },
                { "--disable-mdc --force-mdc --force-v3-sigs --force-v4-certs --no-sk-comments -k", "-k|" },
                { "--display :0 --lc-messages C --lc-ctype=C --xauthority x --ttytype t -k", "-k|" },
                { "--photo-viewer", NULL },
                { "--keyserver-options", NULL },
                { "--charset UTF-8 -k", "-k|" },
                { "--display-charset=utf8 -k", "-k|" },
                { "--charset latin1 -k", NULL },
                { "--display-charset= -k", NULL },
                { "--charset", NULL },
                { "--detach f", "--detach-sign|f|" },
                { "--detach-sig f", "--detach-sign|f|" },
                { "--detach-sign f", "--detach-sign|f|" },
                { "--sign-with K -s", "-u|K|-s|" },
                { "--sign-with=K -s", "-u|K|-s|" },
                { "--sign-with", NULL },
                { "--quiet -k", "-q|-k|" },
                { "--auto-key-locate local,wkd -k", "-k|" },
                { "--auto-key-locate=local,wkd -k", "-k|" },
                { "--auto-key-locate wkd -k", NULL },
                { "--auto-key-locate", NULL },
                { "-er user f", "-er|user|f|" },
                { "-er -o f", "-er|-o|f|" },
                { "-u --output -s", "-u|--output|-s|" },
                { "-ruser -s", "-ruser|-s|" },
                { "--recipient --import -e", "--recipient|--import|-e|" },
                { "--default-key -o -s", "--default-key|-o|-s|" },
                { "--export-options --yes --export", "--export-options|--yes|--export|" },
                { "--comment --help -s", "--comment|--help|-s|" },
                { "--recipient=--output -e", "--recipient=--output|-e|" },
                { "--recipient", "--recipient|" },
                { "-er", "-er|" },
                { "--enable-special-filenames -- '-&5' x", "--|/proc/self/fd/5|x|" },
                { "--enable-special-filenames '-&5'", "-&5|" },
                { "--enable-special-filenames -- '-&5x' '-&' -", "--|-&5x|-&|-|" },
                { "-- '-&5'", "--|-&5|" },
                { "-- --import", "--|--import|" },
                { "-- -o x --yes", "--|-o|x|--yes|" },
                { "--version", "--version|" },
                { "--card-status", "--card-status|" },
                { "--outputx y", "--outputx|y|" },
                { "--yes=1", "--yes=1|" },
                { "''", "|" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char **words = NULL;
                _cleanup_(gpg_wrapper_plan_deinit) GpgWrapperPlan plan = {};
                char complaint[GPG_WRAPPER_COMPLAINT_MAX] = "", text[512];
                size_t n = 0;
                int r;

                if (cases[i].arguments[0] != '\0')
                        assert_int_equal(words_split(cases[i].arguments, &words), 0);
                while (words && words[n])
                        ++n;
                r = gpg_wrapper_plan((const char *const *)words, n, &plan, complaint);
                if (r != (cases[i].expect ? 0 : GPG_WRAPPER_E_REFUSED))
                        fail_msg("%s: got %d: %s", cases[i].arguments, r, complaint);
                if (r) {
                        assert_string_not_equal(complaint, "");
                        continue;
                }
                describe(&plan, text);
                if (strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: %s", cases[i].arguments, text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_plan) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
