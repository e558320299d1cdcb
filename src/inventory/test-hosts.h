/* SPDX-License-Identifier: Apache-2.0 */
/* A host with RemoteVMs, for tests of names across hosts. Include after cmocka.h. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/test-folder.h"
#include "inventory/inventory.h"

static const struct {
        const char *name, *relay, *more;
} hosts_domains[] = {
        { "work", NULL, "user = work\n" },
        { "net", NULL, "user = net\n" },
        { "open", NULL, "user = open\nunknown_source = stranger\n" },
        { "b-work", "net", "remote_name = work\n" },
        { "far", "net", "" },
        { "x", "net", "remote_name = y\n" },
        { "y", "net", "remote_name = z\n" },
        { "stranger", "open", "" },
        { "hop1", "net", "" },
        { "hop2", "hop1", "" },
        { "hop3", "hop2", "" },
};

#define HOSTS_FOLDER "/tmp/qair-test-hosts-XXXXXX"

/* @folder: HOSTS_FOLDER, becomes its name; folder_remove() removes it */
static inline void hosts_make(char *folder) {
        assert_non_null(mkdtemp(folder));
        for (size_t i = 0; i < ARRAY_SIZE(hosts_domains); ++i) {
                const char *relay = hosts_domains[i].relay;
                char name[64], text[512];

                (void)snprintf(text, sizeof(text), "[domain]\n%s%s%s\n%s",
                               relay ? "type = RemoteVM\ntransport_rpc = t.T\n" : "", relay ? "relayvm = " : "",
                               relay ?: "", hosts_domains[i].more);
                (void)snprintf(name, sizeof(name), "%s.conf", hosts_domains[i].name);
                folder_write(folder, name, text, 0644);
        }
}
