/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qubes.Gpg2: one connection of another domain's gpg to the gpg-agent of this one (split-gpg specification, 12). Private
 * keys never leave; what of the agent's protocol may pass is the filter's business.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/paths.h"
#include "gpg/consent.h"
#include "gpg/service.h"
#include "gpg2/permission.h"
#include "gpg2/session.h"

#define CONFIG_FILE   "/etc/qubes-split-gpg2.conf"
#define CONFIG_FOLDER "qubes-split-gpg2"

/* Not inherited: a gpg-agent that we start would hold it for ever. */
static int take_slot(const char *source) {
        _cleanup_fd_ int dir_fd = -1;
        int r, slot_fd;

        r = consent_open(&dir_fd);
        r = r ?: consent_take_slot(dir_fd, source, &slot_fd);
        if (!r)
                return fd_set_cloexec(slot_fd, true);
        log_error("%s", consent_error_text(r));
        return -1;
}

static int load_config(const char *source, Gpg2Config *ret_config) {
        _cleanup_(diagnostics_deinit) Diagnostics warnings = DIAGNOSTICS_INIT, errors = DIAGNOSTICS_INIT;
        char folder[PATH_MAX];
        int r;

        r = paths_config(CONFIG_FOLDER, folder);
        if (r) {
                log_error("%s", paths_error_text(r));
                return -1;
        }
        r = gpg2_config_load(source, CONFIG_FILE, folder, &warnings, &errors, ret_config);
        for (size_t i = 0; i < warnings.n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(&warnings.entries[i]);

                log_warning("%s", text ?: warnings.entries[i].text);
        }
        diagnostics_log(&errors);
        return r ? -1 : 0;
}

static int open_debug_log(const char *path) {
        int fd;

        if (path[0] == '\0')
                return -1;
        fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                log_warning("debug_log: cannot open %s", path);
        return fd;
}

int main(int argc, char **argv) {
        _cleanup_(keyring_deinit) Keyring keyring = {};
        static Gpg2Config config;
        const char *source;
        int r;

        (void)argc;
        (void)argv;
        if (fd_ensure_standard() < 0)
                return GPG_SERVICE_FAILED;
        log_open(GPG2_SERVICE, false);
        openlog(GPG2_SERVICE, LOG_PID, LOG_AUTHPRIV);
        (void)signal(SIGPIPE, SIG_IGN);
        (void)umask(077);
        source = gpg_service_source();
        if (!source || take_slot(source) < 0 || load_config(source, &config) < 0)
                return GPG_SERVICE_FAILED;
        if (keyring_open(&config, source, &keyring))
                return GPG_SERVICE_FAILED;
        if (config.verbose_notifications)
                permission_tell(source, "connect");
        r = session_run(&(SessionOptions){ .client_in_fd = STDIN_FILENO,
                                           .client_out_fd = STDOUT_FILENO,
                                           .source = source,
                                           .config = &config,
                                           .keyring = &keyring,
                                           .debug_fd = open_debug_log(config.debug_log) });
        return r ? GPG_SERVICE_FAILED : 0;
}
