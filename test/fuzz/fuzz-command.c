/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/name.h"
#include "wire/command.h"

static bool part_is_inside(CommandPart part, const char *text, size_t n) {
        return part.n == 0 || (part.text >= text && part.text + part.n <= text + n);
}

static bool part_is_same(CommandPart a, CommandPart b) {
        return a.n == b.n && (a.n == 0 || memcmp(a.text, b.text, a.n) == 0);
}

static char *part_copy(CommandPart part) {
        char *copy = strndup(part.text ?: "", part.n);

        fuzz_check(copy);
        return copy;
}

/* What was parsed, formatted and parsed again has the same parts, but for a "+" that format appends. */
static void check_format(const Command *command, bool has_user) {
        _cleanup_free_ char *user = part_copy(command->user), *descriptor = part_copy(command->descriptor),
                            *source = part_copy(command->source), *type = part_copy(command->type),
                            *requested = part_copy(command->requested);
        size_t n_max = command->user.n + command->metadata.n + 32;
        _cleanup_free_ char *text = malloc(n_max);
        bool full = command->n_tokens == 4;
        Command again;
        int n;

        fuzz_check(text);
        n = command_format(text, n_max, has_user ? user : NULL, descriptor, source, full ? type : NULL,
                           full ? requested : NULL);
        fuzz_check(n > 0 && strlen(text) == (size_t)n);
        if (command->descriptor.n == SERVICE_DESCRIPTOR_MAX + 1 && !command->has_argument)
                return; /* the "+" makes it too long */
        fuzz_check(command_parse(text, has_user, &again) == 0);
        fuzz_check(again.is_service && !again.nogui && again.has_argument);
        fuzz_check(part_is_same(again.user, command->user) && part_is_same(again.name, command->name) &&
                   part_is_same(again.argument, command->argument) && part_is_same(again.source, command->source) &&
                   part_is_same(again.type, command->type) && part_is_same(again.requested, command->requested));
}

/* The first byte says whether the text has a user. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        _cleanup_free_ char *text = NULL;
        bool has_user;
        Command command;

        if (n == 0)
                return 0;
        has_user = data[0] & 1;
        text = strndup((const char *)data + 1, n - 1);
        fuzz_check(text);
        if (command_parse(text, has_user, &command))
                return 0;

        n = strlen(text);
        fuzz_check(part_is_inside(command.user, text, n) && part_is_inside(command.shell, text, n) &&
                   part_is_inside(command.metadata, text, n) && part_is_inside(command.descriptor, text, n) &&
                   part_is_inside(command.name, text, n) && part_is_inside(command.argument, text, n) &&
                   part_is_inside(command.source, text, n) && part_is_inside(command.type, text, n) &&
                   part_is_inside(command.requested, text, n));
        if (!command.is_service) {
                fuzz_check(strncmp(command.shell.text, "QUBESRPC", 8) != 0);
                return 0;
        }
        fuzz_check(command.name.n > 0 && command.name.n <= SERVICE_NAME_MAX && command.source.n > 0);
        fuzz_check(!memchr(command.name.text, '+', command.name.n));
        fuzz_check(command.n_tokens >= 2);
        if (command.n_tokens == 2 || command.n_tokens == 4)
                check_format(&command, has_user);
        return 0;
}
