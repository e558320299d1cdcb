/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <json-c/json.h>
#include <string.h>

#include "base/cleanup.h"

static Record full_record(void) {
        Record record = RECORD_INIT;

        record.event = RECORD_EVENT_END;
        record.realtime_usec = UINT64_C(1795307650123456);
        record.call = 17;
        record.source = "far";
        record.relay = "net";
        record.requested_source = "far";
        record.requested_target = "@default";
        record.target = "vault";
        record.via = "net";
        record.service = "my.Svc+a+b";
        record.decision = "allow";
        record.rule = "/etc/p:3";
        record.asked = "desk";
        record.grant = 5;
        record.reason = "why";
        record.told = "refused";
        record.how = "exited";
        record.status = 0;
        record.n_lost = 4;
        for (unsigned stage = 0; stage < _STAGE_N; ++stage)
                record.stage_usec[stage] = 10 + stage;
        record.message = "qrexec: text";
        return record;
}

static void test_json(void **state) {
        static const char expect[] =
                "{\"time\":\"2026-11-22T00:34:10.123456Z\",\"event\":\"end\",\"call_id\":17,\"source\":\"far\","
                "\"relay\":\"net\",\"requested_source\":\"far\",\"requested_target\":\"@default\",\"target\":\"vault\","
                "\"via\":\"net\",\"service\":\"my.Svc\",\"argument\":\"a+b\",\"decision\":\"allow\","
                "\"rule\":\"/etc/"
                "p:3\",\"asked\":\"desk\",\"grant\":5,\"reason\":\"why\",\"told\":\"refused\",\"how\":\"exited\","
                "\"status\":0,"
                "\"count\":4,\"decide_usec\":10,\"ask_usec\":11,\"start_usec\":12,\"connect_usec\":13,\"run_usec\":14}"
                "\n";
        Record record = full_record();
        char buffer[RECORD_SIZE_MAX];
        size_t n = record_json(&record, buffer);

        assert_int_equal(n, sizeof(expect) - 1);
        assert_memory_equal(buffer, expect, n);
}

static void test_journal(void **state) {
        static const char expect[] =
                "SYSLOG_IDENTIFIER=qrexecd\nPRIORITY=6\nMESSAGE=qrexec: text\nQAIR_EVENT=end\n"
                "QAIR_CALL_ID=17\nQAIR_SOURCE=far\nQAIR_RELAY=net\nQAIR_REQUESTED_SOURCE=far\n"
                "QAIR_REQUESTED_TARGET=@default\nQAIR_TARGET=vault\nQAIR_VIA=net\n"
                "QAIR_SERVICE=my.Svc\nQAIR_ARGUMENT=a+b\nQAIR_DECISION=allow\nQAIR_RULE=/etc/p:3\n"
                "QAIR_ASKED=desk\nQAIR_GRANT=5\nQAIR_REASON=why\nQAIR_TOLD=refused\nQAIR_HOW=exited\nQAIR_STATUS="
                "0\nQAIR_COUNT=4\n"
                "QAIR_DECIDE_USEC=10\nQAIR_ASK_USEC=11\nQAIR_START_USEC=12\nQAIR_CONNECT_USEC=13\nQAIR_RUN_USEC=14\n";
        Record record = full_record();
        char buffer[RECORD_SIZE_MAX];
        size_t n = record_journal(&record, buffer);

        assert_int_equal(n, sizeof(expect) - 1);
        assert_memory_equal(buffer, expect, n);
}

static void test_empty(void **state) {
        static const char expect[] = "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"event\":\"start\",\"call_id\":0}\n";
        Record record = RECORD_INIT;
        char buffer[RECORD_SIZE_MAX];

        assert_int_equal(record_json(&record, buffer), sizeof(expect) - 1);
        assert_memory_equal(buffer, expect, sizeof(expect) - 1);
}

