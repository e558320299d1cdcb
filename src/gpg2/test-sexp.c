/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/sexp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"

#define NEST_20 "(((((((((((((((((((("
#define END_20  "))))))))))))))))))))"

static void test_parse_and_format(void **state) {
        static const struct {
                const char *name, *in, *out;
                size_t n_in;
                int r;
        } cases[] = {
#define CASE(_name, _in, _r, _out) { _name, _in, _out, sizeof(_in) - 1, _r }
                CASE("canonical", "(7:enc-val(3:rsa(1:a3:\x01\x00\xff)))", 0, "(7:enc-val(3:rsa(1:a3:"),
                CASE("words", "(genkey(rsa(nbits 4:3072)))", 0, "(6:genkey(3:rsa(5:nbits4:3072)))"),
                CASE("blanks", " ( a\n(b\tc ) )\r", 0, "(1:a(1:b1:c))"),
                CASE("an empty list", "()", 0, "()"),
                CASE("an empty string", "(0:)", 0, "(0:)"),
                CASE("parentheses within a string", "(4:)(()x)", 0, "(4:)(()1:x)"),
                CASE("twenty lists", NEST_20 END_20, 0, NEST_20 END_20),
                CASE("twenty-one lists", "(" NEST_20 END_20 ")", SEXP_E_LIMIT, NULL),
                CASE("nothing", "", SEXP_E_MALFORMED, NULL),
                CASE("no list", "3:rsa", SEXP_E_MALFORMED, NULL),
                CASE("not closed", "(1:a", SEXP_E_MALFORMED, NULL),
                CASE("closed twice", "(1:a))", SEXP_E_MALFORMED, NULL),
                CASE("two lists", "(1:a)(1:b)", SEXP_E_MALFORMED, NULL),
                CASE("something after it", "(1:a)x", SEXP_E_MALFORMED, NULL),
                CASE("a length that is too long", "(2:a)", SEXP_E_MALFORMED, NULL),
                CASE("a length of all that is left", "(9:a)", SEXP_E_MALFORMED, NULL),
                CASE("a leading zero", "(01:a)", SEXP_E_MALFORMED, NULL),
                CASE("no colon", "(1a)", SEXP_E_MALFORMED, NULL),
                CASE("a length alone", "(1", SEXP_E_MALFORMED, NULL),
                CASE("a huge length", "(99999999999999999999:a)", SEXP_E_LIMIT, NULL),
                CASE("a negative length", "(-1:a)", 0, "(4:-1:a)"), /* a word, then */
                CASE("hexadecimal", "(#00#)", SEXP_E_MALFORMED, NULL),
                CASE("a quoted string", "(\"a\")", SEXP_E_MALFORMED, NULL),
                CASE("a display hint", "([a]b)", SEXP_E_MALFORMED, NULL),
                CASE("a NUL", "(\0)", SEXP_E_MALFORMED, NULL),
#undef CASE
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t out[256];
                size_t n_out = 0;
                Sexp sexp;
                int r = sexp_parse((const uint8_t *)cases[i].in, cases[i].n_in, &sexp);

                if (r != cases[i].r)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].r);
                if (r)
                        continue;
                assert_int_equal(sexp_format(&sexp, out, sizeof(out), &n_out), 0);
                if (n_out < strlen(cases[i].out) || memcmp(out, cases[i].out, strlen(cases[i].out)) != 0)
                        fail_msg("%s: wrote %.*s", cases[i].name, (int)n_out, out);
                assert_int_equal(sexp_format(&sexp, out, n_out, &n_out), 0);
                assert_int_equal(sexp_format(&sexp, out, n_out - 1, &n_out), SEXP_E_LIMIT);
        }
}

static void test_limits(void **state) {
        uint8_t large[SEXP_SIZE_MAX + 1];
        char parts[2 * SEXP_NODES_MAX];
        Sexp sexp;

        (void)state;
        memset(large, ' ', sizeof(large));
        memcpy(large, "(1:a)", 5);
        assert_int_equal(sexp_parse(large, SEXP_SIZE_MAX, &sexp), 0);
        assert_int_equal(sexp_parse(large, SEXP_SIZE_MAX + 1, &sexp), SEXP_E_LIMIT);

        /* `(`, `)` and so many words between them */
        for (size_t n_words = SEXP_NODES_MAX - 2; n_words <= SEXP_NODES_MAX - 1; ++n_words) {
                memset(parts, ' ', sizeof(parts));
                parts[0] = '(';
                for (size_t i = 0; i < n_words; ++i)
                        parts[1 + 2 * i] = 'a';
                parts[2 * n_words] = ')';
                assert_int_equal(sexp_parse((const uint8_t *)parts, 2 * n_words + 1, &sexp),
                                 n_words == SEXP_NODES_MAX - 2 ? 0 : SEXP_E_LIMIT);
        }
}

static void test_match(void **state) {
        static const struct {
                const char *name, *in, *shape;
                size_t n_values;
                bool matches;
        } cases[] = {
                { "the shape", "(7:enc-val(3:rsa(1:a2:xy)))", "(enc-val (rsa (a ?)))", 1, true },
                { "another word", "(7:enc-val(3:rsb(1:a2:xy)))", "(enc-val (rsa (a ?)))", 1, false },
                { "a list in place of a value", "(7:enc-val(3:rsa(1:a(2:xy))))", "(enc-val (rsa (a ?)))", 1, false },
                { "an empty value", "(7:enc-val(3:rsa(1:a0:)))", "(enc-val (rsa (a ?)))", 1, false },
                { "more in the end", "(7:enc-val(3:rsa(1:a2:xy))1:z)", "(enc-val (rsa (a ?)))", 1, false },
                { "less in the end", "(7:enc-val(3:rsa))", "(enc-val (rsa (a ?)))", 1, false },
                { "two values", "(1:a2:bc3:def)", "(a ? ?)", 2, true },
                { "fewer values than wanted", "(1:a2:bc)", "(a ?)", 2, false },
                { "more values than room", "(1:a2:bc3:def)", "(a ? ?)", 1, false },
        };

        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const SexpNode *values[2] = {};
                Sexp sexp;

                assert_int_equal(sexp_parse((const uint8_t *)cases[i].in, strlen(cases[i].in), &sexp), 0);
                if (sexp_match(&sexp, cases[i].shape, values, cases[i].n_values) != cases[i].matches)
                        fail_msg("%s: %s", cases[i].name, cases[i].in);
                if (cases[i].matches && cases[i].n_values == 2)
                        assert_true(sexp_string_is(values[0], "bc") && sexp_string_is(values[1], "def"));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_and_format),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_match),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
