/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/call.h"

#include <errno.h>

#include "base/error.h"
#include "wire/header.h"
#include "wire/reader.h"
#include "wire/writer.h"

int call_ended_decode(const uint8_t *untrusted_data, size_t n, CallEnded *ret_ended) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        CallEnded ended = {};
        uint32_t how;

        ended.id = wire_reader_u32(&reader);
        how = wire_reader_u32(&reader);
        ended.status = (int32_t)wire_reader_u32(&reader);
        ended.run_usec = wire_reader_u64(&reader);
        if (wire_reader_finish(&reader) || how >= _CALL_HOW_N || ended.status < 0 || ended.status > 255)
                return CALL_E_MALFORMED;
        ended.how = (CallHow)how;
        *ret_ended = ended;
        return 0;
}

void call_ended_encode(const CallEnded *ended, uint8_t ret_data[static 8 + CALL_ENDED_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, 8 + CALL_ENDED_SIZE);

        wire_writer_u32(&writer, WIRE_TYPE_CALL_ENDED);
        wire_writer_u32(&writer, CALL_ENDED_SIZE);
        wire_writer_u32(&writer, ended->id);
        wire_writer_u32(&writer, ended->how);
        wire_writer_u32(&writer, (uint32_t)ended->status);
        wire_writer_u64(&writer, ended->run_usec);
}

int call_kill_decode(const uint8_t *untrusted_data, size_t n, uint32_t *ret_id) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        uint32_t id = wire_reader_u32(&reader);

        if (wire_reader_finish(&reader))
                return CALL_E_MALFORMED;
        *ret_id = id;
        return 0;
}

void call_kill_encode(uint32_t id, uint8_t ret_data[static 8 + CALL_KILL_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, 8 + CALL_KILL_SIZE);

        wire_writer_u32(&writer, WIRE_TYPE_CALL_KILL);
        wire_writer_u32(&writer, CALL_KILL_SIZE);
        wire_writer_u32(&writer, id);
}

int call_list_decode(const uint8_t *untrusted_data, size_t n, uint32_t ret_ids[static CALL_LIST_MAX],
                     size_t *ret_n_ids) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        size_t n_ids = n / sizeof(uint32_t);

        if (n_ids > CALL_LIST_MAX || n % sizeof(uint32_t) != 0)
                return CALL_E_MALFORMED;
        for (size_t i = 0; i < n_ids; ++i)
                ret_ids[i] = wire_reader_u32(&reader);
        *ret_n_ids = n_ids;
        return 0;
}

static int call_ids_encode(WireType type, const uint32_t *ids, size_t n_ids, uint8_t *ret_data, size_t n_max,
                           size_t *ret_n) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, n_max);

        if (n_ids > CALL_LIST_MAX)
                return error_origin(-EMSGSIZE);
        wire_writer_u32(&writer, type);
        wire_writer_u32(&writer, (uint32_t)(n_ids * sizeof(uint32_t)));
        for (size_t i = 0; i < n_ids; ++i)
                wire_writer_u32(&writer, ids[i]);
        return wire_writer_finish(&writer, ret_n);
}

int call_list_encode(const uint32_t *ids, size_t n_ids, uint8_t *ret_data, size_t n_max, size_t *ret_n) {
        return call_ids_encode(WIRE_TYPE_CALL_LIST, ids, n_ids, ret_data, n_max, ret_n);
}

int call_drain_encode(const uint32_t *ids, size_t n_ids, uint8_t *ret_data, size_t n_max, size_t *ret_n) {
        return call_ids_encode(WIRE_TYPE_CALL_DRAIN, ids, n_ids, ret_data, n_max, ret_n);
}

const char *call_how_text(CallHow how) {
        switch (how) {
        case CALL_HOW_EXITED:
                return "exited";
        case CALL_HOW_SIGNALLED:
                return "signalled";
        case CALL_HOW_NOT_FOUND:
                return "not found";
        case CALL_HOW_NOT_STARTED:
                return "not started";
        case CALL_HOW_DETACHED:
                return "detached";
        case CALL_HOW_KILLED:
                return "killed";
        case CALL_HOW_ABANDONED:
                return "abandoned";
        case _CALL_HOW_N:
                break;
        }
        return "unknown";
}
