/* SPDX-License-Identifier: Apache-2.0 */
#include "qubesdb/view.h"

#include <errno.h>
#include <stdio.h>

#include "base/error.h"

static int qubesdb_view_put_remote(QubesdbStore *store, const char *prefix, const InventoryDomain *remote,
                                   const char *value) {
        QubesdbPath path;
        int n = snprintf(path.text, sizeof(path.text), "%s%s", prefix, remote->name.text);

        if (n < 0 || (size_t)n >= sizeof(path.text))
                return error_origin(-EINVAL);
        return error_trace(qubesdb_store_put(store, path.text, value));
}

static int qubesdb_view_put_remotes(const Inventory *inventory, const InventoryDomain *relay, QubesdbStore *store) {
        int r = 0;

        for (size_t i = 0; i < inventory->n_domains && !r; ++i) {
                const InventoryDomain *remote = &inventory->domains[i];

                if (remote->type != DOMAIN_TYPE_REMOTEVM || remote->relayvm != relay)
                        continue;
                r = qubesdb_view_put_remote(store, QUBESDB_VIEW_REMOTE, remote, remote->remote_name.text);
                r = r ?: qubesdb_view_put_remote(store, QUBESDB_VIEW_REMOTES, remote, remote->remote_name.text);
                if (!r && remote->remote_host)
                        r = qubesdb_view_put_remote(store, QUBESDB_VIEW_REMOTE_HOST, remote, remote->remote_host);
        }
        return error_trace(r);
}

int qubesdb_view_fill(const Inventory *inventory, const InventoryDomain *domain, QubesdbStore *store) {
        bool is_template = domain->type == DOMAIN_TYPE_TEMPLATEVM;
        bool is_whole = is_template || domain->type == DOMAIN_TYPE_STANDALONEVM || domain->type == DOMAIN_TYPE_ADMINVM;
        const char *default_user = domain->default_user.text[0] != '\0' ? domain->default_user.text : domain->user.text;
        const struct {
                const char *path, *value;
        } entries[] = {
                { "/name", domain->name.text },
                { "/type", domain_type_text(domain->type) },
                { "/default-user", default_user },
                { "/qubes-vm-type", is_template ? "TemplateVM" : "AppVM" },
                { "/qubes-vm-updateable", is_whole ? "True" : "False" },
                { "/qubes-vm-persistence", is_whole                             ? "full"
                                           : domain->type == DOMAIN_TYPE_DISPVM ? "none"
                                                                                : "rw-only" },
                { "/qubes-base-template", domain->template ? domain->template->name.text : "" },
                { "/qubes-debug-mode", "0" },
                { "/qubes-block-devices", "" },
                { "/qubes-usb-devices", "" },
                { "/qubes-gui-enabled", domain->guivm ? "True" : "False" },
                { "/qubes-service/meminfo-writer", "0" },
        };
        int r = 0;

        for (size_t i = 0; i < ARRAY_SIZE(entries) && !r; ++i)
                r = qubesdb_store_put(store, entries[i].path, entries[i].value);
        return error_trace(r ?: qubesdb_view_put_remotes(inventory, domain, store));
}
