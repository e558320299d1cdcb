/* SPDX-License-Identifier: Apache-2.0 */
#include "policy-tools/adminlog.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/fd.h"
#include "base/text.h"

void policy_admin_log(const char *path, const char *format, ...) {
        _cleanup_fd_ int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0660);
        _cleanup_free_ char *text = NULL, *line = NULL;
        struct timespec now;
        va_list arguments;
        struct tm local;
        char when[32];
        int n;

        if (fd < 0 || clock_gettime(CLOCK_REALTIME, &now) < 0 || !localtime_r(&now.tv_sec, &local))
                return;
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &local);
        va_start(arguments, format);
        n = text_format_list(format, arguments, &text);
        va_end(arguments);
        if (n)
                return;
        n = asprintf(&line, "%s,%03ld %s\n", when, now.tv_nsec / 1000000, text);
        if (n < 0)
                line = NULL;
        else
                (void)fd_write_full(fd, line, (size_t)n);
}
