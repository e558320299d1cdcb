/* SPDX-License-Identifier: Apache-2.0 */
/* What the forced command takes is what a relay would have said: parsed and written again it is the same line. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "relay/command.h"

static void check_plain(const char *text) {
        for (const char *c = text; *c != '\0'; ++c)
                fuzz_check(!strchr(" \t\n\r'\"\\$`;&|<>(){}*?[]!#~^=%,", *c) && *c > ' ' && *c < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static char line[RELAY_COMMAND_MAX];
        char *text = strndup((const char *)data, n);
        RelayCommand command, again;
        const char *service;
        DomainName target;

        fuzz_check(text != NULL);
        if (relay_command_parse(text, &command) == 0) {
                size_t n_line = relay_command_format(&command, line);
                const char *words = strstr(text, "qrexec-client-vm "), *dashes;

                fuzz_check(n_line == strlen(line) && command.target.text[0] != '-');
                check_plain(command.source.text);
                check_plain(command.target.text);
                check_plain(command.service);
                fuzz_check(relay_command_parse(line, &again) == 0);
                fuzz_check(strcmp(again.source.text, command.source.text) == 0 &&
                           strcmp(again.target.text, command.target.text) == 0 &&
                           strcmp(again.service, command.service) == 0);
                dashes = strstr(words, " -- ");
                fuzz_check(dashes || strcmp(words, line) == 0);
        }
        if (relay_argument_parse(text, &target, &service) == 0) {
                check_plain(target.text);
                check_plain(service);
                fuzz_check(strlen(target.text) + 1 + strlen(service) == strlen(text));
        }
        free(text);
        return 0;
}
