/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/token.h"

#define BAD(_place, _text)  "invalid " _place " token: '" _text "'"
#define NONE(_place, _text) "invalid empty " _place " token: '" _text "'"

/* clang-format off */
static const struct {
        const char *text;
        const char *source, *target, *redirect, *requested; /* KIND:VALUE, or the message */
} cases[] = {
        { "*", "1:", "1:", BAD("redirect", "*"), BAD("intendedtarget", "*") },
        { "@anyvm", "2:", "2:", BAD("redirect", "@anyvm"), BAD("intendedtarget", "@anyvm") },
        { "@adminvm", "3:", "3:", "3:", "3:" },
        { "@default", BAD("source", "@default"), "4:", BAD("redirect", "@default"), "4:" },
        { "@dispvm", BAD("source", "@dispvm"), "5:", "5:", "5:" },
        { "@type:AppVM", "6:AppVM", "6:AppVM", BAD("redirect", "@type:AppVM"), BAD("intendedtarget", "@type:AppVM") },
        { "@tag:t", "7:t", "7:t", BAD("redirect", "@tag:t"), BAD("intendedtarget", "@tag:t") },
        { "@tag:", NONE("@tag:", "@tag:"), NONE("@tag:", "@tag:"), BAD("redirect", "@tag:"),
          BAD("intendedtarget", "@tag:") },
        { "@tag:@x", BAD("source", "@tag:@x"), BAD("target", "@tag:@x"), BAD("redirect", "@tag:@x"),
          BAD("intendedtarget", "@tag:@x") },
        { "@dispvm:web", "8:web", "8:web", "8:web", "8:web" },
        { "@dispvm:uuid:1", "8:uuid:1", "8:uuid:1", "8:uuid:1", "8:uuid:1" },
        { "@dispvm:", NONE("@dispvm:", "@dispvm:"), NONE("@dispvm:", "@dispvm:"), NONE("@dispvm:", "@dispvm:"),
          NONE("@dispvm:", "@dispvm:") },
        { "@dispvm:@tag:t", "9:t", "9:t", BAD("redirect", "@dispvm:@tag:t"), BAD("intendedtarget", "@dispvm:@tag:t") },
        { "@dispvm:@tag:", NONE("@dispvm:@tag:", "@dispvm:@tag:"), NONE("@dispvm:@tag:", "@dispvm:@tag:"),
          BAD("redirect", "@dispvm:@tag:"), BAD("intendedtarget", "@dispvm:@tag:") },
        { "@dispvm:@tag:@x", BAD("source", "@dispvm:@tag:@x"), BAD("target", "@dispvm:@tag:@x"),
          BAD("redirect", "@dispvm:@tag:@x"), BAD("intendedtarget", "@dispvm:@tag:@x") },
        { "@dispvm:*", "8:*", "8:*", "8:*", "8:*" },
        { "@ANYVM", BAD("source", "@ANYVM"), BAD("target", "@ANYVM"), BAD("redirect", "@ANYVM"),
          BAD("intendedtarget", "@ANYVM") },
        { "@", BAD("source", "@"), BAD("target", "@"), BAD("redirect", "@"), BAD("intendedtarget", "@") },
        { "@uuid:1", BAD("source", "@uuid:1"), BAD("target", "@uuid:1"), BAD("redirect", "@uuid:1"),
          BAD("intendedtarget", "@uuid:1") },
        { "@anyvmx", BAD("source", "@anyvmx"), BAD("target", "@anyvmx"), BAD("redirect", "@anyvmx"),
          BAD("intendedtarget", "@anyvmx") },
        { "web", "10:web", "10:web", "10:web", "10:web" },
        { "dom0", "10:dom0", "10:dom0", "10:dom0", "10:dom0" },
        { "uuid:junk", "10:uuid:junk", "10:uuid:junk", "10:uuid:junk", "10:uuid:junk" },
        { "*x", "10:*x", "10:*x", "10:*x", "10:*x" },
        { "!x", "10:!x", "10:!x", "10:!x", "10:!x" },
        { "$anyvm", "10:$anyvm", "10:$anyvm", "10:$anyvm", "10:$anyvm" },
        { "", "invalid empty source token", "invalid empty target token", "invalid empty redirect token",
          "invalid empty intendedtarget token" },
};
/* clang-format on */

static void check(const char *text, PolicyPlace place, const char *expect) {
        PolicyTokenKind kind;
        PolicySlice value;
        char got[128];
        int r;

        r = policy_token_parse(place, policy_slice(text), &kind, &value);
        if (r == 0)
                snprintf(got, sizeof(got), "%d:%.*s", (int)kind, (int)value.n, value.text ?: "");
        else
                policy_token_error(r, place, policy_slice(text), got, sizeof(got));
        if (strcmp(got, expect) != 0)
                fail_msg("\"%s\" at place %d: %s", text, (int)place, got);
}

static void test_parse(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                check(cases[i].text, POLICY_PLACE_SOURCE, cases[i].source);
                check(cases[i].text, POLICY_PLACE_TARGET, cases[i].target);
                check(cases[i].text, POLICY_PLACE_REDIRECT, cases[i].redirect);
                check(cases[i].text, POLICY_PLACE_REQUESTED, cases[i].requested);
        }
}

static void test_codes(void **state) {
        PolicyTokenKind kind;
        PolicySlice value;

        assert_int_equal(policy_token_parse(POLICY_PLACE_SOURCE, POLICY_SLICE(""), &kind, &value),
                         POLICY_TOKEN_E_EMPTY);
        assert_int_equal(policy_token_parse(POLICY_PLACE_SOURCE, POLICY_SLICE("@tag:"), &kind, &value),
                         POLICY_TOKEN_E_EMPTY_VALUE);
        assert_int_equal(policy_token_parse(POLICY_PLACE_SOURCE, POLICY_SLICE("@x"), &kind, &value),
                         POLICY_TOKEN_E_INVALID);
        assert_int_equal(policy_token_parse(POLICY_PLACE_SOURCE, POLICY_SLICE("*\0"), &kind, &value), 0);
        assert_int_equal(kind, POLICY_TOKEN_NAME);
}

static void test_prefix(void **state) {
        assert_string_equal(policy_token_prefix(POLICY_TOKEN_ANY), "*");
        assert_string_equal(policy_token_prefix(POLICY_TOKEN_DISPVM), "@dispvm");
        assert_string_equal(policy_token_prefix(POLICY_TOKEN_DISPVM_TAG), "@dispvm:@tag:");
        assert_string_equal(policy_token_prefix(POLICY_TOKEN_NAME), "");
        assert_string_equal(policy_token_prefix(POLICY_TOKEN_NONE), "");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_codes),
                cmocka_unit_test(test_prefix),
        };

        return cmocka_run_group_tests_name("policy/token", tests, NULL, NULL);
}
