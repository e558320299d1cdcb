/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qubes.Gpg: one GnuPG command of another domain, with the keys of this one (split-gpg specification, 8). Nothing of the
 * stream is read before somebody has consented; then gpg-server takes over.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "gpg/consent.h"
#include "gpg/grant.h"
#include "gpg/profile.h"
#include "gpg/service.h"

#define SERVICE  "qubes.Gpg"
#define VARIABLE "QUBES_GPG_AUTOACCEPT"

static uint32_t read_autoaccept(void) {
        char value[GPG_PROFILE_VALUE_MAX + 1];
        uint32_t sec;

        gpg_profile_get(VARIABLE, value);
        if (value[0] == '\0')
                return GPG_GRANT_SEC_DEFAULT;
        if (gpg_grant_parse_seconds(value, &sec))
                return sec;
        gpg_service_log(SERVICE, LOG_WARNING, "%s is '%s', not 1 to 9 digits: taken as %d", VARIABLE,
                        ESCAPED(value, strlen(value)), GPG_GRANT_SEC_DEFAULT);
        return GPG_GRANT_SEC_DEFAULT;
}

static int obtain_consent(int dir_fd, const char *source) {
        char text[512], duration[GPG_GRANT_TEXT_MAX];
        PersonQuestion question = {
                .source = source,
                .service = SERVICE,
                .title = "Use of GnuPG keys",
                .text = text,
                .for_sec = read_autoaccept(),
        };

        gpg_grant_format_seconds(question.for_sec, duration);
        (void)snprintf(text, sizeof(text), "Do you allow the domain '%s' to use your GnuPG keys now%s%s?", source,
                       duration[0] != '\0' ? " and for the following " : "", duration);
        return consent_obtain(dir_fd, source, &question);
}

int main(int argc, char **argv) {
        int dir_fd = -1, slot_fd = -1, r;
        const char *source;

        if (fd_ensure_standard() < 0)
                return GPG_SERVICE_FAILED;
        log_open(SERVICE, false);
        source = gpg_service_source();
        if (!source)
                return GPG_SERVICE_FAILED;

        r = consent_open(&dir_fd);
        r = r ?: consent_take_slot(dir_fd, source, &slot_fd);
        r = r ?: obtain_consent(dir_fd, source);
        if (r) {
                gpg_service_log(SERVICE, LOG_NOTICE, "source %s: not allowed: %s", source, consent_error_text(r));
                log_error("%s", consent_error_text(r));
                return GPG_SERVICE_FAILED;
        }
        (void)execl(GPG_LIBEXECDIR "/gpg-server", "gpg-server", gpg_service_program(), source, NULL);
        log_error("cannot execute gpg-server: %s", strerror(errno));
        return GPG_SERVICE_FAILED;
}
