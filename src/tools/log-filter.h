/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which audit records `qair log` shows. Pure: a record is an object with the fields of qair-audit(7).
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

typedef enum LogOutcome {
        LOG_OUTCOME_ANY,
        LOG_OUTCOME_OK,      /* ended with status 0 */
        LOG_OUTCOME_FAILED,  /* ended otherwise */
        LOG_OUTCOME_REFUSED, /* never began */
} LogOutcome;

/** Zero and NULL: not asked for. */
typedef struct LogFilter {
        uint32_t call;
        const char *domain;  /* as source, target, relay, or whom the call goes through */
        const char *service; /* without its argument */
        LogOutcome outcome;
        char since[CLOCK_TEXT_MAX], until[CLOCK_TEXT_MAX]; /* as records have it; "": not asked for */
} LogFilter;

enum {
        _LOG_FILTER_E_SUCCESS,
        LOG_FILTER_E_INVALID,
};

/** log_filter_matches() - is @record wanted? */
bool log_filter_matches(const LogFilter *filter, struct json_object *record);

/** log_filter_set_outcome() - "ok", "failed", "refused". Return: 0 or LOG_FILTER_E_INVALID */
int log_filter_set_outcome(LogFilter *filter, const char *text);

/**
 * log_filter_parse_time() - a time as people write it
 * @text: `2026-11-22`, `2026-11-22 00:34`, with seconds; local time, or UTC with a `Z`; or how long ago: `90s`, `5min`,
 *        `2h`, `3d`
 *
 * Return: 0 or LOG_FILTER_E_INVALID.
 */
int log_filter_parse_time(const char *text, uint64_t now_realtime_usec, char ret_time[static CLOCK_TEXT_MAX]);
