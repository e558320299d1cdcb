/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/forkserver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wire/header.h"

#define DIRECT "\x03\x00\xff\x7f"
#define FRAMED "\x01\x00\xff\x7f"
#define ID     "\x11\x00\x00\x00"

static void test_header(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input;
                int expect;
        } cases[] = {
#define CASE(_name, _input, _expect) { _name, _input, sizeof(_input) - 1, _expect }
                CASE("a request", "\x00\x02\x00\x00" DIRECT ID "\x01\x00\x00\x00", 0),
                CASE("a detached one", "\x01\x02\x00\x00" FRAMED ID "\x01\x00\x00\x00", 0),
                CASE("a kill", "\x01\x04\x00\x00\x00\x00\x00\x00" ID "\x00\x00\x00\x00", 0),
                CASE("a kill with a text", "\x01\x04\x00\x00\x00\x00\x00\x00" ID "\x01\x00\x00\x00",
                     FORKSERVER_E_MALFORMED),
                CASE("a kill with a domain", "\x01\x04\x00\x00" DIRECT ID "\x00\x00\x00\x00", FORKSERVER_E_MALFORMED),
                CASE("no text", "\x00\x02\x00\x00" DIRECT ID "\x00\x00\x00\x00", FORKSERVER_E_MALFORMED),
                CASE("the longest text", "\x00\x02\x00\x00" DIRECT ID "\xff\x1f\x01\x00", 0),
                CASE("a byte more", "\x00\x02\x00\x00" DIRECT ID "\x00\x20\x01\x00", FORKSERVER_E_MALFORMED),
                CASE("another type", "\x02\x02\x00\x00" DIRECT ID "\x01\x00\x00\x00", FORKSERVER_E_MALFORMED),
                CASE("a byte short", "\x00\x02\x00\x00" DIRECT ID "\x01\x00\x00", FORKSERVER_E_MALFORMED),
                CASE("a byte left over", "\x00\x02\x00\x00" DIRECT ID "\x01\x00\x00\x00\x00", FORKSERVER_E_MALFORMED),
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                ForkserverHeader header;
                int r = forkserver_header_decode((const uint8_t *)cases[i].input, cases[i].n_input, &header);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
        }
        assert_int_equal(FORKSERVER_TEXT_MAX, 0x11fff);
}

static void test_request(void **state) {
        static const struct {
                const char *name, *input;
                size_t n_input;
                const char *command, *service_path, *config_path; /* NULL command: malformed */
        } cases[] = {
#define REQUEST(_name, _mode, _n, _text, _command, _service, _config)      \
        { _name,                                                           \
          "\x00\x02\x00\x00" _mode ID _n "\x00\x00\x00" _text,             \
          sizeof("\x00\x02\x00\x00" _mode ID _n "\x00\x00\x00" _text) - 1, \
          _command,                                                        \
          _service,                                                        \
          _config }
                REQUEST("a command alone", DIRECT, "\x02", "x\0", "x", NULL, NULL),
                REQUEST("framed", FRAMED, "\x02", "x\0", "x", NULL, NULL),
                REQUEST("upstream's", "\x2b\x00\x00\x00", "\x02", "x\0", "x", NULL, NULL),
                REQUEST("an empty command", DIRECT, "\x01", "\0", "", NULL, NULL),
                REQUEST("both settings", DIRECT, "\x30", "x\0QREXEC_SERVICE_PATH=a\0QUBES_RPC_CONFIG_PATH=b\0", "x",
                        "a", "b"),
                REQUEST("one setting, empty", DIRECT, "\x17", "x\0QREXEC_SERVICE_PATH=\0", "x", "", NULL),
                REQUEST("the other", DIRECT, "\x1a", "x\0QUBES_RPC_CONFIG_PATH=b\0", "x", NULL, "b"),
                REQUEST("the other way round", DIRECT, "\x30", "x\0QUBES_RPC_CONFIG_PATH=b\0QREXEC_SERVICE_PATH=a\0",
                        NULL, NULL, NULL),
                REQUEST("twice", DIRECT, "\x32", "x\0QUBES_RPC_CONFIG_PATH=b\0QUBES_RPC_CONFIG_PATH=b\0", NULL, NULL,
                        NULL),
                REQUEST("another setting", DIRECT, "\x0f", "x\0LD_PRELOAD=a\0", NULL, NULL, NULL),
                REQUEST("settings in upstream's form", "\x2b\x00\x00\x00", "\x18", "x\0QREXEC_SERVICE_PATH=a\0", NULL,
                        NULL, NULL),
                REQUEST("no final NUL", DIRECT, "\x01", "x", NULL, NULL, NULL),
                REQUEST("a setting without its NUL", DIRECT, "\x17", "x\0QREXEC_SERVICE_PATH=a", NULL, NULL, NULL),
                REQUEST("less text than it says", DIRECT, "\x03", "x\0", NULL, NULL, NULL),
                REQUEST("more text than it says", DIRECT, "\x01", "x\0", NULL, NULL, NULL),
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                const uint8_t *input = (const uint8_t *)cases[i].input;
                ForkserverRequest request;
                uint8_t again[256];
                size_t n_again;
                int r = forkserver_request_decode(input, cases[i].n_input, &request);

                if (r != (cases[i].command ? 0 : FORKSERVER_E_MALFORMED))
                        fail_msg("%s: got %d", cases[i].name, r);
                if (r)
                        continue;
                assert_string_equal(request.command, cases[i].command);
                assert_int_equal(request.service_path != NULL, cases[i].service_path != NULL);
                assert_int_equal(request.config_path != NULL, cases[i].config_path != NULL);
                if (request.service_path)
                        assert_string_equal(request.service_path, cases[i].service_path);
                if (request.config_path)
                        assert_string_equal(request.config_path, cases[i].config_path);
                assert_int_equal(forkserver_request_encode(&request, again, sizeof(again), &n_again), 0);
                assert_int_equal(n_again, cases[i].n_input);
                assert_memory_equal(again, input, n_again);
        }
}

