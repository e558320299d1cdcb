/* SPDX-License-Identifier: Apache-2.0 */
/* "fact N" is a line of the protocol specification's Appendix A. */
#include "base/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define A15 "aaaaaaaaaaaaaaa"
#define A31 A15 "a" A15
#define A63 A31 "a" A31

typedef struct Case {
        const char *name, *input;
        size_t n_input;
        int expect;
} Case;

#define CASE(_name, _input, _expect) \
        { _name, _input, sizeof(_input) - 1, _expect }

/* Every byte but NUL, in a position where only @allowed may stand. */
static void check_bytes(const char *allowed, int (*parse)(const char *text, size_t n)) {
        for (int byte = 0; byte < 256; ++byte) {
                char text[3] = { 'a', (char)byte, 'a' };
                int expect = byte && strchr(allowed, byte) ? 0 : NAME_E_CHARACTER;

                if (parse(text, 3) != expect)
                        fail_msg("byte %#x: got %d, want %d", (unsigned)byte, parse(text, 3), expect);
        }
}

#define LETTERS_AND_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static int domain_name_try(const char *text, size_t n) {
        DomainName name;

        return domain_name_parse(text, n, &name);
}

static void test_domain_name(void **state) {
        static const Case cases[] = {
                CASE("shortest", "a", 0),
                CASE("all kinds of characters", "Work-1_x.y", 0),
                CASE("longest", A31, 0),
                CASE("one too long", A31 "a", NAME_E_LENGTH),
                CASE("empty", "", NAME_E_EMPTY),
                CASE("digit first", "1work", NAME_E_CHARACTER),
                CASE("hyphen first", "-work", NAME_E_CHARACTER),
                CASE("dot first", ".work", NAME_E_CHARACTER),
                CASE("keyword", "@adminvm", NAME_E_CHARACTER),
                CASE("slash", "a/b", NAME_E_CHARACTER),
                CASE("NUL inside", "a\0b", NAME_E_CHARACTER),
                CASE("NUL at the end", "work\0", NAME_E_CHARACTER),
                CASE("UTF-8", "caf\xc3\xa9", NAME_E_CHARACTER),
                CASE("reserved: none", "none", NAME_E_RESERVED),
                CASE("reserved: default", "default", NAME_E_RESERVED),
                CASE("reserved: Domain-0", "Domain-0", NAME_E_RESERVED),
                CASE("reserved: device model", "work-dm", NAME_E_RESERVED),
                CASE("longest device model", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa-dm", NAME_E_RESERVED),
                CASE("almost reserved: none1", "none1", 0),
                CASE("almost reserved: non", "non", 0),
                CASE("almost reserved: None", "None", 0),
                CASE("almost reserved: default-", "default-", 0),
                CASE("almost reserved: work-dmx", "work-dmx", 0),
                CASE("almost reserved: dm", "dm", 0),
                CASE("dom0 is a name", "dom0", 0),
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                DomainName name, untouched;
                int r;

                memset(&name, '#', sizeof(name));
                untouched = name;
                r = domain_name_parse(cases[i].input, cases[i].n_input, &name);
                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r && memcmp(&name, &untouched, sizeof(name)) != 0)
                        fail_msg("%s: output was touched", cases[i].name);
                if (!r && strcmp(name.text, cases[i].input) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, name.text);
        }
        check_bytes(LETTERS_AND_DIGITS "_-.", domain_name_try);
}

static void test_domain_name_is_dom0(void **state) {
        assert_true(domain_name_is_dom0(&(DomainName){ "dom0" }));
        assert_false(domain_name_is_dom0(&(DomainName){ "dom01" }));
        assert_false(domain_name_is_dom0(&(DomainName){ "" }));
}

