/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/callrecord.h"

#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "base/log.h"
#include "broker/audit.h"
#include "broker/broker.h"
#include "broker/domain.h"

/* Of a service's name with its argument, in a line for people. */
#define CALL_RECORD_SERVICE_MAX 1024

static const char *call_record_text(const char *text) {
        return text && text[0] != '\0' ? text : NULL;
}

/* The lines of the decision that are not the answer itself: written behind it, see call.c. */
static void call_record_warnings(const ConfigDecision *decision) {
        const char *line = decision->warnings;

        for (size_t n; *line; line += n + (line[n] == '\n')) {
                n = strcspn(line, "\n");
                log_warning("%s", ESCAPED(line, n));
        }
}

static void call_record_request(const CallRequest *request, uint32_t id, const ConfigDecision *decision,
                                uint64_t decide_usec, Record *record) {
        record->call = id;
        record->source = decision->source.text;
        record->relay = decision->is_relayed ? request->source->name.text : NULL;
        record->requested_source = call_record_text(request->requested_source->text);
        record->requested_target = request->requested_target->text;
        record->service = request->service;
        record->rule = call_record_text(decision->rule);
        record->asked = decision->was_asked ? call_record_text(decision->guivm.text) : NULL;
        record->grant = decision->grant;
        record->stage_usec[STAGE_DECIDE] = decide_usec;
}

/* "allowed to", which the rules may have said of a call that is refused for another reason (5.8, Note). */
static void call_record_allowed_line(const CallRequest *request, const ConfigDecision *decision,
                                     char message[static RECORD_MESSAGE_MAX]) {
        char service[CALL_RECORD_SERVICE_MAX];

        escape(service, sizeof(service), request->service, strlen(request->service));
        snprintf(message, RECORD_MESSAGE_MAX, "qrexec: %s%s: %s -> %s: allowed to %s", service,
                 strchr(request->service, '+') ? "" : "+", decision->source.text, decision->requested_target.text,
                 decision->allowed_to.text);
}

int call_record_start(const CallRequest *request, uint32_t id, const ConfigDecision *decision, uint64_t decide_usec) {
        char message[RECORD_MESSAGE_MAX];
        Record record = RECORD_INIT;

        call_record_warnings(decision);
        call_record_allowed_line(request, decision, message);
        call_record_request(request, id, decision, decide_usec, &record);
        record.event = RECORD_EVENT_START;
        record.decision = "allow";
        record.target = decision->is_remote ? decision->allowed_to.text : decision->target.text;
        record.via = decision->is_remote ? decision->target.text : NULL;
        record.message = message;
        return audit_write(request->source->broker->audit, request->source, &record);
}

int call_record_refused(const CallRequest *request, uint32_t id, ReplyReason told, const ConfigDecision *decision,
                        uint64_t decide_usec) {
        static const char denied[] = "denied: ";
        char message[RECORD_MESSAGE_MAX], service[CALL_RECORD_SERVICE_MAX];
        Record record = RECORD_INIT;

        call_record_warnings(decision);
        if (decision->allowed_to.text[0] != '\0') {
                call_record_allowed_line(request, decision, message);
                log_info("%s", message);
        }
        escape(service, sizeof(service), request->service, strlen(request->service));
        snprintf(message, sizeof(message), "qrexec: %s: %s -> %s: %s", service, request->source->name.text,
                 request->requested_target->text, ESCAPED(decision->why, strlen(decision->why)));
        call_record_request(request, id, decision, decide_usec, &record);
        record.event = RECORD_EVENT_REFUSED;
        record.decision = "deny";
        record.reason =
                strncmp(decision->why, denied, strlen(denied)) == 0 ? decision->why + strlen(denied) : decision->why;
        record.told = reply_reason_text(told);
        record.priority = decision->is_error ? 3 : 6;
        record.message = message;
        return audit_write(request->source->broker->audit, request->source, &record);
}

int call_record_end(const Call *call, const char *how, const char *reason, int status) {
        const char *source = call_record_text(call->source_name.text), *target = call_target_text(call);
        char message[RECORD_MESSAGE_MAX], ending[32] = "";
        Record record = RECORD_INIT;

        if (status >= 0)
                snprintf(ending, sizeof(ending), ", status %d", status);
        snprintf(message, sizeof(message), "qrexec: %s: %s -> %s: ended: %s%s%s%s (call %u)", call->service,
                 source ?: "(an earlier broker's)", target, how, ending, reason ? ": " : "", reason ?: "", call->id);
        record.event = RECORD_EVENT_END;
        record.call = call->id;
        record.source = source;
        record.relay = call_record_text(call->relay_name.text);
        record.target = target;
        if (call->target_name.text[0] != '\0' && call->target != call->broker->strangers)
                record.via = call->target->name.text;
        record.service = call_record_text(call->service);
        record.n_argument = call->n_argument;
        record.how = how;
        record.reason = reason;
        record.status = status;
        memcpy(record.stage_usec, call->stage_usec, sizeof(record.stage_usec));
        record.message = message;
        return audit_write(call->broker->audit, call->source ?: call->target, &record);
}