/* Both sides of the limits of what is in a request. */
static void test_limits(void **state) {
        static uint8_t data[FORKSERVER_REQUEST_MAX + 2];
        ForkserverRequest request = { .type = WIRE_TYPE_EXEC_CMDLINE, .params.connect_domain = WIRE_DOMAIN_DIRECT },
                          again;
        size_t n_path = FORKSERVER_SETTINGS_MAX - sizeof("QREXEC_SERVICE_PATH="), n;
        char *command = malloc(EXEC_COMMAND_MAX + 1), *path = malloc(n_path + 2);

        memset(command, 'c', EXEC_COMMAND_MAX);
        memset(path, 'p', n_path + 1);
        command[EXEC_COMMAND_MAX - 1] = '\0';
        path[n_path] = '\0';
        request.command = command;
        request.service_path = path;
        assert_int_equal(forkserver_request_encode(&request, data, sizeof(data), &n), 0);
        assert_int_equal(n, FORKSERVER_REQUEST_MAX);
        assert_int_equal(forkserver_request_decode(data, n, &again), 0);

        path[n_path] = 'p';
        path[n_path + 1] = '\0';
        assert_int_equal(forkserver_request_encode(&request, data, sizeof(data), &n), FORKSERVER_E_TOO_LONG);
        path[n_path] = '\0';
        command[EXEC_COMMAND_MAX - 1] = 'c';
        command[EXEC_COMMAND_MAX] = '\0';
        assert_int_equal(forkserver_request_encode(&request, data, sizeof(data), &n), FORKSERVER_E_TOO_LONG);
        command[EXEC_COMMAND_MAX - 1] = '\0';
        assert_true(forkserver_request_encode(&request, data, FORKSERVER_REQUEST_MAX - 1, &n) < 0);

        /* A command that takes the settings' room is too long all the same. */
        memset(data + FORKSERVER_HEADER_SIZE, 'c', FORKSERVER_TEXT_MAX);
        data[FORKSERVER_REQUEST_MAX - 1] = '\0';
        assert_int_equal(forkserver_request_decode(data, FORKSERVER_REQUEST_MAX, &again), FORKSERVER_E_MALFORMED);
        free(command);
        free(path);
}

static void test_kill(void **state) {
        uint8_t data[FORKSERVER_HEADER_SIZE];
        ForkserverRequest request;
        ForkserverHeader header;

        forkserver_kill_encode(17, data);
        assert_int_equal(forkserver_header_decode(data, sizeof(data), &header), 0);
        assert_int_equal(header.type, WIRE_TYPE_CALL_KILL);
        assert_int_equal(header.params.connect_port, 17);
        assert_int_equal(forkserver_request_decode(data, sizeof(data), &request), FORKSERVER_E_MALFORMED);
}

static void test_answer(void **state) {
        static const struct {
                const char *name;
                uint8_t data[9];
                size_t n;
                int expect;
        } cases[] = {
                { "exited with 255", { 0, 0, 0, 0, 255 }, 8, 0 },
                { "the last way", { _CALL_HOW_N - 1 }, 8, 0 },
                { "no such way", { _CALL_HOW_N }, 8, FORKSERVER_E_MALFORMED },
                { "256", { 0, 0, 0, 0, 0, 1 }, 8, FORKSERVER_E_MALFORMED },
                { "a byte short", {}, 7, FORKSERVER_E_MALFORMED },
                { "a byte left over", {}, 9, FORKSERVER_E_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t again[FORKSERVER_ANSWER_SIZE];
                ForkserverAnswer answer;
                int r = forkserver_answer_decode(cases[i].data, cases[i].n, &answer);

                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r)
                        continue;
                forkserver_answer_encode(&answer, again);
                assert_memory_equal(again, cases[i].data, sizeof(again));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_header), cmocka_unit_test(test_request), cmocka_unit_test(test_limits),
                cmocka_unit_test(test_kill),   cmocka_unit_test(test_answer),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
