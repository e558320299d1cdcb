/* SPDX-License-Identifier: Apache-2.0 */
/* `qair prompts`: the terminal of the policy agent, for the account of a domain. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/escape.h"
#include "inventory/inventory.h"
#include "tools/command.h"

static int prompts_find_account(const char *name, AccountName *ret_account) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        _cleanup_(inventory_freep) Inventory *inventory = NULL;
        const InventoryDomain *domain;
        int r;

        r = inventory_load(PATHS_DOMAINS_DIR, &diagnostics, &inventory);
        if (r < 0)
                return r;
        if (r > 0) {
                command_print_diagnostics(&diagnostics);
                return COMMAND_STATUS_FAILED;
        }
        domain = inventory_lookup(inventory, name);
        if (!domain || domain->user.text[0] == '\0') {
                command_complain("prompts: '%s' is no domain with an account here: see 'qair domain list'",
                                 ESCAPED(name, strlen(name)));
                return COMMAND_STATUS_FAILED;
        }
        *ret_account = domain->user;
        return COMMAND_STATUS_DONE;
}

int command_prompts(int argc, char **argv) {
        static const char program[] = QAIR_LIBEXECDIR "/qrexec-policy-terminal";
        const char *domain = argc > 1 ? argv[1] : geteuid() == 0 ? DOM0_NAME : NULL;
        AccountName account;
        int r;

        if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
                printf("Usage: qair prompts [DOMAIN]\n"
                       "Answer in this terminal what the policy asks the person at the GUI domain DOMAIN; until "
                       "Ctrl-D.\n"
                       "Without DOMAIN: the questions to this account; as root, those to dom0. Several terminals may\n"
                       "be attached, and a desktop session: the first answer counts.\n");
                return COMMAND_STATUS_DONE;
        }
        if (argc > 2 || (argc > 1 && argv[1][0] == '-')) {
                command_complain("prompts: what is meant? See 'qair prompts --help'");
                return COMMAND_STATUS_USAGE;
        }
        if (domain) {
                r = prompts_find_account(domain, &account);
                if (r)
                        return r;
        }
        execl(program, program, domain ? account.text : NULL, NULL);
        command_complain("%s cannot be started: %s", program, strerror(errno));
        return COMMAND_STATUS_FAILED;
}
