/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/hello.h"

#include "wire/reader.h"
#include "wire/writer.h"

int hello_decode(const uint8_t *untrusted_data, size_t n, uint32_t version_min, Hello *ret_hello) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        Hello hello;

        hello.version = wire_reader_u32(&reader);
        if (wire_reader_finish(&reader))
                return HELLO_E_MALFORMED;
        if (hello.version < version_min)
                return HELLO_E_VERSION;
        *ret_hello = hello;
        return 0;
}

void hello_encode(const Hello *hello, uint8_t ret_data[static HELLO_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, HELLO_SIZE);

        wire_writer_u32(&writer, hello->version);
}
