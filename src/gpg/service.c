/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/service.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "gpg/consent.h"
#include "gpg/grant.h"

const char *gpg_service_source(void) {
        const char *source = getenv("QREXEC_REMOTE_DOMAIN");

        if (source && gpg_source_is_valid(source))
                return source;
        log_error("this is a service: it is started by a call, which says from whom");
        return NULL;
}

const char *gpg_service_program(void) {
        static const char gpg2[] = "/usr/bin/gpg2";

        return access(gpg2, X_OK) == 0 ? gpg2 : "/usr/bin/gpg";
}

void gpg_service_log(const char *service, int priority, const char *format, ...) {
        va_list arguments;

        openlog(service, LOG_PID, LOG_AUTHPRIV);
        va_start(arguments, format);
        vsyslog(priority, format, arguments);
        va_end(arguments);
        closelog();
}

void gpg_service_on_use(const char *service, const char *source, GpgOperation operation, const char *key) {
        const char *text = gpg_operation_text(operation);
        _cleanup_fd_ int dir_fd = -1;
        unsigned n_more = 0;

        gpg_service_log(service, LOG_INFO, "source %s: %s%s%s", source, text, key ? ", key " : "",
                        key ? ESCAPED(key, strlen(key)) : "");
        if (consent_open(&dir_fd) != 0 || consent_notice(dir_fd, source, &n_more))
                person_tell(source, service, text, n_more);
}