/* Nothing that a text holds ends a line, a field or a string. */
static void test_hostile_texts(void **state) {
        static const struct {
                const char *name, *text, *expect;
        } cases[] = {
                { "a field of the journal", "x\nPRIORITY=0", "x\\nPRIORITY=0" },
                { "the end of a string", "x\",\"decision\":\"allow", "x\",\"decision\":\"allow" },
                { "a terminal", "\x1b[2J", "\\x1b[2J" },
                { "a backslash at the end", "x\\", "x\\\\" },
                { "no UTF-8", "\xff\xfe", "\\xff\\xfe" },
                { "a line separator", "\xe2\x80\xa8", "\\xe2\\x80\\xa8" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Record record = RECORD_INIT;
                char buffer[RECORD_SIZE_MAX + 1];
                struct json_object *object, *value = NULL;
                size_t n, n_lines = 0;

                record.reason = cases[i].text;
                n = record_json(&record, buffer);
                buffer[n] = '\0';
                assert_ptr_equal(strchr(buffer, '\n'), buffer + n - 1);
                object = json_tokener_parse(buffer);
                if (!object || !json_object_object_get_ex(object, "reason", &value))
                        fail_msg("%s: no JSON: %s", cases[i].name, buffer);
                if (strcmp(json_object_get_string(value), cases[i].expect) != 0)
                        fail_msg("%s: got %s, want %s", cases[i].name, json_object_get_string(value), cases[i].expect);
                assert_int_equal(json_object_object_length(object), 4);
                json_object_put(object);

                n = record_journal(&record, buffer);
                for (size_t k = 0; k < n; ++k)
                        n_lines += buffer[k] == '\n';
                if (n_lines != 6) /* identifier, priority, message, event, call, reason */
                        fail_msg("%s: %zu fields", cases[i].name, n_lines);
        }
}

/* The longest texts there can be, each byte of which takes the most room: cut, and still whole records. */
static void test_longest(void **state) {
        static char long_text[70000], service[70000];
        Record record = full_record();
        char buffer[RECORD_SIZE_MAX + 1];
        struct json_object *object, *value;
        size_t n;

        memset(long_text, '"', sizeof(long_text) - 1);
        memset(service, 'a', sizeof(service) - 1);
        service[255] = '+';
        record.source = record.relay = record.requested_source = record.requested_target = record.target = record.via =
                record.decision = record.rule = record.reason = record.told = record.how = record.message = long_text;
        record.service = service;
        n = record_json(&record, buffer);
        assert_true(n < RECORD_SIZE_MAX);
        buffer[n] = '\0';
        object = json_tokener_parse(buffer);
        assert_non_null(object);
        assert_true(json_object_object_get_ex(object, "argument", &value));
        assert_int_equal(json_object_get_string_len(value), RECORD_ARGUMENT_MAX);
        assert_true(json_object_object_get_ex(object, "argument_bytes", &value));
        assert_int_equal(json_object_get_int64(value), sizeof(service) - 1 - 256);
        json_object_put(object);
        assert_true(record_journal(&record, buffer) < RECORD_SIZE_MAX);
}

static void test_argument(void **state) {
        static const struct {
                const char *name, *service, *expect;
                size_t n_argument;
        } cases[] = {
                { "none", "my.Svc", "\"service\":\"my.Svc\"}", 0 },
                { "empty", "my.Svc+", "\"service\":\"my.Svc\",\"argument\":\"\"}", 0 },
                { "with a plus", "my.Svc++x", "\"service\":\"my.Svc\",\"argument\":\"+x\"}", 0 },
                { "cut before", "my.Svc+x", "\"service\":\"my.Svc\",\"argument\":\"x\",\"argument_bytes\":500}", 500 },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                Record record = RECORD_INIT;
                char buffer[RECORD_SIZE_MAX + 1];

                record.service = cases[i].service;
                record.n_argument = cases[i].n_argument;
                buffer[record_json(&record, buffer)] = '\0';
                if (!strstr(buffer, cases[i].expect))
                        fail_msg("%s: got %s", cases[i].name, buffer);
        }
}

static void test_convert(void **state) {
        Record record = full_record();
        static char made[RECORD_SIZE_MAX], converted[RECORD_CONVERTED_MAX + 1];
        struct json_object *object, *value;
        size_t n;

        record.reason = "a \"quoted\"\nword";
        n = record_json(&record, made);
        n = record_convert(true, made, n, converted);
        converted[n] = '\0';
        assert_ptr_equal(strstr(converted, "MESSAGE={\"time\""), strstr(converted, "MESSAGE="));
        assert_int_equal(converted[n - 1], '\n');

        n = record_journal(&record, made);
        n = record_convert(false, made, n, converted);
        converted[n] = '\0';
        object = json_tokener_parse(converted);
        assert_non_null(object);
        assert_true(json_object_object_get_ex(object, "journal", &value));
        assert_non_null(strstr(json_object_get_string(value), "\nQAIR_REASON=a \"quoted\"\\nword\n"));
        json_object_put(object);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_json),          cmocka_unit_test(test_journal), cmocka_unit_test(test_empty),
                cmocka_unit_test(test_hostile_texts), cmocka_unit_test(test_longest), cmocka_unit_test(test_argument),
                cmocka_unit_test(test_convert),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
