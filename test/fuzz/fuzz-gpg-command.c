/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <stdbool.h>
#include <string.h>

#include "gpg/command.h"
#include "gpg/request.h"

/* Worked out the slow way: which words of an accepted command are options, and is each of them in the table? */
static void check_words(const GpgRequest *request, const GpgCommand *command) {
        size_t i = 0;

        while (i < command->n_options) {
                const char *word = request->arguments[i++];
                const GpgOption *option;

                if (strcmp(word, "--") == 0) {
                        fuzz_check(i == command->n_options);
                        break;
                }
                fuzz_check(word[0] == '-');
                if (word[1] == '-') {
                        option = gpg_option_find(word + 2, strcspn(word + 2, "="));
                        fuzz_check(option && option->kind != GPG_OPTION_KIND_FORBIDDEN);
                        fuzz_check(option->has_value || !strchr(word, '='));
                        if (option->has_value && !strchr(word, '='))
                                ++i;
                        continue;
                }
                for (const char *letter = word + 1; *letter; ++letter) {
                        option = gpg_option_find_letter(*letter);
                        fuzz_check(option && option->kind != GPG_OPTION_KIND_FORBIDDEN);
                        if (!option->has_value)
                                continue;
                        if (letter[1] == '\0')
                                ++i;
                        break;
                }
        }
        fuzz_check(i == command->n_options);
        /* Behind them: users, or a signature's descriptor and standard input. No path. */
        for (; !command->takes_users && i < request->n_arguments; ++i)
                fuzz_check(strcmp(request->arguments[i], "-") == 0 ||
                           (command->has_signature && i == command->n_options &&
                            strncmp(request->arguments[i], "/dev/fd/", 8) == 0));
}

static bool fds_equal(const GpgFds *a, const GpgFds *b) {
        return a->n == b->n && memcmp(a->fds, b->fds, a->n * sizeof(a->fds[0])) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t header[GPG_REQUEST_SIZE];
        static GpgRequest request;
        char complaint[GPG_COMPLAINT_MAX];
        GpgCommand command, again;

        /* The words, with NULs between them. */
        if (n == 0 || n > GPG_REQUEST_COMMAND_SIZE - 2)
                return 0;
        memset(header, 0, sizeof(header));
        memcpy(header + 5, data, n);
        header[0] = (uint8_t)(n + 1);
        header[1] = (uint8_t)((n + 1) >> 8);
        if (gpg_request_decode(header, &request))
                return 0;
        (void)gpg_command_parse(GPG_ROLE_CLIENT, request.arguments, request.n_arguments, &command, complaint);
        if (gpg_request_decode(header, &request) ||
            gpg_command_parse(GPG_ROLE_SERVER, request.arguments, request.n_arguments, &command, complaint))
                return 0;
        check_words(&request, &command);
        fuzz_check(command.input.n <= GPG_FDS_MAX && command.output.n <= GPG_FDS_MAX);
        fuzz_check(command.input.fds[0] == 0 && command.output.fds[0] == 1 && command.output.fds[1] == 2);
        /* As GnuPG gets them, they mean the same, also to the client. */
        fuzz_check(gpg_command_parse(GPG_ROLE_SERVER, request.arguments, request.n_arguments, &again, complaint) == 0);
        fuzz_check(fds_equal(&command.input, &again.input) && fds_equal(&command.output, &again.output) &&
                   command.n_options == again.n_options);
        fuzz_check(gpg_command_parse(GPG_ROLE_CLIENT, request.arguments, request.n_arguments, &again, complaint) == 0);
        fuzz_check(fds_equal(&command.output, &again.output) && command.n_options == again.n_options);
        return 0;
}
