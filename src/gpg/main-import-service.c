/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qubes.GpgImportKey: takes public keys into the keyring of this domain (split-gpg specification, 8.5). Whether it may
 * be called is for the policy to say. What is imported was read and written again here, so that GnuPG meets nothing but
 * the packets of public keys.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "gpg/packets.h"
#include "gpg/profile.h"
#include "gpg/service.h"

#define SERVICE  "qubes.GpgImportKey"
#define VARIABLE "QUBES_GPG_IMPORT_SECRET"

static const char *filter_error_text(int r) {
        switch (r) {
        case GPG_PACKETS_E_SECRET:
                return "refused: there is a secret key in it, which " VARIABLE "=yes in ~/.profile would let in";
        case GPG_PACKETS_E_KIND:
                return "refused: there is more in it than keys";
        case GPG_PACKETS_E_MALFORMED:
                return "refused: these are no OpenPGP keys, or damaged ones";
        default:
                return "failed";
        }
}

/* Standard input becomes what was let through. Return: 0, or words why not. */
static const char *take_input(void) {
        _cleanup_free_ uint8_t *data = NULL;
        char value[GPG_PROFILE_VALUE_MAX + 1];
        _cleanup_free_ char *input = NULL;
        _cleanup_fd_ int fd = -1;
        size_t n_input, n;
        int r;

        r = fd_read_all(STDIN_FILENO, GPG_IMPORT_MAX, &input, &n_input);
        if (r)
                return r == FD_E_TOO_LONG ? "refused: it is larger than 16 MiB" : "the keys cannot be read";
        r = gpg_packets_filter((const uint8_t *)input, n_input, strcmp(gpg_profile_get(VARIABLE, value), "yes") == 0,
                               &data, &n);
        if (r)
                return filter_error_text(r);
        fd = memfd_create("keys", MFD_CLOEXEC);
        if (fd < 0 || fd_write_full(fd, data, n) < 0 || lseek(fd, 0, SEEK_SET) < 0 || dup2(fd, STDIN_FILENO) < 0)
                return strerror(errno);
        return NULL;
}

int main(int argc, char **argv) {
        const char *source, *complaint, *gpg = gpg_service_program();

        if (fd_ensure_standard() < 0)
                return GPG_SERVICE_FAILED;
        log_open(SERVICE, false);
        source = gpg_service_source();
        if (!source)
                return GPG_SERVICE_FAILED;
        complaint = take_input();
        if (complaint) {
                gpg_service_log(SERVICE, LOG_NOTICE, "source %s: import %s", source, complaint);
                log_error("%s", complaint);
                return GPG_SERVICE_FAILED;
        }
        gpg_service_on_use(SERVICE, source, GPG_OPERATION_IMPORT, NULL);
        (void)execl(gpg, gpg, "--no-tty", "--batch", "--disable-dirmngr", "--import", NULL);
        log_error("cannot execute %s: %s", gpg, strerror(errno));
        return GPG_SERVICE_FAILED;
}
