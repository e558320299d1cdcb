/* SPDX-License-Identifier: Apache-2.0 */
/* qubes-gpg-client-wrapper: in the place of gpg, for programs that run it (split-gpg specification, 9). */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "gpg/domain.h"
#include "gpg/wrapper.h"

#define EXIT_FAILED 1
#define LOCAL_GPG   "/usr/bin/gpg"
/* Where the duplicate of standard output goes: beyond the numbers that callers use themselves. */
#define SAVED_FD_MIN 10

static int open_output(const char *path, int flags, int *ret_fd) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | flags, 0666);

        if (fd < 0) {
                log_error("cannot write to %s: %s", ESCAPED(path, strlen(path)), strerror(errno));
                return GPG_WRAPPER_E_REFUSED;
        }
        *ret_fd = fd;
        return 0;
}

/* A descriptor that the plan names, as the word that says its number; it stays open for the client. */
static int open_word(GpgWrapperWord *word, int *saved_fd) {
        int fd, r;

        if (word->kind == GPG_WRAPPER_WORD_TEXT)
                return 0;
        if (word->kind == GPG_WRAPPER_WORD_FILE) {
                r = open_output(word->text, 0, &fd);
                if (r)
                        return r;
        } else {
                if (*saved_fd < 0)
                        *saved_fd = fcntl(STDOUT_FILENO, F_DUPFD, SAVED_FD_MIN);
                if (*saved_fd < 0)
                        return error_origin(-errno);
                fd = *saved_fd;
        }
        free(word->text);
        word->kind = GPG_WRAPPER_WORD_TEXT;
        if (asprintf(&word->text, "%d", fd) < 0) {
                word->text = NULL;
                return error_origin(-ENOMEM);
        }
        return 0;
}

/* The caller's standard output is duplicated before it is replaced. */
static int open_all(GpgWrapperPlan *plan) {
        int saved_fd = -1, fd, r = 0;

        for (size_t i = 0; i < plan->n_words && !r; ++i)
                r = open_word(&plan->words[i], &saved_fd);
        if (r || !plan->output || strcmp(plan->output, "-") == 0)
                return r;
        r = open_output(plan->output, O_CLOEXEC, &fd);
        if (r)
                return r;
        return dup2(fd, STDOUT_FILENO) < 0 ? error_origin(-errno) : 0;
}

static int run(const char *program, const GpgWrapperPlan *plan) {
        const char **argv = calloc(plan->n_words + 3, sizeof(*argv));
        size_t n = 0;

        if (!argv)
                return error_origin(-ENOMEM);
        argv[n++] = program;
        if (plan->output)
                argv[n++] = "-o-";
        for (size_t i = 0; i < plan->n_words; ++i)
                argv[n++] = plan->words[i].text;
        (void)execvp(program, (char *const *)argv);
        log_error("cannot execute %s: %s", program, strerror(errno));
        free(argv);
        return -errno;
}

int main(int argc, char **argv) {
        char complaint[GPG_WRAPPER_COMPLAINT_MAX];
        _cleanup_(gpg_wrapper_plan_deinit) GpgWrapperPlan plan = {};
        int r;

        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
                if (fcntl(fd, F_GETFD) < 0)
                        return EXIT_FAILED;
        log_open("qubes-gpg-client-wrapper", false);
        if (argc < 1)
                return EXIT_FAILED;
        r = gpg_wrapper_plan((const char *const *)argv + 1, (size_t)argc - 1, &plan, complaint);
        if (r > 0)
                log_error("%s", complaint);
        if (r)
                return EXIT_FAILED;
        if (plan.action == GPG_WRAPPER_ACTION_LOCAL) {
                (void)execv(LOCAL_GPG, argv);
                log_error("cannot execute %s: %s", LOCAL_GPG, strerror(errno));
                return EXIT_FAILED;
        }
        if (gpg_domain_settle() || open_all(&plan))
                return EXIT_FAILED;
        (void)run(plan.action == GPG_WRAPPER_ACTION_IMPORT ? "qubes-gpg-import-key" : "qubes-gpg-client", &plan);
        return EXIT_FAILED;
}
