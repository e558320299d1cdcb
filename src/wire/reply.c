/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/reply.h"

#include "wire/header.h"
#include "wire/reader.h"
#include "wire/writer.h"

int reply_decode(const uint8_t *untrusted_data, size_t n, Reply *ret_reply) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        Reply reply = {};

        reply.connect_domain = wire_reader_u32(&reader);
        reply.connect_port = wire_reader_u32(&reader);
        if (reader.failed)
                return REPLY_E_MORE;
        if (reply.connect_domain == WIRE_DOMAIN_REFUSED) {
                uint32_t reason = wire_reader_u32(&reader);

                if (reader.failed)
                        return REPLY_E_MORE;
                /* A broker newer than this caller may know more reasons: all of them are refusals. */
                reply.reason = reason >= REPLY_REASON_REFUSED && reason <= REPLY_REASON_NOT_UNDERSTOOD
                                       ? (ReplyReason)reason
                                       : REPLY_REASON_REFUSED;
        }
        if (wire_reader_finish(&reader))
                return REPLY_E_MALFORMED;
        *ret_reply = reply;
        return 0;
}

size_t reply_encode(const Reply *reply, uint8_t ret_data[static REPLY_REFUSED_SIZE]) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, REPLY_REFUSED_SIZE);

        wire_writer_u32(&writer, reply->connect_domain);
        wire_writer_u32(&writer, reply->connect_port);
        if (reply->connect_domain == WIRE_DOMAIN_REFUSED)
                wire_writer_u32(&writer, reply->reason);
        return writer.n;
}

const char *reply_reason_text(ReplyReason reason) {
        switch (reason) {
        case REPLY_REASON_REFUSED:
                return "refused";
        case REPLY_REASON_NOT_A_DOMAIN:
                return "not a domain";
        case REPLY_REASON_TOO_MANY:
                return "too many calls of yours";
        case REPLY_REASON_UNAVAILABLE:
                return "service unavailable";
        case REPLY_REASON_NOT_UNDERSTOOD:
                return "request not understood";
        }
        return "refused";
}