static void test_request_name(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input;
                const char *expect;
        } cases[] = {
#define FIELD(_name, _input, _expect) { _name, _input, sizeof(_input) - 1, _expect }
                FIELD("padded", "work\0\0\0\0", "work"),
                FIELD("ends at the first NUL", "work\0evil\0", "work"),
                FIELD("empty", "\0\0\0\0", ""),
                FIELD("no field at all", "", ""),
                FIELD("a field of one byte holds nothing", "a", ""),
                FIELD("keyword with argument survives, fact 28", "@dispvm:work\0", "@dispvm:work"),
                FIELD("plus does not survive, fact 28", "a+b\0", "a_b"),
                FIELD("dollar, space, slash, newline", "$a /\n\0", "_a___"),
                FIELD("each byte of UTF-8 on its own, fact 27", "\xc3\xa9\0", "__"),
                FIELD("64 bytes without NUL are cut to 63, fact 29", A63 "a", A63),
                FIELD("63 bytes and a NUL", A63 "\0", A63),
                FIELD("32 bytes without NUL are cut to 31", A31 "b", A31),
                FIELD("more than a field is cut", A63 "bcd", A63),
#undef FIELD
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                RequestName name;

                request_name_parse(cases[i].input, cases[i].n_input, &name);
                if (strcmp(name.text, cases[i].expect) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, name.text);
        }
        for (int byte = 1; byte < 256; ++byte) {
                char text[4] = { (char)byte, 'x' }, expect[3] = { '_', 'x' };
                RequestName name;

                if (strchr(LETTERS_AND_DIGITS "_-.@:", byte))
                        expect[0] = (char)byte;
                request_name_parse(text, sizeof(text), &name);
                assert_string_equal(name.text, expect);
        }
}

static void test_service_name(void **state) {
        static const char longest[] = A63 "a" A63 "a" A63 "a" A63;
        static const Case cases[] = {
                CASE("usual", "qubes.Filecopy", 0),      CASE("shortest", "a", 0),
                CASE("begins with a digit", "7z", 0),    CASE("three dots", "...", 0),
                CASE("longest, fact 94", longest, 0),    CASE("empty", "", NAME_E_EMPTY),
                CASE("dot", ".", NAME_E_RESERVED),       CASE("two dots", "..", NAME_E_RESERVED),
                CASE("slash", "../x", NAME_E_CHARACTER), CASE("argument", "a+b", NAME_E_CHARACTER),
                CASE("space", "a b", NAME_E_CHARACTER),
        };
        char long_name[SERVICE_NAME_MAX + 1];

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                int r = service_name_check(cases[i].input, cases[i].n_input);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
        }
        assert_int_equal(strlen(longest), SERVICE_NAME_MAX);
        memset(long_name, 'a', sizeof(long_name));
        assert_int_equal(service_name_check(long_name, sizeof(long_name)), NAME_E_LENGTH); /* 256, fact 94 */
        check_bytes(LETTERS_AND_DIGITS "_-.", service_name_check);
}

static void test_service_descriptor(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input;
                int expect;
                const char *expect_text;
                size_t n_expect_name;
        } cases[] = {
#define SERVICE(_name, _input, _text, _n) { _name, _input, sizeof(_input) - 1, 0, _text, _n }
                SERVICE("no argument", "my.svc", "my.svc", 6),
                SERVICE("empty argument", "my.svc+", "my.svc+", 6),
                SERVICE("plus survives, fact 28", "my.svc+a+b", "my.svc+a+b", 6),
                SERVICE("at sign and colon do not survive, fact 28", "my.svc+@a:b", "my.svc+_a_b", 6),
                SERVICE("space, slash, dollar, newline", "my svc+/etc$\n", "my_svc+_etc__", 6),
                SERVICE("UTF-8", "\xc3\xa9+\xc3\xa9", "__+__", 2),
                SERVICE("the argument may be anything", "a+..", "a+..", 1),
#undef SERVICE
                CASE("empty, fact 21", "", NAME_E_EMPTY),
                CASE("leading plus, fact 21", "+arg", NAME_E_EMPTY),
                CASE("plus alone, fact 21", "+", NAME_E_EMPTY),
                CASE("inner NUL, fact 21", "my\0svc", NAME_E_CHARACTER),
                CASE("NUL in the argument, fact 21", "my+\0", NAME_E_CHARACTER),
                CASE("two dots are no service", "..+arg", NAME_E_RESERVED),
                CASE("dot is no service", ".", NAME_E_RESERVED),
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[64];
                size_t n_name = 4711;
                int r = service_descriptor_parse(cases[i].input, cases[i].n_input, text, &n_name);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (!r && (strcmp(text, cases[i].expect_text) != 0 || n_name != cases[i].n_expect_name))
                        fail_msg("%s: got \"%s\", %zu", cases[i].name, text, n_name);
                if (r && n_name != 4711)
                        fail_msg("%s: output was touched", cases[i].name);
        }
}

