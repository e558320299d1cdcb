/* SPDX-License-Identifier: Apache-2.0 */
#include "split-ssh/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define STATUS_SIGNAL 128

/* A session of its own has no terminal. */
static int program_set_attributes(posix_spawnattr_t *attributes, unsigned flags) {
        short wanted = (short)(POSIX_SPAWN_SETSIGMASK | (flags & PROGRAM_NO_TERMINAL ? POSIX_SPAWN_SETSID : 0));
        sigset_t none;

        (void)sigemptyset(&none);
        return posix_spawnattr_setsigmask(attributes, &none) ?: posix_spawnattr_setflags(attributes, wanted);
}

static int program_set_actions(posix_spawn_file_actions_t *actions, unsigned flags) {
        int r = 0;

        if (flags & PROGRAM_NO_TERMINAL)
                r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (!r && flags & PROGRAM_NO_OUTPUT)
                r = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        if (!r && flags & PROGRAM_NO_ERRORS)
                r = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        return r;
}

int program_spawn(const char *const *argv, unsigned flags, pid_t *ret_pid) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (!r) {
                r = program_set_attributes(&attributes, flags);
                if (!r)
                        r = program_set_actions(&actions, flags);
                if (!r)
                        r = posix_spawn(ret_pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
                (void)posix_spawnattr_destroy(&attributes);
        }
        (void)posix_spawn_file_actions_destroy(&actions);
        return -r;
}
