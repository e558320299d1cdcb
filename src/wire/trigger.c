/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/trigger.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "wire/header.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define TRIGGER2_SERVICE_SIZE 64
#define TRIGGER2_TARGET_SIZE  32
#define TRIGGER_NAME_SIZE     64

bool trigger_size_is_valid(uint32_t type, size_t n) {
        switch (type) {
        case WIRE_TYPE_TRIGGER_SERVICE2:
                return n == TRIGGER2_SIZE;
        case WIRE_TYPE_TRIGGER_SERVICE3:
                return n >= TRIGGER3_SIZE_MIN && n <= TRIGGER3_SIZE_MAX;
        case WIRE_TYPE_TRIGGER_SERVICE4:
                return n >= TRIGGER4_SIZE_MIN && n <= TRIGGER4_SIZE_MAX;
        default:
                return false;
        }
}

Trigger *trigger_free(Trigger *trigger) {
        free(trigger);
        return NULL;
}

static Trigger *trigger_allocate(size_t n_service) {
        return calloc(1, sizeof(Trigger) + n_service + 1);
}

/* Version 2 has fixed fields: NUL is put into the last byte of each (3.2, step 1), then they end at their first NUL. */
static WireSlice trigger2_service(WireSlice untrusted_field) {
        return (WireSlice){ untrusted_field.data, strnlen((const char *)untrusted_field.data, untrusted_field.n - 1) };
}

int trigger_decode(uint32_t type, const uint8_t *untrusted_data, size_t n, uint8_t ret_field[static IDENT_SIZE],
                   Trigger **ret_trigger) {
        WireReader reader = WIRE_READER_INIT(untrusted_data, n);
        WireSlice untrusted_source = {}, untrusted_target, untrusted_ident, untrusted_service = {};
        _cleanup_(trigger_freep) Trigger *trigger = NULL;

        if (!trigger_size_is_valid(type, n))
                return TRIGGER_E_MALFORMED;

        if (type == WIRE_TYPE_TRIGGER_SERVICE2)
                untrusted_service = wire_reader_bytes(&reader, TRIGGER2_SERVICE_SIZE);
        else if (type == WIRE_TYPE_TRIGGER_SERVICE4)
                untrusted_source = wire_reader_bytes(&reader, TRIGGER_NAME_SIZE);
        untrusted_target = wire_reader_bytes(&reader, type == WIRE_TYPE_TRIGGER_SERVICE2 ? TRIGGER2_TARGET_SIZE
                                                                                         : TRIGGER_NAME_SIZE);
        untrusted_ident = wire_reader_bytes(&reader, IDENT_SIZE);
        if (type == WIRE_TYPE_TRIGGER_SERVICE2)
                untrusted_service = trigger2_service(untrusted_service);
        else
                untrusted_service = wire_reader_rest(&reader, SERVICE_DESCRIPTOR_MAX + 1);
        if (wire_reader_finish(&reader))
                return TRIGGER_E_MALFORMED;
        memcpy(ret_field, untrusted_ident.data, IDENT_SIZE);

        trigger = trigger_allocate(untrusted_service.n);
        if (!trigger)
                return error_origin(-ENOMEM);
        trigger->has_source = type == WIRE_TYPE_TRIGGER_SERVICE4;
        request_name_parse((const char *)untrusted_source.data, untrusted_source.n, &trigger->source);
        request_name_parse((const char *)untrusted_target.data, untrusted_target.n, &trigger->target);
        if (ident_decode(untrusted_ident.data, untrusted_ident.n, &trigger->ident))
                return TRIGGER_E_REFUSED;

        if (type != WIRE_TYPE_TRIGGER_SERVICE2) {
                if (untrusted_service.data[untrusted_service.n - 1] != '\0')
                        return TRIGGER_E_REFUSED;
                --untrusted_service.n;
        }
        if (service_descriptor_parse((const char *)untrusted_service.data, untrusted_service.n, trigger->service,
                                     &trigger->n_service_name))
                return TRIGGER_E_REFUSED;
        trigger->n_service = untrusted_service.n;

        *ret_trigger = steal_ptr(&trigger);
        return 0;
}

