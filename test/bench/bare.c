/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare COMMAND… - make two pipes, start COMMAND on them, read what it writes, and return its status
 *
 * The least that one dynamic program can do to call another: the true floor of one client plus one service.
 */
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
        posix_spawn_file_actions_t actions;
        int in[2], out[2], status;
        char buffer[4096];
        pid_t pid;

        if (argc < 2 || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
                return 125;
        if (posix_spawn_file_actions_init(&actions) != 0 ||
            posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO) != 0 ||
            posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO) != 0 ||
            posix_spawn(&pid, argv[1], &actions, NULL, argv + 1, environ) != 0)
                return 125;
        close(in[0]);
        close(in[1]);
        close(out[1]);
        while (read(out[0], buffer, sizeof(buffer)) > 0)
                ;
        if (waitpid(pid, &status, 0) != pid)
                return 125;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}
