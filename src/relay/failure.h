/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/** Why a connection could not be made. */
typedef enum RelayFailure {
        RELAY_FAILURE_NAME,     /* nobody knows the host's name */
        RELAY_FAILURE_CONNECT,  /* it does not answer, or not there */
        RELAY_FAILURE_HOST_KEY, /* its key is unknown, or another one */
        RELAY_FAILURE_KEY,      /* our key was not accepted */
        RELAY_FAILURE_OTHER,
} RelayFailure;

/** relay_failure_find() - what ssh(1) means by the messages with which it gave up */
RelayFailure relay_failure_find(const char *untrusted_text);

/** relay_failure_text() - what it is, and what to do */
const char *relay_failure_text(RelayFailure failure);
