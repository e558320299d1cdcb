/* SPDX-License-Identifier: Apache-2.0 */
/* What the broker knows of the domains, and whether their agents answer. */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "base/error.h"
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
        return error_trace(r);
}
