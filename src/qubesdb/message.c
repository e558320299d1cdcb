/* SPDX-License-Identifier: Apache-2.0 */
#include "qubesdb/message.h"

#include <string.h>

#include "wire/reader.h"
#include "wire/writer.h"

#define QUBESDB_PADDING 3

void qubesdb_message_decode(const uint8_t untrusted_data[static QUBESDB_HEADER_SIZE], QubesdbMessage *ret_message) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, QUBESDB_HEADER_SIZE);
        QubesdbMessage message = {};
        WireSlice path;

        message.type = wire_reader_u8(&reader);
        path = wire_reader_bytes(&reader, sizeof(message.path.text));
        memcpy(message.path.text, path.data, strnlen((const char *)path.data, QUBESDB_PATH_MAX));
        (void)wire_reader_bytes(&reader, QUBESDB_PADDING);
        message.n_data = wire_reader_u32(&reader);
        *ret_message = message;
}

void qubesdb_message_encode(const QubesdbMessage *message, uint8_t ret_data[static QUBESDB_HEADER_SIZE]) {
        static const uint8_t padding[QUBESDB_PADDING];
        WireWriter writer = WIRE_WRITER_INIT(ret_data, QUBESDB_HEADER_SIZE);

        wire_writer_u8(&writer, message->type);
        wire_writer_field(&writer, message->path.text, sizeof(message->path.text));
        wire_writer_bytes(&writer, padding, sizeof(padding));
        wire_writer_u32(&writer, message->n_data);
}

static bool qubesdb_path_has_character(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("._-/:@", c));
}

bool qubesdb_path_is_sane(const QubesdbPath *path) {
        if (path->text[0] == '-')
                return false;
        for (const char *c = path->text; *c != '\0'; ++c)
                if (!qubesdb_path_has_character(*c))
                        return false;
        return true;
}

bool qubesdb_path_is_folder(const QubesdbPath *path) {
        size_t n = strlen(path->text);

        return n > 0 && path->text[n - 1] == '/';
}

bool qubesdb_path_is_entry(const QubesdbPath *path) {
        return path->text[0] == '/' && qubesdb_path_is_sane(path) && !qubesdb_path_is_folder(path);
}

bool qubesdb_path_parse(const char *untrusted_text, QubesdbPath *ret_path) {
        QubesdbPath path = {};

        if (strlen(untrusted_text) > QUBESDB_PATH_MAX)
                return false;
        strcpy(path.text, untrusted_text);
        if (!qubesdb_path_is_sane(&path))
                return false;
        *ret_path = path;
        return true;
}

bool qubesdb_path_begins(const QubesdbPath *path, const QubesdbPath *prefix) {
        return strncmp(path->text, prefix->text, strlen(prefix->text)) == 0;
}
