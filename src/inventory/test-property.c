/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/cleanup.h"
#include "inventory/property.h"

#define A31  "aaaaaaaaaabbbbbbbbbbccccccccccd"
#define A63  A31 A31 "e"
#define A179 A63 A31 A31 A31 "fffffffffffffffffffffff"
#define A180 A179 "f"

/* Each kind: what is accepted, the canonical text and the number; what is not, and a part of the explanation. */
static void test_values(void **state) {
        static const struct {
                Property property;
                const char *text;
                const char *expect; /* canonical; NULL: as given */
                uint64_t number;
                const char *problem; /* NULL: accepted */
        } cases[] = {
                { PROPERTY_TYPE, "AppVM", NULL, DOMAIN_TYPE_APPVM },
                { PROPERTY_TYPE, "RemoteVM", NULL, DOMAIN_TYPE_REMOTEVM },
                { PROPERTY_TYPE, "appvm", .problem = "did you mean 'AppVM'?" },
                { PROPERTY_TYPE, "container", .problem = "write one of AdminVM, AppVM" },
                { PROPERTY_LABEL, "red", NULL, DOMAIN_LABEL_RED },
                { PROPERTY_LABEL, "black", NULL, DOMAIN_LABEL_BLACK },
                { PROPERTY_LABEL, "grey", .problem = "did you mean 'gray'?" },
                { PROPERTY_LABEL, "0xff0000", .problem = "is no label: write one of red" },
                { PROPERTY_TAGS, "one", NULL, 0 },
                { PROPERTY_TAGS, "one  two\tthree", "one two three", 0 },
                { PROPERTY_TAGS, "a.b_c-d", NULL, 0 },
                { PROPERTY_TAGS, A63, NULL, 0 },
                { PROPERTY_TAGS, A63 "x", .problem = "longer than 63" },
                { PROPERTY_TAGS, "one two one", .problem = "'one' is there twice" },
                { PROPERTY_TAGS, "one tw", NULL, 0 },
                { PROPERTY_TAGS, "two tw", NULL, 0 },
                { PROPERTY_TAGS, "a,b", .problem = "is no tag" },
                { PROPERTY_TAGS, "@tag", .problem = "is no tag" },
                { PROPERTY_TAGS, "relayvm-net", .problem = "follows from the key" },
                { PROPERTY_TAGS, "x guivm-gui", .problem = "follows from the key" },
                { PROPERTY_USER, "work", NULL, 0 },
                { PROPERTY_USER, A31, NULL, 0 },
                { PROPERTY_USER, A31 "x", .problem = "is too long" },
                { PROPERTY_USER, "Work", .problem = "not allowed" },
                { PROPERTY_USER, "1000", .problem = "not allowed" },
                { PROPERTY_GUIVM, "desk", NULL, 0 },
                { PROPERTY_GUIVM, "none", NULL, 0 },
                { PROPERTY_GUIVM, "default", .problem = "is reserved" },
                { PROPERTY_GUIVM, "../x", .problem = "not allowed" },
                { PROPERTY_TEMPLATE, A31, NULL, 0 },
                { PROPERTY_TEMPLATE, A31 "x", .problem = "is too long" },
                { PROPERTY_REMOTE_NAME, "vault", NULL, 0 },
                { PROPERTY_REMOTE_NAME, "none", .problem = "is reserved" },
                { PROPERTY_REMOTE_NAME, "@adminvm", .problem = "not allowed" },
                { PROPERTY_TRANSPORT_RPC, "qubesair.SSHProxy", NULL, 0 },
                { PROPERTY_TRANSPORT_RPC, "qubesair.SSHProxy+x", .problem = "without argument" },
                { PROPERTY_TRANSPORT_RPC, "..", .problem = "is reserved" },
                { PROPERTY_REMOTE_HOST, "qair@host.example.org", NULL, 0 },
                { PROPERTY_REMOTE_HOST, "[2001:db8::1]", NULL, 0 },
                { PROPERTY_REMOTE_HOST, "fe80::1%eth0", NULL, 0 },
                { PROPERTY_REMOTE_HOST, A180, NULL, 0 },
                { PROPERTY_REMOTE_HOST, A180 "x", .problem = "longer than 180" },
                { PROPERTY_REMOTE_HOST, "-oProxyCommand=x", .problem = "is no host" },
                { PROPERTY_REMOTE_HOST, "a b", .problem = "is no host" },
                { PROPERTY_UUID, "01234567-89ab-cdef-0123-456789abcdef", NULL, 0 },
                { PROPERTY_UUID, "01234567-89AB-cdef-0123-456789abcdef", .problem = "is no UUID" },
                { PROPERTY_UUID, "00000000-0000-0000-0000-000000000000", .problem = "dom0's UUID" },
                { PROPERTY_AUTOSTART, "yes", NULL, 1 },
                { PROPERTY_AUTOSTART, "True", "yes", 1 },
                { PROPERTY_AUTOSTART, "1", "yes", 1 },
                { PROPERTY_AUTOSTART, "on", "yes", 1 },
                { PROPERTY_AUTOSTART, "no", NULL, 0 },
                { PROPERTY_AUTOSTART, "False", "no", 0 },
                { PROPERTY_AUTOSTART, "0", "no", 0 },
                { PROPERTY_AUTOSTART, "off", "no", 0 },
                { PROPERTY_AUTOSTART, "maybe", .problem = "neither yes nor no" },
                { PROPERTY_AUTOSTART, "2", .problem = "neither yes nor no" },
                { PROPERTY_START, "/usr/bin/podman start 'my work'", NULL, 0 },
                { PROPERTY_START, "podman start work", .problem = "/usr/bin/podman" },
                { PROPERTY_STOP, "/usr/bin/podman stop 'work", .problem = "not closed" },
                { PROPERTY_STOP, "/usr/bin/podman stop \\q", .problem = "no escape" },
                { PROPERTY_START, "/bin/sh -c 'a;b'", NULL, 0 },
                { PROPERTY_START, "/" A179, NULL, 0 },
                { PROPERTY_START, "/" A180, .problem = "longer than 180" },
                { PROPERTY_START, "a ; b", .problem = "begins a comment" },
                { PROPERTY_START, ";a", .problem = "begins a comment" },
                { PROPERTY_START, "a\nb", .problem = "control character" },
                { PROPERTY_START, "a\x7f", .problem = "control character" },
                { PROPERTY_START, " a", .problem = "begins or ends with a blank" },
                { PROPERTY_START, "a\t", .problem = "begins or ends with a blank" },
                { PROPERTY_START, "", .problem = "has no value" },
                { PROPERTY_SANDBOX, "none", NULL, DOMAIN_SANDBOX_NONE },
                { PROPERTY_SANDBOX, "bwrap", NULL, DOMAIN_SANDBOX_BWRAP },
                { PROPERTY_SANDBOX, "bubblewrap", .problem = "is no sandbox" },
                { PROPERTY_LINK, "local", NULL, 0 },
                { PROPERTY_LINK, "vchan", NULL, 0 },
                { PROPERTY_LINK, "vchan:1", NULL, 1 },
                { PROPERTY_LINK, "vchan:2147483647", NULL, 2147483647 },
                { PROPERTY_LINK, "vchan:0", .problem = "out of range" },
                { PROPERTY_LINK, "vchan:2147483648", .problem = "out of range" },
                { PROPERTY_LINK, "vchan:", .problem = "digits only" },
                { PROPERTY_LINK, "vchans", .problem = "is no link" },
                { PROPERTY_LINK, "vsock:3", NULL, 3 },
                { PROPERTY_LINK, "vsock:4294967294", NULL, 4294967294 },
                { PROPERTY_LINK, "vsock:2", .problem = "out of range" },
                { PROPERTY_LINK, "vsock:4294967295", .problem = "out of range" },
                { PROPERTY_LINK, "vsock:", .problem = "digits only" },
                { PROPERTY_LINK, "vsock", .problem = "is no link" },
                { PROPERTY_IDLE_TIMEOUT, "0", NULL, 0 },
                { PROPERTY_IDLE_TIMEOUT, "31536000", NULL, 31536000 },
                { PROPERTY_IDLE_TIMEOUT, "31536001", .problem = "out of range" },
                { PROPERTY_IDLE_TIMEOUT, "5m", .problem = "digits only" },
                { PROPERTY_MAX_CALLS, "1", NULL, 1 },
                { PROPERTY_MAX_CALLS, "16000", NULL, 16000 },
                { PROPERTY_MAX_CALLS, "0", .problem = "out of range" },
                { PROPERTY_MAX_CALLS, "16001", .problem = "out of range" },
                { PROPERTY_MAX_CALLS, "-1", .problem = "digits only" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const char *key = property_info(cases[i].property)->key, *text = cases[i].text;
                char problem[PROPERTY_PROBLEM_MAX] = "";
                PropertyValue value = {};
                int r = property_value_parse(cases[i].property, text, &value, problem);

                if (r != (cases[i].problem ? PROPERTY_E_INVALID : 0))
                        fail_msg("%s = %s: got %d (%s)", key, text, r, problem);
                if (cases[i].problem && (!strstr(problem, cases[i].problem) || value.text))
                        fail_msg("%s = %s: explained as \"%s\", not \"%s\"", key, text, problem, cases[i].problem);
                if (!cases[i].problem &&
                    (strcmp(value.text, cases[i].expect ?: text) != 0 || value.number != cases[i].number))
                        fail_msg("%s = %s: understood as %s (%ju)", key, text, value.text, (uintmax_t)value.number);
                property_value_deinit(&value);
        }
}

static void test_number_of_tags(void **state) {
        char text[1024] = "", problem[PROPERTY_PROBLEM_MAX] = "";
        PropertyValue value = {};
        size_t n = 0;

        for (int i = 0; i < DOMAIN_TAGS_MAX; ++i)
                n += (size_t)snprintf(text + n, sizeof(text) - n, "%st%d", i > 0 ? " " : "", i);
        assert_int_equal(property_value_parse(PROPERTY_TAGS, text, &value, problem), 0);
        property_value_deinit(&value);
        strcat(text, " more");
        assert_int_equal(property_value_parse(PROPERTY_TAGS, text, &value, problem), PROPERTY_E_INVALID);
        assert_string_equal(problem, "more than 64 tags");
}

/* What a value can contain must not reach a terminal as it is, nor overflow the explanation. */
static void test_hostile_explanations(void **state) {
        char text[4096], problem[PROPERTY_PROBLEM_MAX] = "";
        PropertyValue value = {};

        for (int i = 0; i < _PROPERTY_N; ++i) {
                memset(text, '\xff', sizeof(text) - 1);
                text[sizeof(text) - 1] = '\0';
                assert_int_equal(property_value_parse((Property)i, text, &value, problem), PROPERTY_E_INVALID);
                assert_null(strchr(problem, '\xff'));
        }
}

static void test_keys(void **state) {
        for (int i = 0; i < _PROPERTY_N; ++i) {
                const PropertyInfo *info = property_info((Property)i);
                Property property = _PROPERTY_N;

                assert_non_null(info->key);
                assert_true(info->types != 0);
                assert_non_null(info->summary);
                assert_int_equal(property_parse(info->key, &property), 0);
                assert_int_equal(property, i);
        }
        {
                Property property = _PROPERTY_N;

                assert_int_equal(property_parse("Type", &property), PROPERTY_E_UNKNOWN);
                assert_int_equal(property_parse("", &property), PROPERTY_E_UNKNOWN);
                assert_int_equal(property, _PROPERTY_N);
        }
        assert_string_equal(property_nearest("relay_vm"), "relayvm");
        assert_null(property_nearest("colour"));
}

/* A default is a value like any other. */
static void test_defaults(void **state) {
        for (int i = 0; i < _PROPERTY_N; ++i) {
                const char *text = property_info((Property)i)->default_text;
                char problem[PROPERTY_PROBLEM_MAX];
                PropertyValue value = {};

                if (text)
                        assert_int_equal(property_value_parse((Property)i, text, &value, problem), 0);
                property_value_deinit(&value);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_number_of_tags),
                cmocka_unit_test(test_hostile_explanations),
                cmocka_unit_test(test_keys),
                cmocka_unit_test(test_defaults),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
