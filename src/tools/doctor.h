/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `qair doctor`: what is wrong with this installation, and the command that mends it.
 *
 * Each doctor_check_…() looks at one part and reports findings; none changes anything. Checks do not depend on each
 * other: what is broken in one place is no reason to stay silent about another.
 *
 * Commands are made for root's shell. Names that somebody else may have chosen (of a file in a folder that everybody
 * can write, say) are therefore never put into one as they are: report_command() quotes every argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "inventory/inventory.h"
#include "policy/policy.h"

typedef enum FindingLevel {
        FINDING_ERROR,   /* calls fail, or the wrong ones may write what decides */
        FINDING_WARNING, /* something does not work as it should */
        FINDING_NOTE,    /* worth knowing; as it may be meant */
        _FINDING_LEVEL_N,
} FindingLevel;

typedef struct Finding {
        FindingLevel level;
        const char *check; /* which part: static text */
        char *text;        /* what is wrong, escaped, one line */
        char *command;     /* what mends it; NULL: there is none */
} Finding;

typedef struct Report {
        Finding *findings;
        size_t n_findings;
        size_t n_of_level[_FINDING_LEVEL_N];
} Report;

#define REPORT_INIT ((Report){})

/** report_deinit() - free all findings; harmless on an empty report */
void report_deinit(Report *report);

/**
 * report_add() - append a finding
 * @check:   static text
 * @command: made by report_command(), or NULL; taken over, also on failure
 * @format:  the text; untrusted parts escaped by the caller
 *
 * Return: 0 or a negative error. -ENOMEM too if @command is REPORT_NO_MEMORY.
 */
int report_add(Report *report, FindingLevel level, const char *check, char *command, const char *format, ...)
        _printf_(5, 6);

/**
 * report_command() - a shell command
 * @format: text of ours, each `%` replaced by one of the arguments (const char *), quoted for sh where it needs to be
 *
 * Return: the command, the caller's to free or to hand to report_add(); REPORT_NO_MEMORY if there is none.
 */
char *report_command(const char *format, ...);

/** Not a command: report_command() ran out of memory. Told apart from NULL, which is "no command". */
#define REPORT_NO_MEMORY ((char *)-1)

/** report_quote() - @text as one word for sh(1); the caller frees it. Return: NULL if there is no memory */
char *report_quote(const char *text);

/** report_print() - findings on standard output, two lines each, and a summary */
void report_print(const Report *report);

/** report_print_json() - an object with `findings`, `errors`, `warnings`, `notes`. Return: 0 or a negative error */
int report_print_json(const Report *report);

/** What the checks look at. */
typedef struct Doctor {
        const char *etc_dir;     /* /etc/qubes */
        const char *domains_dir; /* /etc/qubes/domains.d */
        const char *policy_dir;  /* /etc/qubes/policy.d */
        const char *rpc_dir;     /* /etc/qubes-rpc */
        const char *run_dir;     /* /run/qubes */
        const char *libexec_dir; /* /usr/lib/qubes */
        const char *share_dir;   /* /usr/share/qair */
        Inventory *inventory;    /* NULL: broken, and reported */
        Policy *policy;          /* likewise */
        Report *report;
        bool has_systemd; /* it runs here: commands are systemctl's */
        uid_t broker_uid; /* (uid_t)-1: there is no such account */
        gid_t broker_gid;
        gid_t policy_gid; /* may write policy_dir, by an administrator's choice; (gid_t)-1: nobody but root may */
        uid_t dom0_uid;   /* what dom0's services run as; (uid_t)-1: there is no such account */
} Doctor;

/* The parts. Return: 0, whatever was found, or a negative error. */
int doctor_check_inventory(Doctor *doctor);
int doctor_check_accounts(Doctor *doctor);
int doctor_check_files(Doctor *doctor);
int doctor_check_pam(Doctor *doctor);
int doctor_check_policy(Doctor *doctor);
int doctor_check_services(Doctor *doctor);
int doctor_check_ssh(Doctor *doctor);
int doctor_check_kernel(Doctor *doctor);
int doctor_check_limits(Doctor *doctor);
int doctor_check_running(Doctor *doctor);
/** doctor_check_agents() - and ask.conf: what the broker says, so only of use if it answers */
int doctor_check_agents(Doctor *doctor);

/** doctor_edit_command() - open @path at @line (0: anywhere) in the administrator's editor. As report_command() */
char *doctor_edit_command(const char *path, unsigned line);

/** doctor_path_is_amiss() - does doctor_check_files() complain of @path, since it is missing or others may change it? */
bool doctor_path_is_amiss(const char *path);

/** doctor_find_process() - the process of this PID namespace whose program is @name of @libexec_dir, or 0: none
 * @ret_replaced: its file has been replaced or removed since; may be NULL
 */
pid_t doctor_find_process(const Doctor *doctor, const char *name, bool *ret_replaced);