int trigger_encode(uint32_t type, const Trigger *trigger, uint8_t *ret_data, size_t n_max, size_t *ret_n) {
        WireWriter writer = WIRE_WRITER_INIT(ret_data, n_max);

        if (type != WIRE_TYPE_TRIGGER_SERVICE4 && trigger->source.text[0] != '\0')
                return TRIGGER_E_REFUSED;

        wire_writer_u32(&writer, type);
        switch (type) {
        case WIRE_TYPE_TRIGGER_SERVICE2:
                if (trigger->n_service >= TRIGGER2_SERVICE_SIZE || strlen(trigger->target.text) >= TRIGGER2_TARGET_SIZE)
                        return TRIGGER_E_REFUSED;
                wire_writer_u32(&writer, TRIGGER2_SIZE);
                wire_writer_field(&writer, trigger->service, TRIGGER2_SERVICE_SIZE);
                wire_writer_field(&writer, trigger->target.text, TRIGGER2_TARGET_SIZE);
                wire_writer_bytes(&writer, trigger->ident.text, IDENT_SIZE);
                break;
        case WIRE_TYPE_TRIGGER_SERVICE3:
        case WIRE_TYPE_TRIGGER_SERVICE4:
                if (type == WIRE_TYPE_TRIGGER_SERVICE3) {
                        wire_writer_u32(&writer, (uint32_t)(TRIGGER3_SIZE_MIN + trigger->n_service));
                } else {
                        wire_writer_u32(&writer, (uint32_t)(TRIGGER4_SIZE_MIN + trigger->n_service));
                        wire_writer_field(&writer, trigger->source.text, TRIGGER_NAME_SIZE);
                }
                wire_writer_field(&writer, trigger->target.text, TRIGGER_NAME_SIZE);
                wire_writer_bytes(&writer, trigger->ident.text, IDENT_SIZE);
                wire_writer_bytes(&writer, trigger->service, trigger->n_service + 1);
                break;
        default:
                return error_origin(-EINVAL);
        }
        return wire_writer_finish(&writer, ret_n);
}

/* A caller sends what it was given: the daemon sanitises (3.3). Only what does not fit the field is cut. */
static void trigger_cut(const char *text, RequestName *ret_name) {
        RequestName name = {};

        memcpy(name.text, text, strnlen(text, REQUEST_NAME_MAX));
        *ret_name = name;
}

int trigger_new(const char *source, const char *target, const char *ident, const char *service, Trigger **ret_trigger) {
        _cleanup_(trigger_freep) Trigger *trigger = NULL;
        size_t n_service = strlen(service);

        if (n_service == 0 || n_service > SERVICE_DESCRIPTOR_MAX)
                return TRIGGER_E_REFUSED;
        if (strlen(ident) >= IDENT_SIZE)
                return error_origin(-EINVAL);
        trigger = trigger_allocate(n_service);
        if (!trigger)
                return error_origin(-ENOMEM);
        trigger->has_source = true;
        trigger_cut(source, &trigger->source);
        trigger_cut(target, &trigger->target);
        memcpy(trigger->ident.text, ident, strlen(ident));
        memcpy(trigger->service, service, n_service);
        trigger->n_service = n_service;
        trigger->n_service_name = strcspn(service, "+");
        *ret_trigger = steal_ptr(&trigger);
        return 0;
}

static size_t trigger_field_length(WireSlice untrusted_field) {
        return strnlen((const char *)untrusted_field.data, untrusted_field.n);
}

/* Where a fixed field would end at it, a NUL inside a name would make another request of this one. */
static bool trigger2_can_say(WireSlice untrusted_target, WireSlice untrusted_service) {
        return trigger_field_length(untrusted_target) < TRIGGER2_TARGET_SIZE &&
               untrusted_service.n <= TRIGGER2_SERVICE_SIZE &&
               trigger_field_length(untrusted_service) == untrusted_service.n - 1;
}

