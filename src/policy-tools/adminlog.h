/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The logs of the services that see and change policy: lines that begin with `YYYY-MM-DD HH:MM:SS,mmm ` in local time
 * (policy specification, 8.6 and 8.8).
 */
#pragma once

#include "base/cleanup.h"

/**
 * policy_admin_log() - append one line, all at once
 * @format: without a line end; untrusted parts escaped by the caller
 *
 * A log that is missing and cannot be made, or cannot be written, keeps nobody from the service: nothing is said.
 */
void policy_admin_log(const char *path, const char *format, ...) _printf_(2, 3);
