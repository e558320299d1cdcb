/* SPDX-License-Identifier: Apache-2.0 */
/* "fact N" is a line of the protocol specification's Appendix A, vectors are from its Appendix B. */
#include "wire/trigger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wire/header.h"

#define A15 "aaaaaaaaaaaaaaa"
#define A31 A15 "a" A15
#define A63 A31 "a" A31

/* A payload put together from its fields: each is zero-padded, unless it is longer than the field and cut. */
typedef struct Payload {
        size_t n;
        uint8_t data[1024];
} Payload;

static void payload_add(Payload *payload, const char *text, size_t n_text, size_t n_field) {
        memcpy(payload->data + payload->n, text, n_text < n_field ? n_text : n_field);
        payload->n += n_field;
}

#define TEXT(_text) (_text), sizeof(_text) - 1

typedef struct Case {
        const char *name;
        uint32_t type;
        const char *source;
        size_t n_source;
        const char *target;
        size_t n_target;
        const char *ident;
        size_t n_ident;
        const char *service; /* with its NUL */
        size_t n_service;
        int expect;
        const char *expect_source, *expect_target, *expect_service;
        size_t expect_n_name;
} Case;

static Payload payload_make(const Case *c) {
        Payload payload = {};

        if (c->type == WIRE_TYPE_TRIGGER_SERVICE2)
                payload_add(&payload, c->service, c->n_service, 64);
        if (c->type == WIRE_TYPE_TRIGGER_SERVICE4)
                payload_add(&payload, c->source, c->n_source, 64);
        payload_add(&payload, c->target, c->n_target, c->type == WIRE_TYPE_TRIGGER_SERVICE2 ? 32 : 64);
        payload_add(&payload, c->ident, c->n_ident, 32);
        if (c->type != WIRE_TYPE_TRIGGER_SERVICE2)
                payload_add(&payload, c->service, c->n_service, c->n_service);
        return payload;
}