static void trigger_write_text(WireWriter *writer, WireSlice untrusted_text, size_t n_field) {
        static const uint8_t zeros[TRIGGER_NAME_SIZE];
        size_t n = trigger_field_length(untrusted_text);

        wire_writer_bytes(writer, untrusted_text.data, n);
        wire_writer_bytes(writer, zeros, n_field - n);
}

int trigger_forward(const uint8_t *untrusted_payload, size_t n, uint32_t version, const Ident *ident, uint8_t *ret_data,
                    size_t n_max, size_t *ret_n) {
        WireReader reader = WIRE_READER_INIT(untrusted_payload, n);
        WireWriter writer = WIRE_WRITER_INIT(ret_data, n_max);
        WireSlice untrusted_source, untrusted_target, untrusted_service;

        if (!trigger_size_is_valid(WIRE_TYPE_TRIGGER_SERVICE4, n))
                return TRIGGER_E_MALFORMED;
        untrusted_source = wire_reader_bytes(&reader, TRIGGER_NAME_SIZE);
        untrusted_target = wire_reader_bytes(&reader, TRIGGER_NAME_SIZE);
        (void)wire_reader_bytes(&reader, IDENT_SIZE);
        untrusted_service = wire_reader_rest(&reader, SERVICE_DESCRIPTOR_MAX + 1);
        if (wire_reader_finish(&reader))
                return TRIGGER_E_MALFORMED;
        if (version < 4 && trigger_field_length(untrusted_source) > 0)
                return TRIGGER_E_REFUSED;

        if (version >= 3) {
                size_t n_payload = version >= 4 ? n : n - TRIGGER_NAME_SIZE;

                wire_writer_u32(&writer, version >= 4 ? WIRE_TYPE_TRIGGER_SERVICE4 : WIRE_TYPE_TRIGGER_SERVICE3);
                wire_writer_u32(&writer, (uint32_t)n_payload);
                if (version >= 4)
                        wire_writer_bytes(&writer, untrusted_source.data, untrusted_source.n);
                wire_writer_bytes(&writer, untrusted_target.data, untrusted_target.n);
                wire_writer_bytes(&writer, ident->text, IDENT_SIZE);
                wire_writer_bytes(&writer, untrusted_service.data, untrusted_service.n);
        } else {
                if (!trigger2_can_say(untrusted_target, untrusted_service))
                        return TRIGGER_E_REFUSED;
                wire_writer_u32(&writer, WIRE_TYPE_TRIGGER_SERVICE2);
                wire_writer_u32(&writer, TRIGGER2_SIZE);
                trigger_write_text(&writer, untrusted_service, TRIGGER2_SERVICE_SIZE);
                trigger_write_text(&writer, untrusted_target, TRIGGER2_TARGET_SIZE);
                wire_writer_bytes(&writer, ident->text, IDENT_SIZE);
        }
        return wire_writer_finish(&writer, ret_n);
}

int trigger_ident(const uint8_t *untrusted_payload, size_t n, Ident *ret_ident) {
        WireReader reader = WIRE_READER_INIT(untrusted_payload, n);
        WireSlice untrusted_ident;

        if (!trigger_size_is_valid(WIRE_TYPE_TRIGGER_SERVICE4, n))
                return TRIGGER_E_MALFORMED;
        (void)wire_reader_bytes(&reader, TRIGGER_NAME_SIZE);
        (void)wire_reader_bytes(&reader, TRIGGER_NAME_SIZE);
        untrusted_ident = wire_reader_bytes(&reader, IDENT_SIZE);
        (void)wire_reader_rest(&reader, SERVICE_DESCRIPTOR_MAX + 1);
        if (wire_reader_finish(&reader))
                return TRIGGER_E_MALFORMED;
        return ident_decode(untrusted_ident.data, untrusted_ident.n, ret_ident) ? TRIGGER_E_REFUSED : 0;
}
