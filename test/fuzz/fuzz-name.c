/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/name.h"
#include "base/number.h"

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."

/* All names: what a parser lets through has its characters and its length, and passes again unchanged. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        const char *text = (const char *)data;
        DomainName domain, domain_again;
        AccountName account, account_again;
        RequestName request, request_again;
        _cleanup_free_ char *service = malloc(n + 1), *service_again = malloc(n + 1);
        size_t n_name, n_name_again;
        uint64_t number;

        fuzz_check(service && service_again);
        if (domain_name_parse(text, n, &domain) == 0) {
                fuzz_check(strlen(domain.text) == n && memcmp(domain.text, text, n) == 0);
                fuzz_check(strspn(domain.text, WORD) == n);
                fuzz_check(domain_name_parse(domain.text, n, &domain_again) == 0);
                /* A domain's name is never rewritten where a caller uses it. */
                request_name_parse(domain.text, sizeof(domain.text), &request);
                fuzz_check(strcmp(request.text, domain.text) == 0);
        }
        if (account_name_parse(text, n, &account) == 0) {
                fuzz_check(strlen(account.text) == n && memcmp(account.text, text, n) == 0);
                fuzz_check(account_name_parse(account.text, n, &account_again) == 0);
        }

        request_name_parse(text, n, &request);
        fuzz_check(strlen(request.text) <= REQUEST_NAME_MAX);
        fuzz_check(request.text[strspn(request.text, WORD "@:")] == '\0');
        request_name_parse(request.text, sizeof(request.text), &request_again);
        fuzz_check(strcmp(request.text, request_again.text) == 0);

        if (service_descriptor_parse(text, n, service, &n_name) == 0) {
                fuzz_check(strlen(service) == n && strspn(service, WORD "+") == n);
                fuzz_check(service_name_check(service, n_name) == 0);
                fuzz_check(n_name == n || service[n_name] == '+');
                fuzz_check(service_descriptor_parse(service, n, service_again, &n_name_again) == 0);
                fuzz_check(n_name == n_name_again && strcmp(service, service_again) == 0);
        }

        if (number_parse(text, n, 0, UINT64_MAX, &number) == 0) {
                char formatted[32];

                fuzz_check(snprintf(formatted, sizeof(formatted), "%ju", (uintmax_t)number) == (int)n);
                fuzz_check(memcmp(formatted, text, n) == 0);
        }
        return 0;
}