static const Case cases[] = {
#define CASE4(_name, _source, _target, _ident, _service, ...) \
        { _name, WIRE_TYPE_TRIGGER_SERVICE4, TEXT(_source), TEXT(_target), TEXT(_ident), TEXT(_service), __VA_ARGS__ }
#define CASE3(_name, _target, _ident, _service, ...) \
        { _name, WIRE_TYPE_TRIGGER_SERVICE3, TEXT(""), TEXT(_target), TEXT(_ident), TEXT(_service), __VA_ARGS__ }
#define CASE2(_name, _target, _ident, _service, ...) \
        { _name, WIRE_TYPE_TRIGGER_SERVICE2, TEXT(""), TEXT(_target), TEXT(_ident), TEXT(_service), __VA_ARGS__ }
        CASE4("vector TRIGGER_SERVICE4", "", "work", "SOCKET9", "my.svc+arg\0", 0, "", "work", "my.svc+arg", 6),
        CASE4("source and an empty target", "other", "", "SOCKET", "a\0", 0, "other", "", "a", 1),
        CASE4("empty ident, fact 26", "", "work", "", "a\0", 0, "", "work", "a", 1),
        CASE4("ident with a space, fact 25", "", "work", "my ident", "a\0", 0, "", "work", "a", 1),
        CASE4("ident without NUL, fact 23", "", "work", A31 "a", "a\0", TRIGGER_E_REFUSED),
        CASE4("ident with a byte after its NUL, fact 24", "", "work", "a\0b", "a\0", TRIGGER_E_REFUSED),
        CASE4("ident with a bad byte", "", "work", "a+b", "a\0", TRIGGER_E_REFUSED),
        CASE4("UTF-8 in the target, fact 27", "", "caf\xc3\xa9", "", "a\0", 0, "", "caf__", "a", 1),
        CASE4("@ and : in names, fact 28", "@a:b", "@dispvm:work", "", "a\0", 0, "@a:b", "@dispvm:work", "a", 1),
        CASE4("+ in names, fact 28", "a+b", "c+d", "", "a\0", 0, "a_b", "c_d", "a", 1),
        CASE4("@ : + in the service, fact 28", "", "", "", "a+@b:c+d\0", 0, "", "", "a+_b_c+d", 1),
        CASE4("$ is not translated here", "", "$dispvm", "", "a\0", 0, "", "_dispvm", "a", 1),
        CASE4("target of 64 bytes, fact 29", "", A63 "a", "", "a\0", 0, "", A63, "a", 1),
        CASE4("source of 64 bytes", A63 "a", "", "", "a\0", 0, A63, "", "a", 1),
        CASE4("names end at their first NUL", "a\0b", "c\0d", "", "a\0", 0, "a", "c", "a", 1),
        CASE4("the shortest payload: one NUL, fact 20", "", "work", "", "\0", TRIGGER_E_REFUSED),
        CASE4("no final NUL, fact 21", "", "work", "", "my.svc", TRIGGER_E_REFUSED),
        CASE4("inner NUL, fact 21", "", "work", "", "my\0svc\0", TRIGGER_E_REFUSED),
        CASE4("two final NULs, fact 21", "", "work", "", "my.svc\0\0", TRIGGER_E_REFUSED),
        CASE4("leading plus, fact 21", "", "work", "", "+arg\0", TRIGGER_E_REFUSED),
        CASE4("a name that is a folder", "", "work", "", "..+arg\0", TRIGGER_E_REFUSED),
        CASE3("version 3", "work", "SOCKET9", "my.svc+arg\0", 0, "", "work", "my.svc+arg", 6),
        CASE3("version 3, shortest", "work", "", "\0", TRIGGER_E_REFUSED),
        CASE3("version 3, target of 64 bytes, fact 29", A63 "a", "", "a\0", 0, "", A63, "a", 1),
        CASE2("version 2", "work", "SOCKET9", "my.svc+arg", 0, "", "work", "my.svc+arg", 6),
        CASE2("version 2, the service ends at its first NUL", "work", "", "a\0b", 0, "", "work", "a", 1),
        CASE2("version 2, service of 64 bytes", "work", "", A63 "a", 0, "", "work", A63, 63),
        CASE2("version 2, target of 32 bytes", A31 "a", "", "a", 0, "", A31, "a", 1),
        CASE2("version 2, empty service, fact 21", "work", "", "", TRIGGER_E_REFUSED),
        CASE2("version 2, leading plus, fact 21", "work", "", "+a", TRIGGER_E_REFUSED),
#undef CASE4
#undef CASE3
#undef CASE2
};

static void check_ident_field(const Case *c, const uint8_t field[static IDENT_SIZE]) {
        uint8_t expect[IDENT_SIZE] = {};

        memcpy(expect, c->ident, c->n_ident);
        if (memcmp(field, expect, IDENT_SIZE) != 0)
                fail_msg("%s: the ident's bytes are not those that came (fact 22)", c->name);
}

/* What was decoded says the same when it is encoded and decoded again, and its bytes do not change any more. */
static void check_round_trip(const Case *c, const Trigger *trigger) {
        uint8_t first[1024], second[1024], field[IDENT_SIZE];
        _cleanup_(trigger_freep) Trigger *again = NULL;
        size_t n_first = 0, n_second = 0;

        assert_int_equal(trigger_encode(c->type, trigger, first, sizeof(first), &n_first), 0);
        assert_int_equal(trigger_decode(c->type, first + WIRE_HEADER_SIZE, n_first - WIRE_HEADER_SIZE, field, &again),
                         0);
        assert_int_equal(trigger_encode(c->type, again, second, sizeof(second), &n_second), 0);
        if (n_first != n_second || memcmp(first, second, n_first) != 0)
                fail_msg("%s: changes when decoded again", c->name);
}

