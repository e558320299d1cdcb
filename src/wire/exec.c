/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/exec.h"

#include "wire/header.h"
#include "wire/reader.h"
#include "wire/writer.h"

static ExecParams exec_params_read(WireReader *reader) {
        ExecParams params;

        params.connect_domain = wire_reader_u32(reader);
        params.connect_port = wire_reader_u32(reader);
        return params;
}

int exec_params_decode(const uint8_t *untrusted_data, size_t n, ExecParams *ret_params) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        ExecParams params = exec_params_read(&reader);

        if (wire_reader_finish(&reader))
                return EXEC_E_MALFORMED;
        *ret_params = params;
        return 0;
}

void exec_params_encode(const ExecParams *params, uint8_t ret_data[static EXEC_PARAMS_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, EXEC_PARAMS_SIZE);

        wire_writer_u32(&writer, params->connect_domain);
        wire_writer_u32(&writer, params->connect_port);
}

int exec_decode(const uint8_t *untrusted_data, size_t n, Exec *ret_exec) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        WireSlice untrusted_text;
        Exec exec = {};

        exec.params = exec_params_read(&reader);
        untrusted_text = wire_reader_rest(&reader, EXEC_COMMAND_MAX);
        if (wire_reader_finish(&reader))
                return EXEC_E_MALFORMED;
        if (untrusted_text.n == 0 || untrusted_text.data[untrusted_text.n - 1] != '\0')
                return EXEC_E_MALFORMED;

        exec.text = (const char *)untrusted_text.data;
        exec.n_text = untrusted_text.n - 1;
        *ret_exec = exec;
        return 0;
}

int exec_encode(uint32_t type, const Exec *exec, uint8_t *ret_data, size_t n_max, size_t *ret_n) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, n_max);

        wire_writer_u32(&writer, type);
        wire_writer_u32(&writer, (uint32_t)(EXEC_PARAMS_SIZE + exec->n_text + 1));
        wire_writer_u32(&writer, exec->params.connect_domain);
        wire_writer_u32(&writer, exec->params.connect_port);
        wire_writer_bytes(&writer, exec->text, exec->n_text);
        wire_writer_u8(&writer, 0);
        return wire_writer_finish(&writer, ret_n);
}
