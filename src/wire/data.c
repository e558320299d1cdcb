/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/data.h"

#include "wire/reader.h"
#include "wire/writer.h"

bool data_type_is_known(uint32_t type) {
        return type >= WIRE_TYPE_DATA_STDIN && type <= WIRE_TYPE_DATA_EXIT_CODE;
}

int32_t data_exit_code_decode(const uint8_t *untrusted_data, size_t n) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n < DATA_EXIT_CODE_SIZE ? n : DATA_EXIT_CODE_SIZE);
        int32_t status = (int32_t)wire_reader_u32(&reader);

        if (wire_reader_finish(&reader))
                return 255;
        return status < 0 || status > 255 ? 255 : status;
}

void data_exit_code_encode(int32_t status, uint8_t ret_data[static DATA_EXIT_CODE_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, DATA_EXIT_CODE_SIZE);

        wire_writer_u32(&writer, (uint32_t)status);
}
