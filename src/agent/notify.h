/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/**
 * notify_ready() - send READY=1 to a service manager (sd_notify(3); protocol specification, 3.9)
 * @path: what NOTIFY_SOCKET says; a leading "@" means the abstract namespace
 *
 * Failures are not reported: nobody's readiness depends on being heard.
 */
void notify_ready(const char *path);
