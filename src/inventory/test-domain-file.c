/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "inventory/domain-file.h"

#define A50 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
/* 197 bytes, the longest line there can be. */
#define COMMENT_197 ";" A50 A50 A50 "ffffffffffffffffffffffffffffffffffffffffffffff"

/* Each file, and either its canonical text or all complaints about it, a line each. */
static void test_parse(void **state) {
        static const struct {
                const char *name, *text;
                size_t n_text;
                const char *expect, *complaints;
        } cases[] = {
#define CASE(_name, _text, _expect, _complaints) { _name, _text, sizeof(_text) - 1, _expect, _complaints }
                CASE("smallest", "[domain]", "[domain]\n", NULL),
                CASE("a value", "[domain]\nuser = work\n", "[domain]\nuser = work\n", NULL),
                CASE("no newline at the end", "[domain]\nuser = work", "[domain]\nuser = work\n", NULL),
                CASE("no blanks around =", "[domain]\nuser=work\n", "[domain]\nuser = work\n", NULL),
                CASE("many blanks", "[domain]  \nuser \t = \t work \t \n", "[domain]\nuser = work\n", NULL),
                CASE("canonical order and spelling", "[domain]\nshell = TRUE\ntags = b   a\nlabel = red\n",
                     "[domain]\nlabel = red\ntags = b a\nshell = yes\n", NULL),
                CASE("comments", "; one\n# two\n\n  ; three\n[domain] ; four\nuser = work ; five\n",
                     "[domain]\nuser = work\n", NULL),
                CASE("a ; in a value", "[domain]\nstart = /bin/a;b ;c\n", "[domain]\nstart = /bin/a;b\n", NULL),
                CASE("a = and a : in a value", "[domain]\nstart = /bin/a=b:c\n", "[domain]\nstart = /bin/a=b:c\n",
                     NULL),
                CASE("the longest line", COMMENT_197 "\n[domain]\n", "[domain]\n", NULL),
                CASE("one byte longer", COMMENT_197 "x\n[domain]\n", NULL, "f:1: line too long: at most 197 bytes\n"),
                CASE("empty", "", NULL, "f: has no section: write [domain] as its first line\n"),
                CASE("a comment only", "; x\n", NULL, "f: has no section: write [domain] as its first line\n"),
                CASE("key before the section", "user = work\n[domain]\n", NULL,
                     "f:1: 'user' stands outside of a section: write [domain] above it\n"),
                CASE("another section", "[domains]\nuser = work\n", NULL,
                     "f:1: unknown section [domains]: the only one is [domain]\n"
                     "f:2: 'user' stands outside of a section: write [domain] above it\n"
                     "f: has no section: write [domain] as its first line\n"),
                CASE("a section too many", "[domain]\n[other]\nuser = work\n", NULL,
                     "f:2: unknown section [other]: the only one is [domain]\n"),
                CASE("the section twice", "[domain]\nuser = a\n[domain]\nlabel = red\n", NULL,
                     "f:3: section [domain] is already in line 1: join the two\n"),
                CASE("text behind the section", "[domain] user = work\n", NULL,
                     "f:1: write the section as [domain], alone on its line\n"
                     "f: has no section: write [domain] as its first line\n"),
                CASE("section not closed", "[domain\n", NULL,
                     "f:1: write the section as [domain], alone on its line\n"
                     "f: has no section: write [domain] as its first line\n"),
                CASE("unknown key", "[domain]\nusr = work\ncolour = red\n", NULL,
                     "f:2: unknown key 'usr': did you mean 'user'?\n"
                     "f:3: unknown key 'colour': domains.d(5) lists those there are\n"),
                CASE("key twice", "[domain]\nuser = a\nlabel = red\nuser = b\n", NULL,
                     "f:4: 'user' is already set in line 2: remove one of the two\n"),
                CASE("bad value twice is told as twice", "[domain]\nlabel = pink\nlabel = red\n", NULL,
                     "f:2: label: 'pink' is no label: write one of red, orange, yellow, green, gray, blue, purple, "
                     "black\n"
                     "f:3: 'label' is already set in line 2: remove one of the two\n"),
                CASE("no value", "[domain]\nuser =\n", NULL,
                     "f:2: user: has no value: write one, or remove the line\n"),
                CASE("nothing but a comment for a value", "[domain]\nuser = ; work\n", NULL,
                     "f:2: user: has no value: write one, or remove the line\n"),
                CASE("colon for =", "[domain]\nuser: work\n", NULL,
                     "f:2: neither KEY = VALUE nor a comment: begin a comment with ';'\n"),
                CASE("no =", "[domain]\nuser work\n", NULL,
                     "f:2: neither KEY = VALUE nor a comment: begin a comment with ';'\n"),
                CASE("continued line", "[domain]\nstart = /bin/a\n  b\n", NULL,
                     "f:3: begins with a blank: begin it in the first column\n"),
                CASE("indented key", "[domain]\nlabel = red\n\tuser = work\n", NULL,
                     "f:3: begins with a blank: begin it in the first column\n"),
                CASE("NUL in a value", "[domain]\nuser = wo\0rk\n", NULL, "f:2: has a control character: remove it\n"),
                CASE("NUL in a comment", "[domain]\n; \0\nuser = root x\n", NULL,
                     "f:2: has a control character: remove it\n"
                     "f:3: user: 'root x' is no account's name, it has a character that is not allowed: write what the "
                     "first column of /etc/passwd says\n"),
                CASE("Windows line ends", "[domain]\r\n", NULL,
                     "f:1: ends in a carriage return: save the file with Unix line ends\n"
                     "f: has no section: write [domain] as its first line\n"),
                CASE("byte order mark", "\xef\xbb\xbf[domain]\n", NULL,
                     "f:1: neither KEY = VALUE nor a comment: begin a comment with ';'\n"
                     "f: has no section: write [domain] as its first line\n"),
                CASE("escape sequence in a value", "[domain]\nlabel = \x1b[31m\n", NULL,
                     "f:2: has a control character: remove it\n"),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
                _cleanup_(domain_file_deinit) DomainFile file = {};
                _cleanup_free_ char *text = NULL;
                char complaints[4096] = "";
                size_t n = 0;
                int r = domain_file_parse("f", cases[i].text, cases[i].n_text, &diagnostics, &file);

                for (size_t k = 0; k < diagnostics.n_entries; ++k) {
                        _cleanup_free_ char *line = diagnostic_format(&diagnostics.entries[k]);

                        strcat(strcat(complaints, line), "\n");
                }
                if (strcmp(complaints, cases[i].complaints ?: "") != 0)
                        fail_msg("%s: complaints:\n%swanted:\n%s", cases[i].name, complaints, cases[i].complaints);
                if (r != (cases[i].complaints ? DOMAIN_FILE_E_INVALID : 0))
                        fail_msg("%s: got %d", cases[i].name, r);
                assert_int_equal(domain_file_format(&file, &text, &n), 0);
                if (cases[i].expect && strcmp(text, cases[i].expect) != 0)
                        fail_msg("%s: got\n%s", cases[i].name, text);
        }
}

