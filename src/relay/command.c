/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/command.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define RELAY_COMMAND_PROGRAM "qrexec-client-vm"
#define RELAY_COMMAND_SOURCE  "--source-qube="

static bool relay_character_is_plain(char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("_-.", c));
}

/* Step over @word if it is there. */
static bool relay_command_skip(const char **text, const char *word) {
        size_t n = strlen(word);

        if (strncmp(*text, word, n) != 0)
                return false;
        *text += n;
        return true;
}

static bool relay_service_is_valid(const char *untrusted_text) {
        const char *plus = strchrnul(untrusted_text, '+');

        if (service_name_check(untrusted_text, (size_t)(plus - untrusted_text)) ||
            strlen(untrusted_text) > SERVICE_DESCRIPTOR_MAX)
                return false;
        for (const char *c = plus; *c != '\0'; ++c)
                if (!relay_character_is_plain(*c) && *c != '+')
                        return false;
        return true;
}

static bool relay_target_parse(const char *untrusted_text, size_t n, RequestName *ret_target) {
        if (n == 0 || n > REQUEST_NAME_MAX || untrusted_text[0] == '-')
                return false;
        for (size_t i = 0; i < n; ++i)
                if (!relay_character_is_plain(untrusted_text[i]) && untrusted_text[i] != '@' &&
                    untrusted_text[i] != ':')
                        return false;
        *ret_target = (RequestName){};
        memcpy(ret_target->text, untrusted_text, n);
        return true;
}

int relay_command_parse(const char *untrusted_text, RelayCommand *ret_command) {
        const char *text = untrusted_text, *end;
        RelayCommand command = {};

        if (!relay_command_skip(&text, "/usr/bin/"))
                (void)relay_command_skip(&text, "/usr/lib/qubes/");
        if (!relay_command_skip(&text, RELAY_COMMAND_PROGRAM " " RELAY_COMMAND_SOURCE))
                return RELAY_COMMAND_E_MALFORMED;
        end = strchrnul(text, ' ');
        if (domain_name_parse(text, (size_t)(end - text), &command.source))
                return RELAY_COMMAND_E_MALFORMED;
        text = end;
        (void)relay_command_skip(&text, " --");
        if (!relay_command_skip(&text, " "))
                return RELAY_COMMAND_E_MALFORMED;
        end = strchrnul(text, ' ');
        if (!relay_target_parse(text, (size_t)(end - text), &command.target))
                return RELAY_COMMAND_E_MALFORMED;
        text = end;
        if (!relay_command_skip(&text, " ") || !relay_service_is_valid(text))
                return RELAY_COMMAND_E_MALFORMED;
        command.service = text;
        *ret_command = command;
        return 0;
}

size_t relay_command_format(const RelayCommand *command, char ret_text[static RELAY_COMMAND_MAX]) {
        int n = snprintf(ret_text, RELAY_COMMAND_MAX, RELAY_COMMAND_PROGRAM " " RELAY_COMMAND_SOURCE "%s %s %s",
                         command->source.text, command->target.text, command->service);

        assert(n > 0 && n < (int)RELAY_COMMAND_MAX);
        return (size_t)n;
}

int relay_argument_parse(const char *untrusted_text, DomainName *ret_target, const char **ret_service) {
        const char *plus = strchr(untrusted_text, '+');
        DomainName target;

        if (!plus || domain_name_parse(untrusted_text, (size_t)(plus - untrusted_text), &target) ||
            !relay_service_is_valid(plus + 1))
                return RELAY_COMMAND_E_MALFORMED;
        *ret_target = target;
        *ret_service = plus + 1;
        return 0;
}
