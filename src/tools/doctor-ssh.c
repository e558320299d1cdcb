/* SPDX-License-Identifier: Apache-2.0 */
/* split-ssh: the filter's configuration, as every call of it reads it. One error there refuses every use of every key. */
#include <errno.h>

#include "base/error.h"
#include "ssh/policyfile.h"
#include "tools/doctor.h"

static int report_one(Doctor *doctor, const Diagnostic *entry) {
        _cleanup_free_ char *text = diagnostic_format(entry);
        char *command = NULL;

        if (!text)
                return error_origin(-ENOMEM);
        /* Of a whole file it is its owner or mode that is wrong. */
        if (*entry->path)
                command = entry->line > 0
                                  ? doctor_edit_command(entry->path, entry->line)
                                  : report_command("chown root:root % && chmod 0644 %", entry->path, entry->path);
        return report_add(doctor->report, FINDING_ERROR, "split-ssh", command, "%s", text);
}

int doctor_check_ssh(Doctor *doctor) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(ssh_policy_freep) SshPolicy *policy = NULL;
        int r;

        r = ssh_policy_load(NULL, &policy, &diagnostics);
        if (r < 0)
                return error_trace(r);
        /* The first is what the filter's log and the command line complain of; the others may follow from it. */
        return r == 0 || diagnostics.n_entries == 0 ? 0 : report_one(doctor, &diagnostics.entries[0]);
}