/* What is right in a broken file is there all the same, what is wrong has its line and no text. */
static void test_parse_partly(void **state) {
        static const char text[] = "[domain]\nlabel = pink\nuser = work\n";
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(domain_file_deinit) DomainFile file = {};

        assert_int_equal(domain_file_parse("f", text, strlen(text), &diagnostics, &file), DOMAIN_FILE_E_INVALID);
        assert_string_equal(file.values[PROPERTY_USER].text, "work");
        assert_int_equal(file.values[PROPERTY_USER].line, 3);
        assert_null(file.values[PROPERTY_LABEL].text);
        assert_int_equal(file.values[PROPERTY_LABEL].line, 2);
        assert_int_equal(file.values[PROPERTY_TYPE].line, 0);
}

/* Changes one line, and leaves every other as it is. */
static void test_edit(void **state) {
        static const struct {
                const char *name, *text;
                Property property;
                const char *value, *expect;
        } cases[] = {
                { "into nothing", "", PROPERTY_USER, "work", "[domain]\nuser = work\n" },
                { "nothing out of nothing", "", PROPERTY_USER, NULL, "" },
                { "below the section", "[domain]\n", PROPERTY_USER, "work", "[domain]\nuser = work\n" },
                { "without a newline at the end", "[domain]", PROPERTY_USER, "work", "[domain]\nuser = work\n" },
                { "below the last value", "; a\n[domain]\nlabel = red\n\n; b\n", PROPERTY_USER, "work",
                  "; a\n[domain]\nlabel = red\nuser = work\n\n; b\n" },
                { "in place", "[domain]\nuser = a\nlabel = red\n", PROPERTY_USER, "b",
                  "[domain]\nuser = b\nlabel = red\n" },
                { "in place, without a newline at the end", "[domain]\nuser = a", PROPERTY_USER, "b",
                  "[domain]\nuser = b" },
                { "keeps its comment", "[domain]\nuser=a   ; mine\n", PROPERTY_USER, "b",
                  "[domain]\nuser = b   ; mine\n" },
                { "removes", "[domain]\nuser = a ; mine\nlabel = red\n", PROPERTY_USER, NULL,
                  "[domain]\nlabel = red\n" },
                { "removes what is not there", "[domain]\nlabel = red\n", PROPERTY_USER, NULL,
                  "[domain]\nlabel = red\n" },
                { "a commented line is none", "[domain]\n;user = a\n", PROPERTY_USER, "b",
                  "[domain]\nuser = b\n;user = a\n" },
                { "a longer key is another", "[domain]\ntemplate_for_dispvms = yes\n", PROPERTY_TEMPLATE, "t",
                  "[domain]\ntemplate_for_dispvms = yes\ntemplate = t\n" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                _cleanup_free_ char *text = NULL;
                size_t n = 0;

                assert_int_equal(domain_file_edit(cases[i].text, strlen(cases[i].text), cases[i].property,
                                                  cases[i].value, &text, &n),
                                 0);
                if (strcmp(text, cases[i].expect) != 0 || n != strlen(text))
                        fail_msg("%s: got\n%s", cases[i].name, text);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_parse_partly),
                cmocka_unit_test(test_edit),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