static void test_decode(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const Case *c = &cases[i];
                Payload payload = payload_make(c);
                uint8_t field[IDENT_SIZE];
                _cleanup_(trigger_freep) Trigger *trigger = NULL;
                int r = trigger_decode(c->type, payload.data, payload.n, field, &trigger);

                if (r != c->expect)
                        fail_msg("%s: got %d, want %d", c->name, r, c->expect);
                check_ident_field(c, field);
                if (r) {
                        assert_null(trigger);
                        continue;
                }
                if (trigger->has_source != (c->type == WIRE_TYPE_TRIGGER_SERVICE4))
                        fail_msg("%s: has_source is wrong", c->name);
                if (strcmp(trigger->source.text, c->expect_source) != 0 ||
                    strcmp(trigger->target.text, c->expect_target) != 0 ||
                    strcmp(trigger->service, c->expect_service) != 0)
                        fail_msg("%s: got \"%s\" \"%s\" \"%s\"", c->name, trigger->source.text, trigger->target.text,
                                 trigger->service);
                if (trigger->n_service != strlen(c->expect_service) || trigger->n_service_name != c->expect_n_name)
                        fail_msg("%s: wrong lengths", c->name);
                check_round_trip(c, trigger);
        }
}

/* The first case, byte for byte. */
static void test_vector(void **state) {
        Payload payload = payload_make(&cases[0]);
        static const uint8_t header[] = { 0x13, 0x02, 0, 0, 0xab, 0, 0, 0 };
        uint8_t data[256];
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        size_t n = 0;

        assert_int_equal(payload.n, 171);
        assert_int_equal(trigger_new("", "work", "SOCKET9", "my.svc+arg", &trigger), 0);
        assert_int_equal(trigger->n_service_name, 6);
        assert_int_equal(trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, data, sizeof(data), &n), 0);
        assert_int_equal(n, 8 + 171);
        assert_memory_equal(data, header, 8);
        assert_memory_equal(data + 8, payload.data, 171);
        assert_int_equal(trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, data, n - 1, &n), -EMSGSIZE);
}

static void test_sizes(void **state) {
        static const struct {
                const char *name;
                uint32_t type;
                size_t n;
                bool expect;
        } sizes[] = {
                { "version 4, fact 20", WIRE_TYPE_TRIGGER_SERVICE4, 160, false },
                { "version 4, fact 20", WIRE_TYPE_TRIGGER_SERVICE4, 161, true },
                { "version 4", WIRE_TYPE_TRIGGER_SERVICE4, 65160, true },
                { "version 4", WIRE_TYPE_TRIGGER_SERVICE4, 65161, false },
                { "version 3", WIRE_TYPE_TRIGGER_SERVICE3, 96, false },
                { "version 3", WIRE_TYPE_TRIGGER_SERVICE3, 97, true },
                { "version 3", WIRE_TYPE_TRIGGER_SERVICE3, 65096, true },
                { "version 3", WIRE_TYPE_TRIGGER_SERVICE3, 65097, false },
                { "version 2", WIRE_TYPE_TRIGGER_SERVICE2, 127, false },
                { "version 2", WIRE_TYPE_TRIGGER_SERVICE2, 128, true },
                { "version 2", WIRE_TYPE_TRIGGER_SERVICE2, 129, false },
                { "HELLO", WIRE_TYPE_HELLO, 4, false },
                { "no trigger", WIRE_TYPE_CONNECTION_TERMINATED, 161, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(sizes); ++i) {
                uint8_t field[IDENT_SIZE];
                _cleanup_free_ uint8_t *data = calloc(1, sizes[i].n);
                Trigger *trigger = NULL;
                int r = trigger_decode(sizes[i].type, data, sizes[i].n, field, &trigger);

                if (trigger_size_is_valid(sizes[i].type, sizes[i].n) != sizes[i].expect)
                        fail_msg("%s: a size of %zu", sizes[i].name, sizes[i].n);
                if (r != (sizes[i].expect ? TRIGGER_E_REFUSED : TRIGGER_E_MALFORMED))
                        fail_msg("%s: %zu NULs are decoded with %d", sizes[i].name, sizes[i].n, r);
        }
}

/* The longest service there is goes through both ways. */
static void test_longest(void **state) {
        _cleanup_free_ char *service = malloc(SERVICE_DESCRIPTOR_MAX + 2);
        _cleanup_free_ uint8_t *data = malloc(WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX);
        _cleanup_(trigger_freep) Trigger *trigger = NULL, *again = NULL;
        uint8_t field[IDENT_SIZE];
        size_t n = 0;

        memset(service, 'a', SERVICE_DESCRIPTOR_MAX + 1);
        service[100] = '+';
        service[SERVICE_DESCRIPTOR_MAX + 1] = '\0';
        assert_int_equal(trigger_new("", "", "", service, &trigger), TRIGGER_E_REFUSED);
        assert_null(trigger);

        service[SERVICE_DESCRIPTOR_MAX] = '\0';
        assert_int_equal(trigger_new("", "", "", service, &trigger), 0);
        assert_int_equal(
                trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, data, WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX, &n), 0);
        assert_int_equal(n, WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX);
        assert_int_equal(trigger_decode(WIRE_TYPE_TRIGGER_SERVICE4, data + WIRE_HEADER_SIZE, n - WIRE_HEADER_SIZE,
                                        field, &again),
                         0);
        assert_string_equal(again->service, service);
        assert_int_equal(again->n_service_name, 100);
}

