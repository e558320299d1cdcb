/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people call a policy file: `NAME`, which stands for NAME.policy, or `include/NAME` (policy specification, 9.5, 9.6).
 */
#pragma once

#include <stdbool.h>

/** The characters that a name may not have, quoted, in a message: each byte once, as \xHH at worst. */
#define POLICY_FILE_NAME_QUOTED_MAX (4 * 256 + 3)

typedef struct PolicyFileName {
        const char *name; /* without `include/`; points into the text; empty: none given */
        bool is_include;
} PolicyFileName;

enum {
        _POLICY_FILE_NAME_E_SUCCESS,
        POLICY_FILE_NAME_E_CHARACTERS, /* some that no service argument has */
};

/**
 * policy_file_name_parse() - `[include/]NAME`, `include`, `include/` or nothing
 * @ret_invalid: on POLICY_FILE_NAME_E_CHARACTERS which they are, sorted and quoted
 *
 * Only characters are looked at; whether it is the name of a file, the service says (8.2).
 * Return: 0 or POLICY_FILE_NAME_E_CHARACTERS.
 */
int policy_file_name_parse(const char *untrusted_text, PolicyFileName *ret_name,
                           char ret_invalid[static POLICY_FILE_NAME_QUOTED_MAX]);
