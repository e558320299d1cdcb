/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ssh/codec.h"

static uint8_t frame[SSH_FRAME_MAX];

static void test_frame(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input, n_message;
                int expect;
        } cases[] = {
#define CASE(_name, _input, _expect, _n_message) { _name, _input, sizeof(_input) - 1, _n_message, _expect }
                CASE("smallest", "\0\0\0\1\13", 0, 1),
                CASE("more behind it", "\0\0\0\1\13\0\0", 0, 1),
                CASE("no whole length", "\0\0\0", SSH_MESSAGE_E_MORE, 0),
                CASE("nothing", "", SSH_MESSAGE_E_MORE, 0),
                CASE("a byte short", "\0\0\0\2\13", SSH_MESSAGE_E_MORE, 0),
                CASE("empty", "\0\0\0\0", SSH_MESSAGE_E_LENGTH, 0),
                CASE("largest, not there yet", "\0\4\0\0", SSH_MESSAGE_E_MORE, 0),
                CASE("one too large", "\0\4\0\1", SSH_MESSAGE_E_LENGTH, 0),
                CASE("huge", "\x7f\xff\xff\xff", SSH_MESSAGE_E_LENGTH, 0),
#undef CASE
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                WireSlice message = {};
                int r = ssh_frame_decode((const uint8_t *)cases[i].input, cases[i].n_input, &message);

                if (r != cases[i].expect || message.n != cases[i].n_message)
                        fail_msg("%s: got %d, %zu bytes", cases[i].name, r, message.n);
        }
        memcpy(frame, "\0\4\0\0", 4);
        assert_int_equal(ssh_frame_decode(frame, sizeof(frame) - 1, &(WireSlice){}), SSH_MESSAGE_E_MORE);
        assert_int_equal(ssh_frame_decode(frame, sizeof(frame), &(WireSlice){}), 0);
}

/* The message in the frame that was just encoded, of @n bytes. */
static WireSlice encoded(size_t n) {
        WireSlice message;

        assert_int_equal(ssh_frame_decode(frame, n, &message), 0);
        assert_int_equal(message.n, n - 4);
        return message;
}

static void test_sign_request(void **state) {
        SshSignRequest request = { SLICE_OF("blob"), SLICE_OF("data"), 0x04 }, again;
        WireSlice message = encoded(ssh_sign_request_encode(&request, frame));

        assert_int_equal(ssh_sign_request_decode(message, &again), 0);
        assert_true(slice_is(again.blob, "blob") && slice_is(again.data, "data") && again.flags == 0x04);
        for (size_t n = 1; n < message.n; ++n)
                assert_int_equal(ssh_sign_request_decode((WireSlice){ message.data, n }, &again),
                                 SSH_MESSAGE_E_MALFORMED);
        assert_int_equal(ssh_sign_request_decode((WireSlice){ message.data, message.n + 1 }, &again),
                         SSH_MESSAGE_E_MALFORMED);
        frame[4] = 14;
        assert_int_equal(ssh_sign_request_decode(message, &again), SSH_MESSAGE_E_MALFORMED);
}

static void test_binding(void **state) {
        char id[SSH_SESSION_ID_MAX + 1];
        SshBinding binding = { SLICE_OF("key"), { (const uint8_t *)id, 1 }, SLICE_OF("signature"), true }, again;
        WireSlice message, name, contents;

        memset(id, 'i', sizeof(id));
        for (size_t n = 0; n <= sizeof(id); ++n) {
                int expect = n > 0 && n <= SSH_SESSION_ID_MAX ? 0 : SSH_MESSAGE_E_MALFORMED;

                binding.session_id.n = n;
                message = encoded(ssh_binding_encode(&binding, frame));
                assert_int_equal(ssh_extension_decode(message, &name, &contents), 0);
                assert_true(slice_is(name, SSH_EXTENSION_BIND));
                assert_int_equal(ssh_binding_decode(contents, &again), expect);
        }
        binding.session_id.n = SSH_SESSION_ID_MAX;
        message = encoded(ssh_binding_encode(&binding, frame));
        assert_int_equal(ssh_extension_decode(message, &name, &contents), 0);
        assert_int_equal(ssh_binding_decode(contents, &again), 0);
        assert_true(slice_is(again.host_key, "key") && slice_is(again.signature, "signature") && again.is_forwarding);
        for (size_t n = 0; n < contents.n; ++n)
                assert_int_equal(ssh_binding_decode((WireSlice){ contents.data, n }, &again), SSH_MESSAGE_E_MALFORMED);
        assert_int_equal(ssh_binding_decode((WireSlice){ contents.data, contents.n + 1 }, &again),
                         SSH_MESSAGE_E_MALFORMED);
        /* Any byte but 0 is true, and is sent on as 1. */
        frame[message.n + 3] = 7;
        assert_int_equal(ssh_binding_decode(contents, &again), 0);
        assert_true(again.is_forwarding);
}

