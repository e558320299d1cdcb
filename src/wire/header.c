/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/header.h"

#include "wire/reader.h"
#include "wire/writer.h"

int wire_header_decode(const uint8_t *untrusted_data, size_t n, WireHeader *ret_header) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n < WIRE_HEADER_SIZE ? n : WIRE_HEADER_SIZE);
        WireHeader header;

        header.type = wire_reader_u32(&reader);
        header.length = wire_reader_u32(&reader);
        if (wire_reader_finish(&reader))
                return WIRE_HEADER_E_SHORT;
        *ret_header = header;
        return 0;
}

void wire_header_encode(WireHeader header, uint8_t ret_data[static WIRE_HEADER_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, WIRE_HEADER_SIZE);

        wire_writer_u32(&writer, header.type);
        wire_writer_u32(&writer, header.length);
}
