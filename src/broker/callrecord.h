/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the audit says of calls: the lines for people, whose decisions are worded as Qubes has them (policy
 * specification, 5.8), and the fields for programs (qair-audit(7)).
 */
#pragma once

#include "broker/call.h"
#include "broker/config.h"

/**
 * call_record_start() - a request was allowed; also where it cannot be started after all, which its end then says
 * @request: what was asked; its origin is not used
 *
 * Return: 0 or a negative error.
 */
int call_record_start(const CallRequest *request, uint32_t id, const ConfigDecision *decision, uint64_t decide_usec);

/**
 * call_record_refused() - a request was refused; @request's origin may be gone
 * @told: what the caller was told
 *
 * Return: 0 or a negative error.
 */
int call_record_refused(const CallRequest *request, uint32_t id, ReplyReason told, const ConfigDecision *decision,
                        uint64_t decide_usec);

/**
 * call_record_end() - the end of a call that has a start
 * @how:    a word or two: call_how_text(), or what happened instead
 * @reason: the whole truth, or NULL if @how says it
 * @status: -1 if nobody knows
 *
 * Return: 0 or a negative error.
 */
int call_record_end(const Call *call, const char *how, const char *reason, int status);
