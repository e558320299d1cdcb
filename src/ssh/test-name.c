/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "ssh/name.h"

#define A8  "aaaaaaaa"
#define A56 A8 A8 A8 A8 A8 A8 A8

static void test_agent_names(void **state) {
        static const struct {
                const char *text;
                int expect;
        } cases[] = {
                { "work", 0 },
                { "W", 0 },
                { "7", 0 },
                { "a.b_c-d9", 0 },
                { A56 A8, 0 },
                { A56 A8 "a", AGENT_NAME_E_INVALID },
                { "", AGENT_NAME_E_INVALID },
                { ".", AGENT_NAME_E_INVALID },
                { ".a", AGENT_NAME_E_INVALID },
                { "..", AGENT_NAME_E_INVALID },
                { "-x", AGENT_NAME_E_INVALID },
                { "_a", AGENT_NAME_E_INVALID },
                { "../x", AGENT_NAME_E_INVALID },
                { "a/b", AGENT_NAME_E_INVALID },
                { "a b", AGENT_NAME_E_INVALID },
                { "a\n", AGENT_NAME_E_INVALID },
                { "a+b", AGENT_NAME_E_INVALID },
                { "\303\244", AGENT_NAME_E_INVALID },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                AgentName name = { "untouched" };
                int r = agent_name_parse(cases[i].text, &name);

                if (r != cases[i].expect)
                        fail_msg("\"%s\": got %d, want %d", cases[i].text, r, cases[i].expect);
                assert_string_equal(name.text, r ? "untouched" : cases[i].text);
        }
}

static void test_source_names(void **state) {
        assert_true(ssh_source_name_is_valid("9.a_b-c"));
        assert_false(ssh_source_name_is_valid("-a"));
        assert_true(ssh_source_name_is_valid(A56 "aaaaaaa"));
        assert_false(ssh_source_name_is_valid(A56 A8));
}

static void test_vault_names(void **state) {
        static const struct {
                const char *text;
                int expect;
        } cases[] = {
                { "vault", 0 },
                { "V", 0 },
                { "@default", 0 },
                { "@dispvm:keys", 0 },
                { "remote-vault_2.x", 0 },
                { A56 "aaaaaaa", 0 },
                { A56 A8, AGENT_NAME_E_INVALID },
                { "", AGENT_NAME_E_INVALID },
                { "@", AGENT_NAME_E_INVALID },
                { "@@a", AGENT_NAME_E_INVALID },
                { "@1", AGENT_NAME_E_INVALID },
                { "1a", AGENT_NAME_E_INVALID },
                { "-vault", AGENT_NAME_E_INVALID },
                { "va ult", AGENT_NAME_E_INVALID },
                { "vault\n", AGENT_NAME_E_INVALID },
                { "va/ult", AGENT_NAME_E_INVALID },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                VaultName name = { "untouched" };
                int r = vault_name_parse(cases[i].text, strlen(cases[i].text), &name);

                if (r != cases[i].expect)
                        fail_msg("\"%s\": got %d, want %d", cases[i].text, r, cases[i].expect);
                assert_string_equal(name.text, r ? "untouched" : cases[i].text);
        }
        assert_int_equal(vault_name_parse("va\0lt", 5, &(VaultName){}), AGENT_NAME_E_INVALID);
        assert_int_equal(vault_name_parse("\0", 1, &(VaultName){}), AGENT_NAME_E_INVALID);
        assert_int_equal(vault_name_parse("@\0", 2, &(VaultName){}), AGENT_NAME_E_INVALID);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_agent_names),
                cmocka_unit_test(test_source_names),
                cmocka_unit_test(test_vault_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
