/* SPDX-License-Identifier: Apache-2.0 */
/*
 * split-ssh-filter: the service behind qubes.Ssh and qubes.SshAgent. Standard input and output are the caller's; so is
 * standard error, which therefore gets one constant line for a failure, while the log gets the reason.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/fd.h"
#include "base/log.h"
#include "ssh/filter.h"
#include "ssh/options.h"
#include "ssh/places.h"
#include "ssh/policyfile.h"
#include "ssh/upstream.h"

/* A path, and what is wrong there. */
#define DIAGNOSTIC_SHOWN_MAX 1024

/* For the log, and for the caller only that there is a reason. */
static int fail(SshFilterExit status, const char *told, const char *subject, const char *reason, const char *detail) {
        syslog(LOG_ERR, "%s%s%s%s%s", subject, *subject != '\0' ? ": " : "", reason, *detail != '\0' ? ": " : "",
               detail);
        (void)fprintf(stderr, "split-ssh-filter: %s\n", told);
        return status;
}

/* An administrator at a terminal is told all; a caller is told that the policy is broken, and the log has the rest. */
static int fail_policy(const SshOptions *options, const Diagnostics *diagnostics) {
        for (size_t i = 0; i < diagnostics->n_entries; ++i) {
                _cleanup_free_ char *text = diagnostic_format(diagnostics->entries + i);
                char shown[DIAGNOSTIC_SHOWN_MAX];

                if (!text)
                        continue;
                (void)escape(shown, sizeof(shown), text, strlen(text));
                if (options->check_config)
                        (void)fprintf(stderr, "%s\n", shown);
                else
                        syslog(LOG_ERR, "%s", shown);
        }
        if (!options->check_config)
                (void)fputs("split-ssh-filter: the configuration has errors\n", stderr);
        return SSH_FILTER_EXIT_POLICY;
}

static int print_rules(const SshRules *rules) {
        _cleanup_free_ char *text = ssh_rules_format(rules);

        return text && fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? 0 : SSH_FILTER_EXIT_REFUSED;
}

static void log_open_event(const SshRules *rules, const char *service) {
        char buffer[SSH_RECORD_SIZE];
        SshLine line;

        ssh_session_log_begin(rules, "open", &line, buffer);
        ssh_line_text(&line, "service", service);
        syslog(LOG_INFO, "%s", line.text);
}

/* The last two parts of an account's are ours. If they cannot be made, what is wanted in them is not there: said then. */
static void make_run_dir(const char *path) {
        char folder[PATH_MAX];

        if (strcmp(path, PLACES_RUN_DIR) == 0)
                return;
        (void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
        (void)mkdir(folder, 0700);
        (void)mkdir(path, 0700);
}

/* Steps 3 to 5 of the specification, 5.2. */
static int serve(const SshOptions *options, const SshRules *rules) {
        _cleanup_(ssh_state_close) SshState state = SSH_STATE_INIT;
        char run_dir[PATH_MAX], state_dir[PATH_MAX + sizeof("/filter")], path[PATH_MAX];
        _cleanup_fd_ int slot_fd = -1, agent_fd = -1;
        int r;

        r = places_agents(run_dir);
        if (r)
                return fail(SSH_FILTER_EXIT_REFUSED, "not available", "", places_error_text(r), "");
        make_run_dir(run_dir);
        (void)snprintf(state_dir, sizeof(state_dir), "%s/filter", run_dir);
        r = ssh_state_open(options->state_dir ?: state_dir, &state);
        if (r)
                return fail(SSH_FILTER_EXIT_REFUSED, "not available", options->state_dir ?: state_dir,
                            r == SSH_STATE_E_UNSAFE ? "this must be a folder of this user, with mode 0700"
                                                    : "the folder of the state cannot be used",
                            r == SSH_STATE_E_UNSAFE ? "" : strerror(errno));
        r = ssh_state_slot(&state, rules->source, rules->settings.max_connections, &slot_fd);
        if (r)
                return fail(SSH_FILTER_EXIT_REFUSED, "too many connections", rules->source,
                            "no connection is free: see max-connections", "");
        r = ssh_upstream_connect(rules, options->agent_socket, run_dir, path, &agent_fd);
        if (r)
                return fail(SSH_FILTER_EXIT_REFUSED, "the agent is not available", path, ssh_upstream_error_text(r),
                            r == SSH_UPSTREAM_E_MISSING || r == SSH_UPSTREAM_E_CONNECT ? strerror(errno) : "");

        log_open_event(rules, options->service);
        r = ssh_filter_run(&(SshFilterSetup){
                .rules = rules,
                .state = &state,
                .helper = options->helper ?: SSH_HELPER_PATH,
                .in_fd = STDIN_FILENO,
                .out_fd = STDOUT_FILENO,
                .agent_fd = agent_fd,
        });
        return r < 0 ? fail(SSH_FILTER_EXIT_AGENT, "failed", rules->source, "this should not happen", strerror(-r)) : r;
}

static int run(const SshOptions *options) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(ssh_policy_freep) SshPolicy *policy = NULL;
        SshRules rules;
        int r;

        r = ssh_policy_load(options->config, &policy, &diagnostics);
        if (r < 0)
                return fail(SSH_FILTER_EXIT_POLICY, "the configuration cannot be read", "configuration",
                            "it cannot be read", strerror(-r));
        if (r)
                return fail_policy(options, &diagnostics);
        rules = ssh_policy_rules(policy, options->source, options->agent);
        return options->check_config ? print_rules(&rules) : serve(options, &rules);
}

int main(int argc, char **argv) {
        const char *message;
        SshOptions options;

        if (fd_ensure_standard() < 0)
                return SSH_FILTER_EXIT_REFUSED;
        log_open("split-ssh-filter", false);
        openlog("split-ssh-filter", LOG_PID, LOG_AUTHPRIV);
        (void)signal(SIGPIPE, SIG_IGN);

        switch (ssh_options_parse(argc, argv, &options, &message)) {
        case 0:
                return run(&options);
        case SSH_OPTIONS_E_HELP:
                (void)fputs(ssh_options_usage(), stdout);
                return 0;
        case SSH_OPTIONS_E_VERSION:
                (void)puts("split-ssh-filter " QAIR_VERSION);
                return 0;
        default:
                return fail(SSH_FILTER_EXIT_REFUSED, message, "", message, "");
        }
}
