/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "client/vm-options.h"

/** Exit statuses of qrexec-client-vm that no service is the source of (protocol specification, 7.3). */
#define VM_STATUS_FAILED  1
#define VM_STATUS_USAGE   2
#define VM_STATUS_GONE    125 /* ours: broker after broker went away */
#define VM_STATUS_REFUSED 126

/** vm_run() - make the call. Return: the status to exit with; whatever went wrong has been said */
int vm_run(const VmOptions *options);
