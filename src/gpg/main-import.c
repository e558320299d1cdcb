/* SPDX-License-Identifier: Apache-2.0 */
/* qubes-gpg-import-key [FILE…]: gives public keys to the domain that has the secret ones (split-gpg specification, 10). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "gpg/domain.h"

#define EXIT_FAILED 1
#define CHUNK       65536

/* Standard input stays what it is for a file that is named `-`. */
static int open_file(const char *path) {
        int fd = strcmp(path, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                        : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                log_error("cannot open %s: %s", ESCAPED(path, strlen(path)), strerror(errno));
        return fd;
}

/* In a child of its own: one file behind the other, as long as somebody takes them. */
static bool copy_files(char *const *paths, int n, int to_fd) {
        static char chunk[CHUNK];

        for (int i = 0; i < n; ++i) {
                _cleanup_fd_ int fd = open_file(paths[i]);
                ssize_t n_read;

                if (fd < 0)
                        return false;
                while ((n_read = read(fd, chunk, sizeof(chunk))) > 0)
                        if (fd_write_full(to_fd, chunk, (size_t)n_read) < 0)
                                return false;
                if (n_read < 0) {
                        log_error("cannot read %s: %s", ESCAPED(paths[i], strlen(paths[i])), strerror(errno));
                        return false;
                }
        }
        return true;
}

/* The files become our standard input. All are tried before a call is made. Return: 0 or -1, and it has been said */
static int feed(char *const *paths, int n) {
        int ends[2];
        pid_t pid;

        for (int i = 0; i < n; ++i) {
                _cleanup_fd_ int fd = open_file(paths[i]);

                if (fd < 0)
                        return -1;
        }
        if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
                log_error("%s", strerror(errno));
                return -1;
        }
        if (pid == 0) {
                fd_close(ends[0]);
                (void)signal(SIGPIPE, SIG_IGN);
                _exit(copy_files(paths, n, ends[1]) ? 0 : EXIT_FAILED);
        }
        return dup2(ends[0], STDIN_FILENO) < 0 ? -1 : 0;
}

int main(int argc, char **argv) {
        const char *domain;
        int first = 1;

        if (fd_ensure_standard() < 0)
                return EXIT_FAILED;
        log_open("qubes-gpg-import-key", false);
        if (argc > 1 && strcmp(argv[1], "--help") == 0) {
                (void)puts("Usage: qubes-gpg-import-key [FILE…]\n"
                           "Import public keys, of the files or of standard input, in the domain QUBES_GPG_DOMAIN.\n"
                           "See qubes-gpg-import-key(1).");
                return 0;
        }
        if (argc > 1 && strcmp(argv[1], "--") == 0)
                first = 2;
        domain = gpg_domain_from_environment();
        if (!domain) {
                log_error("QUBES_GPG_DOMAIN is not set: it names the domain that has the keys, or is @default where "
                          "the policy says which");
                return EXIT_FAILED;
        }
        if (argc > first && feed(argv + first, argc - first) < 0)
                return EXIT_FAILED;
        (void)execl(QAIR_LIBEXECDIR "/qrexec-client-vm", "qrexec-client-vm", domain, "qubes.GpgImportKey", NULL);
        log_error("cannot execute " QAIR_LIBEXECDIR "/qrexec-client-vm: %s", strerror(errno));
        return EXIT_FAILED;
}
