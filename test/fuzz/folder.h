/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder for the sockets and files of a fuzz target.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"

static char folder_path[] = "/tmp/qair-fuzz.XXXXXX";

static void folder_remove(void) {
        (void)rmdir(folder_path);
}

/** folder() - one of this process's own, made when it is first asked for; it is removed at the end, if it is empty then */
static inline const char *folder(void) {
        static bool is_made;

        if (!is_made) {
                fuzz_check(mkdtemp(folder_path) != NULL);
                (void)atexit(folder_remove);
        }
        is_made = true;
        return folder_path;
}
