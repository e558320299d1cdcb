/* SPDX-License-Identifier: Apache-2.0 */
#include "gpg2/permission.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/fd.h"
#include "gpg/consent.h"
#include "gpg/grant.h"
#include "gpg2/config.h"

static const struct {
        const char *folder, *verb;
} operations[_FILTER_OPERATION_N] = {
        [FILTER_OPERATION_SIGN] = { "gpg2-PKSIGN", "sign with" },
        [FILTER_OPERATION_DECRYPT] = { "gpg2-PKDECRYPT", "decrypt with" },
};

static int open_folder(FilterOperation operation, int *ret_fd) {
        const char *name = operations[operation].folder;
        _cleanup_fd_ int parent_fd = -1;
        int r, fd;

        r = consent_open(&parent_fd);
        if (r)
                return r;
        if (mkdirat(parent_fd, name, 0700) < 0 && errno != EEXIST)
                return CONSENT_E_DIRECTORY;
        fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return CONSENT_E_DIRECTORY;
        *ret_fd = fd;
        return 0;
}

static int obtain(const char *source, FilterOperation operation, const FilterKey *key, uint32_t accept_sec) {
        char text[512 + GPG2_DESCRIPTION_MAX], duration[GPG_GRANT_TEXT_MAX];
        PersonQuestion question = {
                .source = source,
                .service = GPG2_SERVICE,
                .title = "Use of a GnuPG key",
                .text = text,
                .for_sec = accept_sec,
                .is_once = accept_sec == 0,
        };
        _cleanup_fd_ int folder_fd = -1;
        int r;

        r = open_folder(operation, &folder_fd);
        if (r)
                return r;
        gpg_grant_format_seconds(accept_sec, duration);
        (void)snprintf(text, sizeof(text), "Do you allow the domain '%s' to %s this key now%s%s?\n\n%s", source,
                       operations[operation].verb, accept_sec > 0 ? ", and with any of yours for the following " : "",
                       accept_sec > 0 ? duration : "", key ? key->description : "a key that was made lately");
        return consent_obtain(folder_fd, source, &question);
}

int permission_get(const char *source, FilterOperation operation, const FilterKey *key, uint32_t accept_sec,
                   Permission *ret_permission) {
        int r;

        if (accept_sec == GPG2_ACCEPT_ALWAYS) {
                *ret_permission = PERMISSION_NEVER_ASKS;
                return 0;
        }
        r = obtain(source, operation, key, accept_sec);
        switch (r) {
        case 0:
                *ret_permission = PERMISSION_GRANTED;
                return 0;
        case CONSENT_E_REFUSED:
                *ret_permission = PERMISSION_REFUSED;
                return 0;
        case CONSENT_E_CALLER:
                *ret_permission = PERMISSION_CALLER;
                return 0;
        case CONSENT_E_NOBODY:
        case CONSENT_E_BUSY:
        case CONSENT_E_DIRECTORY:
                *ret_permission = PERMISSION_NOBODY;
                return 0;
        default:
                return error_fold(r);
        }
}

bool permission_is_yes(Permission permission) {
        return permission == PERMISSION_NEVER_ASKS || permission == PERMISSION_GRANTED;
}

const char *permission_text(Permission permission) {
        static const char *const texts[_PERMISSION_N] = {
                [PERMISSION_NEVER_ASKS] = "autoaccept", [PERMISSION_GRANTED] = "consent",
                [PERMISSION_REFUSED] = "refused",       [PERMISSION_NOBODY] = "nobody-to-ask",
                [PERMISSION_CALLER] = "client-gone",
        };

        return texts[permission];
}

void permission_tell(const char *source, const char *what) {
        _cleanup_fd_ int folder_fd = -1;
        unsigned n_more = 0;

        if (consent_open(&folder_fd) != 0 || consent_notice(folder_fd, source, &n_more))
                person_tell(source, GPG2_SERVICE, what, n_more);
}
