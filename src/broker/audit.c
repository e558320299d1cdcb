/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/audit.h"

#include <string.h>

#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"
#include "broker/call.h"
#include "broker/domain.h"

#define AUDIT_TEXT(_text) ESCAPED((_text), strlen(_text))

void audit_allowed(uint32_t id, const char *source, const char *requested_target, const char *service,
                   const char *target, const char *rule) {
        log_info("qrexec: %s: %s -> %s: allowed to %s (call %u, %s)", AUDIT_TEXT(service), AUDIT_TEXT(source),
                 requested_target[0] ? AUDIT_TEXT(requested_target) : "@default", AUDIT_TEXT(target), id,
                 AUDIT_TEXT(rule));
}

void audit_refused(uint32_t id, const char *source, const char *requested_target, const char *service,
                   ReplyReason reason, const char *why) {
        log_info("qrexec: %s: %s -> %s: denied: %s (call %u, told \"%s\")", AUDIT_TEXT(service), AUDIT_TEXT(source),
                 requested_target[0] ? AUDIT_TEXT(requested_target) : "@default", AUDIT_TEXT(why), id,
                 reply_reason_text(reason));
}

void audit_ended(const Call *call, const char *how, int status, uint64_t run_usec) {
        log_info("qrexec: %s: %s -> %s: ended: %s, status %d after %llu us (call %u)", AUDIT_TEXT(call->service),
                 call->source ? call->source->name.text : "?", call->target->name.text, how, status,
                 (unsigned long long)(run_usec ?: clock_now() - call->start_usec), call->id);
}