static void test_new(void **state) {
        Trigger *trigger = NULL;

        assert_int_equal(trigger_new("", "", "", "", &trigger), TRIGGER_E_REFUSED);
        assert_int_equal(trigger_new("", "", A31 "a", "a", &trigger), -EINVAL);
        assert_null(trigger);

        /* Longer names are cut, and nothing is sanitised: that is the daemon's. */
        assert_int_equal(trigger_new(A63 "bc", A63 "de", A31, "a b", &trigger), 0);
        assert_string_equal(trigger->source.text, A63);
        assert_string_equal(trigger->target.text, A63);
        assert_string_equal(trigger->ident.text, A31);
        assert_string_equal(trigger->service, "a b");
        assert_true(trigger->has_source);
        assert_null(trigger_free(trigger));
        assert_null(trigger_free(NULL));
}

/* What an older version cannot say is refused, not dropped. */
static void test_translation(void **state) {
        static const struct {
                const char *name, *source, *target, *service;
                int expect2, expect3;
        } sayable[] = {
                { "plain", "", "work", "a", 0, 0 },
                { "a source", "other", "work", "a", TRIGGER_E_REFUSED, TRIGGER_E_REFUSED },
                { "target of 31 bytes", "", A31, "a", 0, 0 },
                { "target of 32 bytes", "", A31 "a", "a", TRIGGER_E_REFUSED, 0 },
                { "service of 63 bytes", "", "work", A63, 0, 0 },
                { "service of 64 bytes", "", "work", A63 "a", TRIGGER_E_REFUSED, 0 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(sayable); ++i) {
                _cleanup_(trigger_freep) Trigger *trigger = NULL;
                uint8_t data[512];
                size_t n = 0;
                int r;

                assert_int_equal(
                        trigger_new(sayable[i].source, sayable[i].target, "SOCKET", sayable[i].service, &trigger), 0);
                r = trigger_encode(WIRE_TYPE_TRIGGER_SERVICE2, trigger, data, sizeof(data), &n);
                if (r != sayable[i].expect2)
                        fail_msg("%s, version 2: got %d", sayable[i].name, r);
                if (!r)
                        assert_int_equal(n, WIRE_HEADER_SIZE + TRIGGER2_SIZE);
                r = trigger_encode(WIRE_TYPE_TRIGGER_SERVICE3, trigger, data, sizeof(data), &n);
                if (r != sayable[i].expect3)
                        fail_msg("%s, version 3: got %d", sayable[i].name, r);
                if (!r)
                        assert_int_equal(n, WIRE_HEADER_SIZE + TRIGGER3_SIZE_MIN + strlen(sayable[i].service));
                assert_int_equal(trigger_encode(WIRE_TYPE_TRIGGER_SERVICE4, trigger, data, sizeof(data), &n), 0);
        }
}

static void test_encode_other_type(void **state) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        uint8_t data[512];
        size_t n;

        assert_int_equal(trigger_new("", "work", "", "a", &trigger), 0);
        assert_int_equal(trigger_encode(WIRE_TYPE_HELLO, trigger, data, sizeof(data), &n), -EINVAL);
}

