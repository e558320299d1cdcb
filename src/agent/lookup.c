/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/escape.h"
#include "base/name.h"

#define LOOKUP_TCP "/dev/tcp"

/* What stands at a path: of these, only Found leaves its struct filled. */
typedef struct LookupFound {
        char path[LOOKUP_PATH_MAX + 1];
        char tcp[LOOKUP_PATH_MAX + 1]; /* "": no TCP link */
        mode_t mode;                   /* of the file behind all links; 0 for a TCP link */
} LookupFound;

_printf_(3, 4) static int lookup_fail(Diagnostics *reterr, const char *path, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list arguments;
        int r;

        va_start(arguments, format);
        r = vasprintf(&text, format, arguments);
        va_end(arguments);
        if (r < 0)
                return error_origin(-ENOMEM);
        r = diagnostics_add(reterr, ESCAPED(path, strlen(path)), 0, 0, "%s", text);
        return r < 0 ? r : LOOKUP_E_FAILED;
}

/* Is it a link to a TCP service? Read before anything follows it: `/dev/tcp/…` never exists as a file. */
static int lookup_read_tcp(LookupFound *found, bool *ret_is_tcp, Diagnostics *reterr) {
        ssize_t n;

        *ret_is_tcp = false;
        n = readlink(found->path, found->tcp, sizeof(found->tcp));
        if (n < 0)
                return lookup_fail(reterr, found->path, "cannot read the link: %s", strerror(errno));
        if ((size_t)n == sizeof(found->tcp)) {
                /* An ordinary link may be as long as it likes: what counts of it is what it leads to. */
                if (strncmp(found->tcp, LOOKUP_TCP "/", strlen(LOOKUP_TCP "/")) == 0)
                        return lookup_fail(reterr, found->path, "the link is longer than %d bytes", LOOKUP_PATH_MAX);
                found->tcp[0] = '\0';
                return 0;
        }
        found->tcp[n] = '\0';
        if (strcmp(found->tcp, LOOKUP_TCP "/") == 0)
                return lookup_fail(reterr, found->path, "the link names no host: %s", LOOKUP_TCP "/");
        *ret_is_tcp =
                strcmp(found->tcp, LOOKUP_TCP) == 0 || strncmp(found->tcp, LOOKUP_TCP "/", strlen(LOOKUP_TCP "/")) == 0;
        if (!*ret_is_tcp)
                found->tcp[0] = '\0';
        return 0;
}

/* One candidate in one directory, 6.4's table row by row. */
static int lookup_one(const char *directory, size_t n_directory, const char *file, bool tcp, LookupFound *found,
                      Diagnostics *reterr) {
        struct stat st;
        int n, r;

        n = snprintf(found->path, sizeof(found->path), "%.*s/%s", (int)n_directory, directory, file);
        if (n < 0 || (size_t)n >= sizeof(found->path))
                return lookup_fail(reterr, file, "the path of this service is longer than %d bytes", LOOKUP_PATH_MAX);
        found->tcp[0] = '\0';
        found->mode = 0;

        if (lstat(found->path, &st) < 0) {
                if (errno == ENOENT)
                        return LOOKUP_E_NOT_FOUND;
                return lookup_fail(reterr, found->path, "%s", strerror(errno));
        }
        if (S_ISLNK(st.st_mode)) {
                if (tcp) {
                        bool is_tcp;

                        r = lookup_read_tcp(found, &is_tcp, reterr);
                        if (r || is_tcp)
                                return r;
                }
                if (stat(found->path, &st) < 0) {
                        /* A dangling link switches a service off in this directory alone. */
                        if (errno == ENOENT)
                                return LOOKUP_E_NOT_FOUND;
                        return lookup_fail(reterr, found->path, "cannot follow the link: %s", strerror(errno));
                }
        }
        found->mode = st.st_mode;
        return 0;
}

static int lookup_everywhere(const char *directories, const char *file, bool tcp, LookupFound *found,
                             Diagnostics *reterr) {
        if (strlen(file) > LOOKUP_NAME_MAX)
                return LOOKUP_E_NOT_FOUND;

        for (const char *directory = directories; *directory;) {
                size_t n = strcspn(directory, ":");

                if (n > 0) {
                        int r = lookup_one(directory, n, file, tcp, found, reterr);

                        if (r != LOOKUP_E_NOT_FOUND)
                                return r;
                }
                directory += n;
                directory += *directory == ':';
        }
        return LOOKUP_E_NOT_FOUND;
}

static int lookup_both(const char *directories, const Command *command, bool tcp, LookupFound *found,
                       Diagnostics *reterr) {
        /* One byte more than a name may have keeps "too long" recognisable after the cut. */
        char specific[LOOKUP_NAME_MAX + 2], generic[SERVICE_NAME_MAX + 1];
        int r;

        snprintf(specific, sizeof(specific), "%.*s%s", (int)command->descriptor.n, command->descriptor.text,
                 command->has_argument ? "" : "+");
        snprintf(generic, sizeof(generic), "%.*s", (int)command->name.n, command->name.text);
        if (memchr(command->descriptor.text, '/', command->descriptor.n) || strcmp(generic, ".") == 0 ||
            strcmp(generic, "..") == 0)
                return lookup_fail(reterr, specific, "this is no name of a service");

        r = lookup_everywhere(directories, specific, tcp, found, reterr);
        if (r == LOOKUP_E_NOT_FOUND)
                r = lookup_everywhere(directories, generic, tcp, found, reterr);
        return r;
}

int lookup_service(const char *directories, const Command *command, Diagnostics *reterr, Lookup *ret_lookup) {
        LookupFound found;
        Lookup lookup;
        int r;

        r = lookup_both(directories, command, true, &found, reterr);
        if (r)
                return r;

        if (found.tcp[0] != '\0') {
                lookup.kind = LOOKUP_KIND_TCP;
        } else if (S_ISSOCK(found.mode)) {
                lookup.kind = LOOKUP_KIND_SOCKET;
        } else if (!S_ISREG(found.mode)) {
                return lookup_fail(reterr, found.path, "neither a program nor a socket");
        } else if (faccessat(AT_FDCWD, found.path, X_OK, AT_EACCESS) < 0) {
                return lookup_fail(reterr, found.path, "not executable for this account: %s", strerror(errno));
        } else {
                lookup.kind = LOOKUP_KIND_EXECUTABLE;
        }
        memcpy(lookup.path, found.path, sizeof(lookup.path));
        memcpy(lookup.tcp, found.tcp, sizeof(lookup.tcp));
        *ret_lookup = lookup;
        return 0;
}

int lookup_config(const char *directories, const Command *command, Diagnostics *reterr,
                  char ret_path[static LOOKUP_PATH_MAX + 1]) {
        LookupFound found;
        int r;

        r = lookup_both(directories, command, false, &found, reterr);
        if (r)
                return r;
        memcpy(ret_path, found.path, sizeof(found.path));
        return 0;
}
