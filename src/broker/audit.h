/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit record of a call: one line when it was decided, one when it ended. Everything in it was sanitised or is
 * escaped here.
 */
#pragma once

#include <stdint.h>

#include "wire/call.h"
#include "wire/reply.h"

typedef struct Call Call;
typedef struct CallRequest CallRequest;

/** audit_allowed() - @rule: FILE:LINE, or why no rule was needed; @target: as resolved */
void audit_allowed(uint32_t id, const char *source, const char *requested_target, const char *service,
                   const char *target, const char *rule);
/** audit_refused() - @why: the whole truth, for the log alone; @reason: what the caller is told */
void audit_refused(uint32_t id, const char *source, const char *requested_target, const char *service,
                   ReplyReason reason, const char *why);
/** audit_ended() - @how: a few words, such as "exited"; @status: -1 if nobody knows */
void audit_ended(const Call *call, const char *how, int status, uint64_t run_usec);
