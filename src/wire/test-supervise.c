/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/supervise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"

/* A packet from its fields, with whatever they hold. */
static void packet_make(uint32_t type, uint32_t number, const char *domain, const char *instance,
                        uint8_t ret_data[static SUPERVISE_SIZE]) {
        memset(ret_data, 0, SUPERVISE_SIZE);
        for (int i = 0; i < 4; ++i) {
                ret_data[i] = (uint8_t)(type >> (8 * i));
                ret_data[4 + i] = (uint8_t)(number >> (8 * i));
        }
        memcpy(ret_data + 8, domain, strlen(domain));
        memcpy(ret_data + 40, instance, strlen(instance));
}

#define LONGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_decode(void **state) {
        static const struct {
                const char *name;
                uint32_t type, number;
                const char *domain, *instance;
                int expect;
        } cases[] = {
                { "SHARED", SUPERVISE_TYPE_SHARED, 0, "", "" },
                { "SHARED with a number", SUPERVISE_TYPE_SHARED, 1, "", "", SUPERVISE_E_MALFORMED },
                { "SHARED with a domain", SUPERVISE_TYPE_SHARED, 0, "work", "", SUPERVISE_E_MALFORMED },
                { "SHARED with an instance", SUPERVISE_TYPE_SHARED, 0, "", "disp1", SUPERVISE_E_MALFORMED },
                { "DOMAIN", SUPERVISE_TYPE_DOMAIN, 1000, "work", "" },
                { "DOMAIN of the largest uid", SUPERVISE_TYPE_DOMAIN, UINT32_MAX, LONGEST, "" },
                { "DOMAIN without name", SUPERVISE_TYPE_DOMAIN, 1000, "", "", SUPERVISE_E_MALFORMED },
                { "DOMAIN with an instance", SUPERVISE_TYPE_DOMAIN, 1000, "work", "disp1", SUPERVISE_E_MALFORMED },
                { "GONE", SUPERVISE_TYPE_GONE, 0, "work", "" },
                { "GONE with a number", SUPERVISE_TYPE_GONE, 1, "work", "", SUPERVISE_E_MALFORMED },
                { "READY", SUPERVISE_TYPE_READY, 0, "", "" },
                { "READY with a domain", SUPERVISE_TYPE_READY, 0, "work", "", SUPERVISE_E_MALFORMED },
                { "ENDED", SUPERVISE_TYPE_ENDED, 256, "work", "" },
                { "ENDED, of an instance", SUPERVISE_TYPE_ENDED, 0, "work", "disp1" },
                { "ENDED without name", SUPERVISE_TYPE_ENDED, 0, "", "disp1", SUPERVISE_E_MALFORMED },
                { "RELOAD", SUPERVISE_TYPE_RELOAD, 0, "", "" },
                { "RELOAD that answers", SUPERVISE_TYPE_RELOAD, 7, "", "" },
                { "RELOAD with a domain", SUPERVISE_TYPE_RELOAD, 7, "work", "", SUPERVISE_E_MALFORMED },
                { "START", SUPERVISE_TYPE_START, 0, "work", "" },
                { "START of an instance", SUPERVISE_TYPE_START, 0, "work", "disp1" },
                { "START without name", SUPERVISE_TYPE_START, 0, "", "", SUPERVISE_E_MALFORMED },
                { "START with a number", SUPERVISE_TYPE_START, 1, "work", "", SUPERVISE_E_MALFORMED },
                { "STOP", SUPERVISE_TYPE_STOP, 0, "work", "disp1" },
                { "SERVING", SUPERVISE_TYPE_SERVING, 0, "", "" },
                { "SERVING with a domain", SUPERVISE_TYPE_SERVING, 0, "work", "", SUPERVISE_E_MALFORMED },
                { "type 0", 0, 0, "", "", SUPERVISE_E_MALFORMED },
                { "AUDIT", SUPERVISE_TYPE_AUDIT, SUPERVISE_AUDIT_FILE, "", "" },
                { "AUDIT with a domain", SUPERVISE_TYPE_AUDIT, 1, "work", "", SUPERVISE_E_MALFORMED },
                { "IDS", SUPERVISE_TYPE_IDS, 999999999, "", "" },
                { "IDS with a domain", SUPERVISE_TYPE_IDS, 1, "work", "", SUPERVISE_E_MALFORMED },
                { "BOOK", SUPERVISE_TYPE_BOOK, 0, "", "" },
                { "BOOK with a number", SUPERVISE_TYPE_BOOK, 1, "", "", SUPERVISE_E_MALFORMED },
                { "MORE_IDS", SUPERVISE_TYPE_MORE_IDS, 0, "", "" },
                { "MORE_IDS with a number", SUPERVISE_TYPE_MORE_IDS, 1, "", "", SUPERVISE_E_MALFORMED },
                { "REOPEN", SUPERVISE_TYPE_REOPEN, 0, "", "" },
                { "REOPEN with a number", SUPERVISE_TYPE_REOPEN, 1, "", "", SUPERVISE_E_MALFORMED },
                { "REREAD", SUPERVISE_TYPE_REREAD, UINT32_MAX, "", "" },
                { "REREAD with a domain", SUPERVISE_TYPE_REREAD, 1, "work", "", SUPERVISE_E_MALFORMED },
                { "STORE", SUPERVISE_TYPE_STORE, 0, "work", "" },
                { "STORE without name", SUPERVISE_TYPE_STORE, 0, "", "", SUPERVISE_E_MALFORMED },
                { "STORE with a number", SUPERVISE_TYPE_STORE, 1, "work", "", SUPERVISE_E_MALFORMED },
                { "STORES", SUPERVISE_TYPE_STORES, 0, "", "" },
                { "STORES with a domain", SUPERVISE_TYPE_STORES, 0, "work", "", SUPERVISE_E_MALFORMED },
                { "FOLDER", SUPERVISE_TYPE_FOLDER, 0, "box", "" },
                { "FOLDER with a number", SUPERVISE_TYPE_FOLDER, 1000, "box", "", SUPERVISE_E_MALFORMED },
                { "FOLDER without name", SUPERVISE_TYPE_FOLDER, 0, "", "", SUPERVISE_E_MALFORMED },
                { "STOPPED", SUPERVISE_TYPE_STOPPED, 1, "box", "" },
                { "STOPPED, of an instance", SUPERVISE_TYPE_STOPPED, 0, "box", "disp1", SUPERVISE_E_MALFORMED },
                { "a type between the two directions", 14, 0, "", "", SUPERVISE_E_MALFORMED },
                { "a type beyond the last", 22, 0, "", "", SUPERVISE_E_MALFORMED },
                { "longest name", SUPERVISE_TYPE_START, 0, LONGEST, LONGEST },
                { "name without NUL", SUPERVISE_TYPE_START, 0, LONGEST "a", "", SUPERVISE_E_MALFORMED },
                { "a path", SUPERVISE_TYPE_START, 0, "../work", "", SUPERVISE_E_MALFORMED },
                { "a path as instance", SUPERVISE_TYPE_START, 0, "work", "a/b", SUPERVISE_E_MALFORMED },
                { "a reserved name", SUPERVISE_TYPE_START, 0, "none", "", SUPERVISE_E_MALFORMED },
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); ++i) {
                uint8_t data[SUPERVISE_SIZE], again[SUPERVISE_SIZE];
                Supervise message = { .number = 4711 };
                int r;

                packet_make(cases[i].type, cases[i].number, cases[i].domain, cases[i].instance, data);
                r = supervise_decode(data, sizeof(data), &message);
                if (r != cases[i].expect)
                        fail_msg("%s: got %d, want %d", cases[i].name, r, cases[i].expect);
                if (r) {
                        assert_int_equal(message.number, 4711);
                        continue;
                }
                if (message.type != cases[i].type || message.number != cases[i].number ||
                    strcmp(message.domain.text, cases[i].domain) != 0 ||
                    strcmp(message.instance.text, cases[i].instance) != 0)
                        fail_msg("%s: something else was decoded", cases[i].name);
                supervise_encode(&message, again);
                assert_memory_equal(again, data, sizeof(data));
        }
}

