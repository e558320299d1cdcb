/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/log-filter.h"

#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/number.h"
#include "tools/ask.h"

static bool log_filter_is_outcome(LogOutcome outcome, struct json_object *record) {
        const char *event = ask_text(record, "event");
        bool has_status = json_object_object_get_ex(record, "status", NULL);

        switch (outcome) {
        case LOG_OUTCOME_ANY:
                return true;
        case LOG_OUTCOME_OK:
                return strcmp(event, "end") == 0 && has_status && ask_number(record, "status") == 0;
        case LOG_OUTCOME_FAILED:
                return strcmp(event, "end") == 0 && (!has_status || ask_number(record, "status") != 0);
        case LOG_OUTCOME_REFUSED:
                return strcmp(event, "refused") == 0 || strcmp(event, "lost") == 0;
        }
        return false;
}

static bool log_filter_is_domain(const char *domain, struct json_object *record) {
        static const char *const keys[] = { "source", "target", "relay", "via" };

        for (size_t i = 0; i < ARRAY_SIZE(keys); ++i)
                if (strcmp(ask_text(record, keys[i]), domain) == 0)
                        return true;
        return false;
}

bool log_filter_matches(const LogFilter *filter, struct json_object *record) {
        const char *time = ask_text(record, "time");

        if (filter->call != 0 && ask_number(record, "call_id") != filter->call)
                return false;
        if (filter->domain && !log_filter_is_domain(filter->domain, record))
                return false;
        if (filter->service && strcmp(ask_text(record, "service"), filter->service) != 0)
                return false;
        /* Times of one form sort as text. */
        if (filter->since[0] != '\0' && strcmp(time, filter->since) < 0)
                return false;
        if (filter->until[0] != '\0' && strcmp(time, filter->until) > 0)
                return false;
        return log_filter_is_outcome(filter->outcome, record);
}

int log_filter_set_outcome(LogFilter *filter, const char *text) {
        static const struct {
                const char *text;
                LogOutcome outcome;
        } outcomes[] = {
                { "ok", LOG_OUTCOME_OK },
                { "failed", LOG_OUTCOME_FAILED },
                { "refused", LOG_OUTCOME_REFUSED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(outcomes); ++i)
                if (strcmp(outcomes[i].text, text) == 0) {
                        filter->outcome = outcomes[i].outcome;
                        return 0;
                }
        return LOG_FILTER_E_INVALID;
}

static int log_filter_parse_ago(const char *text, uint64_t *ret_usec) {
        static const struct {
                const char *unit;
                unsigned sec;
        } units[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 } };
        size_t n = strspn(text, "0123456789");
        uint64_t number;

        /* No more than 30 000 days, so that nothing overflows. */
        if (number_parse(text, n, 0, 30000, &number))
                return LOG_FILTER_E_INVALID;
        for (size_t i = 0; i < ARRAY_SIZE(units); ++i)
                if (strcmp(text + n, units[i].unit) == 0) {
                        *ret_usec = number * units[i].sec * USEC_PER_SEC;
                        return 0;
                }
        return LOG_FILTER_E_INVALID;
}

int log_filter_parse_time(const char *text, uint64_t now_realtime_usec, char ret_time[static CLOCK_TEXT_MAX]) {
        static const char *const formats[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
                                               "%Y-%m-%d %H:%M", "%Y-%m-%d" };
        uint64_t ago;

        if (log_filter_parse_ago(text, &ago) == 0) {
                clock_format(now_realtime_usec > ago ? now_realtime_usec - ago : 0, ret_time);
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(formats); ++i) {
                struct tm tm = { .tm_isdst = -1 };
                const char *rest = strptime(text, formats[i], &tm);
                time_t sec;

                if (!rest || (strcmp(rest, "") != 0 && strcmp(rest, "Z") != 0))
                        continue;
                sec = *rest ? timegm(&tm) : mktime(&tm);
                if (sec < 0)
                        continue;
                clock_format((uint64_t)sec * USEC_PER_SEC, ret_time);
                return 0;
        }
        return LOG_FILTER_E_INVALID;
}
