/* SPDX-License-Identifier: Apache-2.0 */
#include "client/hostservice.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/log.h"
#include "client/host.h"

#define HOST_SERVICE_DEFAULT "DEFAULT:"
#define HOST_SERVICE_PREFIX  "QUBESRPC "

bool host_service_is(const char *command) {
        return strncmp(command, HOST_SERVICE_PREFIX, strlen(HOST_SERVICE_PREFIX)) == 0;
}

int host_service_become(const HostOptions *options, const char *const words[static HOST_SERVICE_WORDS_MAX]) {
        const char *argv[HOST_SERVICE_WORDS_MAX + 1] = { "qrexec-host-call" };

        memcpy(argv + 1, words, HOST_SERVICE_WORDS_MAX * sizeof(*words));
        (void)execv(options->host_call, (char *const *)argv);
        log_error("cannot run %s: %s", ESCAPED(options->host_call, strlen(options->host_call)), strerror(errno));
        return HOST_STATUS_FAILED;
}

/* The service has our standard input and output as they are: nothing can be put in between. Return: NULL, or what is wrong */
static const char *host_service_unsupported(const HostOptions *options) {
        if (options->local_command)
                return "-l is not for services of the host";
        if (strncmp(options->command, HOST_SERVICE_DEFAULT, strlen(HOST_SERVICE_DEFAULT)) != 0 ||
            !host_service_is(options->command + strlen(HOST_SERVICE_DEFAULT)))
                return "on the host itself COMMAND is DEFAULT:QUBESRPC SERVICE+ARGUMENT SOURCE [name TARGET]";
        if (options->prefix || options->use_stdin_socket || options->filter_stdout || options->filter_stderr ||
            options->just_exec)
                return "-e, -p, -t, -T and --use-stdin-socket are not for services of the host";
        return NULL;
}

int host_service_run(const HostOptions *options) {
        const char *words[HOST_SERVICE_WORDS_MAX] = { options->ignore_status ? "--here=wait" : "--here", "--" };
        const char *unsupported = host_service_unsupported(options);

        if (unsupported) {
                log_error("%s", unsupported);
                return HOST_STATUS_FAILED;
        }
        words[2] = options->command + strlen(HOST_SERVICE_DEFAULT);
        return host_service_become(options, words);
}

int host_service_check(const HostOptions *options, const char *command) {
        const char *const words[HOST_SERVICE_WORDS_MAX] = { "--here=check", "--", command };
        int status;
        pid_t pid;

        pid = fork();
        if (pid == 0)
                _exit(host_service_become(options, words));
        if (pid < 0) {
                log_error("cannot start a process: %s", strerror(errno));
                return HOST_STATUS_FAILED;
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return HOST_STATUS_FAILED;
        return WIFEXITED(status) ? WEXITSTATUS(status) : HOST_STATUS_FAILED;
}
