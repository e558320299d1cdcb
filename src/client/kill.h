/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qrexec-client -k: the domain ends with the call.
 */
#pragma once

/**
 * kill_domain() - by the administration of the host (protocol specification, 4.3); where there is none, by the broker,
 * which has the domain stopped (qair.DomainStop)
 * @target: as after -d
 *
 * Failures are logged, and change nothing else.
 */
void kill_domain(const char *target);
