/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/log-filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

#define START                                                                                               \
        "{\"time\":\"2026-11-22T10:00:00.000000Z\",\"event\":\"start\",\"call_id\":17,\"source\":\"work\"," \
        "\"target\":\"vault\",\"service\":\"my.Svc\",\"argument\":\"x\"}"
#define END_OK      "{\"time\":\"2026-11-22T10:00:01.500000Z\",\"event\":\"end\",\"call_id\":17,\"status\":0}"
#define END_7       "{\"time\":\"2026-11-22T10:00:01.500000Z\",\"event\":\"end\",\"call_id\":17,\"status\":7}"
#define END_UNKNOWN "{\"time\":\"2026-11-22T10:00:01.500000Z\",\"event\":\"end\",\"call_id\":17}"
#define REFUSED     "{\"time\":\"2026-11-22T10:00:01.500000Z\",\"event\":\"refused\",\"call_id\":18}"
#define RELAYED     "{\"time\":\"2026-11-22T10:00:01.500000Z\",\"source\":\"far\",\"relay\":\"net\",\"via\":\"net2\"}"

static void test_matches(void **state) {
        static const struct {
                const char *name;
                LogFilter filter;
                const char *record;
                bool expect;
        } cases[] = {
                { "no filter", {}, START, true },
                { "no filter, nothing in it", {}, "{}", true },
                { "call", { .call = 17 }, START, true },
                { "another call", { .call = 18 }, START, false },
                { "source", { .domain = "work" }, START, true },
                { "target", { .domain = "vault" }, START, true },
                { "relay", { .domain = "net" }, RELAYED, true },
                { "via", { .domain = "net2" }, RELAYED, true },
                { "another domain", { .domain = "wor" }, START, false },
                { "service", { .service = "my.Svc" }, START, true },
                { "a service is not its argument", { .service = "my.Svc+x" }, START, false },
                { "since, just", { .since = "2026-11-22T10:00:00.000000Z" }, START, true },
                { "since, just not", { .since = "2026-11-22T10:00:00.000001Z" }, START, false },
                { "until, just", { .until = "2026-11-22T10:00:00.000000Z" }, START, true },
                { "until, just not", { .until = "2026-11-22T09:59:59.999999Z" }, START, false },
                { "ok", { .outcome = LOG_OUTCOME_OK }, END_OK, true },
                { "ok, not 7", { .outcome = LOG_OUTCOME_OK }, END_7, false },
                { "ok, not unknown", { .outcome = LOG_OUTCOME_OK }, END_UNKNOWN, false },
                { "ok, not a start", { .outcome = LOG_OUTCOME_OK }, START, false },
                { "failed", { .outcome = LOG_OUTCOME_FAILED }, END_7, true },
                { "failed, unknown", { .outcome = LOG_OUTCOME_FAILED }, END_UNKNOWN, true },
                { "failed, not 0", { .outcome = LOG_OUTCOME_FAILED }, END_OK, false },
                { "refused", { .outcome = LOG_OUTCOME_REFUSED }, REFUSED, true },
                { "refused, not ended", { .outcome = LOG_OUTCOME_REFUSED }, END_7, false },
                { "two, both", { .call = 17, .domain = "work" }, START, true },
                { "two, one", { .call = 17, .domain = "other" }, START, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                struct json_object *record = json_tokener_parse(cases[i].record);

                assert_non_null(record);
                if (log_filter_matches(&cases[i].filter, record) != cases[i].expect)
                        fail_msg("%s: want %d", cases[i].name, cases[i].expect);
                json_object_put(record);
        }
}

static void test_outcome(void **state) {
        LogFilter filter = {};

        assert_int_equal(log_filter_set_outcome(&filter, "failed"), 0);
        assert_int_equal(filter.outcome, LOG_OUTCOME_FAILED);
        assert_int_equal(log_filter_set_outcome(&filter, "fail"), LOG_FILTER_E_INVALID);
        assert_int_equal(log_filter_set_outcome(&filter, ""), LOG_FILTER_E_INVALID);
}

static void test_time(void **state) {
        static const uint64_t now = UINT64_C(1795307650) * USEC_PER_SEC; /* 2026-11-22T00:34:10Z */
        static const struct {
                const char *text, *expect; /* NULL: invalid */
        } cases[] = {
                { "10s", "2026-11-22T00:34:00.000000Z" },
                { "4min", "2026-11-22T00:30:10.000000Z" },
                { "1h", "2026-11-21T23:34:10.000000Z" },
                { "1d", "2026-11-21T00:34:10.000000Z" },
                { "30000d", "1970-01-01T00:00:00.000000Z" },
                { "30001d", NULL },
                { "2026-11-22T00:34:10Z", "2026-11-22T00:34:10.000000Z" },
                { "2026-11-22 00:34Z", "2026-11-22T00:34:00.000000Z" },
                { "2026-11-22 00:34", "2026-11-21T22:34:00.000000Z" }, /* two hours east of Greenwich: see main() */
                { "2026-11-22", "2026-11-21T22:00:00.000000Z" },
                { "yesterday", NULL },
                { "5", NULL },
                { "5m", NULL },
                { "-5min", NULL },
                { "2026-11-22 00:34 x", NULL },
                { "", NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                char text[CLOCK_TEXT_MAX] = "untouched";
                int r = log_filter_parse_time(cases[i].text, now, text);

                if (r != (cases[i].expect ? 0 : LOG_FILTER_E_INVALID) ||
                    strcmp(text, cases[i].expect ?: "untouched") != 0)
                        fail_msg("%s: got %d, %s", cases[i].text, r, text);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_matches),
                cmocka_unit_test(test_outcome),
                cmocka_unit_test(test_time),
        };

        setenv("TZ", "UTC-2", 1);
        tzset();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
