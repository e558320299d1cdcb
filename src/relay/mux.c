/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/mux.h"

#include <endian.h>
#include <string.h>

#include "wire/reader.h"
#include "wire/writer.h"

/* "There is no escape character": it would mean something on a terminal alone. */
#define MUX_NO_ESCAPE UINT32_MAX

static uint32_t mux_read(WireReader *reader) {
        return __builtin_bswap32(wire_reader_u32(reader));
}

static void mux_write(WireWriter *writer, uint32_t value) {
        wire_writer_u32(writer, __builtin_bswap32(value));
}

static void mux_write_text(WireWriter *writer, const char *text, size_t n) {
        mux_write(writer, (uint32_t)n);
        wire_writer_bytes(writer, text, n);
}

static void mux_read_reason(WireReader *reader, MuxReply *reply) {
        WireSlice text = wire_reader_bytes(reader, mux_read(reader));
        size_t n = text.n < MUX_REASON_MAX ? text.n : MUX_REASON_MAX;

        if (n > 0)
                memcpy(reply->reason, text.data, n);
        reply->reason[n] = '\0';
}

int mux_length_decode(const uint8_t untrusted_data[static MUX_LENGTH_SIZE], size_t *ret_n) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, MUX_LENGTH_SIZE);
        uint32_t n = mux_read(&reader);

        if (n > MUX_PACKET_MAX)
                return MUX_E_MALFORMED;
        *ret_n = n;
        return 0;
}

int mux_reply_decode(const uint8_t *untrusted_data, size_t n, MuxReply *ret_reply) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        MuxReply reply = { .type = (MuxType)mux_read(&reader) };

        switch ((uint32_t)reply.type) {
        case MUX_TYPE_HELLO:
                reply.version = mux_read(&reader);
                (void)wire_reader_rest(&reader, n); /* extensions */
                break;
        case MUX_TYPE_SESSION_OPENED:
                reply.request = mux_read(&reader);
                reply.session = mux_read(&reader);
                break;
        case MUX_TYPE_FAILURE:
        case MUX_TYPE_PERMISSION_DENIED:
                reply.request = mux_read(&reader);
                mux_read_reason(&reader, &reply);
                break;
        case MUX_TYPE_EXIT_MESSAGE:
                reply.session = mux_read(&reader);
                reply.status = mux_read(&reader);
                break;
        default:
                (void)wire_reader_rest(&reader, n);
                break;
        }
        if (wire_reader_finish(&reader))
                return MUX_E_MALFORMED;
        *ret_reply = reply;
        return 0;
}

/* Fill in the length in front, which was left out. */
static size_t mux_finish(uint8_t *data, const WireWriter *writer) {
        WireWriter length = WIRE_WRITER_INIT(data, MUX_LENGTH_SIZE);

        mux_write(&length, (uint32_t)writer->n);
        return MUX_LENGTH_SIZE + writer->n;
}

size_t mux_hello_encode(uint8_t ret_data[static MUX_OVERHEAD]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data + MUX_LENGTH_SIZE, MUX_OVERHEAD - MUX_LENGTH_SIZE);

        mux_write(&writer, MUX_TYPE_HELLO);
        mux_write(&writer, MUX_VERSION);
        return mux_finish(ret_data, &writer);
}

size_t mux_new_session_encode(uint32_t request, const char *command, size_t n_command, uint8_t *ret_data) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data + MUX_LENGTH_SIZE, MUX_OVERHEAD - MUX_LENGTH_SIZE + n_command);

        mux_write(&writer, MUX_TYPE_NEW_SESSION);
        mux_write(&writer, request);
        mux_write_text(&writer, "", 0); /* reserved */
        mux_write(&writer, 0);          /* a terminal */
        mux_write(&writer, 0);          /* X11 */
        mux_write(&writer, 0);          /* an agent */
        mux_write(&writer, 0);          /* a subsystem */
        mux_write(&writer, MUX_NO_ESCAPE);
        mux_write_text(&writer, "", 0); /* the terminal's type */
        mux_write_text(&writer, command, n_command);
        return mux_finish(ret_data, &writer);
}
