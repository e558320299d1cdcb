/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client and an agent that say anything, in any order that the filter lets them: what reaches the agent is one of the
 * lines that may, nobody is asked twice for one command, nothing of the agent's is sent to it, and after the end nothing
 * moves. The first byte is the configuration; lines follow, the first byte of each being a person's mood.
 */
#include "fuzz.h"

#include <string.h>

#include "gpg2/filter.h"

#define GRIP "001A050A2B66E31DFDA4AC45A80C3C509F7EDDEA"

static bool begins(const char *text, size_t n, const char *prefix) {
        return n >= strlen(prefix) && memcmp(text, prefix, strlen(prefix)) == 0;
}

static void check_to_agent(const FilterAction *action, bool allow_keygen, bool from_agent, bool inquired) {
        static const char *const words[] = { "RESET\n",  "BYE\n",      "OPTION agent-awareness=2.1.0\n",
                                             "GETINFO ", "HAVEKEY ",   "KEYINFO ",
                                             "SIGKEY ",  "SETKEY ",    "SETHASH ",
                                             "PKSIGN",   "PKDECRYPT\n" };
        const char *text = action->to_agent;
        size_t n = action->n_to_agent;
        bool found = false;

        fuzz_check(text[n - 1] == '\n');
        if (inquired) { /* data in lines, then its end */
                fuzz_check(n >= 4 && memcmp(text + n - 4, "END\n", 4) == 0);
                for (const char *line = text; line < text + n - 4;) {
                        const char *end = memchr(line, '\n', (size_t)(text + n - line));

                        fuzz_check(begins(line, (size_t)(end - line), "D ") && end - line <= ASSUAN_LINE_MAX);
                        line = end + 1;
                }
                return;
        }
        fuzz_check(n <= ASSUAN_LINE_MAX + 1 && !memchr(text, '\n', n - 1) && !memchr(text, '\0', n));
        if (from_agent) {
                fuzz_check(begins(text, n, "SETKEYDESC "));
                return;
        }
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); ++i)
                found |= begins(text, n, words[i]);
        if (allow_keygen)
                found |= begins(text, n, "GENKEY") || begins(text, n, "READKEY -- ");
        fuzz_check(found);
        fuzz_check(strspn(text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_=. -") >= n - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static const FilterKey key = { .grip = GRIP, .fingerprint = "01", .description = "A person" };
        static Filter filter;
        bool allow_keygen;

        if (n == 0)
                return 0;
        allow_keygen = data[0] & 1;
        filter_init(&filter, &(FilterOptions){ .keys = &key, .n_keys = 1, .allow_keygen = allow_keygen });
        ++data;
        --n;
        while (n > 0 && filter.state != FILTER_STATE_CLOSED) {
                bool yes = data[0] & 1, from_agent = filter_wants_agent(&filter),
                     inquired = filter.state == FILTER_STATE_INQUIRY;
                const uint8_t *end = memchr(data + 1, '\n', n - 1);
                size_t n_line = end ? (size_t)(end - data) - 1 : n - 1;
                const char *line = (const char *)data + 1;
                FilterAction action;

                if (n_line > ASSUAN_LINE_MAX)
                        filter_on_long_line(&filter, &action);
                else if (from_agent)
                        filter_on_agent_line(&filter, line, n_line, &action);
                else
                        filter_on_client_line(&filter, line, n_line, 0, &action);
                if (action.n_to_agent > 0)
                        check_to_agent(&action, allow_keygen, from_agent, inquired);
                fuzz_check(action.n_to_client == 0 || action.to_client[action.n_to_client - 1] == '\n');
                if (action.ask != FILTER_OPERATION_NONE) {
                        fuzz_check(action.n_to_agent == 0 && filter.state == FILTER_STATE_CONSENT);
                        filter_on_consent(&filter, yes, &action);
                        fuzz_check(action.ask == FILTER_OPERATION_NONE && (action.n_to_agent > 0) == yes);
                        if (yes)
                                check_to_agent(&action, allow_keygen, false, false);
                }
                fuzz_check(action.closes == (filter.state == FILTER_STATE_CLOSED));
                fuzz_check(!action.refused || action.closes);
                fuzz_check(filter.state != FILTER_STATE_CONSENT);
                data += 1 + n_line + (end ? 1 : 0);
                n -= 1 + n_line + (end ? 1 : 0);
        }
        return 0;
}