static void test_service_descriptor_limits(void **state) {
        _cleanup_free_ char *text = malloc(SERVICE_DESCRIPTOR_MAX + 2);
        size_t n_name;

        memset(text, 'a', SERVICE_DESCRIPTOR_MAX + 1);
        text[SERVICE_NAME_MAX] = '+';
        /* In place, as the decoder of triggers may do it. */
        assert_int_equal(service_descriptor_parse(text, SERVICE_DESCRIPTOR_MAX, text, &n_name), 0);
        assert_int_equal(n_name, SERVICE_NAME_MAX);
        assert_int_equal(strlen(text), SERVICE_DESCRIPTOR_MAX);
        text[SERVICE_DESCRIPTOR_MAX] = 'a';
        assert_int_equal(service_descriptor_parse(text, SERVICE_DESCRIPTOR_MAX + 1, text, &n_name), NAME_E_LENGTH);

        text[SERVICE_NAME_MAX] = 'a';
        text[SERVICE_NAME_MAX + 1] = '+';
        assert_int_equal(service_descriptor_parse(text, SERVICE_DESCRIPTOR_MAX, text, &n_name), NAME_E_LENGTH);
}

static int account_name_try(const char *text, size_t n) {
        AccountName name;

        return account_name_parse(text, n, &name);
}

static void test_account_name(void **state) {
        static const Case cases[] = {
                CASE("usual", "work", 0),
                CASE("underscore first", "_apt", 0),
                CASE("digits and hyphens later", "a-1", 0),
                CASE("dollar last", "machine$", 0),
                CASE("dollar in the middle", "a$b", NAME_E_CHARACTER),
                CASE("dollar alone", "$", NAME_E_CHARACTER),
                CASE("longest", A31, 0),
                CASE("one too long", A31 "a", NAME_E_LENGTH),
                CASE("empty", "", NAME_E_EMPTY),
                CASE("digit first: could be a uid", "1000", NAME_E_CHARACTER),
                CASE("hyphen first: could be an option", "-r", NAME_E_CHARACTER),
                CASE("upper case", "Work", NAME_E_CHARACTER),
                CASE("colon", "root:x", NAME_E_CHARACTER),
                CASE("NUL", "work\0", NAME_E_CHARACTER),
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                AccountName name;
                int r = account_name_parse(cases[i].input, cases[i].n_input, &name);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (!r && strcmp(name.text, cases[i].input) != 0)
                        fail_msg("%s: got \"%s\"", cases[i].name, name.text);
        }
        check_bytes("abcdefghijklmnopqrstuvwxyz0123456789_-", account_name_try);
}

static void test_error_text(void **state) {
        static const int codes[] = { NAME_E_EMPTY, NAME_E_LENGTH, NAME_E_CHARACTER, NAME_E_RESERVED, 99 };

        for (size_t i = 0; i < ARRAY_SIZE(codes); ++i)
                for (size_t j = 0; j < i; ++j)
                        assert_string_not_equal(name_error_text(codes[i]), name_error_text(codes[j]));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_domain_name),        cmocka_unit_test(test_domain_name_is_dom0),
                cmocka_unit_test(test_request_name),       cmocka_unit_test(test_service_name),
                cmocka_unit_test(test_service_descriptor), cmocka_unit_test(test_service_descriptor_limits),
                cmocka_unit_test(test_account_name),       cmocka_unit_test(test_error_text),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
