/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answering a policy request from beginning to end: read the domains and the policy, decide, log, and say it in the
 * words of the policy socket (policy specification, 5.8 to 5.13).
 *
 * Where there is a way to a person, questions are put to one, and one is told of what a rule says notify= about.
 */
#pragma once

#include <stdbool.h>

#include "policy-tools/request.h"
#include "policy-tools/system.h"
#include "policy/policy.h"

typedef enum PolicyLogger {
        POLICY_LOGGER_POLICY, /* what was decided */
        POLICY_LOGGER_ROOT,   /* warnings */
} PolicyLogger;

typedef struct PolicyHandler {
        const char *const *directories;
        size_t n_directories;
        const char *legacy;      /* NULL: POLICY_LEGACY_DIRECTORY */
        const char *system_info; /* these three: policy_system_load_host() */
        const char *inventory;
        const char *usual_inventory;
        PolicySystem *system; /* both read already (policy-tools/kept.h); NULL: they are read for each request */
        Policy *policy;
        void (*log)(PolicyLogger logger, const char *text); /* @text is printable ASCII */

        /**
         * Calls policy.Ask or policy.Notify of the agent in @guivm, and waits for the answer, which is freed. Return: 0, a
         * positive code if that failed, or a negative error. NULL: nobody is asked, as if that failed, nor told.
         */
        int (*call_agent)(const char *guivm, const char *service, const char *params, char **ret_answer);
} PolicyHandler;

/**
 * policy_handle() - answer one request; all files are read anew, so nothing is ever out of date, or have been
 * @ret_answer: without a final LF; NULL: none is to be sent. The caller frees it
 *
 * What is wrong with the files is logged, and refused. Return: 0 or a negative error.
 */
int policy_handle(const PolicyHandler *handler, const PolicySocketRequest *request, char **ret_answer);

/**
 * policy_handle_is_quick() - will policy_handle() do nothing but decide?
 *
 * It does, if what it needs is read already, and nobody is asked or told; it then takes a few microseconds.
 */
bool policy_handle_is_quick(const PolicyHandler *handler, const PolicySocketRequest *request);

/**
 * policy_handle_eval() - answer a request of a domain (5.12, steps 7 and 8)
 * @name:   the socket's service
 * @is_gui: source and target must have the caller's tag
 *
 * Return: as policy_handle().
 */
int policy_handle_eval(const PolicyHandler *handler, const char *name, bool is_gui, const PolicyEvalRequest *request,
                       char **ret_answer);
