/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/optionlist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

static void test_rewrite(void **state) {
        static const struct {
                GpgListKind kind;
                const char *text, *expect, *complaint; /* expect NULL: the complaint */
        } cases[] = {
                { GPG_LIST_KIND_LIST, "", "" },
                { GPG_LIST_KIND_LIST, " ,, ", "" },
                { GPG_LIST_KIND_LIST, "help", "help" },
                { GPG_LIST_KIND_LIST, "help,show-usage", NULL, "Unknown list option help" },
                { GPG_LIST_KIND_LIST, "show-photos,no-show-keyring", "show-photos,no-show-keyring" },
                { GPG_LIST_KIND_LIST, "show-keyring", NULL,
                  "Forbidden list option show-keyring: only no-show-keyring may be asked for" },
                { GPG_LIST_KIND_LIST, "  SHOW-Usage , no-SORT-sigs,", "show-usage,no-sort-sigs" },
                { GPG_LIST_KIND_LIST, "show-usage show-photos", "show-usage,show-photos" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets", "show-sig-subpackets" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=", "show-sig-subpackets=" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=,show-usage", "show-sig-subpackets=,show-usage" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets = 1", "show-sig-subpackets=1" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=007 show-usage", "show-sig-subpackets=7,show-usage" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=127", "show-sig-subpackets=127" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=128", NULL, "Subpacket numbers are from 1 to 127" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=0", NULL, "Subpacket numbers are from 1 to 127" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=99999999999999999999", NULL,
                  "Subpacket numbers are from 1 to 127" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\"1,2 3\",SHOW-USAGE",
                  "show-sig-subpackets=\"1,2,3\",show-usage" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\" 01 , 2 \"", "show-sig-subpackets=\"1,2\"" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=1+1", NULL,
                  "Invalid character + following subpacket number" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\"1+1\"", NULL,
                  "Invalid character + following subpacket number" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\"1\"x", NULL,
                  "Invalid character x following subpacket number" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=1x", NULL,
                  "Invalid character x following subpacket number" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=+1", NULL, "Subpacket numbers consist of digits alone" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\"x\"", NULL, "Subpacket numbers consist of digits alone" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\"1", NULL, "A quote is not closed" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\"1,", NULL, "A quote is not closed" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\"", NULL, "A quote is not closed" },
                { GPG_LIST_KIND_LIST, "show-sig-subpackets=\"\"", NULL,
                  "There is no subpacket number between the quotes" },
                { GPG_LIST_KIND_LIST, "no-show-sig-subpackets=1", NULL,
                  "The list option no-show-sig-subpackets takes no value" },
                { GPG_LIST_KIND_LIST, "show-usage=1", NULL, "The list option show-usage takes no value" },
                { GPG_LIST_KIND_LIST, "=1", NULL, "There is no name before the =" },
                { GPG_LIST_KIND_LIST, "foo", NULL, "Unknown list option foo" },
                { GPG_LIST_KIND_LIST, "no-", NULL, "Unknown list option no-" },
                { GPG_LIST_KIND_LIST, "no-no-show-usage", NULL, "Unknown list option no-no-show-usage" },
                { GPG_LIST_KIND_LIST, "show-usag", NULL, "Unknown list option show-usag" },
                { GPG_LIST_KIND_LIST, "show-usage\t", NULL, "Only printable ASCII may be in list options" },
                { GPG_LIST_KIND_LIST, "show-usage\xc3\xa9", NULL, "Only printable ASCII may be in list options" },
                { GPG_LIST_KIND_LIST, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL,
                  "Unknown list option aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
                { GPG_LIST_KIND_VERIFY, "show-primary-key-only", "show-primary-key-only" },
                { GPG_LIST_KIND_VERIFY, "pka-lookups", NULL, "Unknown verify option pka-lookups" },
                { GPG_LIST_KIND_VERIFY, "show-usage", NULL, "Unknown verify option show-usage" },
                { GPG_LIST_KIND_EXPORT, "no-export-dane backup", "no-export-dane,backup" },
                { GPG_LIST_KIND_EXPORT, "export-dane", NULL,
                  "Forbidden export option export-dane: only no-export-dane may be asked for" },
                { GPG_LIST_KIND_EXPORT, "export-reset-subkey-passwd", NULL,
                  "Unknown export option export-reset-subkey-passwd" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[256], complaint[GPG_OPTION_LIST_COMPLAINT_MAX] = "";
                int r;

                strcpy(text, cases[i].text);
                r = gpg_option_list_rewrite(cases[i].kind, text, complaint);
                if (r != (cases[i].expect ? 0 : GPG_OPTION_LIST_E_MALFORMED))
                        fail_msg("%s: got %d: %s", cases[i].text, r, complaint);
                if (cases[i].expect && strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: became %s", cases[i].text, text);
                if (!cases[i].expect && strcmp(complaint, cases[i].complaint) != 0)
                        fail_msg("%s: said %s", cases[i].text, complaint);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_rewrite) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
