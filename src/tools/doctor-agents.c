/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker knows: of its files, of the domains, and whether their agents answer. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/escape.h"
#include "tools/ask.h"
#include "tools/doctor.h"
#include "tools/domain.h"

static int check_running(Doctor *doctor, const char *name) {
        bool answers = false;
        int r;

        r = ask_agent(name, &answers);
        if (r < 0)
                return error_trace(r);
        if (r || answers)
                return 0;
        return report_add(doctor->report, FINDING_ERROR, "agents",
                          report_command("qair domain stop % && qair domain start %", name, name),
                          "the agent of domain %s is connected and does not answer", name);
}

static int check_halted(Doctor *doctor, const InventoryDomain *domain) {
        if (!domain->autostart)
                return 0;
        return report_add(doctor->report, FINDING_WARNING, "agents",
                          report_command("qair domain start %", domain->name.text),
                          "domain %s starts with the host, and does not run", domain->name.text);
}

/* The broker says it: what it has read, and is in force, is what counts. */
static int check_ask_conf(Doctor *doctor) {
        _cleanup_json_ answer = NULL;
        char path[4096];
        const char *problem;
        int r;

        r = ask_quietly("qair.Status", ASK_QUIETLY_MSEC, &answer);
        if (r)
                return r < 0 ? error_trace(r) : 0;
        problem = ask_text(answer, "ask");
        if (problem[0] == '\0' || strcmp(problem, "ok") == 0)
                return 0;
        snprintf(path, sizeof(path), "%s/ask.conf", doctor->etc_dir);
        return report_add(doctor->report, FINDING_WARNING, "ask", doctor_edit_command(path, 0),
                          "%s: until it is mended, what people answer holds once", ESCAPED(problem, strlen(problem)));
}

int doctor_check_agents(Doctor *doctor) {
        const DomainOptions options = { .dir = doctor->domains_dir };
        _cleanup_json_ states = NULL;
        int r;

        r = domain_states(&options, &states);
        for (size_t i = 0; !r && doctor->inventory && i < doctor->inventory->n_domains; ++i) {
                const InventoryDomain *domain = &doctor->inventory->domains[i];
                const char *state = ask_text(states, domain->name.text);

                if (strcmp(state, "running") == 0 && domain->type != DOMAIN_TYPE_ADMINVM)
                        r = check_running(doctor, domain->name.text);
                else if (strcmp(state, "halted") == 0)
                        r = check_halted(doctor, domain);
        }
        return r ? error_trace(r) : error_trace(check_ask_conf(doctor));
}
