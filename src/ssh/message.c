/* SPDX-License-Identifier: Apache-2.0 */
#include "ssh/message.h"

#include <stdlib.h>

#include "ssh/codec.h"

int ssh_frame_decode(const uint8_t *untrusted_data, size_t n, WireSlice *ret_message) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        uint32_t length = ssh_read_u32(&reader);

        if (reader.failed)
                return SSH_MESSAGE_E_MORE;
        if (length == 0 || length > SSH_MESSAGE_MAX)
                return SSH_MESSAGE_E_LENGTH;
        if (length > reader.n)
                return SSH_MESSAGE_E_MORE;
        *ret_message = (WireSlice){ reader.data, length };
        return 0;
}

/* The contents of a message of this type. */
static WireReader contents(WireSlice message, uint8_t type) {
        WireReader reader = WIRE_READER_INIT(message.data, message.n);

        if (wire_reader_u8(&reader) != type)
                reader.failed = true;
        return reader;
}

/* Behind the place of the length: a writer for a message of this type. */
static WireWriter frame_begin(uint8_t *frame, uint8_t type) {
        WireWriter writer = WIRE_WRITER_INIT(frame, SSH_FRAME_MAX);

        ssh_write_u32(&writer, 0);
        wire_writer_u8(&writer, type);
        return writer;
}

static size_t frame_end(const WireWriter *writer) {
        WireWriter length = WIRE_WRITER_INIT(writer->data, 4);

        ssh_write_u32(&length, (uint32_t)(writer->n - 4));
        return writer->failed ? 0 : writer->n;
}

int ssh_sign_request_decode(WireSlice untrusted_message, SshSignRequest *ret_request) {
        WireReader reader = contents(untrusted_message, SSH_MESSAGE_SIGN_REQUEST);
        SshSignRequest request = {};

        request.blob = ssh_read_string(&reader);
        request.data = ssh_read_string(&reader);
        request.flags = ssh_read_u32(&reader);
        if (wire_reader_finish(&reader))
                return SSH_MESSAGE_E_MALFORMED;
        *ret_request = request;
        return 0;
}

size_t ssh_sign_request_encode(const SshSignRequest *request, uint8_t *ret_frame) {
        WireWriter writer = frame_begin(ret_frame, SSH_MESSAGE_SIGN_REQUEST);

        ssh_write_slice(&writer, request->blob);
        ssh_write_slice(&writer, request->data);
        ssh_write_u32(&writer, request->flags);
        return frame_end(&writer);
}

int ssh_extension_decode(WireSlice untrusted_message, WireSlice *ret_name, WireSlice *ret_contents) {
        WireReader reader = contents(untrusted_message, SSH_MESSAGE_EXTENSION);
        WireSlice name = ssh_read_cstring(&reader);
        WireSlice rest = wire_reader_rest(&reader, SSH_MESSAGE_MAX);

        if (wire_reader_finish(&reader))
                return SSH_MESSAGE_E_MALFORMED;
        *ret_name = name;
        *ret_contents = rest;
        return 0;
}

int ssh_binding_decode(WireSlice untrusted_contents, SshBinding *ret_binding) {
        WireReader reader = WIRE_READER_INIT(untrusted_contents.data, untrusted_contents.n);
        SshBinding binding = {};

        binding.host_key = ssh_read_string(&reader);
        binding.session_id = ssh_read_string(&reader);
        binding.signature = ssh_read_string(&reader);
        binding.is_forwarding = wire_reader_u8(&reader) != 0;
        if (wire_reader_finish(&reader) || binding.session_id.n == 0 || binding.session_id.n > SSH_SESSION_ID_MAX)
                return SSH_MESSAGE_E_MALFORMED;
        *ret_binding = binding;
        return 0;
}

size_t ssh_binding_encode(const SshBinding *binding, uint8_t *ret_frame) {
        WireWriter writer = frame_begin(ret_frame, SSH_MESSAGE_EXTENSION);

        ssh_write_slice(&writer, SLICE_OF(SSH_EXTENSION_BIND));
        ssh_write_slice(&writer, binding->host_key);
        ssh_write_slice(&writer, binding->session_id);
        ssh_write_slice(&writer, binding->signature);
        wire_writer_u8(&writer, binding->is_forwarding);
        return frame_end(&writer);
}

int ssh_signature_decode(WireSlice message, WireSlice *ret_signature, WireSlice *ret_format) {
        WireReader reader = contents(message, SSH_MESSAGE_SIGN_RESPONSE), inner;
        WireSlice signature = ssh_read_string(&reader), format;

        if (wire_reader_finish(&reader))
                return SSH_MESSAGE_E_MALFORMED;
        inner = WIRE_READER_INIT(signature.data, signature.n);
        format = ssh_read_cstring(&inner);
        if (inner.failed)
                return SSH_MESSAGE_E_MALFORMED;
        *ret_signature = signature;
        *ret_format = format;
        return 0;
}

size_t ssh_signature_encode(WireSlice signature, uint8_t *ret_frame) {
        WireWriter writer = frame_begin(ret_frame, SSH_MESSAGE_SIGN_RESPONSE);

        ssh_write_slice(&writer, signature);
        return frame_end(&writer);
}

size_t ssh_query_encode(uint8_t *ret_frame) {
        WireWriter writer = frame_begin(ret_frame, SSH_MESSAGE_EXTENSION_RESPONSE);

        ssh_write_slice(&writer, SLICE_OF(SSH_EXTENSION_QUERY));
        ssh_write_slice(&writer, SLICE_OF(SSH_EXTENSION_BIND));
        return frame_end(&writer);
}

size_t ssh_type_encode(SshMessageType type, uint8_t *ret_frame) {
        WireWriter writer = frame_begin(ret_frame, (uint8_t)type);

        return frame_end(&writer);
}

int ssh_identities_decode(WireSlice message, SshIdentitiesReader *ret_reader) {
        SshIdentitiesReader identities = { .reader = contents(message, SSH_MESSAGE_IDENTITIES_ANSWER) };
        WireReader reader;

        identities.n_left = ssh_read_u32(&identities.reader);
        if (identities.reader.failed || identities.n_left > SSH_IDENTITIES_MAX)
                return SSH_MESSAGE_E_MALFORMED;
        reader = identities.reader;
        for (uint32_t i = 0; i < identities.n_left; ++i) {
                (void)ssh_read_string(&reader);
                (void)ssh_read_string(&reader);
        }
        if (wire_reader_finish(&reader))
                return SSH_MESSAGE_E_MALFORMED;
        *ret_reader = identities;
        return 0;
}

bool ssh_identities_next(SshIdentitiesReader *reader, WireSlice *ret_blob, WireSlice *ret_comment) {
        if (reader->n_left == 0)
                return false;
        --reader->n_left;
        *ret_blob = ssh_read_string(&reader->reader);
        *ret_comment = ssh_read_string(&reader->reader);
        return true;
}
