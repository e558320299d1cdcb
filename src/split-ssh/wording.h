/* SPDX-License-Identifier: Apache-2.0 */
/* A use of a key in words for a person (split-ssh specification, 8.3, 10.2). Plain text: there is no markup in it. Pure. */
#pragma once

#include <stddef.h>

#include "split-ssh/record.h"

/** More than all lines together can have. */
#define WORDING_MAX 4096
/** What a client says is shown no longer than this, and an ellipsis. */
#define WORDING_VALUE_MAX 64

/** wording_use() - one line: what it is for: "Log in as git at GitHub" */
const char *wording_use(const Record *record, char buffer[static WORDING_MAX]);

/** wording_arrow() - who and where to, as short as it goes: "work → git@GitHub (host key verified)" */
const char *wording_arrow(const Record *record, char buffer[static WORDING_MAX]);

/** wording_question() - four lines at most: source, key, use, and what a yes holds for */
const char *wording_question(const Record *record, char buffer[static WORDING_MAX]);

/** wording_duration() - "5 minutes", "1 hour" … Return: @buffer */
const char *wording_duration(uint32_t sec, char buffer[static 32]);
