/* SPDX-License-Identifier: Apache-2.0 */
/* A small inventory, the same in all tests and fuzz targets of this folder. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "policy/facts.h"

#define HOUSE_UUID(_n) "0000000" _n "-0000-4000-8000-00000000000" _n

/* clang-format off */
static const char *const house_tags[][2] = {
        { "office", "online" }, { "base", "online" }, { "relayvm-relay", "root-tag" },
};

static const PolicyDomainInput house[] = {
        { .name = "dom0", .uuid = "00000000-0000-0000-0000-000000000000", .type = "AdminVM",
          .tags = &house_tags[2][1], .n_tags = 1, .has_tags = true, .template_for_dispvms = POLICY_FACT_NO,
          .running = POLICY_FACT_YES, .default_dispvm = "dvm" },
        { .name = "desk", .uuid = HOUSE_UUID("1"), .type = "AppVM", .tags = house_tags[0], .n_tags = 1,
          .has_tags = true, .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES,
          .default_dispvm = "dvm" },
        { .name = "mail", .uuid = HOUSE_UUID("2"), .type = "AppVM", .tags = house_tags[0], .n_tags = 2,
          .has_tags = true, .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES,
          .default_dispvm = "dvm-net" },
        { .name = "vault", .uuid = HOUSE_UUID("3"), .type = "AppVM", .has_tags = true,
          .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_NO },
        { .name = "web", .uuid = HOUSE_UUID("4"), .type = "StandaloneVM", .tags = &house_tags[0][1], .n_tags = 1,
          .has_tags = true, .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES,
          .default_dispvm = "gone" },
        { .name = "odd", .uuid = HOUSE_UUID("5"), .type = "AppVM", .has_tags = true,
          .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES, .default_dispvm = "web" },
        { .name = "dvm", .uuid = HOUSE_UUID("6"), .type = "AppVM", .tags = house_tags[1], .n_tags = 1,
          .has_tags = true, .template_for_dispvms = POLICY_FACT_YES, .running = POLICY_FACT_NO },
        { .name = "dvm-net", .uuid = HOUSE_UUID("7"), .type = "AppVM", .tags = house_tags[1], .n_tags = 2,
          .has_tags = true, .template_for_dispvms = POLICY_FACT_YES, .running = POLICY_FACT_NO },
        { .name = "back", .uuid = HOUSE_UUID("8"), .type = "AppVM", .tags = house_tags[0], .n_tags = 1,
          .has_tags = true, .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES, .internal = true },
        { .name = "relay", .uuid = HOUSE_UUID("9"), .type = "AppVM", .has_tags = true,
          .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES },
        { .name = "far", .uuid = HOUSE_UUID("a"), .type = "RemoteVM", .tags = house_tags[2], .n_tags = 1,
          .has_tags = true, .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES,
          .relayvm = "relay", .transport_rpc = "net.Carry" },
        { .name = "far-lost", .uuid = HOUSE_UUID("b"), .type = "RemoteVM", .has_tags = true,
          .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES, .transport_rpc = "net.Carry" },
        { .name = "far-mute", .uuid = HOUSE_UUID("c"), .type = "RemoteVM", .has_tags = true,
          .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES, .relayvm = "relay" },
        { .name = "far-gone", .uuid = HOUSE_UUID("d"), .type = "RemoteVM", .has_tags = true,
          .template_for_dispvms = POLICY_FACT_NO, .running = POLICY_FACT_YES, .relayvm = "gone",
          .transport_rpc = "net.Carry" },
        { .name = "bare" }, /* nothing is known of it, it has no uuid */
};
/* clang-format on */

/** house_known_facts() - all but the last domain, so nothing is unknown; the caller's; NULL on failure */
static inline PolicyFacts *house_known_facts(void) {
        PolicyFacts *facts = NULL;

        return policy_facts_new(house, ARRAY_SIZE(house) - 1, &facts) == 0 ? facts : NULL;
}

/** house_facts() - the caller's; NULL on failure */
static inline PolicyFacts *house_facts(void) {
        PolicyFacts *facts = NULL;

        return policy_facts_new(house, ARRAY_SIZE(house), &facts) == 0 ? facts : NULL;
}