static void test_size_and_padding(void **state) {
        uint8_t data[SUPERVISE_SIZE + 1] = {};
        Supervise message;

        packet_make(SUPERVISE_TYPE_START, 0, "work", "", data);
        assert_int_equal(supervise_decode(data, SUPERVISE_SIZE, &message), 0);
        assert_int_equal(supervise_decode(data, SUPERVISE_SIZE - 1, &message), SUPERVISE_E_MALFORMED);
        assert_int_equal(supervise_decode(data, SUPERVISE_SIZE + 1, &message), SUPERVISE_E_MALFORMED);
        assert_int_equal(supervise_decode(data, 0, &message), SUPERVISE_E_MALFORMED);

        data[39] = 'x'; /* behind the NUL of the domain's name */
        assert_int_equal(supervise_decode(data, SUPERVISE_SIZE, &message), SUPERVISE_E_MALFORMED);
        data[39] = 0;
        data[71] = 'x'; /* behind the empty instance */
        assert_int_equal(supervise_decode(data, SUPERVISE_SIZE, &message), SUPERVISE_E_MALFORMED);
}

static void test_n_fds(void **state) {
        assert_int_equal(supervise_n_fds(SUPERVISE_TYPE_SHARED), 1);
        assert_int_equal(supervise_n_fds(SUPERVISE_TYPE_DOMAIN), 3);
        assert_int_equal(supervise_n_fds(SUPERVISE_TYPE_FOLDER), 3);
        assert_int_equal(supervise_n_fds(SUPERVISE_TYPE_STOPPED), 0);
        assert_int_equal(supervise_n_fds(SUPERVISE_TYPE_AUDIT), 1);
        assert_int_equal(supervise_n_fds(SUPERVISE_TYPE_GONE), 0);
        assert_int_equal(supervise_n_fds(SUPERVISE_TYPE_START), 0);
        assert_int_equal(supervise_n_fds((SuperviseType)99), 0);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_size_and_padding),
                cmocka_unit_test(test_n_fds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
