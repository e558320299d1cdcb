/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/forkserver.h"

#include <stdbool.h>
#include <string.h>

#include "wire/header.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define FORKSERVER_SERVICE_PATH "QREXEC_SERVICE_PATH="
#define FORKSERVER_CONFIG_PATH  "QUBES_RPC_CONFIG_PATH="

static ForkserverHeader forkserver_header_read(WireReader *reader) {
        ForkserverHeader header;

        header.type = wire_reader_u32(reader);
        header.params.connect_domain = wire_reader_u32(reader);
        header.params.connect_port = wire_reader_u32(reader);
        header.n_text = wire_reader_u32(reader);
        return header;
}

static bool forkserver_header_is_valid(const ForkserverHeader *header) {
        switch (header->type) {
        case WIRE_TYPE_EXEC_CMDLINE:
        case WIRE_TYPE_JUST_EXEC:
                return header->n_text > 0 && header->n_text <= FORKSERVER_TEXT_MAX;
        case WIRE_TYPE_CALL_KILL:
                return header->params.connect_domain == 0 && header->n_text == 0;
        default:
                return false;
        }
}

int forkserver_header_decode(const uint8_t *untrusted_data, size_t n, ForkserverHeader *ret_header) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        ForkserverHeader header = forkserver_header_read(&reader);

        if (wire_reader_finish(&reader) || !forkserver_header_is_valid(&header))
                return FORKSERVER_E_MALFORMED;
        *ret_header = header;
        return 0;
}

/* The next text up to its NUL; the last one has one. NULL: there is no more. */
static const char *forkserver_next(WireSlice *texts) {
        const char *text = (const char *)texts->data;
        size_t n;

        if (texts->n == 0)
                return NULL;
        n = strlen(text) + 1;
        texts->data += n;
        texts->n -= n;
        return text;
}

/* The value of the setting @prefix, if it comes next. */
static const char *forkserver_setting(WireSlice *texts, const char *prefix) {
        if (texts->n == 0 || strncmp((const char *)texts->data, prefix, strlen(prefix)) != 0)
                return NULL;
        return forkserver_next(texts) + strlen(prefix);
}

int forkserver_request_decode(const uint8_t *untrusted_data, size_t n, ForkserverRequest *ret_request) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        ForkserverHeader header = forkserver_header_read(&reader);
        WireSlice untrusted_texts = wire_reader_rest(&reader, FORKSERVER_TEXT_MAX);
        ForkserverRequest request;

        if (wire_reader_finish(&reader) || !forkserver_header_is_valid(&header) || header.type == WIRE_TYPE_CALL_KILL ||
            header.n_text != untrusted_texts.n || untrusted_texts.data[untrusted_texts.n - 1] != '\0')
                return FORKSERVER_E_MALFORMED;

        request = (ForkserverRequest){ .type = header.type, .params = header.params };
        request.command = forkserver_next(&untrusted_texts);
        if (strlen(request.command) >= EXEC_COMMAND_MAX || untrusted_texts.n > FORKSERVER_SETTINGS_MAX)
                return FORKSERVER_E_MALFORMED;
        request.service_path = forkserver_setting(&untrusted_texts, FORKSERVER_SERVICE_PATH);
        request.config_path = forkserver_setting(&untrusted_texts, FORKSERVER_CONFIG_PATH);
        if (untrusted_texts.n > 0)
                return FORKSERVER_E_MALFORMED;
        /* Upstream's form has none. */
        if ((request.service_path || request.config_path) && request.params.connect_domain != WIRE_DOMAIN_DIRECT &&
            request.params.connect_domain != WIRE_DOMAIN_FRAMED)
                return FORKSERVER_E_MALFORMED;
        *ret_request = request;
        return 0;
}

static size_t forkserver_setting_size(const char *prefix, const char *value) {
        return value ? strlen(prefix) + strlen(value) + 1 : 0;
}

static void forkserver_write_setting(WireWriter *writer, const char *prefix, const char *value) {
        if (!value)
                return;
        wire_writer_bytes(writer, prefix, strlen(prefix));
        wire_writer_bytes(writer, value, strlen(value) + 1);
}

int forkserver_request_encode(const ForkserverRequest *request, uint8_t *ret_data, size_t n_max, size_t *ret_n) {
        size_t n_command = strlen(request->command) + 1;
        size_t n_settings = forkserver_setting_size(FORKSERVER_SERVICE_PATH, request->service_path) +
                            forkserver_setting_size(FORKSERVER_CONFIG_PATH, request->config_path);
        WireWriter writer = WIRE_WRITER_INIT(ret_data, n_max);

        if (n_command > EXEC_COMMAND_MAX || n_settings > FORKSERVER_SETTINGS_MAX)
                return FORKSERVER_E_TOO_LONG;
        wire_writer_u32(&writer, request->type);
        wire_writer_u32(&writer, request->params.connect_domain);
        wire_writer_u32(&writer, request->params.connect_port);
        wire_writer_u32(&writer, (uint32_t)(n_command + n_settings));
        wire_writer_bytes(&writer, request->command, n_command);
        forkserver_write_setting(&writer, FORKSERVER_SERVICE_PATH, request->service_path);
        forkserver_write_setting(&writer, FORKSERVER_CONFIG_PATH, request->config_path);
        return wire_writer_finish(&writer, ret_n);
}

void forkserver_kill_encode(uint32_t call_id, uint8_t ret_data[static FORKSERVER_HEADER_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, FORKSERVER_HEADER_SIZE);

        wire_writer_u32(&writer, WIRE_TYPE_CALL_KILL);
        wire_writer_u32(&writer, 0);
        wire_writer_u32(&writer, call_id);
        wire_writer_u32(&writer, 0);
}

int forkserver_answer_decode(const uint8_t *untrusted_data, size_t n, ForkserverAnswer *ret_answer) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        uint32_t how = wire_reader_u32(&reader), status = wire_reader_u32(&reader);

        if (wire_reader_finish(&reader) || how >= _CALL_HOW_N || status > 255)
                return FORKSERVER_E_MALFORMED;
        *ret_answer = (ForkserverAnswer){ .how = (CallHow)how, .status = (int)status };
        return 0;
}

void forkserver_answer_encode(const ForkserverAnswer *answer, uint8_t ret_data[static FORKSERVER_ANSWER_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, FORKSERVER_ANSWER_SIZE);

        wire_writer_u32(&writer, (uint32_t)answer->how);
        wire_writer_u32(&writer, (uint32_t)answer->status);
}
