/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/startup.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/location.h"
#include "agent/lookup.h"
#include "agent/servicelog.h"
#include "agent/spawn.h"
#include "base/fd.h"
#include "base/log.h"

#define STARTUP_SESSION_PROGRAM QAIR_LIBEXECDIR "/qrexec-session"

/* The account that we are. The supervisor says it; by hand, or in a container, the system is asked. */
static const char *find_account(void) {
        const char *account = getenv("USER");
        struct passwd *entry;

        if (account && *account)
                return account;
        entry = getpwuid(geteuid());
        return entry ? entry->pw_name : NULL;
}

static const char *environment_or(const char *variable, const char *otherwise) {
        const char *value = getenv(variable);

        return value && *value ? value : otherwise;
}

int startup_open(int argc, char **argv, Startup *startup) {
        int r;

        *startup = (Startup){};
        if (fd_ensure_standard() < 0)
                return STARTUP_EXIT_NO_STANDARD_FDS;
        log_open("qrexec-agent", true);
        r = agent_arguments_parse(argc, argv, &startup->arguments);
        if (!r && startup->arguments.debug)
                log_set_max_level(LOG_LEVEL_DEBUG);
        return r;
}

/* A descriptor for every call; services get back the limit that programs expect (select(2)). */
static void startup_raise_files(Startup *startup) {
        struct rlimit more;

        if (getrlimit(RLIMIT_NOFILE, &startup->files) < 0)
                return;
        more = (struct rlimit){ .rlim_cur = startup->files.rlim_max, .rlim_max = startup->files.rlim_max };
        (void)setrlimit(RLIMIT_NOFILE, &more);
        startup->settings.files = &startup->files;
}

int startup_init(Startup *startup) {
        const char *pattern = startup->arguments.fork_server, *account;

        if (geteuid() == 0) {
                if (access(STARTUP_SESSION_PROGRAM, X_OK) < 0) {
                        log_error("will not run as root: " STARTUP_SESSION_PROGRAM ", which opens the sessions of "
                                  "accounts, is not there: %m");
                        return EXIT_FAILURE;
                }
                startup->settings.session_program = STARTUP_SESSION_PROGRAM;
        }
        account = find_account();
        startup->account = account ? strdup(account) : NULL;
        if (!startup->account) {
                log_error("the account with uid %u has no name: set USER", geteuid());
                return EXIT_FAILURE;
        }

        /* Services must not speak to our service manager in our name. */
        if (getenv("NOTIFY_SOCKET"))
                startup->notify = strdup(getenv("NOTIFY_SOCKET"));
        (void)unsetenv("NOTIFY_SOCKET");

        startup_raise_files(startup);
        if (geteuid() != 0 && startup->arguments.guest == 0 && (!pattern || *pattern))
                startup->fork_server = location_fork_server(pattern, startup->account);

        /* What we inherited, and the one that agent and handlers ignore for themselves. */
        spawn_find_signals(&startup->signals);
        sigaddset(&startup->signals, SIGPIPE);

        if (startup->arguments.guest > 0) {
                startup->guest = (Guest){
                        .client = QAIR_CLIENT,
                        .directory = environment_or("VCHAN_SOCKET_DIR", VCHAN_DIRECTORY),
                        .domain = (uint32_t)startup->arguments.guest,
                };
                startup->settings.guest = &startup->guest;
        }
        startup->settings.account = startup->account;
        startup->settings.fork_server = startup->fork_server;
        startup->settings.shell = startup->arguments.shell;
        startup->settings.shell_program = "/bin/sh";
        startup->settings.home = getenv("HOME");
        startup->settings.service_path = environment_or("QREXEC_SERVICE_PATH", LOOKUP_SERVICE_PATH);
        startup->settings.config_path = environment_or("QUBES_RPC_CONFIG_PATH", LOOKUP_CONFIG_PATH);
        startup->settings.journal = SERVICELOG_JOURNAL;
        startup->settings.syslog = SERVICELOG_SYSLOG;
        startup->settings.environment = environ;
        startup->settings.signals = &startup->signals;
        return 0;
}

void startup_deinit(Startup *startup) {
        free(startup->account);
        free(startup->fork_server);
        free(startup->notify);
        *startup = (Startup){};
}
