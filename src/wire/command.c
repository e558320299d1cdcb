/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/name.h"

#define COMMAND_SERVICE "QUBESRPC"
#define COMMAND_NOGUI   "nogui:"

static bool command_skip(const char **text, const char *prefix) {
        size_t n = strlen(prefix);

        if (strncmp(*text, prefix, n) != 0)
                return false;
        *text += n;
        return true;
}

static unsigned command_split(const char *text, CommandPart parts[static 4]) {
        unsigned n = 0;

        for (;;) {
                CommandPart part;

                text += strspn(text, " ");
                if (*text == '\0')
                        return n;
                part = (CommandPart){ .text = text, .n = strcspn(text, " ") };
                if (n < 4)
                        parts[n] = part;
                ++n;
                text += part.n;
        }
}

static int command_parse_service(const char *text, Command *command) {
        CommandPart tokens[4] = {};
        const char *space, *plus;

        /* "QUBESRPCx" is an error, not a shell command: nobody meant it to reach a shell. */
        if (*text != ' ')
                return COMMAND_E_MALFORMED;
        ++text;
        command->metadata = (CommandPart){ .text = text, .n = strlen(text) };

        space = strchr(text, ' ');
        if (!space || space == text || (size_t)(space - text) > SERVICE_DESCRIPTOR_MAX + 1)
                return COMMAND_E_MALFORMED;
        command->descriptor = (CommandPart){ .text = text, .n = (size_t)(space - text) };

        plus = memchr(text, '+', command->descriptor.n);
        command->name = (CommandPart){ .text = text, .n = plus ? (size_t)(plus - text) : command->descriptor.n };
        if (command->name.n == 0 || command->name.n > SERVICE_NAME_MAX)
                return COMMAND_E_MALFORMED;
        if (plus) {
                command->has_argument = true;
                command->argument = (CommandPart){ .text = plus + 1, .n = (size_t)(space - plus - 1) };
        }

        command->source = (CommandPart){ .text = space + 1, .n = strcspn(space + 1, " ") };
        if (command->source.n == 0)
                return COMMAND_E_MALFORMED;

        command->n_tokens = command_split(text, tokens);
        if (command->n_tokens == 4) {
                command->type = tokens[2];
                command->requested = tokens[3];
        }
        return 0;
}

int command_parse(const char *text, bool has_user, Command *ret_command) {
        Command command = {};

        if (has_user) {
                const char *colon = strchr(text, ':');

                if (!colon)
                        return COMMAND_E_MALFORMED;
                command.user = (CommandPart){ .text = text, .n = (size_t)(colon - text) };
                text = colon + 1;
        }
        command.nogui = command_skip(&text, COMMAND_NOGUI);
        command.is_service = command_skip(&text, COMMAND_SERVICE);
        if (command.is_service) {
                int r = command_parse_service(text, &command);

                if (r)
                        return r;
        } else {
                command.shell = (CommandPart){ .text = text, .n = strlen(text) };
        }
        *ret_command = command;
        return 0;
}

int command_format(char *ret_text, size_t n_max, const char *user, const char *descriptor, const char *source,
                   const char *type, const char *requested) {
        int n;

        n = snprintf(ret_text, n_max, "%s%s" COMMAND_SERVICE " %s%s %s%s%s%s%s", user ?: "", user ? ":" : "",
                     descriptor, strchr(descriptor, '+') ? "" : "+", source, type ? " " : "", type ?: "",
                     type ? " " : "", type ? requested : "");
        if (n < 0)
                return error_origin(-ENOMEM);
        if ((size_t)n >= n_max)
                return error_origin(-EMSGSIZE);
        return n;
}