static void test_extension(void **state) {
        WireSlice name, contents;

        assert_int_equal(ssh_extension_decode((WireSlice){ (const uint8_t *)"\33\0\0\0\1xrest", 10 }, &name, &contents),
                         0);
        assert_true(slice_is(name, "x") && slice_is(contents, "rest"));
        assert_int_equal(ssh_extension_decode((WireSlice){ (const uint8_t *)"\33", 1 }, &name, &contents),
                         SSH_MESSAGE_E_MALFORMED);
        assert_int_equal(ssh_extension_decode((WireSlice){ (const uint8_t *)"\33\0\0\0\2x\0", 7 }, &name, &contents),
                         SSH_MESSAGE_E_MALFORMED);
}

static void test_signature(void **state) {
        WireSlice message, signature, format;

        message = encoded(ssh_signature_encode((WireSlice){ (const uint8_t *)"\0\0\0\3rsabytes", 12 }, frame));
        assert_int_equal(ssh_signature_decode(message, &signature, &format), 0);
        assert_true(slice_is(format, "rsa") && signature.n == 12);
        assert_int_equal(ssh_signature_decode((WireSlice){ message.data, message.n - 1 }, &signature, &format),
                         SSH_MESSAGE_E_MALFORMED);
        /* No format in it. */
        message = encoded(ssh_signature_encode(SLICE_OF("x"), frame));
        assert_int_equal(ssh_signature_decode(message, &signature, &format), SSH_MESSAGE_E_MALFORMED);
}

static void test_identities(void **state) {
        static const size_t sizes[] = { 0, 1, SSH_IDENTITIES_MAX, SSH_IDENTITIES_MAX + 1 };
        SshIdentitiesReader reader;
        WireSlice blob, comment;

        for (size_t i = 0; i < ARRAY_SIZE(sizes); ++i) {
                WireWriter writer = WIRE_WRITER_INIT(frame, sizeof(frame));
                int expect = sizes[i] <= SSH_IDENTITIES_MAX ? 0 : SSH_MESSAGE_E_MALFORMED;
                size_t n = 0;

                wire_writer_u8(&writer, 12);
                ssh_write_u32(&writer, (uint32_t)sizes[i]);
                for (size_t k = 0; k < sizes[i]; ++k) {
                        ssh_write_slice(&writer, SLICE_OF("b"));
                        ssh_write_slice(&writer, SLICE_OF("c"));
                }
                assert_int_equal(ssh_identities_decode((WireSlice){ frame, writer.n }, &reader), expect);
                assert_int_equal(ssh_identities_decode((WireSlice){ frame, writer.n + 1 }, &reader),
                                 SSH_MESSAGE_E_MALFORMED);
                assert_int_equal(ssh_identities_decode((WireSlice){ frame, writer.n - 1 }, &reader),
                                 SSH_MESSAGE_E_MALFORMED);
                if (expect)
                        continue;
                assert_int_equal(ssh_identities_decode((WireSlice){ frame, writer.n }, &reader), 0);
                while (ssh_identities_next(&reader, &blob, &comment)) {
                        assert_true(slice_is(blob, "b") && slice_is(comment, "c"));
                        ++n;
                }
                assert_int_equal(n, sizes[i]);
        }
}

static void test_query(void **state) {
        static const char expect[] = "\0\0\0\46\35\0\0\0\5query\0\0\0\30session-bind@openssh.com";

        assert_int_equal(ssh_query_encode(frame), sizeof(expect) - 1);
        assert_memory_equal(frame, expect, sizeof(expect) - 1);
        assert_int_equal(ssh_type_encode(SSH_MESSAGE_FAILURE, frame), 5);
        assert_memory_equal(frame, "\0\0\0\1\5", 5);
}

/* What cannot be a message is not made into one. */
static void test_too_long(void **state) {
        static uint8_t data[SSH_MESSAGE_MAX];
        SshSignRequest request = { .data = { data, SSH_MESSAGE_MAX - 13 } };

        assert_int_equal(ssh_sign_request_encode(&request, frame), SSH_FRAME_MAX);
        ++request.data.n;
        assert_int_equal(ssh_sign_request_encode(&request, frame), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_frame),     cmocka_unit_test(test_sign_request),
                cmocka_unit_test(test_binding),   cmocka_unit_test(test_extension),
                cmocka_unit_test(test_signature), cmocka_unit_test(test_identities),
                cmocka_unit_test(test_query),     cmocka_unit_test(test_too_long),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