/* What an agent sends on: the client's bytes, another ident, and what the daemon's version has words for (2.6). */
static void test_trigger_forward(void **state) {
        static const struct {
                const char *name;
                uint32_t version;
                const char *source, *target;
                size_t n_target;
                const char *service;
                size_t n_service;
                int expect;
        } forwards[] = {
                { "version 4", 4, "", TEXT("work"), "my.svc+arg", 11, 0 },
                { "A47: version 4, bytes that no daemon takes", 4, "s", TEXT("w/$\0x"), "a\0b", 3, 0 },
                { "a later version is ours", 5, "", TEXT("work"), "my.svc+arg", 11, 0 },
                { "version 4, for somebody else", 4, "far", TEXT("work"), "my.svc", 7, 0 },
                { "version 3", 3, "", TEXT("work"), "my.svc+arg", 11, 0 },
                { "version 3, inner NUL", 3, "", TEXT("work"), "a\0b", 4, 0 },
                { "version 3, for somebody else", 3, "far", TEXT("work"), "my.svc", 7, TRIGGER_E_REFUSED },
                { "version 2", 2, "", TEXT("work"), "my.svc+arg", 11, 0 },
                { "version 2, for somebody else", 2, "far", TEXT("work"), "my.svc", 7, TRIGGER_E_REFUSED },
                { "version 2, longest service", 2, "", TEXT("work"), A63, 64, 0 },
                { "version 2, service too long", 2, "", TEXT("work"), A63 "a", 65, TRIGGER_E_REFUSED },
                { "version 2, longest target", 2, "", TEXT(A31), "my.svc", 7, 0 },
                { "version 2, target too long", 2, "", TEXT(A31 "a"), "my.svc", 7, TRIGGER_E_REFUSED },
                { "version 2, inner NUL", 2, "", TEXT("work"), "a\0b", 4, TRIGGER_E_REFUSED },
                { "version 2, no NUL", 2, "", TEXT("work"), "ab", 2, TRIGGER_E_REFUSED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(forwards); ++i) {
                Payload payload = {}, expect = {};
                uint8_t message[WIRE_HEADER_SIZE + 1024];
                Ident ident = { "SOCKET7" };
                uint32_t type = WIRE_TYPE_TRIGGER_SERVICE4;
                WireHeader header;
                size_t n = 0;
                int r;

                payload_add(&payload, forwards[i].source, strlen(forwards[i].source), 64);
                payload_add(&payload, forwards[i].target, forwards[i].n_target, 64);
                payload_add(&payload, TEXT("\xff, and bytes up to the end..."), 32);
                payload_add(&payload, forwards[i].service, forwards[i].n_service, forwards[i].n_service);
                r = trigger_forward(payload.data, payload.n, forwards[i].version, &ident, message, sizeof(message), &n);
                if (r != forwards[i].expect)
                        fail_msg("%s: got %d, want %d", forwards[i].name, r, forwards[i].expect);
                if (r)
                        continue;

                if (forwards[i].version == 2) {
                        type = WIRE_TYPE_TRIGGER_SERVICE2;
                        payload_add(&expect, forwards[i].service, forwards[i].n_service, 64);
                        payload_add(&expect, forwards[i].target, forwards[i].n_target, 32);
                        payload_add(&expect, TEXT("SOCKET7"), 32);
                } else {
                        if (forwards[i].version == 3)
                                type = WIRE_TYPE_TRIGGER_SERVICE3;
                        else
                                payload_add(&expect, forwards[i].source, strlen(forwards[i].source), 64);
                        payload_add(&expect, forwards[i].target, forwards[i].n_target, 64);
                        payload_add(&expect, TEXT("SOCKET7"), 32);
                        payload_add(&expect, forwards[i].service, forwards[i].n_service, forwards[i].n_service);
                }
                assert_int_equal(wire_header_decode(message, n, &header), 0);
                if (header.type != type || header.length != expect.n || n != WIRE_HEADER_SIZE + expect.n ||
                    memcmp(message + WIRE_HEADER_SIZE, expect.data, expect.n) != 0)
                        fail_msg("%s: other bytes", forwards[i].name);
        }
}

static void test_trigger_forward_length(void **state) {
        static uint8_t payload[TRIGGER4_SIZE_MAX + 1], message[WIRE_HEADER_SIZE + TRIGGER4_SIZE_MAX];
        Ident ident = {};
        size_t n;

        assert_int_equal(trigger_forward(payload, TRIGGER4_SIZE_MIN - 1, 4, &ident, message, sizeof(message), &n),
                         TRIGGER_E_MALFORMED);
        assert_int_equal(trigger_forward(payload, TRIGGER4_SIZE_MIN, 4, &ident, message, sizeof(message), &n), 0);
        assert_int_equal(trigger_forward(payload, TRIGGER4_SIZE_MAX, 4, &ident, message, sizeof(message), &n), 0);
        assert_int_equal(n, sizeof(message));
        assert_int_equal(trigger_forward(payload, TRIGGER4_SIZE_MAX + 1, 4, &ident, message, sizeof(message), &n),
                         TRIGGER_E_MALFORMED);
}

/* The rest of the request is nobody's business here, also where it is not well formed. */
static void test_trigger_ident(void **state) {
        static const Case idents[] = {
#define CASE(_name, _ident, _service, _expect) \
        { _name,                               \
          WIRE_TYPE_TRIGGER_SERVICE4,          \
          TEXT("s"),                           \
          TEXT("t"),                           \
          TEXT(_ident),                        \
          TEXT(_service),                      \
          _expect,                             \
          NULL,                                \
          NULL,                                \
          NULL,                                \
          0 }
                CASE("ours", "QAIR1 more", "a\0", 0),
                CASE("an empty one", "", "a\0", 0),
                CASE("as long as can be", A31, "a\0", 0),
                CASE("a service that is none", "QAIR1", "+", 0),
                CASE("without NUL", A31 "a", "a\0", TRIGGER_E_REFUSED),
                CASE("a byte after its NUL", "QAIR1\0x", "a\0", TRIGGER_E_REFUSED),
                CASE("too short", "QAIR1", "", TRIGGER_E_MALFORMED),
#undef CASE
        };

        for (size_t i = 0; i < sizeof(idents) / sizeof(idents[0]); ++i) {
                Payload payload = payload_make(&idents[i]);
                Ident ident = { "before" };
                int r;

                r = trigger_ident(payload.data, payload.n, &ident);
                if (r != idents[i].expect)
                        fail_msg("%s: got %d, want %d", idents[i].name, r, idents[i].expect);
                assert_string_equal(ident.text, r ? "before" : idents[i].ident);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_vector),
                cmocka_unit_test(test_sizes),
                cmocka_unit_test(test_longest),
                cmocka_unit_test(test_new),
                cmocka_unit_test(test_translation),
                cmocka_unit_test(test_encode_other_type),
                cmocka_unit_test(test_trigger_forward),
                cmocka_unit_test(test_trigger_forward_length),
                cmocka_unit_test(test_trigger_ident),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
