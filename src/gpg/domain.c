/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg/domain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/file.h"
#include "base/paths.h"

#define VARIABLE  "QUBES_GPG_DOMAIN"
#define FILE_NAME "gpg-split-domain"

const char *gpg_domain_from_environment(void) {
        const char *domain = getenv(VARIABLE);

        return domain && domain[0] != '\0' ? domain : NULL;
}

/* Return: 0; FILE_E_NOT_FOUND: there is none, or nothing in it; or a negative error. */
static int read_domain(const char *path, char **ret_domain) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r;

        r = file_read(AT_FDCWD, path, GPG_DOMAIN_MAX, &text, &n);
        if (r)
                return r < 0 ? r : FILE_E_NOT_FOUND;
        while (n > 0 && text[n - 1] == '\n')
                text[--n] = '\0';
        if (n == 0 || strlen(text) != n)
                return FILE_E_NOT_FOUND;
        *ret_domain = steal_ptr(&text);
        return 0;
}

int gpg_domain_settle(void) {
        _cleanup_free_ char *domain = NULL;
        char path[PATH_MAX];
        int r;

        r = read_domain("/rw/config/" FILE_NAME, &domain);
        if (r > 0 && paths_config("qubes/" FILE_NAME, path) == 0)
                r = read_domain(path, &domain);
        if (r < 0)
                return error_trace(r);
        if (r > 0 && gpg_domain_from_environment())
                return 0;
        return setenv(VARIABLE, domain ?: "@default", true) < 0 ? error_origin(-errno) : 0;
}
