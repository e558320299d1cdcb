/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "inventory/domain-file.h"

/* What @text sets, in canonical text; NULL if it is no file. */
static char *canonical(const char *text, size_t n, size_t *ret_n) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(domain_file_deinit) DomainFile file = {};
        char *again = NULL;
        int r = domain_file_parse("file", text, n, &diagnostics, &file);

        fuzz_check(r >= 0);
        fuzz_check((r == 0) == (diagnostics.n_entries == 0));
        for (size_t i = 0; i < _PROPERTY_N; ++i)
                fuzz_check(!file.values[i].text || file.values[i].line > 0);
        if (r == 0)
                fuzz_check(domain_file_format(&file, &again, ret_n) == 0);
        return again;
}

/* Setting a property to what it is, or to something else, or removing it, changes nothing else. */
static void check_edits(const char *text, size_t n, const char *before, size_t n_before) {
        static const struct {
                Property property;
                const char *value;
        } edits[] = { { PROPERTY_USER, "work" }, { PROPERTY_LABEL, NULL }, { PROPERTY_TAGS, NULL } };
        char *z = malloc(n + 1);

        memcpy(z, text, n);
        z[n] = '\0';
        for (size_t i = 0; i < ARRAY_SIZE(edits); ++i) {
                _cleanup_free_ char *edited = NULL, *twice = NULL, *after = NULL, *expect = NULL;
                size_t n_edited = 0, n_twice = 0, n_after = 0, n_expect = 0;

                fuzz_check(domain_file_edit(z, n, edits[i].property, edits[i].value, &edited, &n_edited) == 0);
                after = canonical(edited, n_edited, &n_after);
                if (!after) /* a comment that stayed can make the line too long, and the file too large */
                        continue;
                fuzz_check(domain_file_edit(edited, n_edited, edits[i].property, edits[i].value, &twice, &n_twice) ==
                           0);
                fuzz_check(n_twice == n_edited && memcmp(twice, edited, n_edited) == 0);

                /* The same edit of the canonical text sets the same. */
                fuzz_check(domain_file_edit(before, n_before, edits[i].property, edits[i].value, &expect, &n_expect) ==
                           0);
                {
                        _cleanup_free_ char *formatted = canonical(expect, n_expect, &n_expect);

                        fuzz_check(formatted && strcmp(formatted, after) == 0);
                }
        }
        free(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *once = NULL, *twice = NULL;
        size_t n_once = 0, n_twice = 0;

        once = canonical((const char *)data, n, &n_once);
        if (!once)
                return 0;
        twice = canonical(once, n_once, &n_twice);
        fuzz_check(twice && n_once == n_twice && memcmp(once, twice, n_once) == 0);
        check_edits((const char *)data, n, once, n_once);
        return 0;
}
