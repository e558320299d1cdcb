/* SPDX-License-Identifier: Apache-2.0 */
/* A small host and policies for it, the same in all tests of this folder. Include after cmocka.h. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy-tools/system.h"
#include "policy/policy.h"

/* clang-format off */
#define WORLD_UUID(_n) "\"uuid\": \"0000000" _n "-0000-4000-8000-00000000000" _n "\", "
#define WORLD_LOCAL    "\"type\": \"AppVM\", \"power_state\": \"Running\", "

static const char world_information[] =
        "{\"domains\": {"
        "\"dom0\": {\"uuid\": \"00000000-0000-0000-0000-000000000000\", \"type\": \"AdminVM\", \"tags\": [],"
        " \"template_for_dispvms\": false, \"label\": \"0x000000\"},"
        "\"work\": {" WORLD_UUID("1") WORLD_LOCAL "\"tags\": [\"office\"], \"default_dispvm\": \"dvm\","
        " \"template_for_dispvms\": false, \"label\": \"0x111111\"},"
        "\"vault\": {" WORLD_UUID("2") "\"type\": \"AppVM\", \"power_state\": \"Halted\", \"tags\": [],"
        " \"template_for_dispvms\": false, \"label\": \"0x222222\"},"
        "\"dvm\": {" WORLD_UUID("3") WORLD_LOCAL "\"tags\": [], \"template_for_dispvms\": true,"
        " \"label\": \"0x333333\"},"
        "\"relay\": {" WORLD_UUID("4") WORLD_LOCAL "\"tags\": [], \"template_for_dispvms\": false},"
        "\"far\": {" WORLD_UUID("5") "\"type\": \"RemoteVM\", \"tags\": [], \"template_for_dispvms\": false,"
        " \"relayvm\": \"relay\", \"transport_rpc\": \"net.Carry\", \"power_state\": \"Running\"}"
        "}}";
/* clang-format on */

static inline PolicySystem *world_system(void) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        PolicySystem *system = NULL;

        assert_int_equal(
                policy_system_parse("world", world_information, strlen(world_information), &diagnostics, &system), 0);
        return system;
}

static inline Policy *world_policy(const char *text) {
        _cleanup_(diagnostics_deinit) Diagnostics diagnostics = DIAGNOSTICS_INIT;
        Policy *policy = NULL;

        if (policy_parse("p", policy_slice(text), &diagnostics, &policy) != 0)
                fail_msg("%s: %s", text, diagnostics.entries[0].text);
        return policy;
}
