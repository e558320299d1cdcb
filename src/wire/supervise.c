/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/supervise.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define SUPERVISE_NAME_SIZE 32

static const struct {
        SuperviseType type;
        bool has_number, has_domain, may_have_instance;
        size_t n_fds;
} supervise_table[] = {
        { SUPERVISE_TYPE_SHARED, false, false, false, 1 },   { SUPERVISE_TYPE_DOMAIN, true, true, false, 3 },
        { SUPERVISE_TYPE_FOLDER, false, true, false, 3 },    { SUPERVISE_TYPE_STOPPED, true, true, false, 0 },
        { SUPERVISE_TYPE_GONE, false, true, false, 0 },      { SUPERVISE_TYPE_READY, false, false, false, 0 },
        { SUPERVISE_TYPE_ENDED, true, true, true, 0 },       { SUPERVISE_TYPE_RELOAD, true, false, false, 0 },
        { SUPERVISE_TYPE_START, false, true, true, 0 },      { SUPERVISE_TYPE_STOP, false, true, true, 0 },
        { SUPERVISE_TYPE_SERVING, false, false, false, 0 },  { SUPERVISE_TYPE_AUDIT, true, false, false, 1 },
        { SUPERVISE_TYPE_IDS, true, false, false, 0 },       { SUPERVISE_TYPE_BOOK, false, false, false, 1 },
        { SUPERVISE_TYPE_MORE_IDS, false, false, false, 0 }, { SUPERVISE_TYPE_REOPEN, false, false, false, 0 },
        { SUPERVISE_TYPE_STORE, false, true, false, 2 },     { SUPERVISE_TYPE_STORES, false, false, false, 1 },
        { SUPERVISE_TYPE_REREAD, true, false, false, 0 },
};

/* Return: whether the field is a domain's name or, if that is permitted, all NUL. */
static bool supervise_name_read(WireReader *reader, bool may_be_empty, bool may_be_set, DomainName *ret_name) {
        WireSlice field = wire_reader_bytes(reader, SUPERVISE_NAME_SIZE);
        size_t n = strnlen((const char *)field.data, field.n);

        for (size_t i = n; i < field.n; ++i)
                if (field.data[i] != 0)
                        return false;
        if (n == 0) {
                *ret_name = (DomainName){};
                return may_be_empty;
        }
        return may_be_set && domain_name_parse((const char *)field.data, n, ret_name) == 0;
}

int supervise_decode(const uint8_t *untrusted_data, size_t n, Supervise *ret_message) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        Supervise message = {};
        uint32_t type;

        if (n != SUPERVISE_SIZE)
                return SUPERVISE_E_MALFORMED;
        type = wire_reader_u32(&reader);
        message.number = wire_reader_u32(&reader);
        for (size_t i = 0; i < ARRAY_SIZE(supervise_table); ++i) {
                if (supervise_table[i].type != type)
                        continue;
                message.type = (SuperviseType)type;
                if ((message.number != 0 && !supervise_table[i].has_number) ||
                    !supervise_name_read(&reader, !supervise_table[i].has_domain, supervise_table[i].has_domain,
                                         &message.domain) ||
                    !supervise_name_read(&reader, true, supervise_table[i].may_have_instance, &message.instance) ||
                    wire_reader_finish(&reader))
                        return SUPERVISE_E_MALFORMED;
                *ret_message = message;
                return 0;
        }
        return SUPERVISE_E_MALFORMED;
}

void supervise_encode(const Supervise *message, uint8_t ret_data[static SUPERVISE_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, SUPERVISE_SIZE);

        wire_writer_u32(&writer, message->type);
        wire_writer_u32(&writer, message->number);
        wire_writer_field(&writer, message->domain.text, SUPERVISE_NAME_SIZE);
        wire_writer_field(&writer, message->instance.text, SUPERVISE_NAME_SIZE);
}

size_t supervise_n_fds(SuperviseType type) {
        for (size_t i = 0; i < ARRAY_SIZE(supervise_table); ++i)
                if (supervise_table[i].type == type)
                        return supervise_table[i].n_fds;
        return 0;
}
