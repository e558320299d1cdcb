/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qubes.VMExec and its kin (protocol specification, 8.2): run the command line that the argument says. Policy decides who
 * may: whoever may, may do everything that this account can.
 *
 * No shell sees a byte of it: the argument is decoded here, and the words become those of the program.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "tools/vmexec.h"

enum {
        STATUS_FAILED = 1,
        STATUS_NO_STANDARD_FDS = 125,
        STATUS_NOT_EXECUTABLE = 126, /* as shells have it */
        STATUS_NOT_FOUND = 127,
};

int main(int argc, char **argv) {
        _cleanup_free_ char **words = NULL;
        int r;

        if (fd_ensure_standard() < 0)
                return STATUS_NO_STANDARD_FDS;
        log_open("qubes.VMExec", false);
        r = argc <= 2 ? vmexec_decode(argc == 2 ? argv[1] : "", &words) : VMEXEC_E_BYTE;
        if (r > 0)
                log_error("the argument %s", vmexec_error_text(r));
        if (r)
                return STATUS_FAILED;

        (void)execvp(words[0], words);
        r = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
        log_error("cannot run \"%s\": %s", ESCAPED(words[0], strlen(words[0])), strerror(errno));
        return r;
}
