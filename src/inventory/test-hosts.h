/* SPDX-License-Identifier: Apache-2.0 */
/* A host with RemoteVMs, for tests of names across hosts. Include after cmocka.h. */
#pragma once

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
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

static inline void hosts_path(const char *folder, size_t i, char path[static 128]) {
        snprintf(path, 128, "%s/%s.conf", folder, hosts_domains[i].name);
}

/* @folder: HOSTS_FOLDER, becomes its name */
static inline void hosts_make(char *folder) {
        assert_non_null(mkdtemp(folder));
        for (size_t i = 0; i < ARRAY_SIZE(hosts_domains); ++i) {
                const char *relay = hosts_domains[i].relay;
                _cleanup_fd_ int fd = -1;
                char path[128], text[512];
                int n = snprintf(text, sizeof(text), "[domain]\n%s%s%s\n%s",
                                 relay ? "type = RemoteVM\ntransport_rpc = t.T\n" : "", relay ? "relayvm = " : "",
                                 relay ?: "", hosts_domains[i].more);

                hosts_path(folder, i, path);
                fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
                assert_true(fd >= 0);
                assert_int_equal(fd_write_full(fd, text, (size_t)n), 0);
        }
}

static inline void hosts_remove(const char *folder) {
        char path[128];

        for (size_t i = 0; i < ARRAY_SIZE(hosts_domains); ++i) {
                hosts_path(folder, i, path);
                unlink(path);
        }
        rmdir(folder);
}
